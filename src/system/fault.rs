//! Fault points: in test builds every effect on the outside passes one, where a test can make it
//! fail or end the process as a power cut would.
//!
//! The feature `faults` makes them real; without it they are nothing, and the released program has
//! no trace of them. A test records an undisturbed run with `DCOS_NODE_FAULTS_RECORD=FILE` (a line
//! an effect: what, on which object) and addresses one point of it with `DCOS_NODE_FAULT='ACTION
//! EFFECT N OBJECT'`: the Nth time, from 1, that this effect meets this object. Several lines are
//! several faults. ACTION is `kill`, the error that the effect ends in (`ENOSPC`, `EIO`, `EROFS`,
//! `EMFILE`; those of old kernels and of containers: `EINVAL`, `ENODEV`, `ENOSYS`, `EPERM`), or
//! `silence`: no answer ever comes. An error of a call is an error of D-Bus, that of a job is a
//! failed job.

#[cfg(not(feature = "faults"))]
use std::ffi::OsStr;
use std::io;

/// What is about to be done to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A file is opened for writing.
    Open,
    /// Bytes are written.
    Write,
    /// A file or directory is made durable.
    Sync,
    /// All of a file system is made durable.
    SyncFileSystem,
    /// A name is changed: `OLD -> NEW`, or `OLD <-> NEW` where two names are exchanged.
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
    /// A piece of a script's confinement is put in place.
    Confine,
    /// A piece of a body is received.
    Receive,
    /// It is asked what is mounted, or where another file system begins.
    Mounts,
    /// systemd is asked.
    Call,
    /// The end of a job of systemd is awaited.
    Job,
}

/// Whether the error of a fault point stands for an answer that never comes.
pub fn is_silence(error: &io::Error) -> bool {
    cfg!(feature = "faults") && error.kind() == io::ErrorKind::TimedOut
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

/// Writes into the record which text was added to a file, for those who judge the order of effects.
/// Without the feature `faults` this is nothing.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn told(_text: &[u8]) {}

/// The variable by which a test asked for faults, for a copy of this program that is started with
/// an environment of its own; none without the feature `faults`. The copy keeps no record.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn environment() -> Option<(&'static str, std::ffi::OsString)> {
    None
}

/// How many workers a test wants; none without the feature `faults`.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn workers() -> Option<usize> {
    None
}

/// The limit of a script that a test wants, by its name (`PROCESSES`, `MEMORY`); none without the
/// feature `faults`.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn script_limit(_name: &str) -> Option<u64> {
    None
}

#[cfg(feature = "faults")]
pub use real::{environment, point, script_limit, told, workers};

#[cfg(feature = "faults")]
mod real {
    use std::collections::HashMap;
    use std::ffi::OsStr;
    use std::fs::{File, OpenOptions};
    use std::io::{self, Write};
    use std::panic::Location;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::Effect;

    /// What a test asked for, read once.
    struct Wish {
        record: Option<Mutex<File>>,
        faults: Vec<Fault>,
        seen: Mutex<HashMap<String, u32>>,
    }

    struct Fault {
        action: String,
        address: String,
        nth: u32,
    }

    static WISH: OnceLock<Wish> = OnceLock::new();

    fn wish() -> Wish {
        let record = std::env::var_os("DCOS_NODE_FAULTS_RECORD")
            .and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok());
        let faults = std::env::var("DCOS_NODE_FAULT")
            .unwrap_or_default()
            .lines()
            .filter_map(fault)
            .collect();
        Wish { record: record.map(Mutex::new), faults, seen: Mutex::default() }
    }

    fn fault(line: &str) -> Option<Fault> {
        let mut words = line.splitn(4, ' ');
        let (action, effect, nth, object) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Fault {
            action: action.to_owned(),
            address: format!("{effect} {object}"),
            nth: nth.parse().ok()?,
        })
    }

    fn record(wish: &Wish, line: &str) {
        if let Some(record) = &wish.record {
            let _ = writeln!(record.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
        }
    }

    /// Writes a line into the record that begins with `#` and is no effect.
    pub fn told(text: &[u8]) {
        record(WISH.get_or_init(wish), &format!("# {}", String::from_utf8_lossy(text).trim_end()));
    }

    /// Passes a fault point. The record has its place in the sources too, so that one that no run
    /// passes is found.
    ///
    /// # Errors
    /// The error that a test wants here.
    #[track_caller]
    pub fn point(effect: Effect, object: impl AsRef<OsStr>) -> io::Result<()> {
        let wish = WISH.get_or_init(wish);
        let address = format!("{effect:?} {}", object.as_ref().to_string_lossy());
        let place = Location::caller();
        record(wish, &format!("# at {}:{}", place.file(), place.line()));
        record(wish, &address);
        if !wish.faults.iter().any(|fault| fault.address == address) {
            return Ok(());
        }
        let mut seen = wish.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry(address.clone()).or_default();
        *times += 1;
        let Some(fault) =
            wish.faults.iter().find(|fault| fault.address == address && fault.nth == *times)
        else {
            return Ok(());
        };
        match fault.action.as_str() {
            "kill" => {
                let _ = kill(Pid::this(), Signal::SIGKILL);
                loop {
                    std::thread::park();
                }
            }
            "ENOSPC" => Err(Errno::ENOSPC.into()),
            "EROFS" => Err(Errno::EROFS.into()),
            "EINVAL" => Err(Errno::EINVAL.into()),
            "ENODEV" => Err(Errno::ENODEV.into()),
            "ENOSYS" => Err(Errno::ENOSYS.into()),
            "EPERM" => Err(Errno::EPERM.into()),
            "EMFILE" => Err(Errno::EMFILE.into()),
            "silence" => Err(Errno::ETIMEDOUT.into()),
            _ => Err(Errno::EIO.into()),
        }
    }

    /// The variable by which a test asked for faults.
    pub fn environment() -> Option<(&'static str, std::ffi::OsString)> {
        const NAME: &str = "DCOS_NODE_FAULT";
        std::env::var_os(NAME).map(|value| (NAME, value))
    }

    /// How many workers a test wants.
    pub fn workers() -> Option<usize> {
        std::env::var("DCOS_NODE_FAULT_WORKERS").ok()?.parse().ok()
    }

    /// The limit of a script that a test wants.
    pub fn script_limit(name: &str) -> Option<u64> {
        std::env::var(format!("DCOS_NODE_FAULT_SCRIPT_{name}")).ok()?.parse().ok()
    }
}
