//! Files that are read once and not again while they are the same.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::files::open_file;

/// A file that changed so shortly before it was read may change again without another time: the
/// kernel's clock for files ticks every 10 ms at most.
const TICK: Duration = Duration::from_millis(20);

/// By what a file is known to be the one that was read. Nobody can set the time of the change of
/// status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Its length.
    pub bytes: u64,
    /// When its content changed, in nanoseconds since 1970.
    pub modified: i64,
    /// When anything of it changed, in nanoseconds since 1970.
    pub changed: i64,
    /// Its number in its file system.
    pub inode: u64,
}

/// A file that is read.
#[derive(Debug)]
pub struct Reading {
    file: File,
    path: PathBuf,
    before: Fingerprint,
}

impl Fingerprint {
    /// That of a file, links followed; none if there is no file.
    ///
    /// # Errors
    /// Any reason but absence.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(Self::new(&metadata))),
            Ok(_) => Ok(None),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn new(metadata: &Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, more: i64| seconds.saturating_mul(1_000_000_000).saturating_add(more);
        Self {
            bytes: metadata.len(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// Whether a later change is sure to give another fingerprint.
    pub fn is_settled(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .saturating_sub(TICK);
        i64::try_from(now.as_nanos()).is_ok_and(|now| self.changed < now)
    }
}

impl Reading {
    /// Opens a file.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open_file(path)?;
        let before = Fingerprint::new(&file.metadata()?);
        Ok(Self { file, path: path.to_owned(), before })
    }

    /// Its length when it was opened, in bytes.
    pub fn length(&self) -> u64 {
        self.before.bytes
    }

    /// That of what was read.
    ///
    /// # Errors
    /// The file changed meanwhile, or another one stands in its place.
    pub fn finish(self) -> io::Result<Fingerprint> {
        let after = Fingerprint::new(&self.file.metadata()?);
        if after != self.before || Fingerprint::of(&self.path)? != Some(after) {
            return Err(io::Error::other("it changed while it was read"));
        }
        Ok(after)
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let known = Reading::open(&path).unwrap().finish().unwrap();
        assert_eq!(Fingerprint::of(&path).unwrap(), Some(known));
        let reading = Reading::open(&path).unwrap();
        std::fs::write(directory.path().join("new"), "one").unwrap();
        std::fs::rename(directory.path().join("new"), &path).unwrap();
        assert!(reading.finish().is_err());
        assert_ne!(Fingerprint::of(&path).unwrap(), Some(known));
        assert_eq!(Fingerprint::of(&directory.path().join("none")).unwrap(), None);
        assert_eq!(Fingerprint::of(directory.path()).unwrap(), None);
        assert!(Reading::open(directory.path()).is_err());
    }
}
