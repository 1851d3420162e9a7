//! Paths that an operator names, in directories that other users may be able to write: reached
//! without following a link that another user made, and held by the descriptor of the directory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{getegid, geteuid};

use super::error::{Error, Naming};
use super::open::regular;
use super::place::place_in;
use crate::system::fault::{self, Effect};

/// A handle on a directory or link that neither reads nor writes it.
const HANDLE: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
/// More links than this on one path are a loop (`path_resolution(7)`).
const MAX_LINKS: u32 = 40;

/// A path whose directory is open. It may exist or not.
#[derive(Debug)]
pub struct Held {
    directory: OwnedFd,
    name: OsString,
    path: PathBuf,
    /// The name is a link of `/proc` to a descriptor, which only the kernel can follow.
    is_magic: bool,
}

/// Holds a path. A link on the way, or the path itself if it is one, is followed if root or this
/// user made it, or if nobody else can write its directory.
///
/// # Errors
/// A link of another user; a directory is missing; the path has no name at its end.
pub fn hold(path: &Path) -> Result<Held, Error> {
    resolve(path).naming("open", path)
}

fn resolve(path: &Path) -> io::Result<Held> {
    let start = |path: &Path| -> io::Result<OwnedFd> {
        let start = if path.is_absolute() { "/" } else { "." };
        Ok(open(start, HANDLE | OFlag::O_DIRECTORY, Mode::empty())?)
    };
    let mut directory = start(path)?;
    let mut pending = names(path);
    let mut links = 0;
    while let Some(name) = pending.pop() {
        let is_last = pending.is_empty();
        let held = |directory: OwnedFd, is_magic: bool| Held {
            directory,
            name: name.clone(),
            path: path.to_owned(),
            is_magic,
        };
        let stat = match fstatat(&directory, &*name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) if is_last => return Ok(held(directory, false)),
            stat => stat?,
        };
        match kind(&stat) {
            SFlag::S_IFLNK if is_of_proc(&directory)? && is_last => {
                return Ok(held(directory, true));
            }
            SFlag::S_IFLNK if is_of_proc(&directory)? => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                directory = openat(&directory, &*name, flags, Mode::empty())?;
            }
            SFlag::S_IFLNK => {
                if !is_trusted(stat.st_uid) && is_shared(&fstat(&directory)?) {
                    let owner = stat.st_uid;
                    return Err(io::Error::other(format!(
                        "{} is a link that user {owner} made in a directory that others can write",
                        name.display()
                    )));
                }
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::ELOOP.into());
                }
                let target = PathBuf::from(readlinkat(&directory, &*name)?);
                if target.is_absolute() {
                    directory = start(&target)?;
                }
                pending.extend(names(&target));
            }
            _ if is_last => return Ok(held(directory, false)),
            _ => {
                directory = openat(&directory, &*name, HANDLE | OFlag::O_DIRECTORY, Mode::empty())?;
            }
        }
    }
    Err(Errno::EISDIR.into())
}

/// The components of a path, the first one last.
fn names(path: &Path) -> Vec<OsString> {
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
    let mut names: Vec<OsString> = parts
        .filter(|part| !part.is_empty() && *part != b".")
        .map(|part| OsStr::from_bytes(part).to_owned())
        .collect();
    names.reverse();
    names
}

impl Held {
    /// Whether anything exists there, a link too.
    pub fn exists(&self) -> bool {
        fstatat(&self.directory, &*self.name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// Opens the file for adding to its end, and makes it, for its owner only, if it does not
    /// exist. It does not wait for the reader of a pipe. In a directory that others can write, only
    /// a file or pipe of root, of this user, or of the directory's owner is opened.
    ///
    /// # Errors
    /// It belongs to another user, or cannot be opened.
    pub fn append(&self) -> Result<File, Error> {
        fault::point(Effect::Open, &self.path).naming("open", &self.path)?;
        self.append_unnamed().naming("open", &self.path)
    }

    fn append_unnamed(&self) -> io::Result<File> {
        let flags = OFlag::O_WRONLY
            | OFlag::O_APPEND
            | OFlag::O_CREAT
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        if self.is_magic {
            return Ok(openat(&self.directory, &*self.name, flags, mode)?.into());
        }
        match fstatat(&self.directory, &*self.name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => self.check_owner(&stat)?,
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let file = openat(&self.directory, &*self.name, flags | OFlag::O_NOFOLLOW, mode)?;
        self.check_owner(&fstat(&file)?)?;
        Ok(file.into())
    }

    fn check_owner(&self, stat: &FileStat) -> io::Result<()> {
        let directory = fstat(&self.directory)?;
        let is_other = !is_trusted(stat.st_uid)
            && (stat.st_uid != directory.st_uid || is_world_writable(&directory));
        let has_other_names = kind(stat) == SFlag::S_IFREG && stat.st_nlink > 1;
        if is_shared(&directory) && (is_other || has_other_names) {
            let owner = stat.st_uid;
            return Err(io::Error::other(format!(
                "it is of user {owner}, or has other names, in a directory that others can write"
            )));
        }
        Ok(())
    }

    /// Opens the file for reading if it is a regular one of this user; `None` if it is anything
    /// else.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn own_file(&self) -> Result<Option<File>, Error> {
        let flags = OFlag::O_RDONLY
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        let file = match openat(&self.directory, &*self.name, flags, Mode::empty()) {
            Err(Errno::ELOOP | Errno::ENXIO) => return Ok(None),
            file => file.map_err(io::Error::from).naming("open", &self.path)?,
        };
        let stat = fstat(&file).map_err(io::Error::from).naming("look at", &self.path)?;
        let is_own = stat.st_uid == geteuid().as_raw() && stat.st_nlink == 1;
        Ok(regular(file.into()).ok().filter(|_| is_own))
    }

    /// Puts a file in place, as [`super::place()`] does, in the directory that is held.
    ///
    /// # Errors
    /// Anything on the way; the old file then stands as it was.
    pub fn place(&self, content: &[u8], mode: u32) -> Result<(), Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = openat(&self.directory, ".", flags, Mode::empty())
            .map_err(io::Error::from)
            .naming("open the directory of", &self.path)?;
        place_in(directory.as_fd(), &self.path.with_file_name(&self.name), content, mode, None)
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == geteuid().as_raw()
}

/// Whether others than root and this user can make names in a directory.
fn is_shared(directory: &FileStat) -> bool {
    let by_group = directory.st_mode & 0o020 != 0
        && directory.st_gid != 0
        && directory.st_gid != getegid().as_raw();
    !is_trusted(directory.st_uid) || by_group || is_world_writable(directory)
}

fn is_world_writable(directory: &FileStat) -> bool {
    directory.st_mode & 0o002 != 0
}

fn is_of_proc(directory: &OwnedFd) -> io::Result<bool> {
    Ok(fstatfs(directory)?.filesystem_type() == PROC_SUPER_MAGIC)
}
