//! Files are put in place whole: written under another name, made durable, and renamed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::error::{Error, Naming};
use super::path::{parent, staging_name};
use crate::system::fault::{self, Effect};

/// Puts a file in place atomically: written under a temporary name beside it, made durable,
/// renamed, and the rename made durable.
///
/// # Errors
/// Anything on the way; the old file then stands as it was.
pub fn place(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), Error> {
    let directory = File::open(parent(path)).naming("create", &staging_name(path))?;
    place_in(directory.as_fd(), path, content, mode, owner)
}

/// The same in a directory that is open for reading, so that nobody can exchange it for another
/// one. The path is for messages, and has the name at its end.
pub(super) fn place_in(
    directory: BorrowedFd<'_>,
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), Error> {
    let staging = staging_name(path);
    let (name, temporary) = (last(path), last(&staging));
    remove(directory, &staging)?;
    let written = (|| {
        fault::point(Effect::Open, &staging).naming("create", &staging)?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file: File = openat(directory, temporary, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(io::Error::from)
            .naming("create", &staging)?
            .into();
        fault::point(Effect::Write, &staging).naming("write", &staging)?;
        file.write_all(content).naming("write", &staging)?;
        fault::point(Effect::Attributes, &staging).naming("set the mode of", &staging)?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid)).naming("set the owner of", &staging)?;
        }
        // The mode is set by number, after the owner: a umask does not reach it and a change of
        // owner does not clear set-id bits.
        file.set_permissions(fs::Permissions::from_mode(mode))
            .naming("set the mode of", &staging)?;
        fault::point(Effect::Sync, &staging).naming("make durable", &staging)?;
        file.sync_all().naming("make durable", &staging)?;
        let names = format!("{} -> {}", staging.display(), path.display());
        fault::point(Effect::Rename, names).naming("rename to its final name", &staging)?;
        renameat(directory, temporary, directory, name)
            .map_err(io::Error::from)
            .naming("rename to its final name", &staging)?;
        fault::point(Effect::Sync, parent(path)).naming("make durable", parent(path))?;
        fsync(directory).map_err(io::Error::from).naming("make durable", parent(path))
    })();
    written.inspect_err(|_| drop(remove(directory, &staging)))
}

/// Removes what a killed run left under the temporary name; nothing there is fine.
fn remove(directory: BorrowedFd<'_>, staging: &Path) -> Result<(), Error> {
    match fstatat(directory, last(staging), AtFlags::AT_SYMLINK_NOFOLLOW) {
        // A read-only file system refuses to remove what is not there, too.
        Err(Errno::ENOENT) => return Ok(()),
        stat => drop(stat.map_err(io::Error::from).naming("look at", staging)?),
    }
    fault::point(Effect::Remove, staging).naming("remove", staging)?;
    match unlinkat(directory, last(staging), UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        removed => removed.map_err(io::Error::from).naming("remove", staging),
    }
}

fn last(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(OsStr::new("root"))
}
