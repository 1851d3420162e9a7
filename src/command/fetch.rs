//! `dcos-node fetch`: the download part of an install, ahead of time. Packages are unpacked,
//! verified and kept; nothing is activated.

use serde::Serialize;

use super::preflight::{self, protection};
use super::{Failure, World, fetching, on_node, trust, uninstall};
use crate::action::journal::Journal;
use crate::action::run::run as run_actions;
use crate::action::{self, Site};
use crate::dcos::build::Build;
use crate::dcos::event::Event;
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::journal::Outcome as Ending;
use crate::dcos::preview::Preview;
use crate::dcos::receipt::Object;
use crate::dcos::spared::Spared;
use crate::dcos::trust::{Origins, Trust};
use crate::observe::node::{Node, State};
use crate::observe::storage;
use crate::plan::Plan;
use crate::plan::fetch::{Lengths, fetches};
use crate::plan::install::Refusal;
use crate::preflight::report::Protection;
use crate::preflight::room;
use crate::preflight::rule::Finding;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Where the build is.
    pub bootstrap_url: Option<String>,
    /// From where else, how fast and how many at once.
    pub fetching: Fetching,
    /// Refuse a build without digests.
    pub require_digests: bool,
    /// Only show what would be done.
    pub dry_run: bool,
}

/// What is there now.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whether anything was fetched.
    pub changed: bool,
    /// Where the build is.
    pub bootstrap_url: String,
    /// The bootstrap id of the build.
    pub bootstrap_id: String,
    /// The package list of the build.
    pub package_list_id: String,
    /// How many packages an install of this build finds on the node.
    pub packages: usize,
    /// Bytes of archives that were fetched now.
    pub fetched_bytes: u64,
    /// Whether every byte of the packages was compared with a build index; none before they are
    /// there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// SHA-256 of that index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_sha256: Option<String>,
    /// How the packages came to the node; none if this run needed none.
    #[serde(skip_serializing_if = "Origins::is_nothing")]
    pub origins: Origins,
    /// With `--dry-run`: what would be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Preview>,
    /// With `--dry-run`: how it was kept from changing the node.
    #[serde(flatten)]
    pub protection: Protection,
}

/// Fetches.
///
/// # Errors
/// Whatever stops it; packages that were whole stay, and the same command goes on.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    if world.is_live() && !world.is_privileged() {
        let failure =
            Failure::new(Exit::Preflight, anyhow::anyhow!("only root can fetch packages"));
        return Err(failure
            .leaving("nothing was changed")
            .cured_by("run the same command with sudo"));
    }
    let digest = world.digest()?;
    let _lock = if request.dry_run { None } else { Some(world.lock()?) };
    let node = world.node().await?;
    let mirrors = world
        .source(request.bootstrap_url.as_deref(), &request.fetching, Some(&node))?
        .ok_or_else(fetching::no_url)?;
    if !request.dry_run {
        fetching::splay(&request.fetching, world).await?;
    }
    let source = fetching::first_alive(&mirrors, world).await;
    let offered = preflight::offered_as_published(source, digest, world).await?;
    let (build, _) = fetching::readable(offered)?;
    if stands_already(&node, &build)? {
        trust::check_node(request.require_digests, &node, &world.root)?;
        let trust = trust::of_node(&node, &world.root);
        let index_sha256 = trust::verified_index(&node, &world.root);
        return Ok(Outcome { trust, index_sha256, ..outcome(&build, node.active.len(), 0) });
    }
    trust::check_digests(request.require_digests, &build)?;
    check_room(&build, &node, world).await?;
    let site = world.site(Some(mirrors), &request.fetching)?;
    if request.dry_run {
        let plan = fetches(&build, &Lengths::new()).iter().map(action::Action::preview).collect();
        return Ok(Outcome { plan, ..outcome(&build, 0, 0) });
    }
    fetching::warn_of_digests(&build, world);
    let journal = Journal::open(&world.root).map_err(uninstall::without_journal)?;
    let fetched = carry_out(&build, &site, &journal).await;
    // What is whole is kept and known as ours, also after a failure.
    let objects = journal.story().objects;
    journal.finish(
        Ending::Clean,
        objects.into_iter().filter(|o| !matches!(o, Object::Scratch { .. })).collect(),
    )?;
    fetched.map_err(stopped)?;
    if let Some(mirrors) = &site.source {
        on_node::keep_index(&site, mirrors.first(), &build).await;
    }
    let now =
        journal.story().objects.iter().filter(|o| matches!(o, Object::Package { .. })).count();
    let record = trust::record(&world.root, &build, &Spared::default()).map_err(stopped)?;
    Ok(Outcome {
        trust: Some(record.trust()),
        index_sha256: record.index_sha256,
        origins: site.capacity.origins().values().copied().collect(),
        ..outcome(&build, now, site.capacity.fetched_bytes())
    })
}

/// A fetch that cannot fit is not begun.
async fn check_room(build: &Build, node: &Node, world: &World) -> Result<(), Failure> {
    let kept = preflight::kept_packages(world, build).await;
    match room::for_packages(build, node, &kept, &storage::look_for_packages(&world.root)) {
        Finding::Bad { found, .. } => Err(Failure::new(
            Exit::Preflight,
            anyhow::anyhow!("the packages of this build do not fit: {found}"),
        )
        .leaving("nothing was changed")
        .cured_by("make room, or give /opt/mesosphere a file system of its own")),
        Finding::Doubtful { found, .. } => {
            world.events.warn(format!("the packages of this build may not fit: {found}"));
            Ok(())
        }
        // Where it is not known, the fetch finds out.
        Finding::Good(_) | Finding::Unknown(_) | Finding::Unclear { .. } | Finding::NotHere(_) => {
            Ok(())
        }
    }
}

async fn carry_out(build: &Build, site: &Site, journal: &Journal) -> action::Result<()> {
    let mut plan = Plan::default();
    plan.together(fetches(build, &fetching::lengths(site, build).await));
    site.events.send(Event::Planned { actions: plan.preview() });
    run_actions(&plan.batches, site, journal, site.capacity.actions()).await
}

/// Whether this build is installed. A node that runs or becomes something else is left alone: an
/// install would refuse the packages.
fn stands_already(node: &Node, build: &Build) -> Result<bool, Failure> {
    let refuse = |text: String, cure: &str| {
        Err(Failure::new(Exit::Conflict, anyhow::anyhow!(text))
            .leaving("nothing was changed")
            .cured_by(cure))
    };
    match node.state() {
        State::Clean if node.foreign.is_empty() => Ok(false),
        state @ (State::Clean | State::Foreign) => {
            let foreign = node.foreign.clone();
            let refusal = if state == State::Clean {
                Refusal::Strange(foreign)
            } else {
                Refusal::Foreign { things: foreign, fix: node.fix_of_another_dcos() }
            };
            let cure = refusal.cure();
            refuse(refusal.to_string(), &cure)
        }
        State::Installed if node.active == build.active() => Ok(true),
        State::Installed => {
            refuse("this node runs another build".to_owned(), "leave the node as it is")
        }
        State::Installing | State::Prepared => refuse(
            "an install of this node is unfinished".to_owned(),
            "dcos-node recover goes on; dcos-node uninstall gives it up",
        ),
        State::Uninstalling => refuse(
            "an uninstall of this node is unfinished".to_owned(),
            "dcos-node uninstall goes on",
        ),
    }
}

fn outcome(build: &Build, packages: usize, fetched_bytes: u64) -> Outcome {
    Outcome {
        changed: fetched_bytes > 0,
        bootstrap_url: build.url.clone(),
        bootstrap_id: build.bootstrap_id.clone(),
        package_list_id: build.package_list_id.clone(),
        packages,
        fetched_bytes,
        trust: None,
        index_sha256: None,
        origins: Origins::default(),
        plan: Vec::new(),
        protection: protection(),
    }
}

fn stopped(error: action::Error) -> Failure {
    let exit = match error {
        action::Error::Interrupted => Exit::Interrupted,
        action::Error::Integrity { .. } => Exit::Integrity,
        action::Error::Failed { .. } => Exit::Failed,
    };
    Failure::new(exit, error)
        .leaving("the packages that were whole are kept; nothing else was changed")
        .cured_by("dcos-node fetch goes on; dcos-node uninstall removes what is there")
}
