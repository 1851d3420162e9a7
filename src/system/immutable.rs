//! The flag of a file that not even root may change, rename or remove (`chattr +i`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::fault::{self, Effect};
use super::files::{Error, FileKind, file_kind};
use super::kernel::{self, IMMUTABLE};

/// Whether a file or directory has the flag. A link has none, and neither has a file system without
/// such flags.
///
/// # Errors
/// The file cannot be opened, or the kernel refuses.
pub fn is_set(path: &Path) -> Result<bool, Error> {
    if !matches!(file_kind(path), Ok(Some(FileKind::File | FileKind::Directory))) {
        return Ok(false);
    }
    match kernel::inode_flags(&open(path)?) {
        Ok(flags) => Ok(flags & IMMUTABLE != 0),
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOTTY | libc::EOPNOTSUPP | libc::EINVAL)
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(named("read the flags of", path, error)),
    }
}

fn is_file(path: &Path) -> bool {
    matches!(file_kind(path), Ok(Some(FileKind::File)))
}

/// Lifts the flag from a file that has it, and says whether it had.
///
/// # Errors
/// As [`is_set`]; it takes `CAP_LINUX_IMMUTABLE`.
pub fn lift(path: &Path) -> Result<bool, Error> {
    if !is_set(path)? {
        return Ok(false);
    }
    let file = open(path)?;
    let flags =
        kernel::inode_flags(&file).map_err(|error| named("read the flags of", path, error))?;
    change(file, flags & !IMMUTABLE, path).map(|()| true)
}

/// Sets the flag on a file; a link cannot have it.
///
/// # Errors
/// As [`lift`].
pub fn set(path: &Path) -> Result<(), Error> {
    if !is_file(path) {
        return Ok(());
    }
    let file = open(path)?;
    let flags =
        kernel::inode_flags(&file).map_err(|error| named("read the flags of", path, error))?;
    change(file, flags | IMMUTABLE, path)
}

fn change(file: impl AsFd, flags: u32, path: &Path) -> Result<(), Error> {
    fault::point(Effect::Attributes, path)
        .map_err(|error| named("change the flags of", path, error))?;
    kernel::set_inode_flags(file, flags).map_err(|error| named("change the flags of", path, error))
}

fn open(path: &Path) -> Result<File, Error> {
    let opened =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    opened.map_err(|error| named("open", path, error))
}

fn named(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error { operation, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn immutable_flag_is_cleared_and_restored() {
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "x").unwrap();
        assert!(!lift(&path).unwrap());
        assert!(!lift(&directory.path().join("none")).unwrap());
        match set(&path) {
            Ok(()) => {
                assert!(fs::write(&path, "y").is_err());
                assert!(lift(&path).unwrap() && !lift(&path).unwrap());
                fs::write(&path, "y").unwrap();
            }
            // Without the capability, or on a file system without flags.
            Err(error) => assert!(
                matches!(
                    error.source.raw_os_error(),
                    Some(libc::EPERM | libc::ENOTTY | libc::EOPNOTSUPP)
                ),
                "{error}"
            ),
        }
    }
}
