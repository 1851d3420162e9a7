//! Trees: removed by handles, and never beyond the file system that they lie on.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Error, Naming, lstat, parent, sync_directory};
use crate::system::fault::{self, Effect};
use crate::system::mount_points;

/// What a fresh file system has at its top.
const LOST_AND_FOUND: &[u8] = b"lost+found";

/// Removes a tree, deepest first; nothing there is fine. A symbolic link is removed, never
/// followed, not even one that is put there meanwhile, and what another file system is mounted on
/// stops it, also where that is a bind mount of the same one.
///
/// # Errors
/// A mount point inside (named; nothing is touched), or the kernel refuses.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    purge(path, &[])
}

/// Removes a tree as [`remove_tree`] does, but each of these directories in it, or the tree's own,
/// only loses what is in it: it stays, with what leads there. So one of them, and only one of them,
/// may be a mount point.
///
/// # Errors
/// Another mount point inside (named; nothing is touched), or the kernel refuses.
pub fn purge(path: &Path, staying: &[PathBuf]) -> Result<(), Error> {
    let Some(device) = device_of(path)? else { return Ok(()) };
    let points = mount_points::all_at_or_below(path).naming("look for mounts in", path)?;
    let staying: Vec<PathBuf> =
        staying.iter().filter_map(|path| mount_points::real(path)).collect();
    if let Some(point) = points.into_iter().find(|point| !staying.contains(point)) {
        return Err(mounted(&point));
    }
    let Some(real) = mount_points::real(path) else { return Ok(()) };
    let directory = File::open(parent(&real)).naming("open the directory", parent(&real))?;
    // The device above a mount point is another one.
    let device = if staying.contains(&real) {
        directory.metadata().naming("look at", parent(&real))?.dev()
    } else {
        device
    };
    remove_below(directory.as_fd(), &real, device, &staying)?;
    sync_directory(parent(&real))
}

fn mounted(path: &Path) -> Error {
    Error {
        operation: "remove",
        path: path.to_owned(),
        source: io::Error::new(ErrorKind::ResourceBusy, "another file system is mounted there"),
    }
}

fn device_of(path: &Path) -> Result<Option<u64>, Error> {
    fault::point(Effect::Mounts, path).naming("look at", path)?;
    Ok(lstat(path)?.map(|stat| stat.device))
}

/// By handles, so that a directory cannot become a link between the look and the deed. Says whether
/// it is gone.
fn remove_below(
    directory: BorrowedFd<'_>,
    path: &Path,
    device: u64,
    staying: &[PathBuf],
) -> Result<bool, Error> {
    let name = path.file_name().unwrap_or(OsStr::new("."));
    let about = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_err(io::Error::from)
        .naming("look at", path)?;
    if about.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() {
        fault::point(Effect::Remove, path).naming("remove", path)?;
        return unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)
            .map_err(io::Error::from)
            .naming("remove", path)
            .map(|()| true);
    }
    let stays = staying.iter().any(|s| s == path);
    if about.st_dev != device && !stays {
        return Err(mounted(path));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut inside = Dir::openat(directory, name, flags, Mode::empty())
        .map_err(io::Error::from)
        .naming("list", path)?;
    let listed: Result<Vec<_>, _> =
        inside.iter().map(|entry| entry.map(|e| e.file_name().to_bytes().to_vec())).collect();
    let mut names = listed.map_err(io::Error::from).naming("list", path)?;
    names.sort();
    let is_top = about.st_dev != device;
    let mut empty = true;
    for name in names
        .iter()
        .filter(|name| *name != b"." && *name != b".." && !(is_top && *name == LOST_AND_FOUND))
    {
        empty &= remove_below(
            inside.as_fd(),
            &path.join(OsStr::from_bytes(name)),
            about.st_dev,
            staying,
        )?;
    }
    if stays || !empty {
        sync_directory(path)?;
        return Ok(false);
    }
    fault::point(Effect::Remove, path).naming("remove the directory", path)?;
    unlinkat(directory, name, UnlinkatFlags::RemoveDir)
        .map_err(io::Error::from)
        .naming("remove the directory", path)
        .map(|()| true)
}
