//! Keeps what the programs for accounts overwrite besides accounts: the backup of each of their
//! files, and the lock that they share.
//!
//! `useradd` and `userdel` save the file before each change under its name with a dash
//! (`passwd(5)`), so that after our accounts are gone the backups still have the last of them.
//! Copies lie beside the journal, for root only: the receipt would be the wrong place for what
//! `shadow` holds.

use std::path::{Path, PathBuf};

use super::Site;
use super::account::{LONGEST, PATIENCE};
use crate::dcos::layout;
use crate::dcos::receipt::{Before, Object};
use crate::system::files::{self, FileKind, Stat};
use crate::system::{account_lock, digest};

pub(crate) fn objects(site: &Site) -> anyhow::Result<Vec<Object>> {
    let mut objects = Vec::new();
    if !files::exists(&site.root.at(layout::ACCOUNT_LOCK)) {
        objects.push(Object::File {
            path: layout::ACCOUNT_LOCK.into(),
            sha256: String::new(),
            before: Before::Absent,
        });
    }
    for path in layout::ACCOUNT_FILES {
        let Some(content) = site.root.read(path, LONGEST)? else { continue };
        let had_backup = files::exists(&site.root.at(layout::account_backup(Path::new(path))));
        objects.push(Object::AccountFile {
            path: path.into(),
            sha256: digest::hex(&digest::sha256(&content)),
            had_backup,
        });
    }
    Ok(objects)
}

/// Copies the backups. A copy that is there is of the first run: what stands on the node by now may
/// be ours.
pub(crate) fn keep(site: &Site) -> anyhow::Result<()> {
    files::make_directories(&site.root.at(layout::KEPT_ACCOUNTS), 0o700)?;
    for path in layout::ACCOUNT_FILES {
        let (backup, copy) = places(site, Path::new(path));
        let Some(Stat { kind: FileKind::File, mode, uid, gid, .. }) = files::lstat(&backup)? else {
            continue;
        };
        if !files::exists(&copy) {
            files::place(
                &copy,
                &files::read(&backup, LONGEST)?.unwrap_or_default(),
                mode,
                Some((uid, gid)),
            )?;
        }
    }
    Ok(())
}

/// Makes the backup what it was, if the file itself is what it was. Else others changed accounts
/// since, and the backup is theirs as much as ours.
pub(crate) fn restore(
    site: &Site,
    path: &Path,
    sha256: &str,
    had_backup: bool,
) -> anyhow::Result<()> {
    let (backup, copy) = places(site, path);
    if is_as_before(site, path, sha256)? {
        match (files::read(&copy, LONGEST)?, files::lstat(&copy)?) {
            (Some(content), Some(Stat { mode, uid, gid, .. })) => {
                files::place(&backup, &content, mode, site.privileged.then_some((uid, gid)))?;
                site.label(&[&backup]);
            }
            _ if !had_backup => files::remove_file(&backup)?,
            // An earlier run has put it back.
            _ => {}
        }
        sync_parent(&backup)?;
    }
    files::remove_file(&copy)?;
    let copies = site.root.at(layout::KEPT_ACCOUNTS);
    files::remove_empty_directory(&copies)?;
    Ok(())
}

/// Removes the lock that the C library made with the first account, when nobody holds it.
pub(crate) fn remove_lock(site: &Site) -> anyhow::Result<()> {
    let lock = site.root.at(layout::ACCOUNT_LOCK);
    account_lock::remove(&lock, PATIENCE, &site.cancellation)?;
    Ok(sync_parent(&lock)?)
}

/// Whether the file holds what it held before the first account was made.
fn is_as_before(site: &Site, path: &Path, sha256: &str) -> anyhow::Result<bool> {
    let now = site.root.read(path, LONGEST)?;
    Ok(now.is_some_and(|now| digest::hex(&digest::sha256(&now)) == sha256))
}

fn sync_parent(path: &Path) -> Result<(), files::Error> {
    path.parent().filter(|parent| parent.is_dir()).map_or(Ok(()), files::sync_directory)
}

/// The backup of an account file, and our copy of it.
fn places(site: &Site, path: &Path) -> (PathBuf, PathBuf) {
    let backup = layout::account_backup(path);
    let copy = Path::new(layout::KEPT_ACCOUNTS).join(backup.file_name().unwrap_or_default());
    (site.root.at(&backup), site.root.at(copy))
}
