//! Owners and modes of what exists already.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Error, FileKind, Naming, file_kind, names};
use crate::system::fault::{self, Effect};

/// Sets the user of a path and of everything below it, links not followed; the groups stay (`chown
/// -R USER`).
///
/// # Errors
/// The kernel refuses.
pub fn give_tree(path: &Path, uid: u32) -> Result<(), Error> {
    fault::point(Effect::Attributes, path).naming("set the owner of", path)?;
    std::os::unix::fs::lchown(path, Some(uid), None).naming("set the owner of", path)?;
    if file_kind(path)? == Some(FileKind::Directory) {
        for name in names(path)?.unwrap_or_default() {
            give_tree(&path.join(name), uid)?;
        }
    }
    Ok(())
}

/// Sets owner and group of one path, not followed, and then its mode again if it is no link, since
/// a change of owner clears set-id bits.
///
/// # Errors
/// The kernel refuses.
pub fn give(path: &Path, uid: u32, gid: u32, mode: Option<u32>) -> Result<(), Error> {
    fault::point(Effect::Attributes, path).naming("set the owner of", path)?;
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).naming("set the owner of", path)?;
    mode.map_or(Ok(()), |mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).naming("set the mode of", path)
    })
}
