//! Owners and modes of what exists already, set by descriptors: whoever exchanges a directory for a
//! link meanwhile gets nothing that lies elsewhere.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchownat};

use super::error::{Error, Naming};
use super::open::{READING, holding};
use super::path::parent;
use super::walk::{Next, Place, Visitor, is_of_root, walk};
use crate::system::fault::{self, Effect};

/// A handle on what exists, a link itself included, that neither reads nor writes it.
const HANDLE: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const SET_ID: u32 = 0o6000;

/// Sets the user of a path and of everything below it, links not followed; the groups stay (`chown
/// -R USER`).
///
/// # Errors
/// The kernel refuses, or a user may have linked a file of another user into the tree.
pub fn give_tree(path: &Path, uid: u32) -> Result<(), Error> {
    walk(path, &mut Giving { uid, gid: None })
}

/// Sets owner and group of a path and of everything below it, links not followed. Modes stay,
/// set-id bits included. Nothing there is fine.
///
/// # Errors
/// As [`give_tree`].
pub fn give_tree_keeping_modes(path: &Path, uid: u32, gid: u32) -> Result<(), Error> {
    walk(path, &mut Giving { uid, gid: Some(gid) })
}

/// Sets owner and group of one path, and then its mode again if it is no link, since a change of
/// owner clears set-id bits. No link is followed, neither `top` nor what is below it.
///
/// # Errors
/// The kernel refuses, or there is a link in place of a directory.
pub fn give_below(
    top: &Path,
    below: &Path,
    uid: u32,
    gid: u32,
    mode: Option<u32>,
) -> Result<(), Error> {
    let path = top.join(below);
    let held = open(top, HANDLE | OFlag::O_DIRECTORY, Mode::empty())
        .and_then(|directory| holding(directory, below));
    let (directory, name) = held.map_err(io::Error::from).naming("open", &path)?;
    give_in(directory.as_fd(), name, &path, (uid, gid), mode)
}

/// The same of a path by itself; links on the way to it are followed.
///
/// # Errors
/// The kernel refuses.
pub fn give(path: &Path, uid: u32, gid: u32, mode: Option<u32>) -> Result<(), Error> {
    let above = parent(path);
    let directory = open(above, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(io::Error::from)
        .naming("open the directory", above)?;
    let name = path.file_name().map_or(Path::new("."), Path::new);
    give_in(directory.as_fd(), name, path, (uid, gid), mode)
}

fn give_in(
    directory: BorrowedFd<'_>,
    name: &Path,
    path: &Path,
    (uid, gid): (u32, u32),
    mode: Option<u32>,
) -> Result<(), Error> {
    let flags = if mode.is_some() { READING } else { HANDLE };
    let file = openat(directory, name, flags, Mode::empty())
        .map_err(io::Error::from)
        .naming("open", path)?;
    set(file.as_fd(), path, uid, Some(gid), mode)
}

/// Sets the owner of what it meets.
struct Giving {
    uid: u32,
    /// With a group, the set-id bits stay too.
    gid: Option<u32>,
}

impl Giving {
    fn give(&self, place: &Place<'_>) -> Result<(), Error> {
        let shown = place.shown();
        let open = |flags| {
            openat(place.directory, place.name, flags, Mode::empty())
                .and_then(|file| fstat(&file).map(|stat| (file, stat)))
                .map_err(io::Error::from)
                .naming("open", &shown)
        };
        let (file, stat) = open(HANDLE)?;
        if stat.st_uid != self.uid && may_be_of_another(&stat, place).naming("look at", &shown)? {
            let links = format!("it has {} hard links, which may lie elsewhere", stat.st_nlink);
            return Err(io::Error::other(links)).naming("set the owner of", &shown);
        }
        let mode = (self.gid.is_some() && is_file(&stat))
            .then_some(stat.st_mode & 0o7777)
            .filter(|mode| mode & SET_ID != 0);
        if mode.is_none() {
            return set(file.as_fd(), &shown, self.uid, self.gid, None);
        }
        // Only what is open for reading can be given a mode.
        let (readable, again) = open(READING)?;
        let is_same = (again.st_dev, again.st_ino) == (stat.st_dev, stat.st_ino);
        let file = if is_same { readable } else { file };
        set(file.as_fd(), &shown, self.uid, self.gid, mode.filter(|_| is_same))
    }
}

impl Visitor for Giving {
    type Error = Error;

    fn meet(&mut self, place: &Place<'_>) -> Result<Next, Error> {
        if place.is_directory() {
            return Ok(Next::Into);
        }
        self.give(place)?;
        Ok(Next::Over)
    }

    // Last, so that who gets a directory does not have it yet while root works in it.
    fn leave(&mut self, place: &Place<'_>, _: BorrowedFd<'_>) -> Result<(), Error> {
        self.give(place)
    }
}

/// Sets the owner of what is open, and its mode after it.
fn set(
    file: BorrowedFd<'_>,
    path: &Path,
    uid: u32,
    gid: Option<u32>,
    mode: Option<u32>,
) -> Result<(), Error> {
    fault::point(Effect::Attributes, path).naming("set the owner of", path)?;
    fchownat(file, "", Some(Uid::from_raw(uid)), gid.map(Gid::from_raw), AtFlags::AT_EMPTY_PATH)
        .map_err(io::Error::from)
        .naming("set the owner of", path)?;
    let Some(mode) = mode else { return Ok(()) };
    fchmod(file, Mode::from_bits_truncate(mode))
        .map_err(io::Error::from)
        .naming("set the mode of", path)
}

fn is_file(stat: &FileStat) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
}

/// Whether a user may have linked a file of another user here: root must not give that file away.
/// The kernel forbids such links only where `fs.protected_hardlinks` is set, which its own default
/// does not, and those that were made before stay. Into a directory of root nobody else links;
/// into a directory of a user that nobody else can write, only this user does, and may give away
/// what is his own.
fn may_be_of_another(file: &FileStat, place: &Place<'_>) -> io::Result<bool> {
    if !is_file(file) || file.st_nlink < 2 {
        return Ok(false);
    }
    let directory = fstat(place.directory)?;
    let is_shared = directory.st_mode & 0o022 != 0;
    let is_of_its_owner = file.st_uid == directory.st_uid && !is_shared;
    Ok(!is_of_root(&directory) && !is_of_its_owner)
}
