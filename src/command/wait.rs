//! Waits until the node has come to a level, and tells what it waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Failure, World, preflight};
use crate::dcos::event::{Event, Watched};
use crate::dcos::exit::Exit;
use crate::dcos::level::Level;
use crate::dcos::settings::variable;
use crate::dcos::{identity, layout};
use crate::observe::chain::{Concern, Link, Obstacle, obstacle};
use crate::observe::checks::Checks;
use crate::observe::cluster;
use crate::observe::last_words;
use crate::observe::lives::Lives;
use crate::observe::log_line::LogLine;
use crate::observe::node::{Node, State};
use crate::observe::readiness::{self, Facts, Readiness};
use crate::observe::services::{self, Condition, UnitReport};
use crate::preflight::clock;
use crate::preflight::report::Verdict;
use crate::system::cancellation::Ended;
use crate::system::root::Root;
use crate::system::systemd;

/// Between two looks.
const STEP: Duration = Duration::from_secs(1);
/// Between two looks at a unit that tells nothing, and how long they go on: DC/OS tries again every
/// 5 seconds (`RestartSec=`).
const MOMENT: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a wait lasts if nothing else is said: DC/OS' documentation speaks of 10 to 15 minutes
/// for several masters.
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

/// Refuses before anything is done what nobody could wait for.
///
/// # Errors
/// The node is a directory: nothing runs there.
pub fn check(wish: Option<Wish>, world: &World) -> Result<(), Failure> {
    if wish.is_none() || world.systemd.is_some() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        anyhow::anyhow!("an image cannot be waited for: nothing runs in it"),
    )
    .leaving("nothing was changed")
    .cured_by("leave out --wait, or run it on the machine that was booted from the image"))
}

/// Looks until the level is reached.
///
/// # Errors
/// The time is up (exit code 7, with the first cause), a signal, a node that has no DC/OS, or one
/// whose state cannot be told.
pub(super) async fn until(wish: Wish, world: &World) -> Result<Arrived, Failure> {
    check(Some(wish), world)?;
    let (mut memory, mut last) = (Memory::default(), None);
    // DC/OS' own checks, and a systemd that is silent, take longer than whoever presses Ctrl-C
    // should wait: a look is dropped in the middle.
    let ended = world.cancellation.poll(STEP, wish.limit, async |waited| {
        let looked = look_at_node(wish, world, &mut memory).await;
        let (node, seen) = match looked {
            Ok(looked) => looked,
            Err(failure) => return Some(Err(failure)),
        };
        send_watched(&seen, wish, waited, world);
        if seen.readiness.level >= Some(wish.level) {
            return Some(Ok(arrived(seen, wish, waited, &node, world).await));
        }
        last = Some((node, seen));
        None
    });
    match (ended.await, last) {
        (Ok(looked), _) => looked,
        (Err(Ended::TimeUp), Some((node, seen))) => {
            let seen = describe_cause(seen, wish, &node, world, &mut memory).await;
            if seen.readiness.level >= Some(wish.level) {
                return Ok(arrived(seen, wish, wish.limit, &node, world).await);
            }
            if world.cancellation.is_requested() {
                return Err(interrupted(wish));
            }
            Err(too_late(wish, seen, &node, world).await)
        }
        (Err(_), _) => Err(interrupted(wish)),
    }
}

/// One look, at the node's files and then at what runs.
async fn look_at_node(
    wish: Wish,
    world: &World,
    memory: &mut Memory,
) -> Result<(Node, Seen), Failure> {
    let node = world.node_as_it_stands().await?;
    if has_nothing(&node) {
        return Err(Failure::new(
            Exit::NotInstalled,
            anyhow::anyhow!("DC/OS is not installed here: there is nothing to wait for"),
        )
        .leaving("nothing was changed")
        .cured_by("dcos-node install ROLE installs it; dcos-node status tells what stands here"));
    }
    let seen = look(&node, world, wish.level, memory).await?;
    Ok((node, seen))
}

fn send_watched(seen: &Seen, wish: Wish, waited: Duration, world: &World) {
    let watched = watched(seen, wish.level, waited.as_secs());
    world.events.send(Event::Watched(Box::new(watched)));
}

async fn arrived(seen: Seen, wish: Wish, waited: Duration, node: &Node, world: &World) -> Arrived {
    // Of what was not asked to run there is nothing to be seen.
    let urls = if wish.level > Level::Unpacked {
        cluster::urls(&world.root, node.role()).await
    } else {
        Vec::new()
    };
    Arrived { urls, readiness: seen.readiness, waited_seconds: waited.as_secs() }
}

/// Whether no DC/OS stands here that could come to any level, nor is on its way.
fn has_nothing(node: &Node) -> bool {
    match node.state() {
        State::Clean | State::Uninstalling => true,
        State::Foreign => node.wanted_units.is_empty(),
        State::Installed | State::Prepared | State::Installing => false,
    }
}

fn interrupted(wish: Wish) -> Failure {
    Failure::new(Exit::Interrupted, anyhow::anyhow!("interrupted while waiting for {}", wish.level))
        .leaving("the node goes on by itself")
        .cured_by(again(wish))
}

fn again(wish: Wish) -> String {
    format!("dcos-node status --wait={} waits again", wish.level)
}

/// What is remembered from one look to the next.
#[derive(Default)]
pub(super) struct Memory {
    lives: Lives,
    checks: Checks,
}

/// What one look saw.
pub(super) struct Seen {
    /// How far the node is.
    pub readiness: Readiness,
    /// What that was judged by.
    facts: Facts,
}

impl Seen {
    fn judged(facts: Facts, wanted: Level) -> Seen {
        Seen { readiness: readiness::judge(&facts, wanted), facts }
    }

    /// All units of the role, judged.
    pub fn into_units(self) -> Vec<UnitReport> {
        self.facts.units
    }

    /// The unit that the first obstacle is about.
    fn first_unit(&self) -> Option<&UnitReport> {
        let name = self.readiness.obstacles.first()?.unit.as_ref()?;
        self.facts.units.iter().find(|unit| unit.name == *name)
    }
}

/// Looks once, as far up as `wanted`. A systemd that does not answer this time is an obstacle like
/// any other: it may be reloading its units.
pub(super) async fn look(
    node: &Node,
    world: &World,
    wanted: Level,
    memory: &mut Memory,
) -> Result<Seen, Failure> {
    let systemd = match &world.systemd {
        Some(Ok(systemd)) => systemd,
        Some(Err(why)) => return Err(untold(why.clone())),
        None => return Err(untold("the node is a directory".into())),
    };
    let units = match services::look(
        systemd.as_ref(),
        &services::of_role(&node.wanted_units),
        &mut memory.lives,
    )
    .await
    {
        Ok(units) => units,
        Err(error) => return Ok(unanswered(node, &error)),
    };
    let facts =
        readiness::look(&world.root, node, units, clock_fault(world), wanted, &mut memory.checks)
            .await;
    Ok(Seen::judged(facts, wanted))
}

/// A unit on its way from one try to the next does not tell why it has to be tried again: at the
/// end of a wait it is looked at until it does.
async fn describe_cause(
    seen: Seen,
    wish: Wish,
    node: &Node,
    world: &World,
    memory: &mut Memory,
) -> Seen {
    let (Some(Ok(systemd)), Some(first)) =
        (&world.systemd, seen.first_unit().filter(|unit| unit.tells_nothing()))
    else {
        return seen;
    };
    let first = first.name.clone();
    let names = services::of_role(&node.wanted_units);
    let described = world.cancellation.poll(MOMENT, PATIENCE, async |_| {
        let units = services::look(systemd.as_ref(), &names, &mut memory.lives).await.ok()?;
        match units.iter().find(|unit| unit.name == first) {
            Some(unit) if unit.tells_nothing() => None,
            Some(unit) if unit.condition != Condition::Well => Some(Some(units)),
            // It has come up, too late.
            _ => Some(None),
        }
    });
    let Ok(Some(units)) = described.await else { return seen };
    let seen = Seen::judged(Facts { units, ..seen.facts }, wish.level);
    send_watched(&seen, wish, wish.limit, world);
    seen
}

fn unanswered(node: &Node, error: &systemd::Error) -> Seen {
    let facts = Facts { role: node.role(), whole: node.is_whole(), ..Facts::default() };
    let Readiness { level, masters, .. } = readiness::judge(&facts, Level::Unpacked);
    let text = format!("systemd does not answer: {error}");
    let obstacle = obstacle(Concern::Systemd, Link::Install, Level::Started, None, text);
    Seen { readiness: Readiness { level, obstacles: vec![obstacle], masters }, facts }
}

fn untold(why: String) -> Failure {
    Failure::new(Exit::Failed, anyhow::anyhow!("how far the node is cannot be told: {why}"))
        .leaving("nothing was changed by the wait")
        .cured_by("dcos-node status tells what is known; systemctl status, whether systemd answers")
}

/// As check-time judges it, which a build can switch off.
fn clock_fault(world: &World) -> Option<String> {
    let settings = world.root.text(layout::CHECK_TIME).ok().flatten().unwrap_or_default();
    let checked = variable(&settings, "ENABLE_CHECK_TIME").is_none_or(|value| value != "false");
    world.clock.state().ok().filter(|_| checked).as_ref().and_then(clock::fault)
}

fn watched(seen: &Seen, wanted: Level, seconds: u64) -> Watched {
    let mut units = BTreeMap::new();
    for unit in seen.facts.units.iter().filter(|u| u.name != layout::TARGET) {
        let word = match unit.condition {
            Condition::Failed | Condition::AuxiliaryFailed => "failed",
            _ if unit.is_settled() => "well",
            _ => "converging",
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
    obstacle
        .unit
        .as_ref()
        .map_or_else(|| obstacle.text.clone(), |unit| format!("{unit}: {}", obstacle.text))
}

/// The first cause in DC/OS' own chain, what its unit said last, and what cures it.
async fn too_late(wish: Wish, seen: Seen, node: &Node, world: &World) -> Failure {
    let Some(first) = seen.readiness.obstacles.first().cloned() else {
        return untold("nothing holds it up".into());
    };
    let text = format!("not {} after {} s: {}", wish.level, wish.limit.as_secs(), words(&first));
    // A unit that is active but too young has something to say too.
    let mut units: Vec<UnitReport> = seen
        .first_unit()
        .map(|unit| UnitReport { condition: Condition::Failed, ..unit.clone() })
        .into_iter()
        .collect();
    let root = world.root.clone();
    let with_logs = tokio::task::spawn_blocking(move || {
        last_words::add(&root, &mut units);
        units
    });
    let mut log: Vec<LogLine> =
        with_logs.await.unwrap_or_default().into_iter().flat_map(|unit| unit.log).collect();
    if first.link == Link::Clock {
        log = of_check_time(&world.root, first.unit.as_deref()).await.unwrap_or(log);
    }
    let cure = cure(&first, &log, wish, node, world).await;
    // A role that somebody stopped stays down.
    let state = if first.is_stopped() {
        "the node is installed, and its role is stopped"
    } else {
        "the node is installed and goes on by itself"
    };
    Failure::new(Exit::NotReady, anyhow::anyhow!(text))
        .leaving(state)
        .cured_by(cure)
        .quoting(log.iter().map(ToString::to_string).collect())
}

/// The last word of check-time in the unit that the clock holds up. That all was well when the unit
/// was started is no word of a clock that has gone wrong since.
async fn of_check_time(root: &Root, unit: Option<&str>) -> Option<Vec<LogLine>> {
    let (root, unit) = (root.clone(), unit?.to_owned());
    let look = move || last_words::last_of(&root, &unit, "check-time");
    let lines = tokio::task::spawn_blocking(look).await.ok()?;
    let is_trouble = !lines.first()?.has(&["Time is in sync!"]);
    is_trouble.then_some(lines)
}

/// What is known of this obstacle, what a check knows, else where to look.
async fn cure(first: &Obstacle, log: &[LogLine], wish: Wish, node: &Node, world: &World) -> String {
    if let Some(cure) = &first.cure {
        return cure.clone();
    }
    if log.iter().any(|line| line.has(&["IP address was changed", "check new IP address"])) {
        return format!("the address of this node changed: {}", identity::restore_address(None));
    }
    let areas: &[&str] = match first.link {
        Link::Clock => &["time."],
        Link::Net => &["kernel.", "services."],
        _ => &[],
    };
    if !areas.is_empty() {
        let report = preflight::judge_again(world, node).await;
        let known = |id: &str| {
            node.receipt.iter().flat_map(|receipt| &receipt.skips).any(|skip| skip.check == id)
        };
        let mut failed =
            report.checks.iter().filter(|c| c.verdict == Verdict::Fail && !known(c.id));
        let failed = failed.find(|c| areas.iter().any(|area| c.id.starts_with(area)));
        if let Some(cure) = failed.and_then(|c| c.cure.clone()) {
            return cure;
        }
    }
    match &first.unit {
        Some(unit) => format!("journalctl -u {unit} has the whole story; {}", again(wish)),
        None => format!("dcos-node status tells how the units are; {}", again(wish)),
    }
}
