//! A systemd in memory, for tests: units come from files under a root, links are made on disk,
//! nothing runs.
//!
//! It does what systemd 252 does on a real machine in the cases that callers depend on: a unit or
//! link that came after the unit was loaded counts after a reload only; bad, masked and absent
//! units are refused with systemd's own names. Jobs end at once, except those of a unit that never
//! answers. Calls and jobs pass the same fault points as those of the real one; there, silence is a
//! deadline that has passed already.

mod memory;
mod unit_file;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::memory::Memory;
pub use self::memory::{Behaviour, Call};
use self::unit_file::{directory, find, link_target};
use super::error::Refusal;
use super::interfaces::member;
use super::{Change, Error, Job, JobKind, JobResult, Neighbour, Service, Systemd, Unit, neighbour};
use crate::system::fault::{self, Effect};

/// The members and properties in use that systemd 219 has (`src/core/dbus-manager.c` of that
/// version).
const IN_219: &[&str] = &[
    member::ADD_DEPENDENCY_UNIT_FILES,
    member::ENVIRONMENT,
    member::GET_ALL,
    member::KILL_UNIT,
    member::LIST_UNITS,
    member::LOAD_UNIT,
    member::RELOAD,
    member::RESET_FAILED_UNIT,
    member::RESTART_UNIT,
    member::SET_ENVIRONMENT,
    member::START_UNIT,
    member::STOP_UNIT,
    member::UNSET_ENVIRONMENT,
    member::VERSION,
];

/// The systemd in memory.
#[derive(Debug)]
pub struct Fake {
    root: PathBuf,
    memory: Mutex<Memory>,
}

impl Fake {
    /// With the units of `root`'s `etc/systemd/system`, none of them started.
    pub fn new(root: impl Into<PathBuf>) -> Fake {
        Fake { root: root.into(), memory: Mutex::new(Memory::default()) }
    }

    /// For the program itself, when a test wants it to work on a directory as if that were a
    /// machine that runs: `DCOS_NODE_FAULT_SYSTEMD` is set.
    pub fn wished(root: &Path) -> Option<Fake> {
        std::env::var_os("DCOS_NODE_FAULT_SYSTEMD").map(|_| Fake::new(root))
    }

    /// What `unit` does from its next start on.
    pub fn behave(&self, unit: &str, behaviour: Behaviour) {
        self.lock().behaviours.insert(unit.to_owned(), behaviour);
    }

    /// Refuses from now on what systemd 219 lacks, as it does, and leaves out the properties that
    /// it lacks.
    pub fn offers_only_219(&self) {
        self.lock().only_219 = true;
    }

    /// Sets the environment that services get.
    pub fn set_environment(&self, environment: &[&str]) {
        self.lock().environment = environment.iter().map(|&entry| entry.to_owned()).collect();
    }

    /// Every call so far, in order. [`Systemd::wait`] is none.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the call, and refuses what systemd 219 lacks where that is asked for.
    fn record(&self, member: &'static str, object: &str) -> Result<MutexGuard<'_, Memory>, Error> {
        fault::point(Effect::Call, format!("{member} {object}")).map_err(|error| {
            if fault::is_silence(&error) {
                return Error::Deadline {
                    member,
                    object: object.to_owned(),
                    limit: Duration::ZERO,
                };
            }
            Refusal {
                name: "org.freedesktop.DBus.Error.Failed".to_owned(),
                message: error.to_string(),
            }
            .of(member, object)
        })?;
        let mut memory = self.lock();
        memory.calls.push(Call { member, object: object.to_owned() });
        if memory.only_219 && !IN_219.contains(&member) {
            let name = "org.freedesktop.DBus.Error.UnknownMethod".to_owned();
            return Err(
                Refusal { name, message: format!("Unknown method {member}.") }.of(member, object)
            );
        }
        Ok(memory)
    }

    fn queue(&self, member: &'static str, kind: JobKind, unit: &str) -> Result<Job, Error> {
        let mut memory = self.record(member, unit)?;
        let loaded = memory.load(&self.root, unit);
        let refusal = match (loaded.file.load, kind) {
            ("not-found", JobKind::Stop) if loaded.active == "inactive" => {
                Some(("NoSuchUnit", "not loaded"))
            }
            (_, JobKind::Stop) => None,
            ("not-found", _) => Some(("NoSuchUnit", "not found")),
            ("bad-setting", _) => Some(("BadUnitSetting", "has a bad unit file setting")),
            ("masked", _) => Some(("UnitMasked", "is masked")),
            _ => None,
        };
        if let Some((name, reason)) = refusal {
            return Err(Refusal::systemd(name, format!("Unit {unit} {reason}.")).of(member, unit));
        }
        if kind != JobKind::Start {
            memory.stop(unit);
        }
        let result = if kind == JobKind::Stop {
            Some(JobResult::Done)
        } else {
            memory.start(&self.root, unit, &mut Vec::new())
        };
        memory.jobs.push((unit.to_owned(), result));
        let path = format!("/org/freedesktop/systemd1/job/{}", memory.jobs.len() - 1);
        Ok(Job { unit: unit.to_owned(), kind, path, queued: memory.clock })
    }

    /// Makes one link; `link` and `target` are as seen from inside the root.
    fn link(
        &self,
        link: PathBuf,
        target: &Path,
        replace: bool,
        changes: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        let on_disk = under(&self.root, &link);
        match link_target(&on_disk) {
            Some(present) if present == target => return Ok(()),
            Some(_) if replace => {
                remove(&on_disk)?;
                changes.push(Change {
                    kind: "unlink".to_owned(),
                    link: link.clone(),
                    target: PathBuf::new(),
                });
            }
            None if !on_disk.exists() => {}
            _ => {
                return Err(Refusal::systemd(
                    "UnitExists",
                    format!("File {} already exists.", link.display()),
                ));
            }
        }
        make(&on_disk, target)?;
        changes.push(Change { kind: "symlink".to_owned(), link, target: target.to_owned() });
        Ok(())
    }

    /// The links that make `target` want `unit`, a name or an absolute path.
    fn want(&self, target: &str, unit: &str, changes: &mut Vec<Change>) -> Result<(), Refusal> {
        let system = Path::new("/etc/systemd/system");
        let absent = || Refusal::systemd("NoSuchUnit", format!("Unit file {unit} does not exist."));
        let wants = system.join(format!("{target}.wants"));
        if !unit.starts_with('/') {
            let file = find(&self.root, unit).ok_or_else(absent)?;
            let inside =
                Path::new("/").join(file.strip_prefix(&self.root).map_err(Refusal::local)?);
            let file = link_target(&file).filter(|target| target.is_absolute()).unwrap_or(inside);
            return self.link(wants.join(unit), &file, true, changes);
        }
        let path = Path::new(unit);
        let name =
            path.file_name().filter(|_| under(&self.root, path).exists()).ok_or_else(absent)?;
        if path.parent() != Some(system) {
            self.link(system.join(name), path, false, changes)?;
        }
        self.link(wants.join(name), path, true, changes)
    }
}

/// A path inside the root, as the test process sees it.
fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn make(link: &Path, target: &Path) -> Result<(), Refusal> {
    if let Some(directory) = link.parent() {
        std::fs::create_dir_all(directory).map_err(Refusal::local)?;
    }
    symlink(target, link).map_err(Refusal::local)
}

fn remove(link: &Path) -> Result<(), Refusal> {
    std::fs::remove_file(link).map_err(Refusal::local)
}

#[async_trait::async_trait]
impl Systemd for Fake {
    async fn version(&self) -> Result<String, Error> {
        let memory = self.record(member::VERSION, "")?;
        Ok(if memory.only_219 { "219" } else { "252" }.to_owned())
    }

    async fn reload(&self) -> Result<(), Error> {
        let mut memory = self.record(member::RELOAD, "")?;
        for (name, unit) in &mut memory.units {
            unit.reread(&self.root, name);
        }
        memory
            .units
            .retain(|_, unit| unit.file.load != "not-found" || !matches!(unit.active, "inactive"));
        Ok(())
    }

    async fn add_wants(&self, target: &str, units: &[String]) -> Result<Vec<Change>, Error> {
        let member = member::ADD_DEPENDENCY_UNIT_FILES;
        let object = format!("{} to {target}", units.join(", "));
        let _memory = self.record(member, &object)?;
        if !directory(&self.root).join(target).exists() {
            return Err(Refusal::systemd(
                "NoSuchUnit",
                format!("Unit file {target} does not exist."),
            )
            .of(member, object));
        }
        let mut changes = Vec::new();
        for unit in units {
            self.want(target, unit, &mut changes)
                .map_err(|refusal| refusal.of(member, object.as_str()))?;
        }
        Ok(changes)
    }

    async fn start(&self, unit: &str) -> Result<Job, Error> {
        self.queue(member::START_UNIT, JobKind::Start, unit)
    }

    async fn stop(&self, unit: &str) -> Result<Job, Error> {
        self.queue(member::STOP_UNIT, JobKind::Stop, unit)
    }

    async fn restart(&self, unit: &str) -> Result<Job, Error> {
        self.queue(member::RESTART_UNIT, JobKind::Restart, unit)
    }

    async fn kill_main(&self, service: &str, _signal: i32) -> Result<(), Error> {
        let running = self
            .record(member::KILL_UNIT, service)?
            .units
            .get(service)
            .is_some_and(|unit| unit.active == "active");
        let refusal = || {
            Refusal::systemd("NoSuchProcess", "No main process to kill")
                .of(member::KILL_UNIT, service)
        };
        if running { Ok(()) } else { Err(refusal()) }
    }

    async fn wait(&self, job: &Job, limit: Duration) -> Result<JobResult, Error> {
        match fault::point(Effect::Job, &job.unit) {
            Ok(()) => {}
            Err(error) if fault::is_silence(&error) => {
                return Err(Error::Deadline { member: "wait", object: job.unit.clone(), limit });
            }
            Err(_) => return Ok(JobResult::Failed),
        }
        let number = job.path.rsplit('/').next().and_then(|number| number.parse::<usize>().ok());
        let result = number.and_then(|number| self.lock().jobs.get(number)?.1.clone());
        match result {
            Some(result) => Ok(result),
            None => {
                tokio::time::sleep(limit).await;
                Err(Error::Deadline { member: "wait", object: job.unit.clone(), limit })
            }
        }
    }

    async fn units(&self, names: &[String]) -> Result<Vec<Unit>, Error> {
        let listed = self.loaded_units().await?;
        let mut units = Vec::with_capacity(names.len());
        for name in names {
            if !listed.iter().any(|unit| unit.name == *name) {
                self.record(member::LOAD_UNIT, name)?.load(&self.root, name);
                drop(self.record(member::GET_ALL, name)?);
            }
            units.extend(self.lock().unit(name));
        }
        Ok(units)
    }

    async fn loaded_units(&self) -> Result<Vec<Unit>, Error> {
        let memory = self.record(member::LIST_UNITS, "")?;
        Ok(memory
            .units
            .keys()
            .filter_map(|name| memory.unit(name))
            .filter(|unit| unit.load != "not-found" || unit.active != "inactive")
            .collect())
    }

    async fn service(&self, name: &str) -> Result<Service, Error> {
        let service = self.record(member::LOAD_UNIT, name)?.load(&self.root, name).service.clone();
        drop(self.record(member::GET_ALL, name)?);
        if name.ends_with(".service") {
            return Ok(service);
        }
        let unknown = "org.freedesktop.DBus.Error.UnknownInterface".to_owned();
        Err(Refusal {
            name: unknown,
            message: "Unknown interface 'org.freedesktop.systemd1.Service'.".to_owned(),
        }
        .of(member::GET_ALL, name))
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        let mut memory = self.record(member::RESET_FAILED_UNIT, unit)?;
        if let Some(unit) = memory.units.get_mut(unit)
            && unit.active == "failed"
        {
            (unit.active, unit.sub, unit.service.result) =
                ("inactive", "dead", "success".to_owned());
        }
        Ok(())
    }

    async fn reload_neighbour(&self, daemon: Neighbour) -> Result<(), Error> {
        let member = match daemon {
            Neighbour::Networkd => neighbour::MEMBER,
            Neighbour::NetworkManager => member::RELOAD,
        };
        self.record(member, daemon.unit()).map(drop)
    }

    async fn unset_environment(&self, names: &[String]) -> Result<(), Error> {
        let mut memory = self.record(member::UNSET_ENVIRONMENT, &names.join(" "))?;
        memory
            .environment
            .retain(|entry| !names.iter().any(|name| entry.split('=').next() == Some(name)));
        Ok(())
    }

    async fn set_environment(&self, assignments: &[String]) -> Result<(), Error> {
        let mut memory = self.record(member::SET_ENVIRONMENT, &assignments.join(" "))?;
        let is_set = |entry: &String| {
            assignments.iter().any(|new| entry.split('=').next() == new.split('=').next())
        };
        memory.environment.retain(|entry| !is_set(entry));
        memory.environment.extend(assignments.iter().cloned());
        Ok(())
    }

    async fn environment(&self) -> Result<Vec<String>, Error> {
        Ok(self.record(member::ENVIRONMENT, "")?.environment.clone())
    }
}

#[cfg(test)]
mod tests;
