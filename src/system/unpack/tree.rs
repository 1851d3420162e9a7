//! Makes files below a directory handle; no name leads outside, and no link is followed.
//!
//! A parent is opened with `openat2`, which the kernel keeps inside of the directory whatever
//! happens to it meanwhile; older kernels have `O_NOFOLLOW`, which does the same for one name at a
//! time. Members of an archive come directory by directory, so that nearly all parents are open
//! already, and one name at a time is all there is to open.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, UtimensatFlags, fchmod, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat};

use super::Error;
use crate::system::fault::{self, Effect};

/// What a directory or file gets besides its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    /// User and group; `None` leaves those of this process.
    pub owner: Option<(u32, u32)>,
    /// Permission bits, set-id and sticky bits included.
    pub mode: u32,
    /// Seconds since 1970 and nanoseconds after them; `None` leaves the time as it is.
    pub mtime: Option<(i64, u32)>,
}

/// A directory that files are made below.
pub(super) struct Tree<'a> {
    root: BorrowedFd<'a>,
    /// The handles from below the root to the parent that was used last.
    open: Vec<(OsString, OwnedFd)>,
    /// Parents that no member named before they were needed, in the order in which they were made.
    implied: Vec<PathBuf>,
}

/// Directories are writable for us until all is in them.
const MEANWHILE: Mode = Mode::S_IRWXU;

/// Passes a fault point, which fails as the operation itself would.
#[cfg_attr(feature = "faults", track_caller)]
fn passing(effect: Effect, operation: &'static str, path: &Path) -> Result<(), Error> {
    fault::point(effect, path).map_err(|source| Error::Write {
        operation,
        path: path.to_owned(),
        source,
    })
}

impl<'a> Tree<'a> {
    pub fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, open: Vec::new(), implied: Vec::new() }
    }

    /// The parents that were made since the last call although no member had named them.
    pub fn take_implied(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.implied)
    }

    /// Makes a directory; true if there was one.
    pub fn make_directory(&mut self, path: &Path) -> Result<bool, Error> {
        passing(Effect::Directory, "make directory", path)?;
        let (parent, name) = self.parent(path)?;
        match mkdirat(parent, name, MEANWHILE) {
            Ok(()) => return Ok(false),
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(Error::write("make directory", path, error)),
        }
        match openat(parent, name, DIRECTORY, Mode::empty()) {
            Ok(_) => Ok(true),
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                self.remove(path)?;
                let (parent, name) = self.parent(path)?;
                mkdirat(parent, name, MEANWHILE)
                    .map_err(|error| Error::write("make directory", path, error))?;
                Ok(false)
            }
            Err(error) => Err(Error::write("open directory", path, error)),
        }
    }

    /// Makes an empty file in place of whatever is there.
    pub fn make_file(&mut self, path: &Path) -> Result<File, Error> {
        passing(Effect::Open, "make file", path)?;
        self.make(path, "make file", |parent, name| {
            let flags = OFlag::O_WRONLY
                | OFlag::O_CREAT
                | OFlag::O_EXCL
                | OFlag::O_NOFOLLOW
                | OFlag::O_CLOEXEC;
            openat(parent, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
        })
    }

    /// Makes a symlink in place of whatever is there; it goes where `target` says, which is not
    /// looked at.
    pub fn make_symlink(
        &mut self,
        path: &Path,
        target: &OsStr,
        attributes: Attributes,
    ) -> Result<(), Error> {
        passing(Effect::Link, "make symlink", path)?;
        self.make(path, "make symlink", |parent, name| symlinkat(target, parent, name))?;
        passing(Effect::Attributes, "set the owner of", path)?;
        let (parent, name) = self.parent(path)?;
        if let Some((uid, gid)) = attributes.owner {
            fchownat(
                parent,
                name,
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(gid)),
                AtFlags::AT_SYMLINK_NOFOLLOW,
            )
            .map_err(|error| Error::write("set the owner of", path, error))?;
        }
        if let Some(mtime) = attributes.mtime {
            utimensat(
                parent,
                name,
                &TimeSpec::UTIME_OMIT,
                &timespec(mtime),
                UtimensatFlags::NoFollowSymlink,
            )
            .map_err(|error| Error::write("set the time of", path, error))?;
        }
        Ok(())
    }

    /// Makes a second name of a file, or of a symlink itself.
    pub fn make_hardlink(&mut self, path: &Path, to: &Path) -> Result<(), Error> {
        let (parent, to_name) = self.parent(to)?;
        let to_parent = parent.try_clone_to_owned().map_err(|error| Error::Write {
            operation: "open the parent of",
            path: to.to_owned(),
            source: error,
        })?;
        passing(Effect::Link, "make hard link", path)?;
        self.make(path, "make hard link", |parent, name| {
            linkat(&to_parent, to_name, parent, name, AtFlags::empty())
        })
    }

    /// What a file gets when all is in it; the mode after the owner, because a change of owner
    /// takes the set-id bits away.
    pub fn finish_file(path: &Path, file: impl AsFd, attributes: Attributes) -> Result<(), Error> {
        passing(Effect::Attributes, "set the owner of", path)?;
        if let Some((uid, gid)) = attributes.owner {
            fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|error| Error::write("set the owner of", path, error))?;
        }
        fchmod(&file, Mode::from_bits_truncate(attributes.mode))
            .map_err(|error| Error::write("set the mode of", path, error))?;
        if let Some(mtime) = attributes.mtime {
            futimens(&file, &TimeSpec::UTIME_OMIT, &timespec(mtime))
                .map_err(|error| Error::write("set the time of", path, error))?;
        }
        Ok(())
    }

    /// What a directory gets when all is in it and in the directories below it. The root itself is
    /// the path ".".
    pub fn finish_directory(&mut self, path: &Path, attributes: Attributes) -> Result<(), Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = match path == Path::new(".") {
            true => openat(self.root, ".", flags, Mode::empty()),
            false => {
                let (parent, name) = self.parent(path)?;
                openat(parent, name, flags, Mode::empty())
            }
        };
        Self::finish_file(
            path,
            directory.map_err(|error| Error::write("open directory", path, error))?,
            attributes,
        )
    }

    /// Runs `make`, once more after it found something in its place and that was removed.
    fn make<T>(
        &mut self,
        path: &Path,
        operation: &'static str,
        make: impl Fn(BorrowedFd<'_>, &OsStr) -> nix::Result<T>,
    ) -> Result<T, Error> {
        let (parent, name) = self.parent(path)?;
        let result = match make(parent, name) {
            Err(Errno::EEXIST) => {
                self.remove(path)?;
                let (parent, name) = self.parent(path)?;
                make(parent, name)
            }
            result => result,
        };
        result.map_err(|error| Error::write(operation, path, error))
    }

    /// Removes a file or an empty directory, to make place for a later member of that name.
    fn remove(&mut self, path: &Path) -> Result<(), Error> {
        passing(Effect::Remove, "replace", path)?;
        let (parent, name) = self.parent(path)?;
        let result = match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR | Errno::EPERM) => unlinkat(parent, name, UnlinkatFlags::RemoveDir),
            result => result,
        };
        match result {
            Ok(()) => Ok(()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                Err(Error::hostile(path, "it would replace a directory that is not empty"))
            }
            Err(error) => Err(Error::write("replace", path, error)),
        }
    }

    /// The open parent of a path and the last component; missing parents are made.
    fn parent<'p>(&mut self, path: &'p Path) -> Result<(BorrowedFd<'_>, &'p OsStr), Error> {
        let mut names: Vec<&OsStr> = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => names.push(name),
                // The caller has refused those; this is the wall behind it.
                _ => return Err(Error::hostile(path, "it leads outside")),
            }
        }
        let Some(name) = names.pop() else { return Err(Error::hostile(path, "it has no name")) };
        let common =
            self.open.iter().zip(&names).take_while(|((open, _), name)| open == *name).count();
        self.open.truncate(common);
        for name in names.into_iter().skip(common) {
            let parent = self.open.last().map_or(self.root, |(_, directory)| directory.as_fd());
            let directory = match descend(parent, name) {
                Err(Errno::ENOENT) => {
                    passing(Effect::Directory, "make the parent of", path)?;
                    mkdirat(parent, name, MEANWHILE)
                        .map_err(|error| Error::write("make the parent of", path, error))?;
                    self.implied.push(
                        self.open.iter().map(|(open, _)| open.as_os_str()).chain([name]).collect(),
                    );
                    descend(parent, name)
                }
                result => result,
            };
            let directory = directory.map_err(|error| match error {
                Errno::ENOTDIR | Errno::ELOOP => {
                    Error::hostile(path, format!("it goes through {name:?}, which is no directory"))
                }
                error => Error::write("open the parent of", path, error),
            })?;
            self.open.push((name.to_owned(), directory));
        }
        Ok((self.open.last().map_or(self.root, |(_, directory)| directory.as_fd()), name))
    }
}

/// How a directory is opened only to name what is in it; it fails on a symlink.
const DIRECTORY: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Whether this kernel turned out to have no `openat2`.
static WALKS: AtomicBool = AtomicBool::new(false);

/// Opens a directory in a directory, never through a symlink.
fn descend(parent: BorrowedFd<'_>, name: &OsStr) -> nix::Result<OwnedFd> {
    if !WALKS.load(Ordering::Relaxed) {
        let beneath = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        match openat2(parent, name, OpenHow::new().flags(DIRECTORY).resolve(beneath)) {
            // Linux before 5.6, and sandboxes that do not know the call.
            Err(Errno::ENOSYS | Errno::EPERM) => WALKS.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    walk(parent, name)
}

/// The same on a kernel without `openat2`.
fn walk(parent: BorrowedFd<'_>, name: &OsStr) -> nix::Result<OwnedFd> {
    openat(parent, name, DIRECTORY, Mode::empty())
}

fn timespec((seconds, nanoseconds): (i64, u32)) -> TimeSpec {
    TimeSpec::new(seconds, nanoseconds.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_descents_stop_at_a_symlink() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("real")).unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("real", directory.path().join("inside")).unwrap();
        std::os::unix::fs::symlink("/", directory.path().join("outside")).unwrap();
        let root = File::open(directory.path()).unwrap();
        for down in [descend, walk] {
            assert!(down(root.as_fd(), OsStr::new("real")).is_ok());
            assert_eq!(down(root.as_fd(), OsStr::new("none")).unwrap_err(), Errno::ENOENT);
            for name in ["inside", "outside", "file"] {
                assert!(
                    matches!(
                        down(root.as_fd(), OsStr::new(name)),
                        Err(Errno::ELOOP | Errno::ENOTDIR)
                    ),
                    "{name}"
                );
            }
        }
        // What the walk alone would not notice is refused where the kernel can.
        if !WALKS.load(Ordering::Relaxed) {
            assert_eq!(descend(root.as_fd(), OsStr::new("..")).unwrap_err(), Errno::EXDEV);
        }
    }
}
