//! `dcos-node status`: what this node is and how its units are. Works without privileges as far as files can be read.

use serde::Serialize;

use super::{Failure, World, preflight};
use crate::dcos::exit::Exit;
use crate::dcos::journal::Intent;
use crate::dcos::layout;
use crate::dcos::receipt::Skip;
use crate::dcos::role::Role;
use crate::dcos::settings::Version;
use crate::observe::classic;
use crate::observe::node::{Foreign, Node, State};
use crate::observe::services::{self, Condition, UnitReport};
use crate::preflight::report::Verdict;

/// The schema of the JSON form.
pub const SCHEMA: u32 = 1;

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
    /// The package with the cluster's configuration, as it is active.
    pub config_package: Option<String>,
    /// When it was installed, in UTC.
    pub installed_at: Option<String>,
    /// Which dcos-node installed it.
    pub installed_by: Option<String>,
    /// Active packages.
    pub packages: usize,
    /// Whether the role starts at boot.
    pub starts_at_boot: bool,
    /// Some units failed.
    pub degraded: bool,
    /// All units of the role; none if systemd was not asked.
    pub units: Vec<UnitReport>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_unknown: Option<String>,
    /// Checks that the operator skipped.
    pub skips: Vec<SkippedCheck>,
    /// What stands there that is not ours.
    pub foreign: Vec<Foreign>,
    /// What keeps a node that dcos-node did not install from being a whole one; none if it is whole, or is ours.
    pub unfinished: Vec<String>,
    /// Whether the classic installer installed, and `adopt` wrote the receipt.
    pub adopted: bool,
    /// Packages that are active and not in the receipt: pkgpanda activated them behind it.
    pub activated_since: Vec<String>,
    /// Journal and receipt could not be read: only root may.
    pub partial: bool,
}

/// A check that an operator took responsibility for, and how it would come out now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedCheck {
    /// What was skipped, and why.
    #[serde(flatten)]
    pub skip: Skip,
    /// How it comes out now; none if that was not looked at.
    pub now: Option<Verdict>,
    /// What was found now.
    pub found: Option<String>,
}

/// The areas whose checks ask the same of a node with DC/OS as of one without (DC/OS itself holds the ports, and has used its space), and that
/// need neither the network nor a script of the operator's.
const LOOKED_AT: [&str; 7] = ["docker", "kernel", "machine", "services", "software", "system", "time"];

/// Looks.
///
/// # Errors
/// Our own records on the node cannot be read.
pub async fn run(world: &World) -> Result<Outcome, Failure> {
    world.check_root()?;
    let node = world.node().await?;
    let (units, units_unknown) = units(&node, world).await;
    let origin = classic::origin(&world.root);
    let unfinished = match node.state() {
        State::Foreign => classic::problems(&world.root, &node).map_err(Failure::from)?,
        _ => Vec::new(),
    };
    let since = activated_since(&node);
    let build = match (&node.story.intent, &node.receipt) {
        (Some(Intent::Install(intent)), _) => Some(&intent.build),
        (_, receipt) => receipt.as_ref().map(|r| &r.build),
    };
    Ok(Outcome {
        schema: SCHEMA,
        state: node.state(),
        role: node.role(),
        version: node.version.clone().or_else(|| node.receipt.as_ref().and_then(|r| r.version.clone())),
        bootstrap_url: build.map(|b| b.url.clone()).or(origin.url),
        // What stands counts: an upgrade by pkgpanda changes the release, and leaves no word of its package list.
        bootstrap_id: origin.bootstrap_id.filter(|_| build.is_none() || !since.is_empty()).or(build.map(|b| b.bootstrap_id.clone())),
        package_list_id: build.map_or(origin.package_list_id, |b| Some(b.package_list_id.clone()).filter(|_| since.is_empty())),
        config_package: node.active.iter().find(|id| id.name() == "dcos-config").map(ToString::to_string),
        installed_at: node.receipt.as_ref().map(|r| r.installed_at.clone()),
        installed_by: node.receipt.as_ref().map(|r| r.dcos_node.clone()),
        packages: node.active.len(),
        starts_at_boot: node.committed || node.state() == State::Prepared,
        degraded: services::is_degraded(&units),
        units,
        units_unknown,
        skips: skips(&node, world).await,
        foreign: node.foreign.clone(),
        unfinished,
        adopted: node.receipt.as_ref().is_some_and(|r| r.adopted),
        activated_since: since,
        partial: node.unreadable,
    })
}

fn activated_since(node: &Node) -> Vec<String> {
    let Some(receipt) = node.receipt.as_ref().filter(|_| node.story.intent.is_none()) else { return Vec::new() };
    node.active.difference(&receipt.build.active()).map(ToString::to_string).collect()
}

async fn skips(node: &Node, world: &World) -> Vec<SkippedCheck> {
    let skips = node.receipt.as_ref().map(|r| r.skips.clone()).unwrap_or_default();
    let looked_at = |skip: &Skip| skip.check.split_once('.').is_some_and(|(area, _)| LOOKED_AT.contains(&area));
    let report = if skips.iter().any(looked_at) { Some(preflight::judge_again(world, node).await) } else { None };
    let now = |skip: Skip| {
        let mut checks = report.iter().filter(|_| looked_at(&skip)).flat_map(|report| &report.checks);
        let told = checks.find(|c| c.id == skip.check && !matches!(c.verdict, Verdict::Skipped | Verdict::Unknown));
        SkippedCheck { now: told.map(|c| c.verdict), found: told.map(|c| c.found.clone()), skip }
    };
    skips.into_iter().map(now).collect()
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
    match services::look(systemd.as_ref(), &services::of_role(&node.wanted_units)).await {
        Ok(mut reports) => {
            reports.sort_by(|a, b| (a.name == layout::TARGET, &a.name).cmp(&(b.name == layout::TARGET, &b.name)));
            let root = world.root.clone();
            let with_logs = tokio::task::spawn_blocking(move || {
                services::add_logs(&root, &mut reports);
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
            State::Foreign if !self.is_whole() => Exit::NotInstalled,
            State::Clean | State::Uninstalling => Exit::NotInstalled,
            State::Installing | State::Prepared => Exit::NotReady,
            State::Installed | State::Foreign if self.units.iter().any(|u| u.condition == Condition::Converging) => Exit::NotReady,
            State::Installed | State::Foreign => Exit::Done,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_again_are_areas_of_the_table() {
        for area in LOOKED_AT {
            let of_area = |id: &str| id.split_once('.').is_some_and(|(prefix, _)| prefix == area);
            assert!(crate::preflight::table().any(|rule| of_area(rule.id)), "{area}");
        }
    }
}
