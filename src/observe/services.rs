//! How the units of the role are: active, converging, or failed, and why.

use std::path::PathBuf;

use serde::Serialize;

use crate::dcos::layout;
use crate::dcos::units;
use crate::system::clock::monotonic_micros;
use crate::system::journald;
use crate::system::root::Root;
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
    /// Whether it stays up: not only active now, but for long enough, and longer if it fell before. Units that rest or listen are steady.
    pub steady: bool,
    /// How long it is active, in seconds; none for one that is not, or is no service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_seconds: Option<u64>,
    /// How often systemd restarted it by itself; none before systemd 235.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
    /// Why it is not as it should be; none if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its last journal lines, if it is not as it should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
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

/// Lines of a unit that are shown.
const LINES: usize = 3;
/// Lines of a unit that are looked at for its own words.
const LOOKED_AT: usize = 20;

/// Judges these units.
///
/// # Errors
/// systemd does not answer.
pub async fn look(systemd: &dyn Systemd, names: &[String]) -> Result<Vec<UnitReport>, systemd::Error> {
    let mut reports = Vec::new();
    for unit in systemd.units(names).await? {
        let service = if unit.name.ends_with(".service") { Some(systemd.service(&unit.name).await?) } else { None };
        let by_timer = unit.name.strip_suffix(".service").is_some_and(|stem| names.contains(&format!("{stem}.timer")));
        let (condition, why) = judge(&unit, service.as_ref(), by_timer);
        let active_seconds = service.as_ref().filter(|s| s.main_pid != 0).and_then(|s| active_seconds(&unit, s));
        reports.push(UnitReport {
            steady: condition == Condition::Well && is_steady(active_seconds, service.as_ref()),
            active_seconds,
            restarts: service.as_ref().and_then(|s| s.restarts),
            name: unit.name,
            description: unit.description,
            active: unit.active,
            sub: unit.sub,
            condition,
            why,
            log: Vec::new(),
        });
    }
    Ok(reports)
}

/// A service that was down and came back is looked at for longer: DC/OS restarts what fails every 5 or 15 seconds (`RestartSec=`).
const STEADY: u64 = 10;
const STEADY_AFTER_A_FALL: u64 = 30;

fn active_seconds(unit: &Unit, service: &Service) -> Option<u64> {
    let since = monotonic_micros().checked_sub(service.active_enter_monotonic)? / 1_000_000;
    (unit.active == "active" && service.active_enter_monotonic > 0).then_some(since)
}

/// `ActiveState` alone tells nothing: a service that dies every few seconds is active most of the time.
fn is_steady(active_seconds: Option<u64>, service: Option<&Service>) -> bool {
    let (Some(seconds), Some(service)) = (active_seconds, service) else { return true };
    // Older systemd has no count of restarts, but every systemd remembers when the service last left the state "active".
    let fell = service.active_exit_monotonic > 0;
    seconds >= if fell { STEADY_AFTER_A_FALL } else { STEADY }
}

/// Adds the last journal lines to each report that is not well.
pub fn add_logs(root: &Root, reports: &mut [UnitReport]) {
    let directories: Vec<PathBuf> = layout::JOURNALS.iter().map(|path| root.resolved(path)).collect();
    for report in reports.iter_mut().filter(|r| r.condition != Condition::Well) {
        // A journal that cannot be read leaves the report as it is: the state itself is the news.
        let lines = journald::last_lines(&directories, &report.name, LOOKED_AT, None).unwrap_or_default();
        report.log = telling(lines.into_iter().map(|line| format!("{}: {}", line.identifier, line.message)).collect());
    }
}

/// The last lines, and among them one of the unit's own if there is any: a unit that is started again and again has its words buried under systemd's.
fn telling(mut lines: Vec<String>) -> Vec<String> {
    let last = lines.split_off(lines.len().saturating_sub(LINES));
    let is_its_own = |line: &String| !line.starts_with("systemd: ");
    match lines.into_iter().rfind(is_its_own) {
        Some(own) if !last.iter().any(is_its_own) => std::iter::once(own).chain(last.into_iter().skip(1)).collect(),
        _ => last,
    }
}

/// Whether the state of these units makes the node a degraded one.
pub fn is_degraded(reports: &[UnitReport]) -> bool {
    reports.iter().any(|r| r.condition == Condition::Failed)
}

/// The units that the target wants, and the target itself.
pub fn of_role(wanted: &[String]) -> Vec<String> {
    wanted.iter().cloned().chain([layout::TARGET.to_owned()]).collect()
}

/// `by_timer`: whether a timer of the same name starts it, again and again.
fn judge(unit: &Unit, service: Option<&Service>, by_timer: bool) -> (Condition, Option<String>) {
    let failed = |why: String| (if units::is_auxiliary(&unit.name) { Condition::AuxiliaryFailed } else { Condition::Failed }, Some(why));
    match unit.load.as_str() {
        "loaded" => {}
        "not-found" => return failed("its unit file is not there".into()),
        other => {
            return failed(service.and_then(|s| s.load_error.clone()).unwrap_or_else(|| format!("its unit file cannot be used ({other})")));
        }
    }
    let start_pre = service.and_then(failing_start_pre);
    match unit.active.as_str() {
        "active" | "reloading" => (Condition::Well, None),
        // A service behind a timer or socket rests most of the time; one that never ran is judged by what starts it.
        "inactive" if service.is_none_or(|s| s.result == "success") => (Condition::Well, None),
        // Every few seconds, for a moment.
        "activating" if by_timer && start_pre.is_none() && unit.sub.starts_with("start") => (Condition::Well, None),
        "activating" => match (unit.sub.as_str(), start_pre, service) {
            (_, Some(command), _) => (Condition::Converging, Some(format!("waits: {command} does not succeed yet"))),
            ("auto-restart", None, Some(service)) if service.result != "success" => failed(how_it_ended(service)),
            _ => (Condition::Converging, Some("is starting".into())),
        },
        "deactivating" => (Condition::Converging, Some("is stopping".into())),
        _ => match (start_pre, service) {
            (Some(command), _) => failed(format!("{command} failed")),
            (None, Some(service)) => failed(how_it_ended(service)),
            (None, None) => failed(format!("is {} ({})", unit.active, unit.sub)),
        },
    }
}

/// The `ExecStartPre` command whose failure ended the last attempt: later than the main process' end, which was that of an attempt before.
fn failing_start_pre(service: &Service) -> Option<String> {
    let last =
        service.start_pre.iter().filter(|c| !c.ignore_failure && c.exit_monotonic > 0 && c.status != 0).max_by_key(|c| c.exit_monotonic)?;
    (last.exit_monotonic >= service.exec_main_exit_monotonic).then(|| last.argv.join(" "))
}

fn how_it_ended(service: &Service) -> String {
    match service.result.as_str() {
        "start-limit" | "start-limit-hit" => "was started too often and is not tried again".into(),
        "exit-code" => format!("its program exited with status {}", service.exec_main_status),
        "signal" | "core-dump" => format!("its program was ended by signal {}", service.exec_main_status),
        "timeout" => "did not start or stop in time".into(),
        other => format!("ended with {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_words_of_a_unit_are_among_the_lines_that_are_shown() {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let buried = lines(&["sh: first", "sh: no good", "systemd: a", "systemd: b", "systemd: c"]);
        assert_eq!(telling(buried), ["sh: no good", "systemd: b", "systemd: c"]);
        assert_eq!(telling(lines(&["sh: one", "systemd: a", "sh: two", "systemd: b"])), ["systemd: a", "sh: two", "systemd: b"]);
        assert_eq!(telling(lines(&["systemd: a"])), ["systemd: a"]);
    }
}
