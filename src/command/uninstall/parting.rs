//! Before anything is stopped: what the cluster has on this node, and an agent that leaves it in
//! order.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::command::{Failure, World};
use crate::dcos::cluster::Member;
use crate::dcos::event::Event;
use crate::dcos::exit::Exit;
use crate::dcos::units;
use crate::dcos::work::{Framework, Work};
use crate::observe::agent::{self, Agent};
use crate::observe::masters::Masters;
use crate::observe::node::Node;
use crate::plan::parting::{self, Consent, Verdict};
use crate::system::cancellation::Ended;
use crate::system::systemd::{self, Systemd};

/// Between two looks at an agent that leaves.
const STEP: Duration = Duration::from_secs(1);
/// How long an agent may take to leave if nothing else is said: it gives its tasks their time to
/// end.
pub const LIMIT: Duration = Duration::from_secs(10 * 60);

/// What the cluster had on this node when it was asked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ties {
    /// Of an agent: whether the masters count on it; none if nobody tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<bool>,
    /// Of an agent: how many tasks it runs; none if it does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u64>,
    /// Of an agent: the same by framework.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frameworks: Vec<Framework>,
    /// Of a master: all masters; empty if nobody tells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masters: Vec<Member>,
    /// What the cluster may miss.
    pub warnings: Vec<String>,
    /// What is to be done afterwards, elsewhere.
    pub afterwards: Vec<String>,
    /// How long an agent took to leave in order; none if it was not asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained_seconds: Option<u64>,
}

/// Asks the cluster, and tells what it says; none on a node that is in none.
///
/// # Errors
/// The cluster needs this node, or systemd does not answer.
pub(super) async fn ask(
    consent: Consent,
    node: &Node,
    world: &World,
) -> Result<Option<Ties>, Failure> {
    let Some(systemd) = systemd(world) else { return Ok(None) };
    let (ties, verdict) = if running_agent(systemd).await?.is_some() {
        let agent = agent::look(&world.root).await;
        let verdict = parting::agent(&agent, consent);
        (of_agent(&agent), verdict)
    } else if runs(systemd, units::EXHIBITOR, &["inactive"]).await? {
        of_master(&Masters::look(&world.root, node.version.as_ref()).await, consent)
    } else if let Some(agent) = agent::look_for_stopped(&world.root).await {
        let verdict = parting::stopped_agent(&agent, consent);
        if verdict == Verdict::default() {
            return Ok(None);
        }
        (of_agent(&agent), verdict)
    } else {
        return Ok(None);
    };
    if let Some(refusal) = verdict.refusal {
        let cure = refusal.cure().to_owned();
        return Err(Failure::new(Exit::Conflict, refusal)
            .leaving("nothing was changed")
            .cured_by(cure));
    }
    verdict.warnings.iter().for_each(|warning| world.events.warn(warning.clone()));
    Ok(Some(Ties { warnings: verdict.warnings, afterwards: verdict.afterwards, ..ties }))
}

fn of_agent(agent: &Agent) -> Ties {
    let work = agent.work.told();
    let frameworks = work.map(|work| work.frameworks.clone()).unwrap_or_default();
    Ties {
        registered: agent.registered,
        tasks: work.map(|work| work.tasks),
        frameworks,
        ..Ties::default()
    }
}

fn of_master(masters: &Masters, consent: Consent) -> (Ties, Verdict) {
    let members =
        masters.ensemble.told().map(|ensemble| ensemble.members.clone()).unwrap_or_default();
    (Ties { masters: members, ..Ties::default() }, parting::master(masters, consent))
}

/// Lets the agent leave its cluster in order: it tells the masters at once and then its tasks, and
/// ends when they have ended. systemd would start it again, under a new id, so it is stopped then.
/// None if no agent runs here.
///
/// # Errors
/// It has not left in time, or systemd does not answer; nothing was stopped then.
pub(super) async fn drain(limit: Duration, world: &World) -> Result<Option<u64>, Failure> {
    let running = match systemd(world) {
        Some(systemd) => running_agent(systemd).await?.map(|unit| (systemd, unit)),
        None => None,
    };
    let Some((systemd, unit)) = running else {
        world.events.note("no agent runs here: there is nothing to drain");
        return Ok(None);
    };
    let began = Instant::now();
    let leaving = systemd.service(unit).await.map_err(unanswered)?.main_pid;
    match systemd.kill_main(unit, libc::SIGUSR1).await {
        // It ended by itself, and systemd has not started it again yet.
        Err(systemd::Error::NoSuchProcess { .. }) => {
            return stopped(systemd, unit, world).await.map(|()| Some(0));
        }
        sent => sent.map_err(unanswered)?,
    }
    // An agent that has ended is back in a few seconds: nobody's silence keeps us from seeing that,
    // so its answers are waited for beside systemd's.
    let latest: Mutex<Option<Agent>> = Mutex::default();
    let agent = || latest.lock().unwrap_or_else(PoisonError::into_inner);
    let cancellation = &world.cancellation;
    let asking = cancellation.poll(STEP, Duration::MAX, async |_| {
        let looked = agent::look(&world.root).await;
        *agent() = Some(looked);
        None::<Infallible>
    });
    let mut told = None;
    let leaves = cancellation.poll(STEP, limit, async |waited| {
        match systemd.service(unit).await.map_err(unanswered) {
            Ok(service) if service.main_pid != leaving => return Some(Ok(())),
            Ok(_) => {}
            Err(failure) => return Some(Err(failure)),
        }
        if agent().as_ref().is_some_and(has_left) {
            return Some(Ok(()));
        }
        let rest = rest(agent().as_ref());
        // Until it has answered, or kept silent for a while, there is nothing to say.
        let is_known = agent().is_some() || waited >= STEP;
        if is_known && told.as_ref() != Some(&rest) {
            world.events.send(Event::Waiting {
                text: format!("for the agent to leave its cluster: it still runs {rest}"),
            });
            told = Some(rest);
        }
        None
    });
    let ended = tokio::select! {
        ended = leaves => ended,
        // It only ends when somebody asks to stop.
        _ = asking => Err(Ended::Cancelled),
    };
    match ended {
        Ok(left) => {
            left?;
            stopped(systemd, unit, world).await?;
            Ok(Some(began.elapsed().as_secs()))
        }
        Err(Ended::TimeUp) => Err(not_left(&rest(agent().as_ref()), limit)),
        Err(Ended::Cancelled) => Err(interrupted()),
    }
}

/// What an agent still runs, for people.
fn rest(agent: Option<&Agent>) -> String {
    let work = agent.and_then(|agent| agent.work.told());
    work.map_or_else(|| "its tasks".to_owned(), Work::words)
}

fn interrupted() -> Failure {
    let error = anyhow::anyhow!("interrupted while the agent leaves its cluster");
    Failure::new(Exit::Interrupted, error)
        .leaving("the agent goes on leaving; nothing was stopped or removed")
        .cured_by("dcos-node uninstall goes on")
}

/// The masters let it go, which they do before its tasks have ended, and it has nothing left to
/// end.
fn has_left(agent: &Agent) -> bool {
    agent.registered == Some(false) && agent.work.told().is_some_and(|work| work.tasks == 0)
}

/// Stops an agent that has left, and the socket that its executors come to.
async fn stopped(systemd: &dyn Systemd, unit: &str, world: &World) -> Result<(), Failure> {
    for name in [units::socket_of(unit), unit.to_owned()] {
        match systemd.stop(&name).await {
            Ok(job) => {
                let wait = world.cancellation.or(systemd.wait(&job, world.patience)).await;
                drop(wait.map_err(|_| interrupted())?.map_err(unanswered)?);
            }
            Err(systemd::Error::NoSuchUnit { .. }) => {}
            Err(error) => return Err(unanswered(error)),
        }
    }
    Ok(())
}

fn not_left(rest: &str, limit: Duration) -> Failure {
    Failure::new(
        Exit::NotReady,
        anyhow::anyhow!("the agent still runs {rest} after {} s", limit.as_secs()),
    )
    .leaving("the agent goes on leaving its cluster; nothing was stopped or removed")
    .cured_by("dcos-node uninstall --drain=1h waits longer; without --drain its tasks end with it")
}

fn unanswered(error: systemd::Error) -> Failure {
    Failure::from(anyhow::Error::from(error)).leaving("nothing was stopped or removed")
}

/// The systemd of this very machine: a directory is in no cluster.
fn systemd(world: &World) -> Option<&dyn Systemd> {
    let systemd = world.systemd.as_ref().filter(|_| world.root.is_live())?;
    systemd.as_ref().ok().map(AsRef::as_ref)
}

/// The agent's unit, if it runs or is about to.
async fn running_agent(systemd: &dyn Systemd) -> Result<Option<&'static str>, Failure> {
    for unit in units::AGENTS {
        if runs(systemd, unit, &["inactive", "failed"]).await? {
            return Ok(Some(unit));
        }
    }
    Ok(None)
}

async fn runs(systemd: &dyn Systemd, unit: &str, unless: &[&str]) -> Result<bool, Failure> {
    let units = systemd.units(&[unit.to_owned()]).await.map_err(unanswered)?;
    Ok(units.iter().any(|unit| !unless.contains(&unit.active.as_str())))
}
