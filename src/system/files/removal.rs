//! Trees: removed by descriptors, and never beyond the file system that they lie on.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::error::{Error, Naming};
use super::path::parent;
use super::stat::lstat;
use super::sync_directory;
use super::walk::{Next, Place, Visitor, walk_at};
use crate::system::fault::{self, Effect};
use crate::system::mount_points;

/// What a fresh file system has at its top.
const LOST_AND_FOUND: &str = "lost+found";

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
    let above = Level { device, stays: true, is_top: false };
    let mut removal = Removal { staying: &staying, levels: vec![above] };
    walk_at(directory.as_fd(), &real, &mut removal)?;
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

/// Removes what it meets.
struct Removal<'a> {
    staying: &'a [PathBuf],
    /// From what holds the tree to the directory that the walk is in.
    levels: Vec<Level>,
}

/// A directory that is emptied.
struct Level {
    device: u64,
    /// It is not removed: it is one of those that stay, or holds one.
    stays: bool,
    /// It is the top of a file system.
    is_top: bool,
}

impl Visitor for Removal<'_> {
    type Error = Error;

    fn meet(&mut self, place: &Place<'_>) -> Result<Next, Error> {
        let (device, is_top) =
            self.levels.last().map_or((0, false), |level| (level.device, level.is_top));
        if is_top && place.name == LOST_AND_FOUND {
            return Ok(Next::Over);
        }
        if !place.is_directory() {
            let shown = place.shown();
            fault::point(Effect::Remove, &*shown).naming("remove", &shown)?;
            gone(unlinkat(place.directory, place.name, UnlinkatFlags::NoRemoveDir))
                .naming("remove", &shown)?;
            return Ok(Next::Over);
        }
        let stays = self.staying.iter().any(|staying| staying == place.path);
        if place.stat.st_dev != device && !stays {
            return Err(mounted(&place.shown()));
        }
        let is_top = place.stat.st_dev != device;
        self.levels.push(Level { device: place.stat.st_dev, stays, is_top });
        Ok(Next::Into)
    }

    fn leave(&mut self, place: &Place<'_>, inside: BorrowedFd<'_>) -> Result<(), Error> {
        let shown = place.shown();
        if self.levels.pop().is_some_and(|level| level.stays) {
            if let Some(above) = self.levels.last_mut() {
                above.stays = true;
            }
            fault::point(Effect::Sync, &*shown).naming("make durable", &shown)?;
            return fsync(inside).map_err(io::Error::from).naming("make durable", &shown);
        }
        fault::point(Effect::Remove, &*shown).naming("remove the directory", &shown)?;
        gone(unlinkat(place.directory, place.name, UnlinkatFlags::RemoveDir))
            .naming("remove the directory", &shown)
    }
}

/// What another process removed first is gone as well.
fn gone(removed: nix::Result<()>) -> io::Result<()> {
    match removed {
        Err(Errno::ENOENT) => Ok(()),
        removed => Ok(removed?),
    }
}
