//! Places where others than root may have put something: a directory that others write to, such as
//! `/tmp`, or one that is not root's.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;
use nix::unistd::{getegid, geteuid};

use super::files::{self, FileKind};
use super::root::Root;

/// Returns why what is at a path of the node, or on the way to it, cannot be taken for root's own;
/// `None` if it can, or nothing is there.
pub fn put_there(root: &Root, path: &Path) -> Option<String> {
    match is_open(root, path) {
        Err(why) => return Some(why),
        Ok(false) => return None,
        Ok(true) => {}
    }
    let stat = files::lstat(&root.at(path)).ok().flatten()?;
    match stat.kind {
        FileKind::Link { .. } => Some("a link in a directory that others write to".to_owned()),
        FileKind::Directory => Some("a directory, where a file belongs".to_owned()),
        FileKind::Other => Some("a pipe, socket or device".to_owned()),
        FileKind::File => of_a_stranger(stat.uid, stat.links),
    }
}

/// Reads the file at such a path without following a link, waiting for a pipe, or taking what
/// somebody else put there; absence is `None`.
///
/// # Errors
/// It is a stranger's, or longer than the limit, or cannot be read.
pub fn read(root: &Root, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file: File = match options.open(root.at(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    let why = match about.is_file() {
        true => of_a_stranger(about.uid(), about.nlink()),
        false => Some("not a file".to_owned()),
    };
    if let Some(why) = why {
        return Err(io::Error::new(ErrorKind::PermissionDenied, why));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("longer than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Whether others may put something at a path: a directory on the way is one that they write to.
///
/// # Errors
/// A directory on the way is somebody else's, who may exchange all that is in it.
pub fn is_open(root: &Root, path: &Path) -> Result<bool, String> {
    let real = root.at(path);
    let mut open = false;
    let above = real.ancestors().skip(1).take_while(|above| *above != root.directory());
    for directory in above.filter(|above| above.parent().is_some()) {
        let Ok(Some(stat)) = files::lstat(directory) else { continue };
        if !is_ours(stat.uid) {
            let seen = root.as_seen(directory);
            return Err(format!("in {}, which belongs to the user {}", seen.display(), stat.uid));
        }
        let is_ours = stat.gid == 0 || stat.gid == getegid().as_raw();
        open |= stat.mode & 0o002 != 0 || (stat.mode & 0o020 != 0 && !is_ours);
    }
    Ok(open)
}

fn of_a_stranger(uid: u32, links: u64) -> Option<String> {
    match () {
        () if !is_ours(uid) => Some(format!("a file of the user {uid}")),
        () if links > 1 => Some("another name of a file elsewhere".to_owned()),
        () => None,
    }
}

/// Root's, or of who runs this.
fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}
