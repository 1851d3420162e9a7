//! Why an archive was not unpacked.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::system::files;

/// Why an archive was not unpacked. What was written before stays: unpack under a temporary name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive is readable, but contains what we do not write.
    #[error("refused to unpack {member:?}: {reason}")]
    Hostile {
        /// The member, as the archive calls it.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive is cut short, or no tar archive where it should be one.
    #[error("the archive is damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
    /// The reader failed: the decoder, or what is below it.
    #[error("cannot read the archive{}", if member.is_empty() { String::new() } else { format!(" \
        after the member {member:?} was begun") })]
    Read {
        /// The member that was begun last, as the archive calls it; empty before the first.
        member: String,
        /// Why.
        source: io::Error,
    },
    /// Writing failed.
    #[error("cannot {operation} {}", path.display())]
    Write {
        /// What we tried to do.
        operation: &'static str,
        /// To which path below the directory.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
}

impl From<files::Error> for Error {
    fn from(error: files::Error) -> Error {
        Error::Write { operation: error.operation, path: error.path, source: error.source }
    }
}

impl Error {
    pub(super) fn damaged(reason: impl ToString) -> Self {
        Self::Damaged { reason: reason.to_string() }
    }

    pub(super) fn hostile(path: &Path, reason: impl Into<String>) -> Self {
        Self::Hostile { member: printable(path.as_os_str().as_bytes()), reason: reason.into() }
    }

    pub(super) fn write(operation: &'static str, path: &Path, error: nix::Error) -> Self {
        Self::Write { operation, path: path.to_owned(), source: error.into() }
    }
}

/// A name from an archive, made fit for messages: no control characters, no endless lengths.
pub(super) fn printable(name: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(name).chars().take(200).flat_map(char::escape_debug).collect();
    if text.len() < name.len().min(200) { format!("{text}...") } else { text }
}
