//! `dcos-node status`: what this node is and how its units are. Works without privileges as far as
//! files can be read.

mod skips;

use std::path::PathBuf;

use serde::Serialize;

use super::drift::{self, Drift};
use super::{Failure, World, health, preflight, trust, wait};
use crate::dcos::ailment::Ailment;
use crate::dcos::exit::Exit;
use crate::dcos::id::PackageId;
use crate::dcos::journal::Intent;
use crate::dcos::layout;
use crate::dcos::level::Level;
use crate::dcos::receipt::CheckWarning;
use crate::dcos::role::Role;
use crate::dcos::settings::Version;
use crate::dcos::trust::Trust;
use crate::observe::health::count_restarts;
use crate::observe::lives::Lives;
use crate::observe::node::{Foreign, Node, State};
use crate::observe::readiness::Readiness;
use crate::observe::records::Damaged;
use crate::observe::services::{self, UnitReport};
use crate::observe::{activated, classic, data, last_words, pkgpanda_swap, residue};
use crate::system::root::Root;
use skips::skips;

pub use skips::SkippedCheck;

/// The schema of the JSON form.
pub const SCHEMA: u32 = 1;

/// What was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Wait until it has come to a level.
    pub wait: Option<wait::Wish>,
    /// Ask the bootstrap server too.
    pub online: bool,
}

/// How the node is.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// [`SCHEMA`].
    pub schema: u32,
    /// How it stands.
    pub state: State,
    /// What it is.
    pub role: Option<Role>,
    /// Which DC/OS.
    pub version: Option<Version>,
    /// Where the build came from.
    pub bootstrap_url: Option<String>,
    /// The bootstrap id of the build.
    pub bootstrap_id: Option<String>,
    /// The package list of the build.
    pub package_list_id: Option<String>,
    /// Whether every byte of the active packages was compared with a build index; none of a node
    /// on which nothing is installed, and for who cannot read its records.
    pub trust: Option<Trust>,
    /// SHA-256 of the build index that every active package was compared with; none if one of them
    /// was not.
    pub index_sha256: Option<String>,
    /// The package with the cluster's configuration, as it is active.
    pub config_package: Option<String>,
    /// When it was installed, in UTC.
    pub installed_at: Option<String>,
    /// Which dcos-node installed it.
    pub installed_by: Option<String>,
    /// Active packages.
    pub packages: usize,
    /// Packages that wait for an install: fetched ahead of it, or kept by one that failed.
    pub fetched: Vec<PackageId>,
    /// Where an earlier install left data, on a node that has no DC/OS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept_data: Vec<PathBuf>,
    /// Whether the role starts at boot.
    pub starts_at_boot: bool,
    /// Some units failed.
    pub degraded: bool,
    /// What makes an installed node not healthy.
    pub unhealthy: Vec<Ailment>,
    /// All units of the role; none if systemd was not asked.
    pub units: Vec<UnitReport>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_unknown: Option<String>,
    /// How far it has come, and what holds it up; none if systemd was not asked.
    pub readiness: Option<Readiness>,
    /// The level that was waited for is reached.
    #[serde(skip)]
    pub arrived: bool,
    /// After a wait: where people find it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Checks that the operator skipped.
    pub skips: Vec<SkippedCheck>,
    /// Checks that warned at the install, as it recorded them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<CheckWarning>,
    /// What stands there that is not ours.
    pub foreign: Vec<Foreign>,
    /// What keeps a node that dcos-node did not install from being a whole one; none if it is
    /// whole, or is ours.
    pub unfinished: Vec<String>,
    /// Whether the classic installer installed, and `adopt` wrote the receipt.
    pub adopted: bool,
    /// What is not as it was installed any more; none of a node that is not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Packages that are active and not in the receipt: pkgpanda activated them behind it.
    pub activated_since: Vec<PackageId>,
    /// Packages that are in the receipt and not active any more.
    pub deactivated_since: Vec<PackageId>,
    /// A swap that pkgpanda left half done; none on most nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<Swap>,
    /// Records of ours that are damaged: what stands was judged without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
    /// Journal and receipt could not be read: only root may.
    pub partial: bool,
    /// Since the install and since the boot there was more time than a node usually needs to come
    /// up.
    #[serde(skip)]
    pub overdue: bool,
}

/// A swap of active sets that pkgpanda began and has not come to the end of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swap {
    /// The process that is still at it; none if it is left half done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<u32>,
    /// How many packages will be active; none if it cannot be finished.
    pub packages: Option<usize>,
    /// Why it cannot be finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_to_be_finished_because: Option<String>,
}

/// Looks, after waiting if that is wished for.
///
/// # Errors
/// Our own records on the node cannot be read; the level is not reached in time.
pub async fn run(request: Request, world: &World) -> Result<Outcome, Failure> {
    wait::check(request.wait, world)?;
    let arrived = match request.wait {
        Some(wish) => Some(wait::until(wish, world).await?),
        None => None,
    };
    let look = look(request, arrived, world);
    world.cancellation.or(look).await.map_err(preflight::interrupted)?
}

async fn look(
    request: Request,
    arrived: Option<wait::Arrived>,
    world: &World,
) -> Result<Outcome, Failure> {
    let node = world.node_as_it_stands().await?;
    let (units, units_unknown) = units(&node, world).await;
    let origin = classic::origin(&world.root);
    let unfinished = match node.state() {
        State::Foreign => classic::problems(&world.root, &node)
            .map_err(|e| Failure::from(e).leaving("nothing was changed"))?,
        _ => Vec::new(),
    };
    let since = activated::since(&node);
    let swap = swap(&world.root, world.is_live());
    let build = match (&node.story.intent, &node.receipt) {
        (Some(Intent::Install(intent)), _) => Some(&intent.build),
        (_, receipt) => receipt.as_ref().map(|r| &r.build),
    };
    let bootstrap_url = build.map(|b| b.url.clone()).or(origin.url);
    let drift = match node.state() {
        // In the middle of a swap nothing is where it belongs.
        State::Installed if swap.is_none() => Some(
            drift::look(&node, &units, bootstrap_url.as_deref().filter(|_| request.online), world)
                .await,
        ),
        _ => None,
    };
    let missing = drift.as_ref().map_or(0, |drift| drift.files.missing);
    Ok(Outcome {
        schema: SCHEMA,
        state: node.state(),
        role: node.role(),
        version: node
            .version
            .clone()
            .or_else(|| node.receipt.as_ref().and_then(|r| r.version.clone())),
        bootstrap_url,
        // What stands counts: an upgrade by pkgpanda changes the release, and leaves no word of its
        // package list.
        bootstrap_id: origin
            .bootstrap_id
            .filter(|_| build.is_none() || !since.is_nothing())
            .or(build.map(|b| b.bootstrap_id.clone())),
        package_list_id: build.map_or(origin.package_list_id, |b| {
            Some(b.package_list_id.clone()).filter(|_| since.is_nothing())
        }),
        trust: trust::of_node(&node, &world.root),
        index_sha256: trust::verified_index(&node, &world.root),
        config_package: node
            .active
            .iter()
            .find(|id| id.name() == "dcos-config")
            .map(ToString::to_string),
        installed_at: node.receipt.as_ref().map(|r| r.installed_at.clone()),
        installed_by: node.receipt.as_ref().map(|r| r.dcos_node.clone()),
        packages: node.active.len(),
        fetched: node.fetched(),
        kept_data: if node.state() == State::Clean { kept_data(world) } else { Vec::new() },
        starts_at_boot: node.committed || node.state() == State::Prepared,
        degraded: services::is_degraded(&units),
        unhealthy: health::look(&node, &units, missing, world),
        units,
        units_unknown,
        readiness: readiness(arrived.as_ref(), &node, world).await,
        arrived: arrived.is_some(),
        urls: arrived.map(|a| a.urls).unwrap_or_default(),
        skips: skips(&node, world).await,
        warnings: node.receipt.as_ref().map(|r| r.warnings.clone()).unwrap_or_default(),
        foreign: [node.foreign.clone(), outliving(&node, world).await].concat(),
        unfinished,
        drift,
        adopted: node.receipt.as_ref().is_some_and(|r| r.adopted),
        activated_since: since.came,
        deactivated_since: since.went,
        swap,
        damaged: node.damaged.clone(),
        partial: node.unreadable,
        overdue: health::is_late(&node, world),
    })
}

fn swap(root: &Root, live: bool) -> Option<Swap> {
    match pkgpanda_swap::look(root) {
        Ok(None) => None,
        Ok(Some(unfinished)) => {
            let process = if live { pkgpanda_swap::at_work(root) } else { None };
            Some(Swap {
                process,
                packages: Some(unfinished.packages.len()),
                not_to_be_finished_because: None,
            })
        }
        Err(why) => {
            Some(Swap { not_to_be_finished_because: Some(format!("{why:#}")), ..Swap::default() })
        }
    }
}

/// Where DC/OS was removed by hand or by pkgpanda, its units may run on: they hold the ports that
/// an install needs.
async fn outliving(node: &Node, world: &World) -> Vec<Foreign> {
    let (State::Clean, Some(Ok(systemd))) = (node.state(), &world.systemd) else {
        return Vec::new();
    };
    // A systemd that does not answer is told with the units.
    let loaded = systemd.loaded_units().await.unwrap_or_default();
    let what = |active: &str| format!("{active}, without a file; dcos-node uninstall stops it");
    residue::without_files(&world.root, loaded)
        .map(|unit| Foreign::new(layout::unit(&unit.name), what(&unit.active)))
        .collect()
}

/// Places that are not empty and that a purge would remove.
fn kept_data(world: &World) -> Vec<PathBuf> {
    let is_filled = |path: &str| {
        matches!(
            world.root.names(path),
            Ok(names) if !names.is_empty()
        )
    };
    let purged = data::judge(&world.root, None, false)
        .into_iter()
        .filter(|judged| !judged.is_link)
        .map(|judged| judged.place.path);
    purged.filter(|path| is_filled(path)).map(PathBuf::from).collect()
}

/// Of a node that was waited for, what was found then.
async fn readiness(
    arrived: Option<&wait::Arrived>,
    node: &Node,
    world: &World,
) -> Option<Readiness> {
    if let Some(arrived) = arrived {
        return Some(arrived.readiness.clone());
    }
    if node.wanted_units.is_empty() {
        return None;
    }
    wait::look(node, world, Level::ClusterReady, &mut wait::Memory::default())
        .await
        .ok()
        .map(|seen| seen.readiness)
}

async fn units(node: &Node, world: &World) -> (Vec<UnitReport>, Option<String>) {
    if node.wanted_units.is_empty() {
        return (Vec::new(), None);
    }
    let systemd = match &world.systemd {
        Some(Ok(systemd)) => systemd,
        Some(Err(why)) => return (Vec::new(), Some(why.clone())),
        None => return (Vec::new(), Some("the node is a directory".into())),
    };
    match services::look(
        systemd.as_ref(),
        &services::of_role(&node.wanted_units),
        &mut Lives::default(),
    )
    .await
    {
        Ok(mut reports) => {
            reports.sort_by(|a, b| {
                (a.name == layout::TARGET, &a.name).cmp(&(b.name == layout::TARGET, &b.name))
            });
            let root = world.root.clone();
            let with_logs = tokio::task::spawn_blocking(move || {
                last_words::add(&root, &mut reports);
                count_restarts(&root, &mut reports);
                reports
            });
            (with_logs.await.unwrap_or_default(), None)
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}

impl Outcome {
    /// What `status` exits with.
    pub fn exit(&self) -> Exit {
        match self.state {
            State::Installed | State::Foreign
                if self.swap.as_ref().is_some_and(|swap| swap.packages.is_some()) =>
            {
                Exit::NotReady
            }
            State::Foreign if !self.is_whole() => Exit::NotInstalled,
            State::Clean | State::Uninstalling => Exit::NotInstalled,
            State::Installing | State::Prepared => Exit::NotReady,
            State::Installed | State::Foreign if !self.unhealthy.is_empty() => Exit::Unhealthy,
            // Who waited has what was waited for; what is above that may still be on its way.
            State::Installed | State::Foreign
                if !self.arrived && self.units.iter().any(UnitReport::is_converging) =>
            {
                Exit::NotReady
            }
            State::Installed | State::Foreign => Exit::Done,
        }
    }

    /// Whether support could be asked about it: not while a node comes up, however many of its
    /// units are on their way, unless that takes too long.
    pub fn is_for_support(&self) -> bool {
        let is_stuck =
            self.swap.as_ref().is_some_and(|swap| swap.not_to_be_finished_because.is_some());
        let is_late =
            self.overdue && self.state != State::Prepared && self.exit() == Exit::NotReady;
        self.degraded
            || self.exit() == Exit::Unhealthy
            || !self.damaged.is_empty()
            || is_stuck
            || is_late
    }

    /// Whether DC/OS stands here whole, whoever installed it.
    pub fn is_whole(&self) -> bool {
        match self.state {
            State::Installed => true,
            State::Foreign => self.unfinished.is_empty() && self.packages > 0,
            _ => false,
        }
    }
}
