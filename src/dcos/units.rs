//! The units that we install ourselves, the names that no package may use, and the form in which
//! an activation places units.

use super::settings::Version;

/// `pkgpanda/constants.py`, RESERVED_UNIT_NAMES.
pub const RESERVED: [&str; 3] = ["dcos.target", "dcos-download.service", "dcos-setup.service"];

/// Ours: runs `dcos-node recover` at every boot.
pub const SETUP: &str = include_str!("../../units/dcos-setup.service");

/// What starts the role; only an `[Install]` section, as pkgpanda writes it (`pkgpanda/actions.py`,
/// setup).
pub const TARGET: &str = include_str!("../../units/dcos.target");

/// Where systemd finds the units of an active set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitForm {
    /// In copies, to which `dcos.target.wants` leads (`pkgpanda/__init__.py`, stage_new_units).
    Copied,
    /// In the packages: both places hold links into them (manage_systemd_linking of 1.10).
    Linked,
}

impl UnitForm {
    /// The form that pkgpanda of this release makes. A later one leaves the other form until its
    /// own next activation.
    pub fn of_release(version: Option<&Version>) -> UnitForm {
        let release = version.map_or("", |version| version.version.as_str());
        let is_old =
            release == "1.10" || release.starts_with("1.10.") || release.starts_with("1.10-");
        if is_old { UnitForm::Linked } else { UnitForm::Copied }
    }
}

/// What runs Mesos' agent, by role.
pub const AGENTS: [&str; 2] = ["dcos-mesos-slave.service", "dcos-mesos-slave-public.service"];

/// Where executors of tasks run: outside of the agent's unit, so that they outlive a restart of it.
pub const EXECUTORS: &str = "mesos_executors.slice";

/// Whether a control group of systemd's hierarchy is one that Mesos made for a task: in its slice,
/// or a container of its own launcher (`cgroups_root`).
pub fn is_of_task(group: &str) -> bool {
    let mut parts = group.split('/').skip_while(|part| *part != EXECUTORS && *part != "mesos");
    let is_container = |part: &str| {
        part.len() >= 36 && part.bytes().take(36).all(|b| b == b'-' || b.is_ascii_hexdigit())
    };
    match parts.next() {
        Some(EXECUTORS) => true,
        Some(_) => parts.next().is_some_and(is_container),
        None => false,
    }
}

/// What runs ZooKeeper on a master.
pub const EXHIBITOR: &str = "dcos-exhibitor.service";

/// What keeps the time, as the distributions that DC/OS supports (and Debian) name it.
pub const TIME_DAEMONS: [&str; 10] = [
    "chronyd.service",
    "chrony.service",
    "ntpd.service",
    "ntp.service",
    "ntpsec.service",
    "openntpd.service",
    "systemd-timesyncd.service",
    "ptp4l.service",
    "phc2sys.service",
    "timemaster.service",
];

/// The suffixes that make a file name a unit (`systemd.unit(5)`).
const SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// Whether systemd takes a file of this name as a unit (`systemd.unit(5)`: at most 255 characters).
pub fn is_unit_name(name: &str) -> bool {
    let Some((stem, suffix)) = name.rsplit_once('.') else { return false };
    let good = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    !stem.is_empty() && name.len() <= 255 && name.bytes().all(good) && SUFFIXES.contains(&suffix)
}

/// Whether a link in the place of a unit masks it, by where it leads (`systemctl mask`).
pub fn is_mask(target: &std::path::Path) -> bool {
    target.ends_with("dev/null")
}

/// The socket that systemd listens on for an agent (2.1 and 2.2).
pub fn socket_of(agent: &str) -> String {
    agent.replace(".service", ".socket")
}

/// Units that a node does without: their failure neither degrades it nor keeps it from being ready
/// (`dcos-docs#62`). By how their names begin (service, timer and socket alike), each with what is
/// missed without it.
pub const AUXILIARY: [(&str, &str); 11] = [
    ("dcos-signal", "tells the vendor that the cluster lives"),
    // DC/OS' own components check leaves them out too (`gen/calc.py` 1.12).
    ("dcos-checks-poststart", "repeats the poststart checks for the journal, once a minute"),
    ("dcos-telegraf", "metrics, unless a Mesos agent waits for its socket"),
    ("dcos-metrics-agent", "metrics, 1.10 and 1.11"),
    ("dcos-metrics-master", "metrics, 1.10 and 1.11"),
    ("dcos-fluent-bit", "passes log lines of DC/OS' units on, 1.13 and later"),
    (
        "dcos-diagnostics-mesos-state",
        "keeps what Mesos said of itself, once a day, for bundles of dcos-diagnostics",
    ),
    ("dcos-logrotate-agent", "cuts log files, every two minutes"),
    ("dcos-logrotate-master", "cuts log files, every two minutes"),
    ("dcos-docker-gc", "clears away what docker no longer uses, once an hour"),
    ("dcos-ui-update-service", "takes newer versions of the web interface"),
];

/// What telegraf makes, and agents of 2.x test for before they start (`ExecStartPre` of
/// `dcos-mesos-slave.service`).
pub const STATSD_SOCKET: &str = "dcos_statsd.sock";

/// Whether a node does without this unit; `feeds_agent`: a Mesos agent here waits for the socket of
/// telegraf.
pub fn is_auxiliary(name: &str, feeds_agent: bool) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    AUXILIARY.iter().any(|(auxiliary, _)| *auxiliary == stem)
        && !(feeds_agent && stem == "dcos-telegraf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_units_of_1_10_are_linked() {
        let form = |release: &str| {
            UnitForm::of_release(Some(&Version {
                version: release.into(),
                image_commit: None,
                variant: None,
            }))
        };
        for release in ["1.10", "1.10.6", "1.10-dev"] {
            assert_eq!(form(release), UnitForm::Linked, "{release}");
        }
        for release in ["1.1", "1.100", "1.11.10", "2.1.10", ""] {
            assert_eq!(form(release), UnitForm::Copied, "{release}");
        }
        assert_eq!(UnitForm::of_release(None), UnitForm::Copied);
    }

    #[test]
    fn only_telemetry_and_housekeeping_units_are_dispensable() {
        for name in [
            "dcos-signal.timer",
            "dcos-checks-poststart.service",
            "dcos-fluent-bit.service",
            "dcos-docker-gc.timer",
        ] {
            assert!(is_auxiliary(name, true), "{name}");
        }
        for name in [
            "dcos-net.service",
            "dcos-diagnostics.service",
            "dcos-checks-api.service",
            "dcos-gen-resolvconf.timer",
            "dcos.target",
        ] {
            assert!(!is_auxiliary(name, false), "{name}");
        }
        assert!(
            is_auxiliary("dcos-telegraf.service", false)
                && !is_auxiliary("dcos-telegraf.service", true)
        );
    }

    #[test]
    fn a_task_is_known_by_the_group_that_mesos_puts_it_in() {
        for group in [
            "/mesos_executors.slice",
            "/mesos_executors.slice/x",
            "/mesos/0a1b2c3d-0000-4000-8000-0123456789ab/mesos/x",
        ] {
            assert!(is_of_task(group), "{group}");
        }
        for group in [
            "/system.slice/dcos-mesos-slave.service",
            "/mesos",
            "/mesos/notes",
            "/user.slice/mesos_executors.service",
            "/",
        ] {
            assert!(!is_of_task(group), "{group}");
        }
    }
}
