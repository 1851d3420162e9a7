//! Signals: the first asks to stop, the second stops at once. A lost terminal stops nothing.

use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{SignalKind, signal};

use super::cancellation::Cancellation;
use super::kernel;

/// The status that a shell expects of an interrupted, resumable run.
const INTERRUPTED: i32 = 10;

/// What ends or informs a process, and so must neither be blocked nor ignored.
const DEFAULT: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGALRM,
    Signal::SIGCHLD,
    Signal::SIGXCPU,
];
/// What must not end a run: a lost terminal, and a file that would exceed the limit of the process,
/// which is an error of the write then. (The standard library ignores `SIGPIPE` already.)
const IGNORED: [Signal; 2] = [Signal::SIGHUP, Signal::SIGXFSZ];

/// Undoes what the parent of this process did to its signals: whatever it blocked or ignored, a run
/// can be interrupted, and learns of the end of its children.
pub fn reset() {
    for (signals, ignored) in [(&DEFAULT[..], false), (&IGNORED[..], true)] {
        for signal in signals {
            // It fails for numbers that are no signals only.
            let _ = kernel::set_signal(*signal, ignored);
        }
    }
    let _ = SigSet::empty().thread_set_mask();
}

/// Gives back their default action to the signals that [`reset`] has this process ignore: what it
/// executes would ignore them too.
pub(super) fn restore() {
    for signal in IGNORED {
        let _ = kernel::set_signal(signal, false);
    }
}

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
