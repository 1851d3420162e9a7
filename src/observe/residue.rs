//! What of an inventory still stands after it was undone.

use std::path::Path;

use crate::dcos::accounts::Accounts;
use crate::dcos::layout;
use crate::dcos::leftovers::is_unit_of_dcos;
use crate::dcos::receipt::{Before, Object};
use crate::dcos::resolv_conf::is_generated;
use crate::dcos::store;
use crate::dcos::units;
use crate::system::digest;
use crate::system::files::{self, FileKind};
use crate::system::mount_points;
use crate::system::root::Root;
use crate::system::systemd::{Systemd, Unit};

/// An object that was undone and is there all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remnant {
    /// The object.
    pub object: Object,
    /// How it is there.
    pub why: String,
    /// It stays on purpose: it was there before, or holds what stays.
    pub on_purpose: bool,
}

/// Looks for these objects. Those of the network are found by a snapshot.
///
/// # Errors
/// A file cannot be read.
pub fn files(root: &Root, objects: &[Object]) -> anyhow::Result<Vec<Remnant>> {
    let accounts = Accounts::load(|path| root.text(path))?;
    let mut found = Vec::new();
    for object in objects {
        let remnant = match object {
            Object::Account { account, group_before: Some(number), .. }
                if !accounts.has_user(&account.user) && !accounts.has_group(&account.user) =>
            {
                Some((accounts.lost_group(&account.user, *number), false))
            }
            Object::Account { account, user_made, group_made, .. } => {
                account_left(&accounts, &account.user, *user_made, *group_made)
            }
            other => file(root, other)?.map(|(why, on_purpose)| (why.to_owned(), on_purpose)),
        };
        found.extend(remnant.map(|(why, on_purpose)| Remnant {
            object: object.clone(),
            why,
            on_purpose,
        }));
    }
    Ok(found)
}

/// What is left of an account, and whether it should be.
fn account_left(
    accounts: &Accounts,
    user: &str,
    user_made: bool,
    group_made: bool,
) -> Option<(String, bool)> {
    if accounts.has_user(user) {
        return Some(if user_made {
            ("the account is still there".to_owned(), false)
        } else {
            ("the account was there before".to_owned(), true)
        });
    }
    let others: Vec<&str> = accounts.users_of(user).into_iter().collect();
    let lines: Vec<&str> = accounts
        .leftover_lines(user)
        .into_iter()
        .filter(|file| if *file == layout::SHADOW { user_made } else { group_made })
        .collect();
    if !lines.is_empty() {
        return Some((format!("its line in {} is still there", lines.join(" and ")), false));
    }
    match (accounts.has_group(user) && user_made, group_made) {
        (false, _) if !accounts.has_group(user) || !group_made => None,
        (true, false) => Some(("the user is gone; its group was there before".to_owned(), true)),
        _ if others.is_empty() => Some(("its group is still there".to_owned(), false)),
        _ => Some((
            format!("the user is gone, and its group stays: {} is in it", others.join(", ")),
            true,
        )),
    }
}

/// What is not what the install placed, and not what it replaced.
const ANOTHER: &str = "something else stands there now, which is left alone";

/// Whether a file stands with the very content that it had before the install.
fn is_as_before(root: &Root, path: &Path, before: &Before) -> anyhow::Result<bool> {
    let Before::File { content, .. } = before else { return Ok(false) };
    Ok(root.read(path, 1 << 30)?.is_some_and(|now| now == content.bytes()))
}

/// What stands where the install had put something else, and what became of the older file that
/// this had replaced.
fn another(root: &Root, path: &Path, before: &Before) -> (&'static str, bool) {
    let kept = matches!(before, Before::File { .. })
        && layout::saved(path).next().is_some_and(|saved| files::exists(&root.at(saved)));
    let beside = "something else stands there now, which is left alone; what stood there before is \
                  beside it, with .dcos-node-save at the end of its name";
    (if kept { beside } else { ANOTHER }, true)
}

/// What became of a file that somebody changed.
fn saved(root: &Root, path: &Path) -> Option<(&'static str, bool)> {
    let kept = layout::saved(path).next().is_some_and(|saved| files::exists(&root.at(saved)));
    kept.then_some((
        "it was changed since an install; the changed one is beside it, with .dcos-node-save at \
         the end of its name",
        true,
    ))
}

/// Whether an object that is a file still stands, and why that is.
fn file(root: &Root, object: &Object) -> anyhow::Result<Option<(&'static str, bool)>> {
    let stands = |path: &Path| files::exists(&root.at(path));
    let residue = |stands: bool| stands.then_some(("it is still there", false));
    Ok(match object {
        Object::Directory { path } => match files::file_kind(&root.at(path))? {
            Some(FileKind::Directory) if !root.names(path)?.is_empty() => {
                Some(("it holds what stays", true))
            }
            // The operator's, and empty as it was.
            Some(FileKind::Directory) if is_mount_point(&root.at(path)) => {
                Some(("a file system is mounted there", true))
            }
            Some(FileKind::Directory) => Some(("it is empty and still there", false)),
            Some(FileKind::Link { .. }) => {
                Some(("a link that was there before, which stays", true))
            }
            Some(FileKind::File | FileKind::Other) => Some((ANOTHER, true)),
            None => None,
        },
        Object::File { path, sha256, before } => {
            let now = match files::file_kind(&root.at(path))? {
                None => None,
                Some(FileKind::File) => root.read(path, 1 << 30)?,
                Some(_) if matches!(before, Before::Link { .. }) => None,
                Some(_) => return Ok(Some(another(root, path, before))),
            };
            // What another made has no content that is known: there it is enough that it stands.
            let unknown = sha256.is_empty() && *before == Before::Absent;
            let ours = now
                .as_ref()
                .is_some_and(|now| unknown || digest::hex(&digest::sha256(now)) == *sha256);
            let was_so = matches!(
                (before, &now),
                (Before::File { content, .. }, Some(now)) if content.bytes() == *now
            );
            match now {
                Some(_) if was_so => saved(root, path),
                Some(_) if ours => Some(("it is still there", false)),
                Some(_) => Some((ANOTHER, true)),
                None => saved(root, path),
            }
        }
        Object::Link { path, target, before } => match files::file_kind(&root.at(path))? {
            Some(FileKind::Link { target: now })
                if matches!(
                    before,
                    Before::Link { target: was, .. } if *was == now
                ) =>
            {
                None
            }
            Some(FileKind::Link { target: now }) if now == *target => {
                Some(("it is still there", false))
            }
            Some(FileKind::File) if is_as_before(root, path, before)? => None,
            Some(_) => Some(another(root, path, before)),
            None => None,
        },
        Object::AccountFile { path, sha256, had_backup } => {
            let now = root.read(path, 64 << 20)?;
            let changed = now.is_some_and(|now| digest::hex(&digest::sha256(&now)) != *sha256);
            let stands = stands(&layout::account_backup(path));
            changed
                .then_some((
                    "accounts were changed since: it is what it was before the last change",
                    true,
                ))
                .or(residue(stands && !had_backup))
        }
        Object::Package { id } => {
            residue(store::places(id).chain(store::stagings(id)).any(|place| stands(&place)))
        }
        Object::ActiveName { name, .. } => {
            residue(stands(&layout::active_name(name)) || stands(&layout::new_name(name)))
        }
        Object::StateDirectory { path, made } => match files::file_kind(&root.at(path))? {
            None => None,
            Some(FileKind::Directory) if is_emptied(root, path) => {
                Some(("a file system is mounted there, and it is empty now", true))
            }
            Some(FileKind::Directory) if !made && root.names(path)?.is_empty() => {
                Some(("it was there before the install, and is empty as it was", true))
            }
            Some(_) => Some(("it is still there", false)),
        },
        Object::Scratch { path } => residue(stands(path)),
        Object::ResolvConf { before } => {
            let now = root.read(layout::RESOLV_CONF, 1 << 20)?;
            let was_so = match (before, files::file_kind(&root.at(layout::RESOLV_CONF))?) {
                (Before::Absent, standing) => {
                    standing.is_none() || now.as_ref().is_some_and(Vec::is_empty)
                }
                (Before::File { content, .. }, Some(FileKind::File)) => {
                    now.as_ref().is_some_and(|now| content.bytes() == *now)
                }
                (Before::Link { target, .. }, Some(FileKind::Link { target: now })) => {
                    *target == now
                }
                // Written in place, as it is a mount point.
                (Before::Link { resolved: Some(content), .. }, Some(FileKind::File)) => {
                    now.as_ref() == Some(&content.bytes())
                }
                _ => false,
            };
            match now.as_deref().is_some_and(is_generated) {
                true => Some(("DC/OS' resolvers are still in it", false)),
                false if was_so => None,
                false => Some(("written by another since the install, and left alone", true)),
            }
        }
        _ => None,
    })
}

/// Whether all that is left of a place are directories that lead to mount points, and nothing is in
/// those.
fn is_emptied(root: &Root, path: &Path) -> bool {
    let Ok(points) = mount_points::all_at_or_below(&root.at(path)) else { return false };
    let mut open = vec![root.at(path)];
    let mut met = false;
    while let Some(directory) = open.pop() {
        let is_point = mount_points::real(&directory).is_some_and(|real| points.contains(&real));
        met |= is_point;
        let Ok(Some(names)) = files::names(&directory) else { return false };
        let names: Vec<_> =
            names.into_iter().filter(|name| !(is_point && name == "lost+found")).collect();
        if names.is_empty() && !is_point {
            return false;
        }
        open.extend(names.iter().map(|name| directory.join(name)));
    }
    met
}

/// Whether a file system is mounted at the path itself; a table that cannot be read tells of none.
fn is_mount_point(path: &Path) -> bool {
    mount_points::at_or_below(path)
        .ok()
        .flatten()
        .is_some_and(|point| point.file_name() == path.file_name())
}

/// A unit that lives on in systemd's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    /// Its name.
    pub name: String,
    /// Its state: running, or remembered as failed.
    pub active: String,
}

/// Units of DC/OS that systemd still runs or remembers: of those that were undone, and of all
/// others that have no file.
///
/// # Errors
/// systemd does not answer; in one line.
pub async fn units(
    root: &Root,
    systemd: &dyn Systemd,
    undone: &[String],
) -> Result<Vec<Alive>, String> {
    let loaded = systemd.loaded_units().await.map_err(|e| e.to_string())?;
    let (undone, others): (Vec<Unit>, Vec<Unit>) =
        loaded.into_iter().partition(|unit| undone.contains(&unit.name));
    let left = undone.into_iter().filter(is_alive).chain(without_files(root, others));
    Ok(left.map(|Unit { name, active, .. }| Alive { name, active }).collect())
}

/// Units of DC/OS, its target among them, whose files were removed behind systemd's back: they run
/// on, or are listed as failed. Until it reads its files again systemd calls them loaded, so that
/// only the files themselves tell.
pub fn without_files(root: &Root, loaded: Vec<Unit>) -> impl Iterator<Item = Unit> {
    loaded
        .into_iter()
        .filter(|unit| is_unit_of_dcos(&unit.name) && is_alive(unit) && !has_file(root, &unit.name))
}

fn is_alive(unit: &Unit) -> bool {
    unit.active != "inactive"
}

/// Whether a unit stands where systemd looks. A mask is none, and where nobody can look there may
/// be one.
fn has_file(root: &Root, unit: &str) -> bool {
    let stands = |place: &&str| match files::file_kind(&root.at(Path::new(place).join(unit))) {
        Ok(Some(FileKind::Link { target })) => !units::is_mask(&target),
        Ok(None) => false,
        Ok(Some(_)) | Err(_) => true,
    };
    layout::UNIT_PLACES.iter().any(stands)
}
