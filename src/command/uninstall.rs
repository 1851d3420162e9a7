//! `dcos-node uninstall`: the inverse of an install, from whatever point it got to.

use std::path::PathBuf;

use serde::Serialize;

use super::preflight::protection;
use super::{Failure, World};
use crate::action::journal::Journal;
use crate::action::run::run as run_actions;
use crate::action::{self, Action, Site, fetch};
use crate::dcos::exit::Exit;
use crate::dcos::journal::{Intent, Outcome as Ending, Record};
use crate::dcos::layout;
use crate::dcos::preview::Preview;
use crate::dcos::receipt::Object;
use crate::observe::node::{Node, State};
use crate::observe::services;
use crate::plan::uninstall::{self as plan, Wish};
use crate::preflight::report::Protection;
use crate::system::files;

/// What was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Only show what would be done.
    pub dry_run: bool,
    /// State directories go too.
    pub purge_data: bool,
    /// The operator was asked, or does not want to be.
    pub yes: bool,
}

/// How the node is now.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whether anything was changed.
    pub changed: bool,
    /// Data that stays.
    pub kept: Vec<PathBuf>,
    /// What was found and left alone because it is not ours.
    pub foreign: Vec<String>,
    /// With `--dry-run`: what would be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Preview>,
    /// With `--dry-run`: how it was kept from changing the node.
    #[serde(flatten)]
    pub protection: Protection,
}

/// Data that a purge removes, with its size in bytes; what another file system holds is not counted.
///
/// # Errors
/// It cannot be listed.
pub fn data(world: &World) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let sizes = kept(world).into_iter().map(|path| files::size_of_tree(&world.root.at(&path)).map(|size| (path, size)));
    sizes.collect::<Result<_, _>>().map_err(|e| Failure::new(Exit::Failed, e))
}

/// The journal cannot be begun, so nothing is.
pub(super) fn without_journal(error: anyhow::Error) -> Failure {
    let cure = format!("see that {} can be written and its file system has room, then run the same command again", layout::OUR_STATE);
    Failure::from(error).leaving("nothing was changed").cured_by(cure)
}

/// Uninstalls.
///
/// # Errors
/// Whatever stops it; the same command goes on.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    world.check_root()?;
    if world.is_live() && !world.is_privileged() {
        return Err(Failure::new(Exit::Preflight, anyhow::anyhow!("only root can uninstall"))
            .leaving("nothing was changed")
            .cured_by("run the same command with sudo"));
    }
    if request.purge_data && !request.yes && !request.dry_run {
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!("--purge-data removes the data of this node for ever"))
            .leaving("nothing was changed")
            .cured_by("say --yes too, or run it on a terminal, where it asks"));
    }
    let _lock = if request.dry_run { None } else { Some(world.lock()?) };
    let node = world.node().await?;
    let wish = Wish { purge_data: request.purge_data, keep_packages: false, live: world.is_live() };
    let nothing_ours = node.inventory().is_empty() && node.traces.is_empty();
    if node.state() == State::Foreign && nothing_ours {
        return Err(not_ours(&node));
    }
    let purges_nothing = !wish.purge_data || kept(world).is_empty();
    if nothing_ours && purges_nothing {
        return Ok(Outcome { changed: false, kept: kept(world), foreign: Vec::new(), plan: Vec::new(), protection: protection() });
    }
    if request.dry_run {
        let plan = plan::uninstall(&node.inventory(), &units(&node, &node.inventory()), wish).preview();
        return Ok(Outcome { changed: false, kept: kept(world), foreign: foreign(&node), plan, protection: protection() });
    }
    let site = world.site(None)?;
    let journal = Journal::open(&world.root).map_err(without_journal)?;
    // On a full disk too: what is removed makes room.
    let _ = journal.reserve();
    ask(&journal, &node, wish, world.now()).map_err(|error| {
        journal.abandon();
        without_journal(error)
    })?;
    carry_out(&site, &journal, wish).await.map_err(|error| match error {
        action::Error::Interrupted => {
            Failure::new(Exit::Interrupted, error).leaving("the uninstall is half done").cured_by("dcos-node uninstall goes on")
        }
        error => Failure::new(Exit::Failed, error)
            .leaving("the uninstall is half done")
            .cured_by("remove the cause, then dcos-node uninstall goes on"),
    })?;
    Ok(Outcome { changed: true, kept: kept(world), foreign: foreign(&node), plan: Vec::new(), protection: protection() })
}

/// Writes into the journal what was asked and everything there is to undo: from here on the journal alone is enough to go on.
fn ask(journal: &Journal, node: &Node, wish: Wish, at: String) -> anyhow::Result<()> {
    let intent = Intent::Uninstall { purge_data: wish.purge_data, keep_packages: wish.keep_packages };
    if journal.story().intent.as_ref() != Some(&intent) {
        // The inventory first: a journal that says uninstall, and does not know what, would remove our traces and nothing else.
        journal.begin("inventory", node.inventory())?;
        journal.append(Record::Asked { at, intent })?;
    }
    Ok(())
}

/// Undoes an install that failed. The journal says so first: killed in the middle, the node goes on to be clean, and does not take for done what is
/// half undone.
pub(super) async fn turn_round(site: &Site, journal: &Journal, at: String, keep_packages: bool) -> action::Result<Vec<Object>> {
    let wish = Wish { purge_data: false, keep_packages, live: site.systemd.is_some() };
    let intent = Intent::Uninstall { purge_data: wish.purge_data, keep_packages: wish.keep_packages };
    let asked = journal.append(Record::Asked { at, intent });
    asked.map_err(|source| action::Error::Failed { what: "cannot begin to undo".into(), source })?;
    carry_out(site, journal, wish).await
}

/// Undoes everything in the journal's inventory. Returns what is kept.
pub(super) async fn carry_out(site: &Site, journal: &Journal, wish: Wish) -> action::Result<Vec<Object>> {
    let failed = |source| action::Error::Failed { what: "cannot look at the node".into(), source };
    let root = site.root.clone();
    let node = tokio::task::spawn_blocking(move || Node::look(&root)).await.map_err(anyhow::Error::from).and_then(|n| n).map_err(failed)?;
    if wish.keep_packages {
        // What is kept is whole: a package that was only begun goes.
        let begun = journal.story().objects.into_iter().filter(|o| matches!(o, Object::Package { id } if !fetch::is_whole(site, id)));
        let undo: Vec<_> = begun.map(|object| vec![Action::Undo { object }]).collect();
        run_actions(&undo, site, journal, 1).await?;
    }
    let inventory = journal.story().objects;
    let plan = plan::uninstall(&inventory, &units(&node, &inventory), wish);
    // A stop of the run that failed is no stop of the undoing.
    run_actions(&plan.batches, site, journal, 1).await?;
    let kept = journal.story().objects;
    let has_packages = wish.keep_packages && kept.iter().any(|o| matches!(o, Object::Package { .. }));
    if has_packages {
        let kept: Vec<Object> = kept.into_iter().filter(|o| matches!(o, Object::Package { .. } | Object::Directory { .. })).collect();
        journal.finish(Ending::Clean, kept.clone()).map_err(failed)?;
        return Ok(kept);
    }
    Ok(Vec::new())
}

/// Nothing is left but our own last traces: an uninstall was killed while it removed them.
pub(super) fn is_remnant(node: &Node) -> bool {
    node.story.intent.is_none() && node.receipt.is_none() && node.inventory().is_empty() && !node.traces.is_empty()
}

/// Removes our own last traces.
pub(super) async fn remove_remnant(site: &Site) -> Result<(), Failure> {
    let journal = Journal::open(&site.root)?;
    let rest = [vec![Action::RemoveOurselves { directories: Vec::new() }]];
    run_actions(&rest, site, &journal, 1).await.map_err(|e| Failure::new(Exit::Failed, e).cured_by("dcos-node uninstall goes on"))
}

/// Finishes an uninstall that was interrupted.
pub(super) async fn finish(node: &Node, site: &Site) -> Result<(), Failure> {
    let Some(Intent::Uninstall { purge_data, keep_packages }) = node.story.intent else { return Ok(()) };
    let journal = Journal::open(&site.root).map_err(Failure::from)?;
    let wish = Wish { purge_data, keep_packages, live: site.systemd.is_some() };
    match carry_out(site, &journal, wish).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(Exit::Failed, error).leaving("an uninstall is half done").cured_by("dcos-node uninstall goes on")),
    }
}

/// What systemd may still run: what the target wants, and what we handed over.
fn units(node: &Node, inventory: &[Object]) -> Vec<String> {
    let mut units = services::of_role(&node.wanted_units);
    for object in inventory {
        if let Object::Units { names } = object {
            units.extend(names.iter().cloned());
        }
    }
    units.sort();
    units.dedup();
    units
}

fn kept(world: &World) -> Vec<PathBuf> {
    [layout::STATE, layout::MESOS_STATE].iter().map(PathBuf::from).filter(|p| files::exists(&world.root.at(p))).collect()
}

fn foreign(node: &Node) -> Vec<String> {
    node.foreign.iter().map(|f| format!("{} ({})", f.path.display(), f.what)).collect()
}

fn not_ours(node: &Node) -> Failure {
    let text =
        format!("DC/OS on this node was not installed by dcos-node: {}", foreign(node).into_iter().take(5).collect::<Vec<_>>().join(", "));
    Failure::new(Exit::Conflict, anyhow::anyhow!(text))
        .leaving("nothing was changed")
        .cured_by("pkgpanda uninstall, then rm -rf /etc/mesosphere")
}
