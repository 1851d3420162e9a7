//! The deed itself: undoes what the journal knows and what else stands of DC/OS, and looks whether
//! it is gone.

use std::collections::BTreeSet;
use std::path::Path;

use crate::action::journal::Journal;
use crate::action::run::{run as run_actions, undo as undo_all};
use crate::action::{self, Action, Site, fetch};
use crate::dcos::action_key::ActionKey;
use crate::dcos::journal::{Intent, Outcome as Ending, Record};
use crate::dcos::layout;
use crate::dcos::proof::Leftovers;
use crate::dcos::receipt::Object;
use crate::dcos::snapshot::Snapshot;
use crate::observe::leftovers::Found;
use crate::observe::node::Node;
use crate::observe::residue::{self, Alive, Remnant};
use crate::observe::{data, snapshot};
use crate::plan::network::{self, Signs};
use crate::plan::proof::{self, Evidence};
use crate::plan::uninstall::{self as plan, Wish};
use crate::system::root::Root;

/// How an uninstall ended that was not stopped by an error.
pub(in crate::command) struct Ended {
    /// Packages and their directories, if they were to stay.
    pub(in crate::command) kept: Vec<Object>,
    /// Thing by thing.
    pub(in crate::command) report: Leftovers,
}

/// Undoes an install that failed. The journal says so first: killed in the middle, the node goes on
/// to be clean, and does not take for done what is half undone.
pub(in crate::command) async fn turn_round(
    site: &Site,
    journal: &Journal,
    at: String,
    keep_packages: bool,
) -> action::Result<Ended> {
    let keep_in = keep_packages.then(|| fetch::store_of(site));
    let wish = Wish { purge_data: false, keep_in, live: site.systemd.is_some() };
    let intent = Intent::Uninstall { purge_data: wish.purge_data, keep_packages };
    let asked = journal.append(Record::Asked { at, intent });
    asked
        .map_err(|source| action::Error::Failed { what: "cannot begin to undo".into(), source })?;
    let found = Found { foreign: look(site).await?.foreign, ..Found::default() };
    carry_out(site, journal, wish, &found).await
}

/// Undoes everything in the journal's inventory and what else stands of DC/OS, and looks whether it
/// is gone. Our own traces go last, and only if nothing is left that should be gone: a retry needs
/// them.
pub(in crate::command) async fn carry_out(
    site: &Site,
    journal: &Journal,
    wish: Wish,
    told: &Found,
) -> action::Result<Ended> {
    let before = journal.story().snapshot;
    if wish.keep_in.is_some() {
        // What is kept is whole: a package that was only begun goes.
        let begun =
            journal.story().objects.into_iter().filter(
                |o| matches!(o, Object::Package { id } if !fetch::is_whole(&site.root, id)),
            );
        let undo: Vec<_> = begun.map(|object| vec![Action::Undo { object }]).collect();
        run_actions(&undo, site, journal, 1).await?;
    }
    let inventory = journal.story().objects;
    let units = units(&inventory);
    // A stop of the run that failed is no stop of the undoing.
    run_actions(&plan::stop(&inventory, &units, wish).batches, site, journal, 1).await?;
    // Only now nothing makes interfaces and rules any more; those of an earlier run that was killed
    // are found here too.
    let machine = site.systemd.as_deref().filter(|_| was_installed(&inventory, wish));
    let now = snapshot::look(&site.root, machine).await;
    let signs = Signs::of(&inventory, &now, before.as_deref());
    let plugins =
        docker_plugins(&site.root, &inventory, before.as_deref()).into_iter().filter(|_| wish.live);
    let found: Vec<Object> =
        standing(&now, before.as_deref(), &signs, wish).into_iter().chain(plugins).collect();
    if !found.is_empty() {
        journal.begin(ActionKey::Network, found).map_err(failed)?;
    }
    let plan = plan::uninstall(&journal.story().objects, &units, wish, before.as_deref());
    let undone =
        [plan::undone(&plan::stop(&inventory, &units, wish)), plan::undone(&plan)].concat();
    let undone: Vec<Object> =
        distinct(undone).into_iter().filter(|o| inventory.contains(o) || stood(o, &now)).collect();
    let (plan, ourselves) = plan::without_ourselves(plan);
    let refused = undo_all(&plan.batches, site, journal).await?;
    let now = snapshot::look(&site.root, machine).await;
    let (remnants, units) = &residue_of(site, &now, &undone).await?;
    let mut stores = layout::STORES.to_vec();
    stores.retain(|store| {
        wish.keep_in.is_some() && site.root.names(store).is_ok_and(|names| !names.is_empty())
    });
    let evidence = Evidence {
        before: before.as_deref(),
        now: &now,
        signs: &signs,
        undone: &undone,
        refused: &refused,
        remnants,
        units,
        found: told,
        data: &data::judge(&site.root, before.as_deref(), true),
        stores: &stores,
    };
    let (report, once_more) = proof::judge(&evidence);
    let kept = journal.story().objects;
    if report.open().next().is_some() {
        journal.begin(ActionKey::Residue, once_more).map_err(failed)?;
        return Ok(Ended { kept, report });
    }
    run_actions(&ourselves.batches, site, journal, 1).await?;
    let has_packages =
        wish.keep_in.is_some() && kept.iter().any(|o| matches!(o, Object::Package { .. }));
    if !has_packages {
        return Ok(Ended { kept: Vec::new(), report });
    }
    let kept: Vec<Object> = kept
        .into_iter()
        .filter(|o| matches!(o, Object::Package { .. } | Object::Directory { .. }))
        .collect();
    journal.finish(Ending::Clean, kept.clone()).map_err(failed)?;
    Ok(Ended { kept, report })
}

/// What stands all the same of files and accounts, and of units in systemd's memory.
async fn residue_of(
    site: &Site,
    now: &Snapshot,
    undone: &[Object],
) -> action::Result<(Vec<Remnant>, Result<Vec<Alive>, String>)> {
    let (root, objects) = (site.root.clone(), undone.to_vec());
    let looked = tokio::task::spawn_blocking(move || residue::files(&root, &objects)).await;
    let remnants: Vec<Remnant> =
        looked.map_err(anyhow::Error::from).and_then(|found| found).map_err(failed)?;
    let names = undone
        .iter()
        .filter_map(|o| if let Object::Units { names } = o { Some(names.clone()) } else { None })
        .flatten();
    let units = match &site.systemd {
        Some(systemd) if now.live => {
            residue::units(&site.root, systemd.as_ref(), &names.collect::<Vec<_>>()).await
        }
        _ => Ok(Vec::new()),
    };
    Ok((remnants, units))
}

/// More than our own directories and data: without an install, nothing of the machine is taken for
/// DC/OS'. One that failed before its units came has run nothing that could have changed the
/// machine.
fn was_installed(inventory: &[Object], wish: Wish) -> bool {
    let is_more = |object: &Object| {
        !matches!(object, Object::Directory { .. } | Object::StateDirectory { .. })
    };
    let has_failed_early = wish.keep_in.is_some()
        && !inventory.iter().any(|object| matches!(object, Object::Units { .. }));
    inventory.iter().any(is_more) && !has_failed_early
}

/// What a plan undoes without knowing whether it is there.
fn stood(object: &Object, now: &Snapshot) -> bool {
    match object {
        Object::Scratch { path } | Object::StateDirectory { path, .. } => now.paths.contains(path),
        _ => true,
    }
}

/// What of the machine goes. A node that is a directory has none of it.
pub(super) fn standing(
    now: &Snapshot,
    before: Option<&Snapshot>,
    signs: &Signs,
    wish: Wish,
) -> Vec<Object> {
    let files = if wish.live { network::files(now, before) } else { Vec::new() };
    let machine = if now.live { network::objects(now, before, signs) } else { Vec::new() };
    [files, machine].concat()
}

/// The directory for plugins of docker's, if REX-Ray's unit made it: docker fills the one around it
/// where it runs, and then both are docker's.
fn docker_plugins(root: &Root, inventory: &[Object], before: Option<&Snapshot>) -> Vec<Object> {
    let stood = before.is_some_and(|before| {
        before.paths.iter().any(|path| path == Path::new(layout::DOCKER_RUN))
    });
    let holds_only = |directory: &str, all: &[&str]| {
        matches!(
            root.names(directory),
            Ok(names) if names == all
        )
    };
    if stood
        || !plan::brings_rexray(inventory)
        || !holds_only(layout::DOCKER_RUN, &["plugins"])
        || !holds_only(layout::DOCKER_PLUGINS, &[])
    {
        return Vec::new();
    }
    [layout::DOCKER_RUN, layout::DOCKER_PLUGINS]
        .map(|path| Object::Directory { path: path.into() })
        .into()
}

fn distinct(objects: Vec<Object>) -> Vec<Object> {
    let mut distinct: Vec<Object> = Vec::new();
    for object in objects {
        if !distinct.iter().any(|known| known.same_place(&object)) {
            distinct.push(object);
        }
    }
    distinct
}

async fn look(site: &Site) -> action::Result<Node> {
    let root = site.root.clone();
    let looked = tokio::task::spawn_blocking(move || Node::look(&root)).await;
    looked.map_err(anyhow::Error::from).and_then(|node| node).map_err(failed)
}

fn failed(source: anyhow::Error) -> action::Error {
    action::Error::Failed { what: "cannot look at the node".into(), source }
}

/// What systemd may still run: what was handed over to it, and the target.
pub(super) fn units(inventory: &[Object]) -> Vec<String> {
    let names = inventory.iter().filter_map(|object| match object {
        Object::Units { names } => Some(names.clone()),
        _ => None,
    });
    let mut units: BTreeSet<String> = names.flatten().collect();
    if !units.is_empty() {
        units.insert(layout::TARGET.to_owned());
    }
    units.into_iter().collect()
}
