//! Walks a tree by descriptors. No link is followed, whoever exchanges names meanwhile. Depth costs
//! neither descriptors nor stack: only the innermost directories are open, and the others are
//! reached again by `..`, which must be the directory that the walk came from.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::geteuid;

use super::error::{Error, Naming};
use super::open::{READING, regular};
use super::path::parent;
use super::stat::{FileKind, Stat};

/// How a directory is opened: only itself, never what a link points to.
const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);
/// Directories that are open at a time.
const MAX_OPEN: usize = 16;
/// The kernel takes no longer paths (`PATH_MAX`, with the NUL at the end). Longer ones are
/// shortened in messages.
const MAX_PATH: usize = 4095;
/// What is shown of the beginning and of the end of a longer path.
const SHOWN_HEAD: usize = 1024;
const SHOWN_TAIL: usize = 256;

/// An entry of a tree, addressed by the descriptor of its directory.
#[derive(Debug)]
pub struct Place<'a> {
    /// The directory that holds the entry.
    pub directory: BorrowedFd<'a>,
    /// The name of the entry in it.
    pub name: &'a OsStr,
    /// The path of the entry. It may be longer than the kernel takes.
    pub path: &'a Path,
    /// What exists there, a link not followed.
    pub stat: FileStat,
}

/// Where a walk goes from an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Into the directory.
    Into,
    /// Over the entry, and whatever is below it.
    Over,
    /// Nowhere: the walk ends.
    End,
}

/// What is done on a walk. Entries are met in the order of their names.
pub trait Visitor {
    /// What ends a walk early.
    type Error: From<Error>;

    /// An entry is met; a directory before what it holds.
    ///
    /// # Errors
    /// The walk ends with it.
    fn meet(&mut self, place: &Place<'_>) -> Result<Next, Self::Error>;

    /// All that a directory holds was met; `inside` is the directory itself.
    ///
    /// # Errors
    /// The walk ends with it.
    fn leave(&mut self, place: &Place<'_>, inside: BorrowedFd<'_>) -> Result<(), Self::Error> {
        let _ = (place, inside);
        Ok(())
    }

    /// A directory cannot be listed, or was replaced meanwhile.
    ///
    /// # Errors
    /// The walk ends with it.
    fn pass_over(&mut self, error: Error) -> Result<(), Self::Error> {
        Err(error.into())
    }
}

impl<F, E> Visitor for F
where
    F: FnMut(&Place<'_>) -> Result<Next, E>,
    E: From<Error>,
{
    type Error = E;

    fn meet(&mut self, place: &Place<'_>) -> Result<Next, E> {
        self(place)
    }
}

impl Place<'_> {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        is_directory(&self.stat)
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFREG
    }

    /// The kind of what was met; the target of a link is read.
    ///
    /// # Errors
    /// The link cannot be read.
    pub fn file_kind(&self) -> Result<FileKind, Error> {
        Ok(match kind(&self.stat) {
            SFlag::S_IFREG => FileKind::File,
            SFlag::S_IFDIR => FileKind::Directory,
            SFlag::S_IFLNK => {
                let target = readlinkat(self.directory, self.name)
                    .map_err(|error| failed("read the link", self.path, error))?;
                FileKind::Link { target: target.into() }
            }
            _ => FileKind::Other,
        })
    }

    /// What was met, with the kind of it.
    ///
    /// # Errors
    /// The link cannot be read.
    pub fn to_stat(&self) -> Result<Stat, Error> {
        Ok(Stat::new(self.file_kind()?, &self.stat))
    }

    /// Opens the regular file that was met, and no other.
    ///
    /// # Errors
    /// It cannot be opened, or was replaced meanwhile.
    pub fn open_file(&self) -> Result<File, Error> {
        let open = || {
            let file = openat(self.directory, self.name, READING, Mode::empty())?;
            if identity(&fstat(&file)?) != identity(&self.stat) {
                return Err(io::Error::other("another process replaced the file meanwhile"));
            }
            regular(file.into())
        };
        open().naming("open", &self.shown())
    }

    /// Whether the kernel takes the path: what has a longer one cannot be named to a program.
    pub fn has_usable_path(&self) -> bool {
        self.path.as_os_str().len() <= MAX_PATH
    }

    /// Whether only root, or the user of this process, can add names to the directory and exchange
    /// those that it has.
    pub fn is_directory_of_root(&self) -> bool {
        self.is_directory() && is_of_root(&self.stat)
    }

    /// The path, fit for messages.
    pub fn shown(&self) -> Cow<'_, Path> {
        shown(self.path)
    }
}

/// A directory that the walk is in.
struct Level {
    stat: FileStat,
    /// The names that were not met yet, the next one last.
    names: Vec<OsString>,
}

struct Walk<'a, V> {
    visitor: &'a mut V,
    /// What holds the top.
    base: BorrowedFd<'a>,
    top: &'a OsStr,
    /// Of the entry, or of the directory, that the walk is at.
    path: PathBuf,
    levels: Vec<Level>,
    /// Of the innermost levels, the innermost last.
    open: VecDeque<OwnedFd>,
}

/// Walks over a path and everything below it. Links on the way to the path are followed, the path
/// itself is not; nothing there is an empty walk.
///
/// # Errors
/// Those of the visitor; the directory that holds the path cannot be opened; a directory that the
/// walk is in was moved elsewhere.
pub fn walk<V: Visitor>(top: &Path, visitor: &mut V) -> Result<(), V::Error> {
    let above = parent(top);
    let base = match File::open(above) {
        Ok(base) => base,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).naming("open the directory", above)?,
    };
    walk_at(base.as_fd(), top, visitor)
}

/// The same from the descriptor of the directory that holds the path.
///
/// # Errors
/// As [`walk`].
pub fn walk_at<V: Visitor>(
    base: BorrowedFd<'_>,
    top: &Path,
    visitor: &mut V,
) -> Result<(), V::Error> {
    let mut walk = Walk {
        visitor,
        base,
        top: top.file_name().unwrap_or(OsStr::new(".")),
        path: top.to_owned(),
        levels: Vec::new(),
        open: VecDeque::new(),
    };
    if walk.meet()? == Next::End {
        return Ok(());
    }
    while let Some(level) = walk.levels.last_mut() {
        let Some(name) = level.names.pop() else {
            walk.leave()?;
            continue;
        };
        walk.path.push(name);
        match walk.meet()? {
            Next::Into => {}
            Next::Over => drop(walk.path.pop()),
            Next::End => return Ok(()),
        }
    }
    Ok(())
}

impl<V: Visitor> Walk<'_, V> {
    /// Meets the entry at the path, and goes into it.
    fn meet(&mut self) -> Result<Next, V::Error> {
        let directory = self.open.back().map_or(self.base, AsFd::as_fd);
        let name = if self.levels.is_empty() { self.top } else { last(&self.path) };
        let stat = match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Another process removed it.
            Err(Errno::ENOENT) => return Ok(Next::Over),
            Err(error) => {
                let error = failed("look at", &self.path, error);
                return self.visitor.pass_over(error).map(|()| Next::Over);
            }
        };
        let next = self.visitor.meet(&Place { directory, name, path: &self.path, stat })?;
        if next != Next::Into || !is_directory(&stat) {
            return Ok(if next == Next::End { next } else { Next::Over });
        }
        match enter(directory, name, &stat) {
            Ok((inside, names)) => {
                self.levels.push(Level { stat, names });
                self.open.push_back(inside);
                if self.open.len() > MAX_OPEN {
                    self.open.pop_front();
                }
                Ok(Next::Into)
            }
            Err(error) => {
                let error = failed("list", &self.path, error);
                self.visitor.pass_over(error).map(|()| Next::Over)
            }
        }
    }

    /// Leaves the innermost directory.
    fn leave(&mut self) -> Result<(), V::Error> {
        let (Some(level), Some(inside)) = (self.levels.pop(), self.open.pop_back()) else {
            return Ok(());
        };
        if let (Some(above), true) = (self.levels.last(), self.open.is_empty()) {
            let up = openat(&inside, "..", DIRECTORY, Mode::empty())
                .map_err(|error| failed("go back from", &self.path, error))?;
            let reached = fstat(&up).map_err(|error| failed("go back from", &self.path, error))?;
            if identity(&reached) != identity(&above.stat) {
                let moved = io::Error::other("another process moved the directory meanwhile");
                return Err(moved).naming("go back from", &shown(&self.path))?;
            }
            self.open.push_back(up);
        }
        let place = Place {
            directory: self.open.back().map_or(self.base, AsFd::as_fd),
            name: if self.levels.is_empty() { self.top } else { last(&self.path) },
            path: &self.path,
            stat: level.stat,
        };
        self.visitor.leave(&place, inside.as_fd())?;
        self.path.pop();
        Ok(())
    }
}

/// Opens and lists the directory that was looked at, and no other.
fn enter(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    stat: &FileStat,
) -> nix::Result<(OwnedFd, Vec<OsString>)> {
    let inside = openat(directory, name, DIRECTORY, Mode::empty())?;
    if identity(&fstat(&inside)?) != identity(stat) {
        return Err(Errno::EAGAIN);
    }
    let names = names(inside.as_fd())?;
    Ok((inside, names))
}

/// The names in a directory, the first one last.
fn names(directory: BorrowedFd<'_>) -> nix::Result<Vec<OsString>> {
    let again = openat(directory, ".", DIRECTORY, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(again)?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

fn last(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(OsStr::new("."))
}

fn identity(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn is_directory(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFDIR
}

/// Whether only root, or the user of this process, can write what has this owner and this mode.
pub(super) fn is_of_root(stat: &FileStat) -> bool {
    let is_owned = stat.st_uid == 0 || stat.st_uid == geteuid().as_raw();
    let is_shared = stat.st_mode & 0o002 != 0 || (stat.st_mode & 0o020 != 0 && stat.st_gid != 0);
    is_owned && !is_shared
}

pub(super) fn failed(operation: &'static str, path: &Path, error: Errno) -> Error {
    Error { operation, path: shown(path).into_owned(), source: error.into() }
}

/// A path fit for messages: of one that is longer than the kernel takes the beginning and the end.
fn shown(path: &Path) -> Cow<'_, Path> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() <= MAX_PATH {
        return Cow::Borrowed(path);
    }
    let head = bytes.get(..SHOWN_HEAD).unwrap_or(bytes);
    let tail = bytes.get(bytes.len() - SHOWN_TAIL..).unwrap_or(bytes);
    let left_out = format!("[{} bytes]", bytes.len() - SHOWN_HEAD - SHOWN_TAIL);
    Cow::Owned(OsString::from_vec([head, left_out.as_bytes(), tail].concat()).into())
}
