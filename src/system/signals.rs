//! Signals: the first asks to stop, the second stops at once. A lost terminal stops nothing.

use tokio::signal::unix::{SignalKind, signal};

use super::cancellation::Cancellation;

/// The status that a shell expects of an interrupted, resumable run.
const INTERRUPTED: i32 = 10;

/// Requests the cancellation at the first SIGINT or SIGTERM and then calls `announce`; the second
/// one ends the process. SIGHUP is taken and ignored.
pub fn cancel(cancellation: Cancellation, announce: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        ) else {
            return;
        };
        let mut announce = Some(announce);
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => continue,
            }
            match announce.take() {
                Some(announce) => {
                    cancellation.request();
                    announce();
                }
                // As safe as SIGKILL: the journal knows what was begun.
                None => std::process::exit(INTERRUPTED),
            }
        }
    });
}
