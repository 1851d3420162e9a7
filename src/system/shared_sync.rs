//! Many who want one file system durable at the same time, and one sync for all of them.

use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use super::files::{self, Error};

/// Syncs a file system for several threads: those that come while a sync runs share the next one.
#[derive(Debug, Default)]
pub struct SharedSync {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    begun: u64,
    ended: u64,
    /// The last one that failed, and the number of its error.
    failed: Option<(u64, Option<i32>)>,
}

impl SharedSync {
    /// Returns when all that was written before the call is durable. All calls must be about paths
    /// on one file system.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self, path: &Path) -> Result<(), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // One that runs already may have passed over what we wrote.
        let ours = state.begun + 1;
        while state.running && state.ended < ours {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended >= ours {
            return match state.failed {
                Some((sync, error)) if sync >= ours => {
                    let source = error.map_or_else(
                        || io::Error::other("the sync failed"),
                        io::Error::from_raw_os_error,
                    );
                    Err(Error {
                        operation: "make durable the file system of",
                        path: path.to_owned(),
                        source,
                    })
                }
                _ => Ok(()),
            };
        }
        state.begun += 1;
        state.running = true;
        drop(state);
        let result = files::sync_file_system(path);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = false;
        state.ended = ours;
        if let Err(error) = &result {
            state.failed = Some((ours, error.source.raw_os_error()));
        }
        self.ended.notify_all();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_gets_a_sync_that_began_after_its_call() {
        let directory = tempfile::tempdir().unwrap();
        let shared = SharedSync::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..5).for_each(|_| shared.sync(directory.path()).unwrap()));
            }
        });
        let state = shared.state.lock().unwrap();
        assert!(
            !state.running && state.begun == state.ended && (5..=40).contains(&state.begun),
            "{state:?}"
        );
        drop(state);
        assert!(shared.sync(&directory.path().join("none")).is_err());
        shared.sync(directory.path()).unwrap();
    }
}
