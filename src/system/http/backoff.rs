//! How long to wait before the next attempt.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::error::Error;

/// No pause is longer than this, also when a server asks for more.
const LONGEST: Duration = Duration::from_secs(60);

/// Counts attempts. Pauses double, and a random part of each is left out, so that nodes that failed
/// together do not come back together.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    attempts: u32,
    first_pause: Duration,
    failed: u32,
}

impl Backoff {
    /// For so many attempts in all.
    pub fn new(attempts: u32, first_pause: Duration) -> Self {
        Self { attempts, first_pause, failed: 0 }
    }

    /// Sleeps if there is to be another attempt after this error; else gives it back.
    pub async fn pause_after(&mut self, error: Error) -> Result<(), Error> {
        self.failed += 1;
        if !error.transient || self.failed >= self.attempts {
            return Err(Error { attempts: self.failed, ..error });
        }
        let pause = self
            .pause(RandomState::new().hash_one(self.failed))
            .max(error.retry_after.unwrap_or_default())
            .min(LONGEST);
        tracing::debug!(%error, ?pause, "trying again");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// After progress the count starts again.
    pub fn reset(&mut self) {
        self.failed = 0;
    }

    /// Between one half and the whole of the doubled pause.
    fn pause(&self, random: u64) -> Duration {
        let whole = self.first_pause.saturating_mul(1 << (self.failed - 1).min(16)).min(LONGEST);
        whole / 2 + (whole / 2).mul_f64((random % 1000) as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut backoff = Backoff::new(100, Duration::from_secs(1));
        for (failed, low, high) in
            [(1, 500, 1000), (2, 1000, 2000), (3, 2000, 4000), (40, 30_000, 60_000)]
        {
            backoff.failed = failed;
            for random in [0, 500, 999] {
                let pause = backoff.pause(random).as_millis();
                assert!((low..=high).contains(&pause), "{failed}: {pause}");
            }
        }
    }
}
