//! Fault points: in test builds every effect on the outside passes one, where a test can make it fail or end the process as a power cut would.
//!
//! The feature `faults` makes them real; without it they are nothing, and the released program has no trace of them. A test records an undisturbed
//! run with `DCOS_NODE_FAULTS_RECORD=FILE` (a line an effect: what, on which object) and addresses one point of it with
//! `DCOS_NODE_FAULT='ACTION EFFECT N OBJECT'`: the Nth time, from 1, that this effect meets this object. ACTION is `kill`, or the error that the effect ends in.

#[cfg(not(feature = "faults"))]
use std::ffi::OsStr;
#[cfg(not(feature = "faults"))]
use std::io;

/// What is about to be done to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A file is opened for writing.
    Open,
    /// Bytes are written.
    Write,
    /// Something is made durable.
    Sync,
    /// A name is changed.
    Rename,
    /// A link is made.
    Link,
    /// A file or directory is removed.
    Remove,
    /// A directory is made.
    Directory,
    /// Owner or mode is set.
    Attributes,
    /// A program is started.
    Spawn,
    /// A piece of a body is received.
    Receive,
    /// systemd is asked.
    Call,
}

/// Passes a fault point. Without the feature `faults` this is nothing.
///
/// # Errors
/// The error that a test wants here.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_effect: Effect, _object: impl AsRef<OsStr>) -> io::Result<()> {
    Ok(())
}

/// How many workers a test wants; none without the feature `faults`.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn workers() -> Option<usize> {
    None
}

#[cfg(feature = "faults")]
pub use real::{point, workers};

#[cfg(feature = "faults")]
mod real {
    use std::collections::HashMap;
    use std::ffi::OsStr;
    use std::fs::{File, OpenOptions};
    use std::io::{self, Write};
    use std::sync::{Mutex, OnceLock, PoisonError};

    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::Effect;

    /// What a test asked for, read once.
    struct Wish {
        record: Option<Mutex<File>>,
        fault: Option<Fault>,
        seen: Mutex<HashMap<String, u32>>,
    }

    struct Fault {
        action: String,
        address: String,
        nth: u32,
    }

    static WISH: OnceLock<Wish> = OnceLock::new();

    fn wish() -> Wish {
        let record =
            std::env::var_os("DCOS_NODE_FAULTS_RECORD").and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok());
        let fault = std::env::var("DCOS_NODE_FAULT").ok().and_then(|text| {
            let mut words = text.splitn(4, ' ');
            let (action, effect, nth, object) = (words.next()?, words.next()?, words.next()?, words.next()?);
            Some(Fault { action: action.to_owned(), address: format!("{effect} {object}"), nth: nth.parse().ok()? })
        });
        Wish { record: record.map(Mutex::new), fault, seen: Mutex::default() }
    }

    /// Passes a fault point.
    ///
    /// # Errors
    /// The error that a test wants here.
    pub fn point(effect: Effect, object: impl AsRef<OsStr>) -> io::Result<()> {
        let wish = WISH.get_or_init(wish);
        let address = format!("{effect:?} {}", object.as_ref().to_string_lossy());
        if let Some(record) = &wish.record {
            let _ = writeln!(record.lock().unwrap_or_else(PoisonError::into_inner), "{address}");
        }
        let Some(fault) = wish.fault.as_ref().filter(|fault| fault.address == address) else { return Ok(()) };
        let mut seen = wish.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry(address).or_default();
        *times += 1;
        if *times != fault.nth {
            return Ok(());
        }
        match fault.action.as_str() {
            "kill" => {
                let _ = kill(Pid::this(), Signal::SIGKILL);
                loop {
                    std::thread::park();
                }
            }
            "ENOSPC" => Err(Errno::ENOSPC.into()),
            "EROFS" => Err(Errno::EROFS.into()),
            "EMFILE" => Err(Errno::EMFILE.into()),
            _ => Err(Errno::EIO.into()),
        }
    }

    /// How many workers a test wants.
    pub fn workers() -> Option<usize> {
        std::env::var("DCOS_NODE_FAULT_WORKERS").ok()?.parse().ok()
    }
}
