//! Errors of file operations.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file operation that failed: which, and on what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct Error {
    /// A verb.
    pub operation: &'static str,
    /// The object.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Error {
    /// Whether two names lie on file systems, or mounts of one, that no rename goes between.
    pub fn crosses_devices(&self) -> bool {
        self.source.kind() == ErrorKind::CrossesDevices
    }

    /// Whether the disk or a quota is full.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    }
}

/// Names the operation and the object of an `io::Error`.
pub(super) trait Naming<T> {
    /// The error with what was to be done to which path.
    fn naming(self, operation: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> Naming<T> for io::Result<T> {
    fn naming(self, operation: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error { operation, path: path.to_owned(), source })
    }
}
