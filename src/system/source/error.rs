//! Why a file cannot be had.

use std::io;
use std::path::PathBuf;

use crate::system::http::{self, Kind};

/// Why a file cannot be had. Out of a [`Reader`](super::Reader) it comes inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text names no place.
    #[error("{place:?} is no place to read from: {reason}")]
    NoPlace {
        /// What was given, or what of it may be shown.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name that leads out of the place.
    #[error("{0:?} is no name of a file below a source")]
    NoName(String),
    /// The server.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The directory is missing, or is none.
    #[error("cannot read the directory {}", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the directory.
    #[error("cannot read {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than allowed.
    #[error("{} has more than {limit} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How many bytes it may have.
        limit: u64,
    },
    /// A file changed its length while it was read.
    #[error("{} was {length} bytes long, but {read} came out of it", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// Its length when it was opened.
        length: u64,
        /// Bytes that were read.
        read: u64,
    },
    /// The task that fed the reader is gone, which happens only when the program ends.
    #[error("the download of {0} was given up")]
    GivenUp(String),
}

impl Error {
    /// Trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http(error) => error.is_transient(),
            Self::Changed { .. } => true,
            _ => false,
        }
    }

    /// Somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Http(error) if error.kind() == Kind::Cancelled)
    }

    /// The file has more bytes than it may have.
    pub fn is_too_large(&self) -> bool {
        match self {
            Self::Http(error) => error.kind() == Kind::TooLarge,
            Self::TooLarge { .. } => true,
            _ => false,
        }
    }

    /// There is no such file.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Http(error) => error.is_not_found(),
            Self::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}
