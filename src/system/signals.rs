//! Signals: the first asks to stop, the second stops at once. A lost terminal stops nothing.

use tokio::signal::unix::{SignalKind, signal};

/// The status that a shell expects of an interrupted, resumable run.
const INTERRUPTED: i32 = 10;

/// Calls `tell` at the first SIGINT or SIGTERM, and ends the process at the second. SIGHUP is taken
/// and ignored.
pub fn on_first(tell: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        ) else {
            return;
        };
        let mut tell = Some(tell);
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => continue,
            }
            match tell.take() {
                Some(tell) => tell(),
                // As safe as SIGKILL: the journal knows what was begun.
                None => std::process::exit(INTERRUPTED),
            }
        }
    });
}
