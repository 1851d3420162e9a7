//! The D-Bus interfaces that we call, as far as we call them: the one place with the names,
//! arguments and answers of their members.
//!
//! Properties of units are not here. One `GetAll` reads them together, so that they are of one
//! moment; a getter of a proxy would be one call for each ([`super::properties`] has their names).

use std::collections::HashMap;

use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant};

use super::properties::RawUnit;

/// The interface that every unit has.
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// The additional interface of services.
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// The names of the members below, for error texts, fault points and the match of a signal. The
/// library makes them from the methods and does not give them out; a test compares them.
pub(super) mod member {
    pub(in crate::system::systemd) const ADD_DEPENDENCY_UNIT_FILES: &str = "AddDependencyUnitFiles";
    pub(in crate::system::systemd) const ENVIRONMENT: &str = "Environment";
    pub(in crate::system::systemd) const GET_ALL: &str = "GetAll";
    pub(in crate::system::systemd) const GET_JOB: &str = "GetJob";
    pub(in crate::system::systemd) const JOB_REMOVED: &str = "JobRemoved";
    pub(in crate::system::systemd) const KILL_UNIT: &str = "KillUnit";
    pub(in crate::system::systemd) const LIST_UNITS: &str = "ListUnits";
    pub(in crate::system::systemd) const LOAD_UNIT: &str = "LoadUnit";
    pub(in crate::system::systemd) const RELOAD: &str = "Reload";
    pub(in crate::system::systemd) const RESET_FAILED_UNIT: &str = "ResetFailedUnit";
    pub(in crate::system::systemd) const RESTART_UNIT: &str = "RestartUnit";
    pub(in crate::system::systemd) const SET_ENVIRONMENT: &str = "SetEnvironment";
    pub(in crate::system::systemd) const START_UNIT: &str = "StartUnit";
    pub(in crate::system::systemd) const STOP_UNIT: &str = "StopUnit";
    pub(in crate::system::systemd) const UNSET_ENVIRONMENT: &str = "UnsetEnvironment";
    pub(in crate::system::systemd) const VERSION: &str = "Version";
}

/// systemd (`org.freedesktop.systemd1(5)`). A proxy of it is built without a cache of properties:
/// filling the cache would be a call that no limit holds for.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(super) trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;

    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;

    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;

    fn list_units(&self) -> zbus::Result<Vec<RawUnit>>;

    fn get_job(&self, id: u32) -> zbus::Result<OwnedObjectPath>;

    fn reload(&self) -> zbus::Result<()>;

    /// Returns kind, link and target of each change.
    fn add_dependency_unit_files(
        &self,
        files: &[String],
        target: &str,
        kind: &str,
        runtime: bool,
        force: bool,
    ) -> zbus::Result<Vec<(String, String, String)>>;

    fn set_environment(&self, assignments: &[String]) -> zbus::Result<()>;

    fn unset_environment(&self, names: &[String]) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn version(&self) -> zbus::Result<String>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn environment(&self) -> zbus::Result<Vec<String>>;

    #[zbus(signal)]
    fn job_removed(
        &self,
        id: u32,
        job: ObjectPath<'_>,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

/// Properties of any object of systemd.
#[zbus::proxy(
    interface = "org.freedesktop.DBus.Properties",
    default_service = "org.freedesktop.systemd1",
    assume_defaults = false
)]
pub(super) trait ObjectProperties {
    fn get_all(&self, interface: &str) -> zbus::Result<HashMap<String, OwnedVariant>>;
}

/// The properties of the object at `path`, over the connection of `manager`.
pub(super) async fn properties_of(
    manager: &ManagerProxy<'_>,
    path: &OwnedObjectPath,
) -> zbus::Result<ObjectPropertiesProxy<'static>> {
    let connection = manager.inner().connection();
    ObjectPropertiesProxy::builder(connection).path(path.clone()).build().await
}

/// networkd (`org.freedesktop.network1(5)`).
#[zbus::proxy(
    interface = "org.freedesktop.network1.Manager",
    default_service = "org.freedesktop.network1",
    default_path = "/org/freedesktop/network1"
)]
pub(super) trait Networkd {
    fn reload(&self) -> zbus::Result<()>;
}

/// NetworkManager.
#[zbus::proxy(
    interface = "org.freedesktop.NetworkManager",
    default_service = "org.freedesktop.NetworkManager",
    default_path = "/org/freedesktop/NetworkManager"
)]
pub(super) trait NetworkManager {
    /// `flags` are `NMManagerReloadFlags`; 0 reads everything again.
    fn reload(&self, flags: u32) -> zbus::Result<()>;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// `StartUnit` of `start_unit`, as the library names it.
    fn member_of(method: &str) -> String {
        let words = method.split('_');
        words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
    }

    #[test]
    fn member_names_are_those_of_the_proxies() {
        let source = include_str!("interfaces.rs");
        let source = source.split("#[cfg(test)]").next().unwrap();
        let after = |line: &str, start: &str, end: char| {
            line.trim().strip_prefix(start)?.split_once(end).map(|(found, _)| found.to_owned())
        };
        let methods: BTreeSet<String> = source
            .lines()
            .filter_map(|line| after(line, "fn ", '('))
            .map(|m| member_of(&m))
            .collect();
        let constants: BTreeSet<String> = source
            .lines()
            .filter(|line| line.contains("const ") && line.starts_with("    "))
            .filter_map(|line| line.split('"').nth(1).map(str::to_owned))
            .collect();
        // Nothing is reported of the call that makes a connection.
        let reported: BTreeSet<String> =
            methods.into_iter().filter(|member| member != "Subscribe").collect();
        assert_eq!(constants, reported);
    }
}
