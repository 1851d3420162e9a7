//! What an archive became.

use std::path::PathBuf;

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Everything that is there now, one entry a path, sorted by path.
    pub entries: Vec<Entry>,
    /// What an operator may want to know: set-id files, members that were there twice, dropped
    /// attributes.
    pub warnings: Vec<String>,
    /// Bytes of all files together, zeros of sparse files included and each hard linked file once.
    pub bytes: u64,
}

/// One path that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the directory; "." is the directory itself, if the archive has it.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky bits; 0o777 for a symlink.
    pub mode: u32,
    /// The number of its user, found by name or taken as it is.
    pub uid: u32,
    /// The number of its group, found by name or taken as it is.
    pub gid: u32,
    /// The name of its user, if the archive gives one.
    pub owner: Option<String>,
    /// The name of its group, if the archive gives one.
    pub group: Option<String>,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File {
        /// Its length in bytes.
        size: u64,
        /// The SHA-256 of its content.
        sha256: [u8; 32],
    },
    /// A directory.
    Directory,
    /// A symlink.
    Symlink {
        /// Where it goes, verbatim.
        target: PathBuf,
    },
    /// A further name of a file (or symlink) of this archive.
    Hardlink {
        /// The path of the entry that describes it; never itself a hard link.
        to: PathBuf,
    },
}
