//! What exists at a path, the path itself not followed: the only `lstat(2)` of this crate.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::FileStat;

use super::error::{Error, Naming};
use crate::system::kernel;

/// What `lstat(2)` returns, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// File, directory, link or other.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Number of the inode.
    pub inode: u64,
    /// Number of the device that holds the inode.
    pub device: u64,
    /// How many names it has.
    pub links: u64,
    /// When its content was written last, as whoever wrote it says.
    pub modified: SystemTime,
    /// When its content, owner, mode or names changed last; only the kernel sets it.
    pub changed: SystemTime,
}

impl Stat {
    /// What `fstatat(2)` returned, with the kind that it tells.
    pub(super) fn new(kind: FileKind, stat: &FileStat) -> Stat {
        let number = |value: i64| u64::try_from(value).unwrap_or_default();
        let moment = |seconds: i64, nanoseconds: i64| {
            let nanoseconds = u32::try_from(nanoseconds).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::new(number(seconds), nanoseconds)
        };
        Stat {
            kind,
            size: number(stat.st_size),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            inode: stat.st_ino,
            device: stat.st_dev,
            links: stat.st_nlink,
            modified: moment(stat.st_mtime, stat.st_mtime_nsec),
            changed: moment(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// The kind of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// Where it points, as it is written.
        target: PathBuf,
    },
    /// A socket, pipe or device.
    Other,
}

/// Returns what exists at a path, without following it; `None` if nothing does.
///
/// # Errors
/// Any reason but absence.
pub fn lstat(path: &Path) -> Result<Option<Stat>, Error> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e).naming("look at", path),
    };
    let kind = if metadata.is_symlink() {
        FileKind::Link { target: fs::read_link(path).naming("read the link", path)? }
    } else if metadata.is_dir() {
        FileKind::Directory
    } else if metadata.is_file() {
        FileKind::File
    } else {
        FileKind::Other
    };
    Ok(Some(Stat {
        kind,
        size: metadata.len(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        links: metadata.nlink(),
        inode: metadata.ino(),
        device: metadata.dev(),
        modified: metadata.modified().naming("look at", path)?,
        changed: SystemTime::UNIX_EPOCH
            + Duration::new(
                u64::try_from(metadata.ctime()).unwrap_or_default(),
                u32::try_from(metadata.ctime_nsec()).unwrap_or_default(),
            ),
    }))
}

/// The kind alone.
///
/// # Errors
/// As [`lstat`].
pub fn file_kind(path: &Path) -> Result<Option<FileKind>, Error> {
    Ok(lstat(path)?.map(|stat| stat.kind))
}

/// Whether anything exists at a path, a dangling link too.
pub fn exists(path: &Path) -> bool {
    matches!(lstat(path), Ok(Some(_)))
}

/// Whether a file has capabilities of its own (`capabilities(7)`); where the file system does not
/// support them, it has none.
pub fn has_capabilities(file: &File) -> bool {
    kernel::attribute_length(file, c"security.capability").is_ok_and(|length| length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lstat_does_not_follow_a_link_and_absence_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        assert_eq!(file_kind(&link).unwrap(), Some(FileKind::Link { target: "/nowhere".into() }));
        assert_eq!(lstat(&link.join("x")).unwrap(), None);
        assert_eq!(file_kind(directory.path()).unwrap(), Some(FileKind::Directory));
    }
}
