//! What is said about a script between the caller and its init, and how it was confined.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A script to run.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::system) struct Order {
    /// The interpreter's path.
    pub interpreter: OsString,
    /// The one argument that the script's first line gives it.
    pub argument: Option<OsString>,
    /// The path at which the script is put in its own view.
    pub path: OsString,
    /// All its environment.
    pub env: Vec<(OsString, OsString)>,
    /// Whether it runs as the user `nobody` rather than as the caller.
    pub as_nobody: bool,
    /// Mount points that are read-only on this machine, whatever this process sees.
    pub read_only: Vec<OsString>,
    /// A directory to write to where no view of its own can be made; it outlives the script.
    pub place: Option<OsString>,
    /// Whether writing is already restricted by Landlock.
    pub is_restricted: bool,
    /// What it may use.
    pub limits: Limits,
}

/// What the init answers; a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::system) enum Message {
    /// The script is about to be executed.
    Started(Confinement),
    /// It could not be.
    Failed {
        /// What was being done; none for the execution itself.
        doing: Option<String>,
        /// The error number.
        errno: i32,
    },
    /// The confinement refused it something.
    Refused(Refused),
    /// The script ended; its background processes may still be there.
    Ended {
        /// Its exit status.
        status: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// The limit that it reached.
        limit: Option<Limit>,
    },
}

/// What a script may use (`confine/limits.rs`). DC/OS sets no such limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes at one time.
    pub processes: u64,
    /// Memory of all processes together, in bytes.
    pub memory: u64,
    /// The length of each file that is written to, in bytes.
    pub file_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { processes: 512, memory: 1_000_000_000, file_size: 64_000_000 }
    }
}

/// A limit that a script exceeded, with its value in [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Of processes at one time.
    Processes(u64),
    /// Of memory of all processes together, in bytes.
    Memory(u64),
    /// Of the length of a file, in bytes.
    FileSize(u64),
    /// Of time. Its caller sets it, and the script was ended with all its processes.
    Time(Duration),
}

/// Something that the confinement refused to a program of a script: the kernel asked its init about
/// that very call. DC/OS does not refuse it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refused {
    /// What it was refused.
    pub what: Refusal,
    /// The program's file name; none where it cannot be found out.
    pub program: Option<String>,
}

/// What the filter of system calls refuses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Refusal {
    /// A local socket (`AF_UNIX`), over which services of the machine are asked.
    LocalSocket {
        /// Where it would have led; none if it was refused before the program said so. An abstract
        /// name begins with `@`.
        path: Option<String>,
    },
    /// A socket of raw packets.
    RawSocket,
    /// A socket of another family than IPv4, IPv6, netlink and local ones.
    OtherSocket,
    /// A mount or another root.
    Mount,
    /// A namespace.
    Namespace,
    /// Another process' memory or descriptors.
    OtherProcess,
    /// A file by its handle.
    FileHandle,
    /// Shared memory, semaphores or message queues of the machine.
    SharedIpc,
    /// Keys, modules, programs and settings of the kernel.
    Kernel,
    /// To type into a terminal.
    Terminal,
    /// To run at all: a program for another kind of machine, such as a 32-bit one. It was killed.
    ForeignProgram,
}

/// How a script was confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// What it saw of the file systems.
    pub view: View,
    /// What this kernel or container lacks.
    pub missing: Vec<Missing>,
}

/// What a script saw of the file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// A copy-on-write view, which was thrown away.
    CopyOnWrite,
    /// A read-only view with private `/tmp`, `/var/tmp` and `/var/cache`.
    ReadOnly,
    /// The machine's own files; a private directory, named by `TMPDIR`, to write to.
    PrivateDirectory,
}

/// A piece of the confinement that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The piece.
    pub piece: Piece,
    /// What the system said.
    pub because: String,
}

/// A piece of the confinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// Mounts of its own.
    MountNamespace,
    /// Process numbers of its own, with which all its processes end.
    PidNamespace,
    /// Shared memory and message queues of its own.
    IpcNamespace,
    /// The copy-on-write view.
    CopyOnWrite,
    /// A bounding set without capabilities.
    BoundingSet,
    /// The filter of system calls.
    SystemCallFilter,
    /// What the filter refuses is heard of.
    RefusalEvidence,
    /// Landlock, where there is no view of its own.
    Landlock,
}

impl Piece {
    /// The word for it in JSON, and for fault points.
    pub fn as_str(self) -> &'static str {
        match self {
            Piece::MountNamespace => "mount-namespace",
            Piece::PidNamespace => "pid-namespace",
            Piece::IpcNamespace => "ipc-namespace",
            Piece::CopyOnWrite => "copy-on-write",
            Piece::BoundingSet => "bounding-set",
            Piece::SystemCallFilter => "system-call-filter",
            Piece::RefusalEvidence => "refusal-evidence",
            Piece::Landlock => "landlock",
        }
    }

    pub(super) fn missing(self, because: impl fmt::Display) -> Missing {
        Missing { piece: self, because: because.to_string() }
    }
}

/// The error of the step that is named.
#[derive(Debug)]
pub(super) struct Failure {
    pub doing: String,
    pub source: io::Error,
}

impl Failure {
    pub fn of<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Failure {
        move |error| Failure { doing: doing.into(), source: error.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.source)
    }
}
