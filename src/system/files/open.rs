//! Opening what others may have placed: it never waits, and nothing but a regular file is opened.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use libc::{EISDIR, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// How a file is opened by the descriptor of its directory: only itself, and without waiting.
pub(super) const READING: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

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

/// Opens a regular file for reading by a path below a directory; no component may be a link.
///
/// # Errors
/// As [`open_file`].
pub(super) fn open_file_below(top: &Path, below: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let (directory, name) = holding(nix::fcntl::open(top, flags, Mode::empty())?, below)?;
    regular(openat(&directory, name, READING, Mode::empty())?.into())
}

/// The directory that holds a path below another one, reached without following a link.
pub(super) fn holding(top: OwnedFd, below: &Path) -> nix::Result<(OwnedFd, &Path)> {
    let mut components = below.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Path::new(name)),
        _ => None,
    });
    let Some(mut name) = components.next() else { return Ok((top, Path::new("."))) };
    let mut directory = top;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    for next in components {
        directory = openat(&directory, name, flags, Mode::empty())?;
        name = next;
    }
    Ok((directory, name))
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
