//! Memory that all decoders of a run share.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// So many bytes for all decoders together. One that does not get its part waits until another has
/// ended.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    free: Mutex<u64>,
    given_back: Condvar,
}

/// A part of a budget; dropping it gives it back.
#[derive(Debug)]
pub struct Grant {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn of(bytes: u64) -> Arc<Budget> {
        Arc::new(Budget { total: bytes, free: Mutex::new(bytes), given_back: Condvar::new() })
    }

    /// All of it, free or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Waits for so many bytes; none if there are not so many in all. Whoever holds a grant must
    /// not ask for another: two could wait for each other.
    pub fn take(self: &Arc<Self>, bytes: u64) -> Option<Grant> {
        if bytes > self.total {
            return None;
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            free = self.given_back.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
        Some(Grant { budget: self.clone(), bytes })
    }
}

impl Grant {
    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_request_waits_and_one_above_the_total_fails() {
        let budget = Budget::of(10);
        assert!(budget.take(11).is_none());
        let first = budget.take(6).unwrap();
        let waiting = std::thread::spawn({
            let budget = budget.clone();
            move || budget.take(6).map(|grant| grant.bytes())
        });
        assert_eq!(budget.take(4).unwrap().bytes(), 4);
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.join().unwrap(), Some(6));
        assert_eq!(*budget.free.lock().unwrap(), 10);
    }
}
