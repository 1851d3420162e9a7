//! Files: read, replaced atomically, removed. What is written is durable when a function returns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{
    DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink,
};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, syncfs};

use super::fault::{self, Effect};
use super::kernel;

mod below;
mod error;
mod held;
mod open;
mod owners;
mod path;
mod place;
mod removal;
mod replace;
mod stat;
mod walk;

pub use below::Below;
pub use error::Error;
use error::Naming;
pub use held::{Held, hold};
use open::open_file_below;
pub use open::{open_file, open_file_itself};
pub use owners::{give, give_below, give_tree, give_tree_keeping_modes};
use path::{parent, staging_name};
pub use place::place;
pub use removal::{purge, remove_tree};
pub use replace::replace_tree;
pub use stat::{FileKind, Stat, exists, file_kind, has_capabilities, lstat};
pub use walk::{Next, Place, Visitor, walk};

/// Passes a fault point, which fails as the operation itself would.
#[cfg_attr(feature = "faults", track_caller)]
fn passing(effect: Effect, operation: &'static str, path: &Path) -> Result<(), Error> {
    fault::point(effect, path).naming(operation, path)
}

/// Reads a file whole; nothing there is none. At most `limit` bytes are read. It never waits: a
/// pipe or device is an error.
///
/// # Errors
/// Any reason but absence, what is not a file, and a file that is longer than the limit.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    match open_file(path) {
        Ok(file) => read_open(file, path, limit).map(Some),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e).naming("open", path),
    }
}

/// Reads a file as [`read`] does, reached from a directory without following any link. `owners`
/// made the links that led to its path: to each of them it must belong.
///
/// # Errors
/// As [`read`]; a link is on the way; the file belongs to another user.
pub fn read_below(
    top: &Path,
    below: &Path,
    limit: u64,
    owners: &[u32],
) -> Result<Option<Vec<u8>>, Error> {
    let path = top.join(below);
    let file = match open_file_below(top, below) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e).naming("open", &path),
    };
    let owner = file.metadata().naming("look at", &path)?.uid();
    if let Some(other) = owners.iter().find(|other| **other != owner) {
        let why = format!("it is user {owner}'s, and a link of user {other} leads there");
        return Err(io::Error::other(why)).naming("read", &path);
    }
    read_open(file, &path, limit).map(Some)
}

/// Reads what an operator names: also a pipe, which is waited for.
///
/// # Errors
/// It cannot be read, is a directory, device or socket, or is longer than the limit.
pub fn read_named(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let file = if file.metadata()?.file_type().is_fifo() { file } else { open::regular(file)? };
    read_open(file, path, limit).map_err(|error| error.source)
}

/// Demands a directory, links followed, that this user can search.
///
/// # Errors
/// It does not exist, is not a directory, or cannot be searched.
pub fn check_directory(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.is_dir() {
        true => Ok(access(path, AccessFlags::X_OK)?),
        false => Err(ErrorKind::NotADirectory.into()),
    }
}

fn read_open(file: File, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let too_long = || {
        Err(io::Error::new(ErrorKind::FileTooLarge, format!("longer than {limit} bytes")))
            .naming("read", path)
    };
    // A sparse file of any length costs nothing.
    if file.metadata().naming("look at", path)?.len() > limit {
        return too_long();
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).naming("read", path)?;
    if bytes.len() as u64 > limit { too_long() } else { Ok(bytes) }
}

/// The names in a directory, sorted; nothing there is none.
///
/// # Errors
/// Any reason but absence.
pub fn names(path: &Path) -> Result<Option<Vec<std::ffi::OsString>>, Error> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e).naming("list", path),
    };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<_>>>()
        .naming("list", path)?;
    names.sort();
    Ok(Some(names))
}

/// Makes a directory durable: its entries are on disk when this returns.
///
/// # Errors
/// The directory cannot be opened or the disk refuses.
pub fn sync_directory(path: &Path) -> Result<(), Error> {
    passing(Effect::Sync, "make durable", path)?;
    File::open(path).and_then(|directory| directory.sync_all()).naming("make durable", path)
}

/// Makes the file system that holds `path` durable, all of it.
///
/// # Errors
/// The disk refuses.
pub fn sync_file_system(path: &Path) -> Result<(), Error> {
    passing(Effect::SyncFileSystem, "make durable the file system of", path)?;
    File::open(path)
        .and_then(|file| Ok(syncfs(file)?))
        .naming("make durable the file system of", path)
}

/// Whether files can be made in this directory, by its rights and by its file system.
///
/// # Errors
/// They cannot, or it is not there.
pub fn check_writable(directory: &Path) -> Result<(), Error> {
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(io::Error::from)
        .naming("write into the directory", directory)
}

/// Puts a symbolic link in place atomically and durably, replacing a file or link that stands
/// there.
///
/// # Errors
/// Anything on the way; what stood there then still stands.
pub fn place_link(path: &Path, target: &Path) -> Result<(), Error> {
    let staging = staging_name(path);
    remove_file(&staging)?;
    passing(Effect::Link, "create the link", &staging)?;
    symlink(target, &staging).naming("create the link", &staging)?;
    rename(&staging, path).inspect_err(|_| drop(remove_file(&staging)))
}

/// Makes a symbolic link where nothing stands, without making it durable: for trees that are synced
/// as a whole.
///
/// # Errors
/// Something stands there, or the directory does not.
pub fn link(path: &Path, target: &Path) -> Result<(), Error> {
    passing(Effect::Link, "create the link", path)?;
    symlink(target, path).naming("create the link", path)
}

/// Renames within one file system and makes both directories durable.
///
/// # Errors
/// The kernel refuses.
pub fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    let names = format!("{} -> {}", from.display(), to.display());
    fault::point(Effect::Rename, names).naming("rename to its final name", from)?;
    fs::rename(from, to).naming("rename to its final name", from)?;
    sync_both(from, to)
}

/// Makes the directories of two paths durable, the second one first: what left the other is there.
fn sync_both(from: &Path, to: &Path) -> Result<(), Error> {
    sync_directory(parent(to))?;
    if parent(from) == parent(to) { Ok(()) } else { sync_directory(parent(from)) }
}

/// Exchanges two names in one step, and makes their directories durable; false where this kernel or
/// file system cannot.
///
/// # Errors
/// The kernel refuses.
pub fn exchange(a: &Path, b: &Path) -> Result<bool, Error> {
    fault::point(Effect::Rename, format!("{} <-> {}", a.display(), b.display()))
        .naming("exchange", a)?;
    match kernel::rename_exchange(a, b) {
        Ok(()) => sync_both(a, b).map(|()| true),
        Err(e) if matches!(e.raw_os_error(), Some(nix::libc::ENOSYS | nix::libc::EINVAL)) => {
            Ok(false)
        }
        Err(e) => Err(e).naming("exchange", a),
    }
}

/// Makes a directory and its missing parents, each with the mode given and durable. Returns those
/// that were made, outermost first.
///
/// # Errors
/// A file stands in the way, or the kernel refuses.
pub fn make_directories(path: &Path, mode: u32) -> Result<Vec<PathBuf>, Error> {
    let made = missing_directories(path);
    for directory in &made {
        make_directory(directory, mode)?;
        sync_directory(parent(directory))?;
    }
    Ok(made)
}

/// Makes one directory with exactly this mode, whatever the umask; one that is there already is
/// fine.
///
/// # Errors
/// A file stands in the way, or the kernel refuses.
pub fn make_directory(path: &Path, mode: u32) -> Result<(), Error> {
    passing(Effect::Directory, "create the directory", path)?;
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => restore_mode(path, mode),
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(e).naming("create the directory", path),
    }
}

/// Gives a new directory what the umask took from its mode.
fn restore_mode(path: &Path, mode: u32) -> Result<(), Error> {
    if lstat(path)?.is_some_and(|stat| stat.mode == mode) {
        return Ok(());
    }
    passing(Effect::Attributes, "set the mode of", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).naming("set the mode of", path)?;
    sync_directory(path)
}

/// The directories that [`make_directories`] would have to make, outermost first.
pub fn missing_directories(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<PathBuf> = path
        .ancestors()
        .take_while(|p| !p.as_os_str().is_empty() && !p.exists())
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    missing
}

/// Removes a file or link; nothing there is fine. Not durable by itself: [`sync_directory`] follows
/// where it matters.
///
/// # Errors
/// A directory stands there, or the kernel refuses.
pub fn remove_file(path: &Path) -> Result<(), Error> {
    // A read-only file system refuses to remove what is not there, too.
    if lstat(path)?.is_none() {
        return Ok(());
    }
    passing(Effect::Remove, "remove", path)?;
    match fs::remove_file(path) {
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(e).naming("remove", path)
        }
        _ => Ok(()),
    }
}

/// Removes a directory if it is empty; says whether it is gone.
///
/// # Errors
/// Any reason but that it is not empty, in use as a mount point, or not there.
pub fn remove_empty_directory(path: &Path) -> Result<bool, Error> {
    match names(path)? {
        Some(names) if !names.is_empty() => return Ok(false),
        None if !exists(path) => return Ok(true),
        _ => {}
    }
    passing(Effect::Remove, "remove the directory", path)?;
    match fs::remove_dir(path) {
        Ok(()) => sync_directory(parent(path)).map(|()| true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::DirectoryNotEmpty | ErrorKind::ResourceBusy | ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(e) => Err(e).naming("remove the directory", path),
    }
}

/// Opens a directory as a handle that later operations are relative to.
///
/// # Errors
/// It is not there or not a directory.
pub fn open_directory(path: &Path) -> Result<std::os::fd::OwnedFd, Error> {
    let flags = nix::libc::O_DIRECTORY | nix::libc::O_NOFOLLOW;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map(Into::into)
        .naming("open the directory", path)
}

/// Removes what a killed [`place()`] or [`place_link`] left beside its file.
///
/// # Errors
/// The kernel refuses.
pub fn remove_staging(path: &Path) -> Result<(), Error> {
    remove_file(&staging_name(path))
}

#[cfg(test)]
mod tests;
