//! What `org.freedesktop.DBus.Properties.GetAll` and `ListUnits` answer, and what we make of it.

use std::collections::HashMap;
use std::path::PathBuf;

use zbus::{OwnedObjectPath, OwnedVariant};

use super::error::Refusal;
use super::jobs::Witness;
use super::{Command, Service, Unit};

/// The properties of one interface of one unit.
pub(super) struct Properties(pub(super) HashMap<String, OwnedVariant>);

/// A unit as `ListUnits` has it: name, description, load, active, sub, followed unit, path, job
/// number, job type, job path.
pub(super) type RawUnit =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// A command as D-Bus has it: path, arguments, ignore failure, start and exit (realtime and
/// monotonic each), PID, code, status.
type RawCommand = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

impl Properties {
    fn optional<T>(&mut self, name: &str) -> Result<Option<T>, Refusal>
    where
        T: TryFrom<OwnedVariant, Error = zbus::Error>,
    {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        T::try_from(value)
            .map(Some)
            .map_err(|error| Refusal::local(format!("property {name}: {error}")))
    }

    fn required<T>(&mut self, name: &str) -> Result<T, Refusal>
    where
        T: TryFrom<OwnedVariant, Error = zbus::Error>,
    {
        self.optional(name)?.ok_or_else(|| Refusal::local(format!("property {name} is missing")))
    }

    fn pair<A, B>(&mut self, name: &str) -> Result<(A, B), Refusal>
    where
        (A, B): TryFrom<zbus::Structure<'static>, Error = zbus::Error>,
    {
        let pair: zbus::Structure<'static> = self.required(name)?;
        pair.try_into().map_err(|error| Refusal::local(format!("property {name}: {error}")))
    }
}

/// The unit `name` from the properties of the interface `Unit`.
pub(super) fn unit(name: &str, mut unit: Properties) -> Result<Unit, Refusal> {
    let (job, _): (u32, OwnedObjectPath) = unit.pair("Job")?;
    Ok(Unit {
        name: name.to_owned(),
        load: unit.required("LoadState")?,
        active: unit.required("ActiveState")?,
        sub: unit.required("SubState")?,
        description: unit.required("Description")?,
        job_pending: job != 0,
    })
}

/// A unit of the list.
pub(super) fn listed((name, description, load, active, sub, _, _, job, _, _): RawUnit) -> Unit {
    Unit { name, load, active, sub, description, job_pending: job != 0 }
}

/// What judges a job from the same interface, with the `Result` that only services have.
pub(super) fn witness(mut unit: Properties, result: Option<String>) -> Result<Witness, Refusal> {
    Ok(Witness {
        active: unit.required("ActiveState")?,
        sub: unit.required("SubState")?,
        result,
        active_enter: unit.required("ActiveEnterTimestampMonotonic")?,
        inactive_exit: unit.required("InactiveExitTimestampMonotonic")?,
        condition_checked: unit.required("ConditionTimestampMonotonic")?,
        condition_held: unit.required("ConditionResult")?,
    })
}

/// The `Result` of a service from the interface `Service`.
pub(super) fn result(mut service: Properties) -> Result<String, Refusal> {
    service.required("Result")
}

/// A service from the properties of the interfaces `Unit` and `Service`.
pub(super) fn service(mut unit: Properties, mut service: Properties) -> Result<Service, Refusal> {
    let (name, message): (String, String) = unit.pair("LoadError")?;
    let load_error = match (name.as_str(), message.as_str()) {
        ("", _) => None,
        (_, "") => Some(name),
        _ => Some(message),
    };
    let start_pre: Vec<RawCommand> = service.required("ExecStartPre")?;
    let condition_checked: u64 = unit.required("ConditionTimestampMonotonic")?;
    let condition_held: bool = unit.required("ConditionResult")?;
    Ok(Service {
        result: service.required("Result")?,
        restart: service.required("Restart")?,
        restart_micros: service.required("RestartUSec")?,
        condition_failed: condition_checked > 0 && !condition_held,
        main_pid: service.required("MainPID")?,
        exec_main_pid: service.required("ExecMainPID")?,
        exec_main_code: service.required("ExecMainCode")?,
        exec_main_status: service.required("ExecMainStatus")?,
        exec_main_start_monotonic: service.required("ExecMainStartTimestampMonotonic")?,
        exec_main_exit_monotonic: service.required("ExecMainExitTimestampMonotonic")?,
        restarts: service.optional("NRestarts")?,
        active_enter_monotonic: unit.required("ActiveEnterTimestampMonotonic")?,
        active_exit_monotonic: unit.required("ActiveExitTimestampMonotonic")?,
        inactive_enter_monotonic: unit.required("InactiveEnterTimestampMonotonic")?,
        inactive_exit_monotonic: unit.required("InactiveExitTimestampMonotonic")?,
        load_error,
        start_pre: start_pre.into_iter().map(command).collect(),
    })
}

fn command(raw: RawCommand) -> Command {
    let (path, argv, ignore_failure, _, start_monotonic, _, exit_monotonic, pid, code, status) =
        raw;
    Command {
        path: PathBuf::from(path),
        argv,
        ignore_failure,
        start_monotonic,
        exit_monotonic,
        pid,
        code,
        status,
    }
}
