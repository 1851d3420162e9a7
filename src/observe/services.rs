//! How the units of the role are: active, converging, or failed, and why.

use serde::Serialize;

use super::cause::{Cause, CommandLine, Fell};
use super::lives::{Lives, Proof};
use super::log_line::LogLine;
use crate::dcos::layout;
use crate::dcos::units;
use crate::system::clock::monotonic_micros;
use crate::system::systemd::{self, Service, Systemd, Unit};

/// One unit, judged.
#[derive(Clone, Debug, Serialize)]
pub struct UnitReport {
    /// Its name.
    pub name: String,
    /// What the unit says it is.
    pub description: String,
    /// `ActiveState` (`org.freedesktop.systemd1(5)`).
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// What that comes to.
    pub condition: Condition,
    /// Whether it stays up: not only active now, but for long enough, and longer if it fell before.
    /// Units that rest or listen are steady.
    pub steady: bool,
    /// Whether it was active before, and fell by itself.
    pub fell: bool,
    /// Whether the node does without it.
    pub auxiliary: bool,
    /// How long it is active, in seconds; none for one that is not, or is no service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_seconds: Option<u64>,
    /// How often systemd restarted it by itself; none before systemd 235.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
    /// How often it was started again within the last 10 minutes, after it ran; none if that was
    /// not looked at or cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarted: Option<u32>,
    /// Why it is not as it should be; none if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Cause>,
    /// What to do about that, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// Its last journal lines, if it is not as it should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
}

/// What the state of a unit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Running, listening, waiting for its time, or done.
    Well,
    /// On its way: a polling `ExecStartPre` has not had its way yet. Normal for minutes.
    Converging,
    /// Does not parse, is not found, hit its start limit, or failed in `ExecStart` itself.
    Failed,
    /// Failed, but the node does not need it.
    AuxiliaryFailed,
}

/// An `ExecStartPre` command that runs for so many seconds is told of: those of DC/OS end at once,
/// or ask a server that does not answer.
const LONG: u64 = 5;

impl UnitReport {
    /// Well, and trusted to stay so.
    pub fn is_settled(&self) -> bool {
        self.condition == Condition::Well && self.steady
    }

    /// A unit that is well and has nothing to tell.
    #[cfg(test)]
    pub(crate) fn of(name: &str) -> UnitReport {
        UnitReport {
            name: name.to_owned(),
            description: String::new(),
            active: "active".to_owned(),
            sub: "running".to_owned(),
            condition: Condition::Well,
            steady: true,
            fell: false,
            auxiliary: false,
            active_seconds: None,
            restarts: None,
            restarted: None,
            why: None,
            cure: None,
            log: Vec::new(),
        }
    }

    /// Active now, but it fell a short while ago.
    pub fn flaps(&self) -> bool {
        self.condition == Condition::Well && !self.steady && self.fell
    }

    /// Between two tries, with nothing seen yet of why the last one failed.
    pub fn tells_nothing(&self) -> bool {
        self.why.as_ref().is_some_and(Cause::is_passing)
    }

    /// On its way, and the node needs it.
    pub fn is_converging(&self) -> bool {
        !self.auxiliary && (self.condition == Condition::Converging || self.flaps())
    }
}

/// Judges these units, with what is remembered of them.
///
/// # Errors
/// systemd does not answer.
pub async fn look(
    systemd: &dyn Systemd,
    names: &[String],
    lives: &mut Lives,
) -> Result<Vec<UnitReport>, systemd::Error> {
    let mut found = Vec::new();
    // The target too, whether or not it was asked for: what it wants should run only while it is
    // active.
    let asked: Vec<String> = names
        .iter()
        .filter(|name| *name != layout::TARGET)
        .cloned()
        .chain([layout::TARGET.to_owned()])
        .collect();
    let units = systemd.units(&asked).await?;
    let is_started =
        units.iter().any(|unit| unit.name == layout::TARGET && unit.active == "active");
    for unit in units.into_iter().filter(|unit| names.contains(&unit.name)) {
        let service = if unit.name.ends_with(".service") {
            Some(systemd.service(&unit.name).await?)
        } else {
            None
        };
        found.push((unit, service));
    }
    let around = Around {
        is_started,
        feeds_agent: found.iter().filter_map(|(_, service)| service.as_ref()).any(waits_for_statsd),
        names,
    };
    Ok(found
        .into_iter()
        .map(|(unit, service)| report(unit, service.as_ref(), &around, lives))
        .collect())
}

/// What a unit is judged by besides its own state.
struct Around<'a> {
    /// Whether the target is active, so that what it wants should run.
    is_started: bool,
    /// Whether a Mesos agent waits for telegraf.
    feeds_agent: bool,
    /// All units of the role.
    names: &'a [String],
}

impl Around<'_> {
    /// Whether a unit of this kind starts the service.
    fn has(&self, service: &str, kind: &str) -> bool {
        service
            .strip_suffix("service")
            .is_some_and(|stem| self.names.contains(&format!("{stem}{kind}")))
    }
}

fn waits_for_statsd(service: &Service) -> bool {
    service
        .start_pre
        .iter()
        .flat_map(|command| &command.argv)
        .any(|word| word.contains(units::STATSD_SOCKET))
}

fn report(unit: Unit, service: Option<&Service>, around: &Around, lives: &mut Lives) -> UnitReport {
    let proof = service.map(|service| lives.note(&unit.name, service));
    let active = active_seconds(&unit, service);
    let verdict = judge(&unit, service, around);
    let too_young = active.zip(proof).filter(|(seconds, proof)| *seconds < proof.needed.as_secs());
    let steady = verdict.condition == Condition::Well && too_young.is_none();
    let why = match (verdict.why, too_young) {
        (None, Some((seconds, proof))) => Some(young(seconds, proof, service)),
        (why, _) => lives.reason(&unit.name, why),
    };
    UnitReport {
        steady,
        fell: proof.is_some_and(|proof| proof.fell),
        auxiliary: units::is_auxiliary(&unit.name, around.feeds_agent),
        active_seconds: active,
        restarts: service.and_then(|s| s.restarts),
        restarted: None,
        name: unit.name,
        description: unit.description,
        active: unit.active,
        sub: unit.sub,
        condition: verdict.condition,
        why,
        cure: verdict.cure,
        log: Vec::new(),
    }
}

/// How long a service that runs is active, in seconds; none for one that has done its work
/// (`RemainAfterExit=`).
///
/// Its state and its times are two answers: one that died between them was active in the first, has
/// no process in the second, and is as young as can be.
fn active_seconds(unit: &Unit, service: Option<&Service>) -> Option<u64> {
    let service = service.filter(|service| {
        unit.active == "active" && unit.sub != "exited" && service.active_enter_monotonic > 0
    })?;
    if service.active_exit_monotonic >= service.active_enter_monotonic {
        return Some(0);
    }
    Some(monotonic_micros().checked_sub(service.active_enter_monotonic)? / 1_000_000)
}

/// `ActiveState` alone tells nothing: a service that dies every few seconds is active most of the
/// time.
fn young(seconds: u64, proof: Proof, service: Option<&Service>) -> Cause {
    let fell = proof.fell.then(|| Fell {
        restarts: service.and_then(|service| service.restarts),
        needed: proof.falls.then_some(proof.needed.as_secs()),
    });
    Cause::Young(seconds, fell)
}

/// Whether the state of these units makes the node a degraded one.
pub fn is_degraded(reports: &[UnitReport]) -> bool {
    reports.iter().any(|r| r.condition == Condition::Failed)
}

/// The units that the target wants, and the target itself.
pub fn of_role(wanted: &[String]) -> Vec<String> {
    wanted.iter().cloned().chain([layout::TARGET.to_owned()]).collect()
}

/// What the state of a unit comes to.
struct Verdict {
    condition: Condition,
    why: Option<Cause>,
    cure: Option<String>,
}

impl Verdict {
    fn well() -> Verdict {
        Verdict { condition: Condition::Well, why: None, cure: None }
    }

    fn converging(why: Cause) -> Verdict {
        Verdict { condition: Condition::Converging, why: Some(why), cure: None }
    }
}

/// What helps with a unit file that systemd does not take. Which line it is, only the journal has,
/// and of a systemd that has just started itself anew not even that.
fn cure_of_unloaded(load: &str, name: &str) -> String {
    match load {
        "masked" => format!("systemctl unmask {name}"),
        _ => format!("systemd-analyze verify {name} names the line"),
    }
}

fn judge(unit: &Unit, service: Option<&Service>, around: &Around) -> Verdict {
    let auxiliary = units::is_auxiliary(&unit.name, around.feeds_agent);
    let condition = if auxiliary { Condition::AuxiliaryFailed } else { Condition::Failed };
    let failed = |why: Cause| Verdict { condition, why: Some(why), cure: None };
    match unit.load.as_str() {
        "loaded" => {}
        "not-found" => return failed(Cause::NoUnitFile),
        other => {
            let why = service
                .and_then(|s| s.load_error.clone())
                .unwrap_or_else(|| format!("its unit file cannot be used ({other})"));
            return Verdict {
                cure: Some(cure_of_unloaded(other, &unit.name)),
                ..failed(Cause::UnitFileRejected(why))
            };
        }
    }
    let start_pre = service.and_then(failing_start_pre);
    match unit.active.as_str() {
        "active" | "reloading" => Verdict::well(),
        "inactive" if service.is_none_or(|s| s.result == "success") => match service {
            _ if unit.job_pending => Verdict::converging(Cause::Queued),
            Some(service) if around.is_started && !rests(unit, service, around) => Verdict {
                cure: Some(format!("systemctl start {}", unit.name)),
                ..failed(Cause::NotRunning)
            },
            None if unit.name == layout::TARGET => Verdict {
                cure: Some(format!("systemctl start {}", unit.name)),
                ..failed(Cause::NotRunning)
            },
            _ => Verdict::well(),
        },
        // Every few seconds, for a moment.
        "activating"
            if around.has(&unit.name, "timer")
                && start_pre.is_none()
                && unit.sub.starts_with("start") =>
        {
            Verdict::well()
        }
        // What failed is on its way down for a moment, and is soon tried again.
        "deactivating" if service.is_none_or(|s| s.result == "success") => {
            Verdict::converging(Cause::Stopping)
        }
        "activating" | "deactivating" => trying(service, start_pre, failed),
        _ if unit.job_pending => trying(service, start_pre, failed),
        _ => {
            let cause = match (start_pre, service) {
                (Some(command), _) => Cause::Failed(command),
                (None, Some(service)) => how_it_ended(service),
                (None, None) => Cause::State(unit.active.clone(), unit.sub.clone()),
            };
            // A timer tries it again: `dcos-cockroachdb-config-change` of 2.0 fails until there is
            // a cluster.
            match !auxiliary && around.has(&unit.name, "timer") {
                true => Verdict::converging(cause),
                false => failed(cause),
            }
        }
    }
}

/// A service that is tried again and again, somewhere between two tries.
fn trying(
    service: Option<&Service>,
    start_pre: Option<CommandLine>,
    failed: impl Fn(Cause) -> Verdict,
) -> Verdict {
    match (service.and_then(hanging_start_pre), start_pre, service) {
        (Some(hangs), ..) => Verdict::converging(hangs),
        (None, Some(command), _) => Verdict::converging(Cause::Polls(command)),
        (None, None, Some(service)) if has_forgotten(service) => {
            Verdict::converging(Cause::Forgotten)
        }
        // A new try begins with a clean slate.
        (None, None, Some(service)) if service.result != "success" => failed(how_it_ended(service)),
        _ => Verdict::converging(Cause::Starting),
    }
}

/// Whether a service failed before it had a main process, and systemd does not know any more in
/// which of its commands: it was reloaded since.
fn has_forgotten(service: &Service) -> bool {
    let has_ended = |command: &systemd::Command| command.exit_monotonic > 0;
    service.result == "exit-code"
        && service.exec_main_status == 0
        && !service.start_pre.is_empty()
        && !service.start_pre.iter().any(has_ended)
}

/// Whether a service that does not run is as it should be: something starts it when it is needed, a
/// condition of it does not hold, or it is not meant to run for ever and has ended well.
fn rests(unit: &Unit, service: &Service, around: &Around) -> bool {
    // Agents of 2.1 and later have a socket too, for executors; the cluster needs them to run.
    let by_socket =
        around.has(&unit.name, "socket") && !units::AGENTS.contains(&unit.name.as_str());
    let ended_well = service.restart != "always"
        && service.exec_main_code == libc::CLD_EXITED
        && service.exec_main_status == 0;
    by_socket || around.has(&unit.name, "timer") || service.condition_failed || ended_well
}

/// The `ExecStartPre` command that runs now, if it takes long.
fn hanging_start_pre(service: &Service) -> Option<Cause> {
    let running = service
        .start_pre
        .iter()
        .find(|c| c.start_monotonic > 0 && c.exit_monotonic < c.start_monotonic)?;
    let seconds = monotonic_micros().checked_sub(running.start_monotonic)? / 1_000_000;
    (seconds >= LONG).then(|| Cause::Hangs(CommandLine(running.argv.clone()), seconds))
}

/// The `ExecStartPre` command whose failure ended the last attempt: later than the main process'
/// end, which was that of an attempt before.
fn failing_start_pre(service: &Service) -> Option<CommandLine> {
    let last = service
        .start_pre
        .iter()
        .filter(|c| !c.ignore_failure && c.exit_monotonic > 0 && c.status != 0)
        .max_by_key(|c| c.exit_monotonic)?;
    (last.exit_monotonic >= service.exec_main_exit_monotonic)
        .then(|| CommandLine(last.argv.clone()))
}

fn how_it_ended(service: &Service) -> Cause {
    Cause::Ended { result: service.result.clone(), status: service.exec_main_status }
}

#[cfg(test)]
mod tests;
