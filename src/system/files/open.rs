//! Opening what others may have placed: it never waits, and nothing but a regular file is opened.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libc::{EISDIR, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};

/// Opens a regular file for reading; links are followed.
///
/// # Errors
/// It cannot be opened, or is a directory, pipe, socket or device.
pub fn open_file(path: &Path) -> io::Result<File> {
    regular(open(path, 0)?)
}

/// Opens a regular file for reading; a link is an error.
///
/// # Errors
/// As [`open_file`].
pub fn open_file_itself(path: &Path) -> io::Result<File> {
    regular(open(path, O_NOFOLLOW)?)
}

fn open(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY | flags).open(path)
}

/// The file, if it is a regular one.
pub(super) fn regular(file: File) -> io::Result<File> {
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from_raw_os_error(EISDIR));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}
