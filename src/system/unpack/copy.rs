//! Copies an unpacked tree to another file system, as an archive of it would be unpacked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode};

use super::Error;
use super::tree::{Attributes, Tree};
use crate::system::fault::{self, Effect};
use crate::system::files::{self, Next, Place, Visitor};

/// Copies a tree into an existing empty directory: content, owners, modes, times, links and hard
/// links. The caller makes it durable. Links in it are not followed.
///
/// # Errors
/// Reading or writing fails, or there is something else than files, directories and links.
pub fn copy_tree(from: &Path, to: BorrowedFd<'_>) -> Result<(), Error> {
    let mut copy = Copy { top: from, tree: Tree::new(to), names: BTreeMap::new() };
    files::walk(from, &mut copy)
}

struct Copy<'a> {
    top: &'a Path,
    tree: Tree<'a>,
    /// The first name of each file that has more than one.
    names: BTreeMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    fn file(&mut self, place: &Place<'_>, path: &Path) -> Result<(), Error> {
        let identity = (place.stat.st_dev, place.stat.st_ino);
        if let Some(first) = self.names.get(&identity) {
            return self.tree.make_hardlink(path, first);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let mut from: File = openat(place.directory, place.name, flags, Mode::empty())
            .map_err(|error| Error::write("open", path, error))?
            .into();
        let mut to = self.tree.make_file(path)?;
        let failed =
            |operation| move |source| Error::Write { operation, path: path.to_owned(), source };
        fault::point(Effect::Write, path).map_err(failed("write"))?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut buffer).map_err(failed("read"))?;
            let piece = buffer.get(..read).unwrap_or_default();
            match piece.iter().all(|byte| *byte == 0) {
                _ if piece.is_empty() => break,
                // A hole stays one.
                true => drop(to.seek(SeekFrom::Current(read as i64)).map_err(failed("seek in"))?),
                false => to.write_all(piece).map_err(failed("write"))?,
            }
        }
        let length = to.stream_position().map_err(failed("seek in"))?;
        to.set_len(length).map_err(failed("set the length of"))?;
        if place.stat.st_nlink > 1 {
            self.names.insert(identity, path.to_owned());
        }
        Tree::finish_file(path, &to, attributes(&place.stat))
    }

    fn below(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.top).unwrap_or(path).to_owned()
    }
}

impl Visitor for Copy<'_> {
    type Error = Error;

    fn meet(&mut self, place: &Place<'_>) -> Result<Next, Error> {
        let path = self.below(place.path);
        if place.is_directory() {
            if !path.as_os_str().is_empty() {
                self.tree.make_directory(&path)?;
            }
            return Ok(Next::Into);
        }
        if place.is_file() {
            self.file(place, &path)?;
        } else {
            let target = readlinkat(place.directory, place.name)
                .map_err(|error| Error::write("read the link", &path, error))?;
            self.tree.make_symlink(&path, &target, attributes(&place.stat))?;
        }
        Ok(Next::Over)
    }

    fn leave(&mut self, place: &Place<'_>, _inside: BorrowedFd<'_>) -> Result<(), Error> {
        let path = self.below(place.path);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
        self.tree.finish_directory(path, attributes(&place.stat))
    }
}

fn attributes(stat: &FileStat) -> Attributes {
    Attributes {
        owner: Some((stat.st_uid, stat.st_gid)),
        mode: stat.st_mode & 0o7777,
        mtime: Some((stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn copied_tree_has_links_modes_times_and_holes() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("bin/empty")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("bin/tool"), "text").unwrap();
        fs::set_permissions(from.join("bin/tool"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(from.join("bin/tool"), from.join("again")).unwrap();
        symlink("/not/there", from.join("link")).unwrap();
        File::create(from.join("hole")).unwrap().set_len(1 << 20).unwrap();
        let old = fs::metadata("/").unwrap().modified().unwrap();
        File::open(from.join("bin/tool")).unwrap().set_modified(old).unwrap();
        fs::set_permissions(from.join("bin"), fs::Permissions::from_mode(0o555)).unwrap();
        copy_tree(&from, File::open(&to).unwrap().as_fd()).unwrap();
        for name in ["", "bin", "bin/empty", "bin/tool", "again", "link", "hole"] {
            let [a, b] = [&from, &to].map(|top| fs::symlink_metadata(top.join(name)).unwrap());
            let seen = |m: &fs::Metadata| (m.mode(), m.len(), m.mtime(), m.mtime_nsec(), m.uid());
            // The length of a directory is the file system's own.
            assert!(a.is_dir() || seen(&a) == seen(&b), "{name}");
            assert_eq!((a.mode(), a.mtime()), (b.mode(), b.mtime()), "{name}");
        }
        assert_eq!(fs::read(to.join("bin/tool")).unwrap(), b"text");
        let inode = |name: &str| fs::metadata(to.join(name)).unwrap().ino();
        assert_eq!(inode("bin/tool"), inode("again"));
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/not/there"));
        assert!(fs::metadata(to.join("hole")).unwrap().blocks() < 64);
    }
}
