//! How far a node has come, and what holds it up: judged in the order of DC/OS' own chain, in which
//! each link waits for the one before.

use serde::Serialize;

use super::cause::Cause;
use super::chain::{self, Concern, Link, Obstacle, obstacle};
use super::checks::{self, Checks};
use super::cluster::{self, Cluster};
use super::node::Node;
use super::others;
use super::services::{Condition, UnitReport};
use crate::dcos::cluster::{FailedCheck, Member};
use crate::dcos::layout;
use crate::dcos::level::Level;
use crate::dcos::role::Role;
use crate::system::root::Root;

/// What was seen; what was not looked at, because something before it does not hold, is none.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What the node is.
    pub role: Option<Role>,
    /// All files are in their places.
    pub whole: bool,
    /// What DC/OS' check-time would find wrong.
    pub clock_fault: Option<String>,
    /// The units of the role, and the target.
    pub units: Vec<UnitReport>,
    /// Whether the node's own DNS answers.
    pub ready: Option<Result<(), String>>,
    /// What DC/OS' own checks found; none where the build has none.
    pub checks: Option<checks::Found>,
    /// The cluster.
    pub cluster: Option<Cluster>,
}

/// How far the node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The highest level that is reached; none for a node that is not whole.
    pub level: Option<Level>,
    /// What holds it up, the first cause first.
    pub obstacles: Vec<Obstacle>,
    /// All masters, as this master's Exhibitor has them, or their ZooKeepers where Exhibitor's word
    /// is not worth much.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masters: Vec<Member>,
}

/// Looks at what is above the units, as far as `wanted` asks for it and what is below holds.
pub async fn look(
    root: &Root,
    node: &Node,
    units: Vec<UnitReport>,
    clock_fault: Option<String>,
    wanted: Level,
    checks: &mut Checks,
) -> Facts {
    let mut facts =
        Facts { role: node.role(), whole: node.is_whole(), clock_fault, units, ..Facts::default() };
    let Some(role) = facts.role.filter(|_| {
        wanted >= Level::NodeReady && judge(&facts, Level::Started).level == Some(Level::Started)
    }) else {
        return facts;
    };
    let cluster = async || Cluster::look(root, role, node.version.as_ref()).await;
    // Where no name resolves, each of both takes seconds.
    let wished = async { if wanted >= Level::ClusterReady { Some(cluster().await) } else { None } };
    let (ready, wished) = tokio::join!(cluster::ready(), wished);
    (facts.ready, facts.cluster) = (Some(ready), wished);
    if judge(&facts, Level::NodeReady).level == Some(Level::NodeReady) {
        facts.checks = checks.run(root).await;
    } else if facts.cluster.is_none() {
        // On the way up the masters are what everything waits for.
        facts.cluster = Some(cluster().await);
    }
    facts
}

/// Judges; what `looked` did not ask for is not held against the node, nor counted for it.
pub fn judge(facts: &Facts, looked: Level) -> Readiness {
    let mut obstacles = started(facts);
    if looked >= Level::NodeReady {
        obstacles.extend(node_ready(facts));
    }
    if looked >= Level::ClusterReady {
        let above = facts.cluster.iter().flat_map(|cluster| {
            others::cluster_ready(&facts.units, facts.role.unwrap_or(Role::Master), cluster)
        });
        let above: Vec<Obstacle> =
            above.filter(|o| obstacles.iter().all(|below| below.concern != o.concern)).collect();
        obstacles.extend(above);
        if facts.cluster.is_none() && obstacles.is_empty() {
            obstacles.push(obstacle(
                Concern::Cluster,
                Link::Rest,
                Level::ClusterReady,
                None,
                "the cluster was not looked at",
            ));
        }
    }
    // What is only young is no cause of anything, and who polls for another unit is none beside
    // that one.
    obstacles.sort_by_key(|o| {
        (is_young(facts, o), o.link, is_borrowed(facts, o), is_active(facts, o), o.level)
    });
    let reached = Level::ALL.into_iter().filter(|level| *level <= looked);
    let level = reached.take_while(|level| obstacles.iter().all(|o| o.level > *level)).last();
    let masters =
        facts.cluster.as_ref().and_then(Cluster::masters).map(|masters| masters.members.clone());
    Readiness { level, obstacles, masters: masters.unwrap_or_default() }
}

/// The unit that an obstacle is about, where it is about how that unit is: it may stand there for
/// another reason, as dcos-net for a name.
fn about<'a>(facts: &'a Facts, obstacle: &Obstacle) -> Option<&'a UnitReport> {
    let Concern::Unit(name) = &obstacle.concern else { return None };
    facts.units.iter().find(|unit| unit.name == *name)
}

/// Active for too short a time to be trusted.
fn is_active(facts: &Facts, obstacle: &Obstacle) -> bool {
    about(facts, obstacle).is_some_and(|unit| unit.condition == Condition::Well)
}

/// The same, and not known to have fallen.
fn is_young(facts: &Facts, obstacle: &Obstacle) -> bool {
    about(facts, obstacle).is_some_and(|unit| unit.condition == Condition::Well && !unit.fell)
}

/// Whether a unit stands at its place in the chain only because it waits for what belongs there.
fn is_borrowed(facts: &Facts, obstacle: &Obstacle) -> bool {
    let awaited = |unit: &UnitReport| {
        Link::awaited_by(unit)
            .is_some_and(|link| link == Link::Rest || link != Link::of(&unit.name))
    };
    about(facts, obstacle).is_some_and(awaited)
}

fn started(facts: &Facts) -> Vec<Obstacle> {
    if !facts.whole {
        return vec![obstacle(
            Concern::Install,
            Link::Install,
            Level::Unpacked,
            None,
            "the install is not finished",
        )];
    }
    match facts.units.iter().find(|u| u.name == layout::TARGET) {
        Some(target) if target.active == "active" => Vec::new(),
        Some(target) => vec![Obstacle {
            cure: (target.active == "inactive")
                .then(|| format!("systemctl start {}", layout::TARGET)),
            ..obstacle(
                Concern::Install,
                Link::Install,
                Level::Started,
                Some(layout::TARGET),
                format!("the target is {}", target.active),
            )
        }],
        None => vec![obstacle(
            Concern::Install,
            Link::Install,
            Level::Started,
            Some(layout::TARGET),
            "the target was not looked at",
        )],
    }
}

fn node_ready(facts: &Facts) -> Vec<Obstacle> {
    let level = Level::NodeReady;
    let mut found = Vec::new();
    if let Some(fault) = &facts.clock_fault {
        let net = Some(chain::net(&facts.units));
        found.push(obstacle(Concern::Clock, Link::Clock, level, net, fault.clone()));
    }
    let mut is_net_well = true;
    for unit in facts.units.iter().filter(|u| u.name != layout::TARGET && !u.auxiliary) {
        if let Some(cause) = unwell(unit) {
            let link = Link::awaited_by(unit).unwrap_or(Link::of(&unit.name));
            is_net_well &= Link::of(&unit.name) != Link::Net || unit.condition == Condition::Well;
            found.push(Obstacle {
                cure: unit.cure.clone(),
                ..obstacle(
                    Concern::Unit(unit.name.clone()),
                    link,
                    level,
                    Some(&unit.name),
                    cause.to_string(),
                )
            });
        }
    }
    // Of a dcos-net that does not run it is no news that it does not answer.
    if let (Some(Err(why)), true) = (&facts.ready, is_net_well) {
        let net = Some(chain::net(&facts.units));
        found.push(obstacle(Concern::NameServer, Link::Net, level, net, why.clone()));
    }
    let role = facts.role.unwrap_or(Role::Master);
    if let Some(cluster) = facts.cluster.as_ref().filter(|_| !found.is_empty()) {
        found.extend(others::awaited(&facts.units, role, cluster));
    }
    match &facts.checks {
        Some(Ok(failed)) => {
            found.extend(failed.iter().map(|check| failed_check(check, role, &facts.units)))
        }
        Some(Err(why)) => found.push(obstacle(
            Concern::CheckRunner,
            Link::Rest,
            level,
            None,
            format!("the node's own checks could not run: {why}"),
        )),
        None => {}
    }
    found
}

fn failed_check(check: &FailedCheck, role: Role, units: &[UnitReport]) -> Obstacle {
    let (link, unit) = chain::of_check(&check.name, role, units);
    obstacle(
        Concern::Check(check.name.clone()),
        link,
        Level::NodeReady,
        unit,
        format!("the check {} does not pass: {}", check.name, one_line(&check.output)),
    )
}

fn unwell(unit: &UnitReport) -> Option<Cause> {
    if unit.is_settled() || unit.condition == Condition::AuxiliaryFailed {
        return None;
    }
    let state = || Cause::State(unit.active.clone(), unit.sub.clone());
    Some(unit.why.clone().unwrap_or_else(state))
}

fn one_line(text: &str) -> String {
    let line =
        text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing").trim();
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests;
