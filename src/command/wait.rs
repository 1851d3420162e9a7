//! Waits until the node has come to a level, and tells what it waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::{Failure, World, preflight};
use crate::dcos::event::{Event, Watched};
use crate::dcos::exit::Exit;
use crate::dcos::level::Level;
use crate::dcos::role::Role;
use crate::dcos::settings::variable;
use crate::dcos::{identity, layout};
use crate::observe::cluster;
use crate::observe::node::Node;
use crate::observe::readiness::{self, Link, Obstacle, Readiness};
use crate::observe::services::{self, Condition, UnitReport};
use crate::preflight::clock;
use crate::preflight::report::Verdict;
use crate::system::files;

/// Between two looks.
const STEP: Duration = Duration::from_secs(1);
/// How long a wait lasts if nothing else is said: DC/OS' documentation speaks of 10 to 15 minutes for several masters.
pub const LIMIT: Duration = Duration::from_secs(20 * 60);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// This level or a higher one.
    pub level: Level,
    /// At most so long.
    pub limit: Duration,
}

/// A node that has come to where it was waited for.
#[derive(Clone, Debug, Serialize)]
pub struct Arrived {
    /// How far it is.
    #[serde(flatten)]
    pub readiness: Readiness,
    /// How long that took, in seconds.
    pub waited_seconds: u64,
    /// Where people find it: the web interface and Exhibitor of a master.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

/// Looks until the level is reached.
///
/// # Errors
/// The time is up (exit code 7, with the first cause), a signal, or a node whose state cannot be told.
pub(super) async fn until(wish: Wish, world: &World) -> Result<Arrived, Failure> {
    let began = Instant::now();
    loop {
        let node = world.node().await?;
        let seen = look(&node, world, wish.level).await?;
        let seconds = began.elapsed().as_secs();
        world.events.send(Event::Watched(Box::new(watched(&seen, wish.level, seconds))));
        if seen.readiness.level >= Some(wish.level) {
            return Ok(Arrived { urls: cluster::urls(&world.root, node.role()).await, readiness: seen.readiness, waited_seconds: seconds });
        }
        if world.stop.asked() {
            return Err(Failure::new(Exit::Interrupted, anyhow::anyhow!("interrupted while waiting for {}", wish.level))
                .leaving("the node goes on by itself")
                .cured_by(format!("dcos-node status --wait={} waits again", wish.level)));
        }
        if began.elapsed() >= wish.limit {
            return Err(too_late(wish, seen, &node, world).await);
        }
        tokio::time::sleep(STEP.min(wish.limit.saturating_sub(began.elapsed()))).await;
    }
}

/// What one look saw.
pub(super) struct Seen {
    /// How far the node is.
    pub readiness: Readiness,
    /// All units of the role.
    pub units: Vec<UnitReport>,
}

/// Looks once, as far up as `wanted`.
pub(super) async fn look(node: &Node, world: &World, wanted: Level) -> Result<Seen, Failure> {
    let units = match &world.systemd {
        Some(Ok(systemd)) => services::look(systemd.as_ref(), &services::of_role(&node.wanted_units)).await,
        Some(Err(why)) => return Err(untold(why.clone())),
        None => return Err(untold("the node is a directory".into())),
    };
    let units = units.map_err(|e| untold(e.to_string()))?;
    let facts = readiness::look(&world.root, node, units, clock_fault(world), wanted).await;
    Ok(Seen { readiness: readiness::judge(&facts, wanted), units: facts.units })
}

fn untold(why: String) -> Failure {
    Failure::new(Exit::Failed, anyhow::anyhow!("how far the node is cannot be told: {why}"))
}

/// As check-time judges it, which a build can switch off.
fn clock_fault(world: &World) -> Option<String> {
    let settings = files::read(&world.root.resolved(layout::CHECK_TIME), 1 << 16).ok().flatten().unwrap_or_default();
    let checked = variable(&String::from_utf8_lossy(&settings), "ENABLE_CHECK_TIME").is_none_or(|value| value != "false");
    world.clock.state().ok().filter(|_| checked).as_ref().and_then(clock::fault)
}

fn watched(seen: &Seen, wanted: Level, seconds: u64) -> Watched {
    let mut units = BTreeMap::new();
    for unit in seen.units.iter().filter(|u| u.name != layout::TARGET) {
        let word = match (unit.condition, unit.steady) {
            (Condition::Well, true) => "well",
            (Condition::Well, false) | (Condition::Converging, _) => "converging",
            (Condition::Failed | Condition::AuxiliaryFailed, _) => "failed",
        };
        *units.entry(word.to_owned()).or_insert(0) += 1;
    }
    Watched {
        wanted,
        level: seen.readiness.level,
        seconds,
        units,
        masters: seen.readiness.masters.clone(),
        waits_for: seen.readiness.obstacles.first().map(words),
        unit: seen.readiness.obstacles.first().and_then(|obstacle| obstacle.unit.clone()),
    }
}

fn words(obstacle: &Obstacle) -> String {
    obstacle.unit.as_ref().map_or_else(|| obstacle.text.clone(), |unit| format!("{unit}: {}", obstacle.text))
}

/// The first cause in DC/OS' own chain, what its unit said last, and what cures it.
async fn too_late(wish: Wish, mut seen: Seen, node: &Node, world: &World) -> Failure {
    let role = node.role();
    let Some(first) = seen.readiness.obstacles.first().cloned() else {
        return untold("nothing holds it up".into());
    };
    let text = format!("not {} after {} s: {}", wish.level, wish.limit.as_secs(), words(&first));
    seen.units.retain(|unit| Some(&unit.name) == first.unit.as_ref());
    // A unit that is active but too young has something to say too.
    for unit in &mut seen.units {
        unit.condition = Condition::Failed;
    }
    let root = world.root.clone();
    let with_logs = tokio::task::spawn_blocking(move || {
        services::add_logs(&root, &mut seen.units);
        seen.units
    });
    let log: Vec<String> = with_logs.await.unwrap_or_default().into_iter().flat_map(|unit| unit.log).collect();
    let cure = cure(&first, &log, role, node, world).await;
    Failure::new(Exit::NotReady, anyhow::anyhow!(text)).leaving("the node is installed and goes on by itself").cured_by(cure).quoting(log)
}

/// What a check knows, else where to look.
async fn cure(first: &Obstacle, log: &[String], role: Option<Role>, node: &Node, world: &World) -> String {
    if log.iter().any(|line| ["IP address was changed", "check new IP address"].iter().any(|told| line.contains(told))) {
        return format!("the address of this node changed: {}", identity::renewal(role));
    }
    let areas: &[&str] = match first.link {
        Link::Clock => &["time."],
        Link::Net => &["kernel.", "services."],
        _ => &[],
    };
    if !areas.is_empty() {
        let report = preflight::judge_again(world, node).await;
        let known = |id: &str| node.receipt.iter().flat_map(|receipt| &receipt.skips).any(|skip| skip.check == id);
        let mut failed = report.checks.iter().filter(|c| c.verdict == Verdict::Fail && !known(c.id));
        let failed = failed.find(|c| areas.iter().any(|area| c.id.starts_with(area)));
        if let Some(cure) = failed.and_then(|c| c.cure.clone()) {
            return cure;
        }
    }
    match (&first.unit, first.link) {
        (_, Link::Exhibitor) => "see to the masters that are missing; until most of them serve, no other part of DC/OS can start".into(),
        (Some(unit), _) => format!("journalctl -u {unit} has the whole story; dcos-node status --wait waits again"),
        (None, _) => "dcos-node status tells how the units are; dcos-node status --wait waits again".into(),
    }
}
