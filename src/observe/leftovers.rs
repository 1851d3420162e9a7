//! What DC/OS left on a node that no receipt tells of: made by the classic installer, by pkgpanda
//! behind our back, or by an attempt of either that failed.
//!
//! What is found is told in the same [`Object`]s that an install records, so that one plan undoes
//! both.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::found::{is_removable, object_at};
use super::left_accounts;
use super::left_downloads;
use super::left_units;
use super::node::Node;
use crate::dcos::leftovers::{self, Fate, Inside, LEFTOVERS, Leftover};
use crate::dcos::receipt::{self, Before, Blob, Object};
use crate::dcos::{layout, resolv_conf, settings};
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

pub use super::found::Found;
pub use super::left_accounts::owned;

/// Looks for what no record of ours tells of. Where our receipt stands, only what pkgpanda and the
/// units make counts: all else is known by the receipt, or was there before us. A half-done install
/// or uninstall of ours is told by its journal alone.
///
/// # Errors
/// A directory cannot be listed.
pub fn look(root: &Root, node: &Node) -> anyhow::Result<Found> {
    let mut found = Found::default();
    if node.story.intent.is_some() && node.receipt.is_none() {
        return Ok(found);
    }
    let knows_nothing = node.receipt.is_none();
    let stood = |path: &str| {
        node.snapshot().is_some_and(|before| before.paths.iter().any(|p| p == Path::new(path)))
    };
    let counts = |leftover: &&Leftover| {
        let made_by_units = layout::MADE_BY_UNITS.contains(&leftover.path) && !stood(leftover.path);
        let made_meanwhile = leftover.path.starts_with(layout::MESOSPHERE) || made_by_units;
        knows_nothing || made_meanwhile || leftover.fate == Fate::Keep
    };
    if knows_nothing {
        for leftover in LEFTOVERS
            .iter()
            .filter(|l| l.fate == Fate::RemoveIfEmpty && files::exists(&root.at(l.path)))
        {
            found.objects.push(Object::Directory { path: leftover.path.into() });
        }
        // The first that the installer makes, killed before it came to its next. With something in
        // it, that tells whose it is.
        if is_removable(root, Path::new(layout::ETC_MESOSPHERE))?
            && root.names(layout::ETC_MESOSPHERE)?.is_empty()
        {
            found.signs.push(Object::Directory { path: layout::ETC_MESOSPHERE.into() });
        }
    }
    left_accounts::look(root, node, &mut found)?;
    mesosphere(root, node, &mut found)?;
    left_units::look(root, node, &mut found)?;
    for leftover in LEFTOVERS.iter().filter(counts) {
        settle(root, *leftover, &mut found)?;
    }
    resolvers(root, node, &mut found)?;
    if found.is_sure() || !knows_nothing {
        for leftover in LEFTOVERS.iter().filter(counts).filter(|l| l.fate == Fate::RemoveBesideDcos)
        {
            found.objects.extend(object_at(root, leftover.path)?);
        }
        left_downloads::look(root, &mut found)?;
        let docker = root.text(layout::DOCKER_SETTINGS).ok().flatten().unwrap_or_default();
        if leftovers::is_docker_in_dcos_etcd(&docker) {
            found.leave(
                layout::DOCKER_SETTINGS,
                "its cluster-store is DC/OS' etcd, set by dcos-calico-libnetwork-plugin.service: \
                 remove the keys that begin with cluster-, then restart docker",
            );
        }
    }
    if !found.is_sure() {
        let alone: Vec<String> = found.objects.iter().filter_map(account).collect();
        // Empty directories, and what others may have made, are no trace of DC/OS; where a record
        // of ours was lost, those that only DC/OS has are.
        let tops = [layout::MESOSPHERE, layout::ETC_MESOSPHERE, layout::STATE];
        let is_lost = |object: &Object| {
            matches!(
                object,
                Object::Directory { path } if tops.iter().any(|top| path.starts_with(top))
            )
        };
        found.objects.retain(|object| !node.damaged.is_empty() && is_lost(object));
        let places =
            [layout::MESOSPHERE, layout::ETC_MESOSPHERE, layout::SYSTEM_UNITS, layout::RESOLV_CONF];
        let places = places.into_iter().chain(layout::MORE_SYSTEM_UNITS);
        found.foreign.retain(|foreign| places.clone().any(|place| foreign.path.starts_with(place)));
        for name in alone {
            let why = format!("the group {name}: nothing else here is DC/OS'");
            found.leave(layout::GROUP, &why);
        }
    }
    if knows_nothing {
        stagings(root, &mut found)?;
    }
    Ok(found)
}

fn account(object: &Object) -> Option<String> {
    match object {
        Object::Account { account, .. } => Some(account.user.clone()),
        _ => None,
    }
}

/// What a kill of ours left of files that were about to get their names, where the record of them
/// is lost. Nobody else gives such names.
fn stagings(root: &Root, found: &mut Found) -> anyhow::Result<()> {
    let parents = LEFTOVERS.iter().filter_map(|leftover| Path::new(leftover.path).parent());
    let units = [layout::SYSTEM_UNITS, layout::TARGET_WANTS]
        .map(Path::new)
        .into_iter()
        .chain(Path::new(layout::COMMIT_LINK).parent());
    let places: BTreeSet<&Path> =
        parents.chain(units).filter(|place| *place != Path::new(layout::TMP)).collect();
    for place in places {
        let left = root
            .names(place)?
            .into_iter()
            .filter(|name| leftovers::is_staging(name))
            .map(|name| place.join(name));
        receipt::merge(&mut found.objects, left.map(|path| Object::Scratch { path }));
    }
    Ok(())
}

/// Everything directly in `/opt/mesosphere`, and in the repository.
fn mesosphere(root: &Root, node: &Node, found: &mut Found) -> anyhow::Result<()> {
    let mut active = BTreeSet::new();
    for name in root.names(layout::MESOSPHERE)? {
        match leftovers::inside(&name) {
            Inside::Active(name) => drop(active.insert(name.to_owned())),
            Inside::Scratch => found.add(Object::Scratch { path: layout::active_name(&name) }),
            Inside::Known => {}
            Inside::Unknown => found.leave(layout::active_name(&name), "not DC/OS'"),
        }
    }
    for name in active {
        found.add(Object::ActiveName { name, incoming: None });
    }
    for name in root.names(layout::REPOSITORY)? {
        match name.parse() {
            Ok(id) => found.add(Object::Package { id }),
            Err(_) if name.starts_with('.') && name.ends_with(".tmp") => {
                found.add(Object::Scratch { path: Path::new(layout::REPOSITORY).join(name) });
            }
            Err(_) => found.leave(Path::new(layout::REPOSITORY).join(name), "no package"),
        }
    }
    for path in [layout::ETC_MESOSPHERE, layout::ROLES, layout::SETUP_FLAGS] {
        strangers(root, path, node, found)?;
    }
    Ok(())
}

/// What lies in a directory of DC/OS' and is named nowhere.
fn strangers(root: &Root, directory: &str, node: &Node, found: &mut Found) -> anyhow::Result<()> {
    let inventory = node.inventory();
    let is_recorded = |path: &Path| {
        inventory.iter().filter_map(Object::path).any(|known| known.starts_with(path))
    };
    for name in root.names(directory)? {
        let path = Path::new(directory).join(name);
        let is_known = LEFTOVERS.iter().any(|l| Path::new(l.path).starts_with(&path))
            || leftovers::is_of_installer(&path);
        if !is_known && !is_recorded(&path) {
            found.leave(path, "not DC/OS'");
        }
    }
    Ok(())
}

/// One row of the table, if only DC/OS makes it.
fn settle(root: &Root, leftover: Leftover, found: &mut Found) -> anyhow::Result<()> {
    let path = Path::new(leftover.path);
    match leftover.fate {
        Fate::Remove => {
            object_at(root, leftover.path)?.into_iter().for_each(|object| found.add(object))
        }
        Fate::RemoveFilesIn => {
            let (ours, theirs): (Vec<PathBuf>, Vec<PathBuf>) = root
                .names(leftover.path)?
                .into_iter()
                .map(|name| path.join(name))
                .partition(|path| leftovers::is_of_installer(path));
            // Empty, too: nobody else makes a directory of this name. One that holds no more than
            // an operator's files is kept with them.
            let is_ours = !ours.is_empty() || theirs.is_empty();
            for path in ours {
                object_at(root, path)?.into_iter().for_each(|object| found.add(object));
            }
            if is_ours && is_removable(root, path)? {
                found.add(Object::Directory { path: path.to_owned() });
            }
        }
        Fate::RemoveIfItLeadsInside => {
            if let Some(FileKind::Link { target }) = files::file_kind(&root.at(path))?
                && target.starts_with(layout::MESOSPHERE)
            {
                found.add(Object::Link { path: path.to_owned(), target, before: Before::Absent });
            }
        }
        Fate::Keep if files::exists(&root.at(path)) => {
            found.leave(path, &format!("of {}", leftover.creator))
        }
        Fate::Keep | Fate::RemoveBesideDcos | Fate::RemoveIfEmpty => {}
    }
    Ok(())
}

/// The resolver configuration, if DC/OS wrote it and no record tells what stood there.
fn resolvers(root: &Root, node: &Node, found: &mut Found) -> anyhow::Result<()> {
    let has_record =
        node.inventory().iter().any(|object| matches!(object, Object::ResolvConf { .. }));
    let Some(written) = root
        .text(layout::RESOLV_CONF)?
        .filter(|t| !has_record && resolv_conf::is_generated(t.as_bytes()))
    else {
        return Ok(());
    };
    let upstream = configured(root, layout::DNS_CONFIG, "RESOLVERS", [',', ' '])?;
    let search = configured(root, layout::DNS_SEARCH_CONFIG, "SEARCH", [' ', ' '])?;
    match resolv_conf::rebuilt(&written, &upstream, &search) {
        Some(text) => {
            let content = Blob::new(text.into_bytes());
            // Its header is a sign of DC/OS: names do not resolve as long as it stands.
            found.add(Object::ResolvConf {
                before: Before::File { mode: 0o644, uid: 0, gid: 0, content },
            });
        }
        None => found.leave(
            layout::RESOLV_CONF,
            "written by DC/OS; which resolvers it asked is not known, so name some by hand",
        ),
    }
    Ok(())
}

/// A list in a file of dcos-config: of the active set, or of a package if the set is broken.
fn configured(
    root: &Root,
    path: &str,
    variable: &str,
    separators: [char; 2],
) -> anyhow::Result<Vec<String>> {
    let below = Path::new(path).strip_prefix(layout::MESOSPHERE).unwrap_or(Path::new(path));
    let packages = root
        .names(layout::REPOSITORY)?
        .into_iter()
        .filter(|name| name.starts_with("dcos-config--"));
    let packages = packages.map(|name| Path::new(layout::REPOSITORY).join(name).join(below));
    for path in std::iter::once(PathBuf::from(path)).chain(packages) {
        let text = root.text(path)?.unwrap_or_default();
        if let Some(value) = settings::variable(&text, variable) {
            return Ok(value
                .split(separators)
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect());
        }
    }
    Ok(Vec::new())
}
