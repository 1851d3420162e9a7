//! `dcos-node uninstall`: the inverse of an install, from whatever point it got to.

mod parting;
mod undoing;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::in_use::{self, Removal};
use super::preflight::protection;
use super::{Failure, World, pkgpanda_swap};
use crate::action::journal::Journal;
use crate::action::run::run as run_actions;
use crate::action::{self, Action, Site, fetch};
use crate::dcos::action_key::ActionKey;
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::journal::{Intent, Record};
use crate::dcos::layout;
use crate::dcos::preview::Preview;
use crate::dcos::proof::{Item, Leftovers};
use crate::dcos::receipt::{self, Object};
use crate::observe::data::Judged;
use crate::observe::leftovers::{self, Found};
use crate::observe::node::{Foreign, Node};
use crate::observe::{data, operator_files, residue, snapshot};
use crate::plan::network::Signs;
use crate::plan::parting::Consent;
use crate::plan::uninstall::{self as plan, Wish};
use crate::preflight::report::Protection;
use crate::system::files;

pub use crate::observe::data::Data;
pub use parting::{LIMIT as DRAIN_LIMIT, Ties};
pub(super) use undoing::{Ended, carry_out, turn_round};

/// What was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Only show what would be done.
    pub dry_run: bool,
    /// State directories go too.
    pub purge_data: bool,
    /// The operator was asked, or does not want to be.
    pub yes: bool,
    /// An agent that the cluster counts on is refused.
    pub strict: bool,
    /// A master goes even if the cluster loses its quorum with it.
    pub force: bool,
    /// An agent leaves its cluster in order first, and may take so long.
    pub drain: Option<Duration>,
}

impl Request {
    fn consent(&self) -> Consent {
        Consent { strict: self.strict, force: self.force, drain: self.drain.is_some() }
    }
}

/// How the node is now.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whether anything was changed.
    pub changed: bool,
    /// What the cluster had on this node before anything was stopped; none if it was in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Ties>,
    /// Data that stays, with sizes.
    pub kept: Vec<Data>,
    /// What was found and left alone because it is not ours.
    pub foreign: Vec<String>,
    /// Thing by thing: what is gone, what stays and why, and what should be gone and is not. None
    /// if nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Leftovers>,
    /// With `--dry-run`: what would be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Preview>,
    /// With `--dry-run`: how it was kept from changing the node.
    #[serde(flatten)]
    pub protection: Protection,
}

impl Outcome {
    /// What `uninstall` exits with: residue has a code of its own, and so has what could not be
    /// looked at.
    pub fn exit(&self) -> Exit {
        if self.report.as_ref().is_some_and(|report| report.open().next().is_some()) {
            Exit::Residue
        } else {
            Exit::Done
        }
    }
}

/// Data that there is of DC/OS, with sizes.
///
/// # Errors
/// Our own records on the node cannot be read.
pub async fn data(world: &World) -> Result<Vec<Data>, Failure> {
    let node = world.node_as_it_stands().await?;
    Ok(data::look(&world.root, &node, node.snapshot()))
}

/// The journal cannot be begun, so nothing is.
pub(super) fn without_journal(error: anyhow::Error) -> Failure {
    let cure = format!(
        "see that {} can be written and its file system has room, then run the same command again",
        layout::OUR_STATE
    );
    Failure::from(error).leaving("nothing was changed").cured_by(cure)
}

/// Uninstalls.
///
/// # Errors
/// Whatever stops it; the same command goes on.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    if world.is_live() && !world.is_privileged() {
        return Err(Failure::new(Exit::Preflight, anyhow::anyhow!("only root can uninstall"))
            .leaving("nothing was changed")
            .cured_by("run the same command with sudo"));
    }
    if request.purge_data && !request.yes && !request.dry_run {
        return Err(Failure::new(
            Exit::Usage,
            anyhow::anyhow!("--purge-data removes the data of this node for ever"),
        )
        .leaving("nothing was changed")
        .cured_by("say --yes too, or run it on a terminal, where it asks"));
    }
    let _lock = if request.dry_run { None } else { Some(world.lock()?) };
    if !request.dry_run {
        pkgpanda_swap::refuse_at_work(world)?;
    }
    let node = world.node_as_it_stands().await?;
    let wish = Wish { purge_data: request.purge_data, keep_in: None, live: world.is_live() };
    for damaged in &node.damaged {
        world.events.warn(format!(
            "{} is damaged: this goes by what stands, and by what else is recorded",
            damaged.path.display()
        ));
    }
    let found = found(world, &node).await?;
    let dcos_was_here = data::dcos_was_here(&world.root, &node);
    let data = data::judge(&world.root, node.snapshot(), dcos_was_here);
    let inventory = inventory(&node, &found, wish, &data);
    let theirs = operator_files(world, &node, &inventory).await?;
    let links =
        if wish.purge_data { data::behind_purged_links(&world.root, &data) } else { Vec::new() };
    let disks = if dcos_was_here { data::mount_disks(&world.root) } else { Vec::new() };
    let foreign = foreign(&found, &data, [links, disks].concat());
    let nothing_changed = |cluster, plan| {
        let (kept, foreign) = (
            data::look(&world.root, &node, node.snapshot()),
            foreign.iter().map(Foreign::to_string).collect(),
        );
        Ok(Outcome {
            changed: false,
            cluster,
            kept,
            foreign,
            report: None,
            plan,
            protection: protection(),
        })
    };
    if inventory.is_empty() && node.traces.is_empty() {
        return nothing_changed(None, Vec::new());
    }
    let units = undoing::units(&inventory);
    let mut removal = Removal { inventory: &inventory, stopped: &units, drained: false };
    in_use::refuse_mounts(world, &removal, true)?;
    let mut cluster = parting::ask(request.consent(), &node, world).await?;
    if let (Some(limit), false) = (request.drain, request.dry_run) {
        let seconds = parting::drain(limit, world).await?;
        cluster = cluster.map(|ties| Ties { drained_seconds: seconds, ..ties });
    }
    removal.drained = cluster.as_ref().is_some_and(|ties| ties.drained_seconds.is_some());
    in_use::refuse_mounts(world, &removal, request.drain.is_some() && request.dry_run)?;
    in_use::refuse_holders(world, &removal)?;
    if request.dry_run {
        let systemd = world.systemd.as_ref().and_then(|systemd| systemd.as_ref().ok());
        let now = snapshot::look(&world.root, systemd.map(AsRef::as_ref)).await;
        let signs = Signs::of(&inventory, &now, node.snapshot());
        let standing = undoing::standing(&now, node.snapshot(), &signs, wish);
        let all: Vec<Object> = inventory.into_iter().chain(standing).collect();
        let drain = request.drain.map(|_| Preview {
            key: ActionKey::Drain,
            text: "let the agent leave its cluster in order".into(),
        });
        return nothing_changed(
            cluster,
            drain
                .into_iter()
                .chain(plan::uninstall(&all, &units, wish, node.snapshot()).preview())
                .chain(theirs.iter().map(|theirs| Preview {
                    key: ActionKey::file(&theirs.path),
                    text: format!("remove {}, which {}", theirs.path.display(), theirs.reason()),
                }))
                .collect(),
        );
    }
    let site = world.site(None, &Fetching::default())?;
    if node.damaged.iter().any(|damaged| damaged.path == Path::new(layout::JOURNAL)) {
        Journal::set_aside(&world.root, &inventory, node.snapshot()).map_err(without_journal)?;
    }
    let journal = Journal::open(&world.root).map_err(without_journal)?;
    // On a full disk too: what is removed makes room.
    let _ = journal.reserve();
    ask(&journal, inventory, &node, wish, world.now()).map_err(|error| {
        journal.abandon();
        without_journal(error)
    })?;
    let found = Found { foreign, ..found };
    for theirs in &theirs {
        let (path, what) = (theirs.path.display(), theirs.reason());
        world.events.warn(format!("{path} {what}: it is removed with its directory"));
    }
    let mut ended = match carry_out(&site, &journal, wish, &found).await {
        Ok(ended) => ended,
        Err(error) => {
            // The unit of the next boot may be gone already.
            let now = world.node_as_it_stands().await.unwrap_or(node);
            return Err(unended(error, &now));
        }
    };
    let removed = theirs.iter().filter(|theirs| !files::exists(&world.root.at(&theirs.path)));
    ended.report.removed.extend(
        removed.map(|theirs| Item::new("file", theirs.path.display().to_string(), theirs.reason())),
    );
    let after = world.node_as_it_stands().await?;
    let foreign =
        ended.report.foreign.iter().map(|item| format!("{} ({})", item.what, item.why)).collect();
    let kept = data::look(&world.root, &after, None);
    Ok(Outcome {
        changed: true,
        cluster,
        kept,
        foreign,
        report: Some(ended.report),
        plan: Vec::new(),
        protection: protection(),
    })
}

fn unended(error: action::Error, now: &Node) -> Failure {
    let (exit, fix) = match error {
        action::Error::Interrupted => (Exit::Interrupted, "dcos-node uninstall goes on"),
        _ => (Exit::Failed, "remove the cause, then dcos-node uninstall goes on"),
    };
    Failure::new(exit, error).leaving(half_done(now)).cured_by(fix)
}

/// A node that the classic installer made has no unit of ours, whose boot would go on.
fn half_done(node: &Node) -> &'static str {
    let has_our_unit = node.setup_is_ours
        && node.traces.iter().any(|trace| trace == Path::new(layout::SETUP_LINK));
    if has_our_unit {
        "the uninstall is half done; the next boot goes on with it"
    } else {
        "the uninstall is half done; DC/OS does not start at the next boot, and no boot goes on \
         with it"
    }
}

async fn operator_files(
    world: &World,
    node: &Node,
    inventory: &[Object],
) -> Result<Vec<Foreign>, Failure> {
    let (root, node, inventory) = (world.root.clone(), node.clone(), inventory.to_vec());
    let looked =
        tokio::task::spawn_blocking(move || operator_files::look(&root, &node, &inventory)).await;
    looked.map_err(|e| Failure::from(anyhow::Error::from(e)).leaving("nothing was changed"))
}

/// What stands without a record of ours. What could not be made known of the resolvers is told at
/// once.
async fn found(world: &World, node: &Node) -> Result<Found, Failure> {
    let (root, looked_at) = (world.root.clone(), node.clone());
    let found = tokio::task::spawn_blocking(move || {
        let mut found = leftovers::look(&root, &looked_at)?;
        leftovers::owned(&root, &looked_at, &mut found);
        Ok(found)
    });
    let found = found.await;
    let found = found.map_err(anyhow::Error::from).and_then(|found| found);
    let mut found = found.map_err(|e| Failure::from(e).leaving("nothing was changed"))?;
    if let Some(Ok(systemd)) = &world.systemd {
        let loaded = systemd
            .loaded_units()
            .await
            .map_err(|e| Failure::from(anyhow::Error::from(e)).leaving("nothing was changed"))?;
        let names: Vec<String> =
            residue::without_files(&world.root, loaded).map(|unit| unit.name).collect();
        if !names.is_empty() {
            receipt::merge(&mut found.objects, [Object::Units { names }]);
        }
    }
    if found.objects.iter().any(|object| matches!(object, Object::ResolvConf { .. })) {
        world.events.warn(format!(
            "{} was written by DC/OS, and what stood there before is not known: it gets the \
             resolvers that DC/OS asked",
            layout::RESOLV_CONF
        ));
    }
    Ok(found)
}

/// Everything there is to undo: what we recorded, then what stands besides, and what is purged.
fn inventory(node: &Node, found: &Found, wish: Wish, data: &[Judged]) -> Vec<Object> {
    let mut objects = node.inventory();
    receipt::merge(&mut objects, found.objects.iter().cloned());
    let made: Vec<&str> = plan::made_by_units(&objects).collect();
    let is_anothers = |path: &Path| {
        layout::MADE_BY_UNITS.iter().any(|known| path == Path::new(known) && !made.contains(known))
    };
    objects.retain(|object| !matches!(object, Object::Scratch { path } if is_anothers(path)));
    if wish.purge_data {
        receipt::merge(&mut objects, data::to_purge(data));
    }
    objects
}

/// Writes into the journal what was asked and everything there is to undo: from here on the journal
/// alone is enough to go on.
fn ask(
    journal: &Journal,
    inventory: Vec<Object>,
    node: &Node,
    wish: Wish,
    at: String,
) -> anyhow::Result<()> {
    let intent =
        Intent::Uninstall { purge_data: wish.purge_data, keep_packages: wish.keep_in.is_some() };
    if journal.story().intent.as_ref() != Some(&intent) {
        // The inventory first: a journal that says uninstall, and does not know what, would remove
        // our traces and nothing else.
        journal.begin(ActionKey::Inventory, inventory)?;
        if let Some(snapshot) = node.snapshot() {
            journal.append(Record::Snapshot { snapshot: Box::new(snapshot.clone()) })?;
        }
        journal.append(Record::Asked { at, intent })?;
    }
    Ok(())
}

/// Nothing is left but our own last traces: an uninstall was killed while it removed them. What
/// removes them may itself have been killed, with a journal that only knows the directories that
/// were made for it.
pub(super) fn is_remnant(node: &Node) -> bool {
    let is_of_journal = |object: &Object| {
        matches!(
            object,
            Object::Directory { path } if Path::new(layout::OUR_STATE).starts_with(path)
        )
    };
    let knows_nothing = node.story.intent.is_none()
        && node.receipt.is_none()
        && node.inventory().iter().all(is_of_journal);
    // A node that only lost its receipt is none: what stands there may be all that it has of DC/OS.
    knows_nothing && node.active.is_empty() && !node.committed && !node.traces.is_empty()
}

/// Removes our own last traces.
pub(super) async fn remove_remnant(node: &Node, site: &Site) -> Result<(), Failure> {
    let journal = Journal::open(&site.root).map_err(without_journal)?;
    let known = node.inventory().into_iter().chain(journal.story().objects);
    let directories: BTreeSet<PathBuf> = known
        .filter_map(
            |object| if let Object::Directory { path } = object { Some(path) } else { None },
        )
        .collect();
    let rest = [vec![Action::RemoveOurselves { directories: directories.into_iter().collect() }]];
    run_actions(&rest, site, &journal, 1).await.map_err(|e| {
        Failure::new(Exit::Failed, e)
            .leaving("the last traces of dcos-node are half removed")
            .cured_by("dcos-node uninstall goes on")
    })
}

/// Finishes an uninstall that was interrupted.
pub(super) async fn finish(node: &Node, site: &Site) -> Result<(), Failure> {
    let Some(Intent::Uninstall { purge_data, keep_packages }) = node.story.intent else {
        return Ok(());
    };
    let journal = Journal::open(&site.root).map_err(without_journal)?;
    let keep_in = keep_packages.then(|| fetch::store_of(site));
    let wish = Wish { purge_data, keep_in, live: site.systemd.is_some() };
    let found = Found { foreign: node.foreign.clone(), ..Found::default() };
    match carry_out(site, &journal, wish, &found).await {
        Ok(ended) if ended.report.open().next().is_none() => Ok(()),
        Ok(ended) => {
            let left: Vec<String> =
                ended.report.open().map(|item| format!("{} ({})", item.what, item.why)).collect();
            Err(Failure::new(
                Exit::Residue,
                anyhow::anyhow!("the uninstall left {}", left.join(", ")),
            )
            .leaving("an uninstall is half done")
            .cured_by("remove the cause, then dcos-node uninstall goes on"))
        }
        Err(error) => Err(Failure::new(Exit::Failed, error)
            .leaving("an uninstall is half done")
            .cured_by("dcos-node uninstall goes on")),
    }
}

/// What was found and stays, each path once.
fn foreign(found: &Found, data: &[Judged], elsewhere: Vec<Foreign>) -> Vec<Foreign> {
    let mut told = BTreeSet::new();
    let all = found.foreign.iter().cloned().chain(data::foreign(data)).chain(elsewhere);
    all.filter(|f| told.insert((f.path.clone(), f.what.clone()))).collect()
}
