//! Entries below a directory that is held open, each reached without following a link: whoever
//! exchanges a directory below it for a link meanwhile gains nothing.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fstatat};

use super::error::Error;
use super::open::holding;
use super::walk::{Place, failed};

/// A handle on a directory that does not read it.
const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// A directory that is held open.
#[derive(Debug)]
pub struct Below {
    directory: OwnedFd,
    path: PathBuf,
}

impl Below {
    /// Holds a directory; links on the way to it are followed.
    ///
    /// # Errors
    /// It is not there, or is not a directory.
    pub fn open(path: &Path) -> Result<Below, Error> {
        let directory =
            open(path, DIRECTORY, Mode::empty()).map_err(|error| failed("open", path, error))?;
        Ok(Below { directory, path: path.to_owned() })
    }

    /// Looks at an entry; `None` if nothing is there, or if what should be a directory on the way
    /// is a link.
    ///
    /// # Errors
    /// Any reason but absence.
    pub fn look<T>(
        &self,
        below: &Path,
        look: impl FnOnce(&Place<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let path = self.path.join(below);
        let find = || -> nix::Result<_> {
            let here = openat(&self.directory, ".", DIRECTORY, Mode::empty())?;
            let (directory, name) = holding(here, below)?;
            let stat = fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            Ok((directory, name.as_os_str(), stat))
        };
        match find() {
            Ok((directory, name, stat)) => {
                let directory = directory.as_fd();
                Ok(Some(look(&Place { directory, name, path: &path, stat })))
            }
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            Err(error) => Err(failed("look at", &path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::system::files::{FileKind, has_capabilities};

    #[test]
    fn entries_are_found_and_no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (top, other) = (directory.path().join("top"), directory.path().join("other"));
        for path in [&top.join("a/b"), &other] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(top.join("a/b/file"), "five!").unwrap();
        fs::write(other.join("file"), "secret").unwrap();
        symlink(&other, top.join("a/link")).unwrap();
        symlink("top", directory.path().join("way")).unwrap();
        let below = Below::open(&directory.path().join("way")).unwrap();
        let stat =
            |path: &str| below.look(Path::new(path), |place| place.to_stat().unwrap()).unwrap();
        assert_eq!(stat("").unwrap().kind, FileKind::Directory);
        let file = stat("a/b/file").unwrap();
        assert_eq!((file.kind, file.size), (FileKind::File, 5));
        assert_eq!(stat("a/link").unwrap().kind, FileKind::Link { target: other });
        assert_eq!((stat("a/link/file"), stat("a/b/file/x"), stat("none")), (None, None, None));
        let has = below
            .look(Path::new("a/b/file"), |place| has_capabilities(&place.open_file().unwrap()))
            .unwrap();
        assert_eq!(has, Some(false));
        assert!(Below::open(&directory.path().join("none")).is_err());
    }
}
