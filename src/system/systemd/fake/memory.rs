//! What the fake systemd knows: its units and their states, its jobs, and the calls it had.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use super::super::{JobResult, Service, Unit};
use super::unit_file::{UnitFile, read};

/// What a unit does from its next start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// It starts.
    #[default]
    Works,
    /// Its main process exits with status 1.
    Fails,
    /// Its last `ExecStartPre=` exits with status 1, and systemd starts it again and again:
    /// `activating`, `auto-restart`.
    AutoRestarts,
    /// Its start never ends: waiting for it takes the whole limit and is `Error::Deadline`.
    NeverAnswers,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The D-Bus member, or the name of the property that was read.
    pub member: &'static str,
    /// The unit it was about, or several with spaces between them; empty for systemd itself.
    pub object: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.member)?;
        if self.object.is_empty() { Ok(()) } else { write!(f, " {}", self.object) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) units: BTreeMap<String, Loaded>,
    pub(super) behaviours: HashMap<String, Behaviour>,
    pub(super) jobs: Vec<(String, Option<JobResult>)>,
    pub(super) calls: Vec<Call>,
    pub(super) only_219: bool,
    pub(super) environment: Vec<String>,
    pub(super) clock: u64,
}

/// A unit in memory.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) file: UnitFile,
    pub(super) active: &'static str,
    pub(super) sub: &'static str,
    pub(super) service: Service,
}

impl Memory {
    /// A time later than all before.
    fn tick(&mut self) -> u64 {
        self.clock += 1000;
        self.clock
    }

    /// The unit in memory. Without a file it is looked for again each time, as systemd does.
    pub(super) fn load(&mut self, root: &Path, name: &str) -> &mut Loaded {
        let unit = self.units.entry(name.to_owned()).or_insert_with(|| {
            let restarts = Some(0).filter(|_| !self.only_219);
            let service = Service { result: "success".to_owned(), restarts, ..Service::default() };
            Loaded {
                file: UnitFile { load: "not-found", ..UnitFile::default() },
                active: "inactive",
                sub: "dead",
                service,
            }
        });
        if unit.file.load == "not-found" {
            unit.reread(root, name);
        }
        unit
    }

    /// Starts the unit and what it pulls in; none for a start that never ends.
    pub(super) fn start(
        &mut self,
        root: &Path,
        name: &str,
        seen: &mut Vec<String>,
    ) -> Option<JobResult> {
        if seen.iter().any(|other| other == name) {
            return Some(JobResult::Done);
        }
        seen.push(name.to_owned());
        let unit = self.load(root, name);
        if unit.file.load != "loaded" {
            return Some(JobResult::Failed);
        }
        let UnitFile { wants, requires, .. } = unit.file.clone();
        for wanted in wants {
            self.start(root, &wanted, seen);
        }
        for required in requires {
            if self.start(root, &required, seen) != Some(JobResult::Done) {
                return Some(JobResult::Dependency);
            }
        }
        let behaviour = self.behaviours.get(name).copied().unwrap_or_default();
        let only_219 = self.only_219;
        let now = self.tick();
        let unit = self.load(root, name);
        if unit.active == "active" {
            return Some(JobResult::Done);
        }
        let service = &mut unit.service;
        service.inactive_exit_monotonic = now;
        let (state, result) = match behaviour {
            Behaviour::Works => {
                service.result = "success".to_owned();
                for command in &mut service.start_pre {
                    (
                        command.start_monotonic,
                        command.exit_monotonic,
                        command.code,
                        command.status,
                    ) = (now, now, 1, 0);
                }
                if unit.file.oneshot {
                    (service.exec_main_code, service.exec_main_status) = (1, 0);
                    (service.exec_main_start_monotonic, service.exec_main_exit_monotonic) =
                        (now, now);
                }
                (up(name, &unit.file), Some(JobResult::Done))
            }
            Behaviour::Fails => {
                service.result = "exit-code".to_owned();
                (service.exec_main_code, service.exec_main_status) = (1, 1);
                (service.exec_main_start_monotonic, service.exec_main_exit_monotonic) = (now, now);
                (("failed", "failed"), Some(JobResult::Failed))
            }
            Behaviour::AutoRestarts => {
                service.result = "exit-code".to_owned();
                service.restarts = service.restarts.map(|count| count + 1).filter(|_| !only_219);
                if let Some(last) = service.start_pre.last_mut() {
                    (last.start_monotonic, last.exit_monotonic, last.code, last.status) =
                        (now, now, 1, 1);
                }
                (("activating", "auto-restart"), Some(JobResult::Failed))
            }
            Behaviour::NeverAnswers => (("activating", "start"), None),
        };
        (unit.active, unit.sub) = state;
        match state {
            ("active", _) => service.active_enter_monotonic = now,
            ("activating", _) => {}
            _ => service.inactive_enter_monotonic = now,
        }
        if state.1 == "running" {
            let pid = u32::try_from(now / 1000).unwrap_or(u32::MAX);
            (service.main_pid, service.exec_main_pid, service.exec_main_start_monotonic) =
                (pid, pid, now);
        }
        result
    }

    /// Stops the unit and all that cannot be without it, and cancels the starts that never end.
    pub(super) fn stop(&mut self, name: &str) {
        let now = self.tick();
        let Some(unit) = self.units.get_mut(name) else { return };
        if matches!(unit.active, "inactive" | "failed") {
            return;
        }
        (unit.active, unit.sub, unit.service.main_pid) = ("inactive", "dead", 0);
        (unit.service.active_exit_monotonic, unit.service.inactive_enter_monotonic) = (now, now);
        for (_, result) in self.jobs.iter_mut().filter(|(unit, _)| unit == name) {
            result.get_or_insert(JobResult::Canceled);
        }
        let bound = |unit: &Loaded| {
            unit.file.part_of.iter().chain(&unit.file.requires).any(|other| other == name)
        };
        let others: Vec<String> = self
            .units
            .iter()
            .filter(|(_, unit)| bound(unit))
            .map(|(name, _)| name.clone())
            .collect();
        for other in others {
            self.stop(&other);
        }
    }

    pub(super) fn unit(&self, name: &str) -> Option<Unit> {
        let unit = self.units.get(name)?;
        Some(Unit {
            name: name.to_owned(),
            load: unit.file.load.to_owned(),
            active: unit.active.to_owned(),
            sub: unit.sub.to_owned(),
            description: unit.file.description.clone(),
            job_pending: self.jobs.iter().any(|(unit, result)| unit == name && result.is_none()),
        })
    }
}

impl Loaded {
    pub(super) fn reread(&mut self, root: &Path, name: &str) {
        self.file = read(root, name);
        self.service.start_pre = self.file.start_pre.clone();
        self.service.restart =
            if self.file.restart.is_empty() { "no".to_owned() } else { self.file.restart.clone() };
        self.service.load_error = match self.file.load {
            "not-found" => Some(format!("Unit {name} not found.")),
            "bad-setting" => Some(format!("Unit {name} has a bad unit file setting.")),
            "masked" => Some(format!("Unit {name} is masked.")),
            _ => None,
        };
    }
}

/// `ActiveState` and `SubState` of a unit of this kind that has started.
fn up(name: &str, file: &UnitFile) -> (&'static str, &'static str) {
    match name.rsplit_once('.').map(|(_, kind)| kind) {
        Some("service") if file.oneshot && !file.remain_after_exit => ("inactive", "dead"),
        Some("service") if file.oneshot => ("active", "exited"),
        Some("service") => ("active", "running"),
        Some("timer" | "path") => ("active", "waiting"),
        Some("socket") => ("active", "listening"),
        Some("mount") => ("active", "mounted"),
        _ => ("active", "active"),
    }
}
