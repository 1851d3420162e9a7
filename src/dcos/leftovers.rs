//! What DC/OS leaves on a node besides its packages, links and units, by its creator, and what an uninstall does about each.
//!
//! Read off the sources of DC/OS 1.10 to 2.2 (`dcos_install.sh`, pkgpanda, `dcos-net-setup.py`, the units) and off nodes after `pkgpanda uninstall`.

use super::layout;

/// A path that DC/OS makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// As the node sees it.
    pub path: &'static str,
    /// Who makes it.
    pub creator: &'static str,
    /// What an uninstall does about it.
    pub fate: Fate,
}

/// What an uninstall does about a leftover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Removed: only DC/OS makes something of this name.
    Remove,
    /// Removed where something stands that only DC/OS makes: others use the name too.
    RemoveBesideDcos,
    /// Every file in it is removed, and the directory when it is empty then.
    RemoveFilesIn,
    /// A directory that is removed if it is empty in the end.
    RemoveIfEmpty,
    /// A link, removed while it leads into `/opt/mesosphere`.
    RemoveIfItLeadsInside,
    /// Kept and told of: it is an operator's, or made by automation.
    Keep,
}

const fn leftover(path: &'static str, creator: &'static str, fate: Fate) -> Leftover {
    Leftover { path, creator, fate }
}

const INSTALLER: &str = "dcos_install.sh";
const PKGPANDA: &str = "pkgpanda";
const OPERATOR: &str = "an operator";
const AUTOMATION: &str = "automation around the installer";

/// Fixed paths, outer directories first.
pub const LEFTOVERS: [Leftover; 28] = [
    leftover(layout::MESOSPHERE, "dcos-download.service", Fate::RemoveIfEmpty),
    leftover(layout::REPOSITORY, PKGPANDA, Fate::RemoveIfEmpty),
    leftover(layout::INSTALL_PROGRESS, PKGPANDA, Fate::Remove),
    leftover(layout::BOOTSTRAP_MARKER, "dcos-download.service", Fate::Remove),
    leftover(layout::ETC_MESOSPHERE, INSTALLER, Fate::RemoveIfEmpty),
    leftover(layout::ROLES, INSTALLER, Fate::RemoveFilesIn),
    leftover(layout::SETUP_FLAGS, INSTALLER, Fate::RemoveFilesIn),
    leftover("/etc/mesosphere/docker_credentials", INSTALLER, Fate::Remove),
    leftover("/etc/mesosphere/mesos/agent.env", OPERATOR, Fate::Keep),
    leftover(layout::MANUAL_HOST_USERS, OPERATOR, Fate::Keep),
    leftover(layout::JOURNALD_SETTINGS, INSTALLER, Fate::RemoveIfEmpty),
    leftover("/etc/systemd/journald.conf.d/dcos.conf", INSTALLER, Fate::Remove),
    leftover("/etc/rexray", INSTALLER, Fate::RemoveIfEmpty),
    leftover("/etc/rexray/config.yml", "dcos_install.sh, dcos-rexray.service", Fate::RemoveBesideDcos),
    leftover("/etc/systemd/network/dcos.network", "dcos-net-setup.py", Fate::Remove),
    leftover("/etc/NetworkManager/conf.d/dcos-net.conf", "dcos-net-setup.py", Fate::Remove),
    leftover(layout::RESOLV_CONF_TMP, "gen_resolvconf.py, killed", Fate::RemoveBesideDcos),
    leftover("/run/dcos", "sockets and RuntimeDirectory= of DC/OS' units", Fate::Remove),
    leftover("/run/dcos_exhibitor", "dcos-exhibitor.service", Fate::Remove),
    leftover(layout::MESOS_RUN, "dcos-mesos-slave.socket", Fate::RemoveBesideDcos),
    leftover(layout::EXECUTORS_SLICE, "Mesos' agent", Fate::RemoveBesideDcos),
    leftover(layout::CALICO_RUN, "dcos-calico-bird.service", Fate::RemoveBesideDcos),
    leftover("/tmp/bootstrap.tar.xz", "dcos-download.service, killed", Fate::RemoveBesideDcos),
    leftover("/tmp/root-cert.pem", INSTALLER, Fate::RemoveBesideDcos),
    leftover("/tmp/dcos", AUTOMATION, Fate::Keep),
    leftover("/opt/dcos_install_tmp", AUTOMATION, Fate::Keep),
    leftover("/opt/dcos-prereqs.installed", AUTOMATION, Fate::Keep),
    leftover(layout::PROFILE, "dcos-link-env.service", Fate::RemoveIfItLeadsInside),
];

/// Units of the classic installer itself, and pkgpanda's target.
pub const CLASSIC_UNITS: [&str; 4] = ["dcos-setup.service", "dcos-download.service", "dcos-link-env.service", layout::TARGET];

/// How the names of DC/OS' units begin.
pub const UNIT_PREFIX: &str = "dcos-";

/// How a unit ends that an activation has copied and not put in place.
pub const UNIT_NEW: &str = ".unit.new";

/// Accounts that packages of DC/OS 1.10 to 2.2 ask for (`username` of their `pkginfo.json`): for nodes whose packages are gone.
pub const USERS: [&str; 21] = [
    "dcos_adminrouter",
    "dcos_bouncer",
    "dcos_check_runner",
    "dcos_cockroach",
    "dcos_cosmos",
    "dcos_diagnostics",
    "dcos_docker_gc",
    "dcos_epmd",
    "dcos_etcd",
    "dcos_exhibitor",
    "dcos_fluent_bit",
    "dcos_history",
    "dcos_log",
    "dcos_marathon",
    "dcos_mesos_dns",
    "dcos_metrics",
    "dcos_metronome",
    "dcos_oauth",
    "dcos_signal",
    "dcos_telegraf",
    "dcos_ui_update_service",
];

/// What a name directly below `/opt/mesosphere` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside<'a> {
    /// An active name, or one that is to become live.
    Active(&'a str),
    /// Only there for a while: set aside by a swap, or unpacked in a place of its own.
    Scratch,
    /// The repository, or what [`LEFTOVERS`] names.
    Known,
    /// Of nobody that we know.
    Unknown,
}

/// Judges a name directly below `/opt/mesosphere`.
pub fn inside(name: &str) -> Inside<'_> {
    let live = layout::ACTIVE_NAMES.into_iter().find(|active| name == *active || name.strip_suffix(layout::NEW) == Some(active));
    let path = layout::active_name(name);
    match live {
        Some(active) => Inside::Active(active),
        None if layout::ACTIVE_NAMES.into_iter().any(|active| name.strip_suffix(layout::OLD) == Some(active)) => Inside::Scratch,
        // The bootstrap archive of some builds links its units here, too.
        None if layout::TARGET_WANTS_NAMES.contains(&name) || name.ends_with(".dcos-node.tmp") => Inside::Scratch,
        None if LEFTOVERS.iter().any(|l| path == std::path::Path::new(l.path)) => Inside::Known,
        // A fresh file system that is mounted there has this.
        None if name == "lost+found" => Inside::Known,
        None => Inside::Unknown,
    }
}

/// Whether a name in the repository is a package of pkgpanda's, whole or not (`<id>_tmp`).
pub fn is_package(name: &str) -> bool {
    name.parse::<super::id::PackageId>().is_ok()
}

/// Whether the name of a unit is one that only DC/OS gives.
pub fn is_dcos_unit(name: &str) -> bool {
    CLASSIC_UNITS.contains(&name) || name.starts_with(UNIT_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_swap_leaves_is_told_from_what_is_nobodys() {
        for (name, what) in [
            ("bin", Inside::Active("bin")),
            ("environment.export.new", Inside::Active("environment.export")),
            ("active.buildinfo.full.json.old", Inside::Scratch),
            ("dcos.target.wants.old", Inside::Scratch),
            ("install_progress", Inside::Known),
            ("packages", Inside::Known),
            ("bin.bak", Inside::Unknown),
            (".old", Inside::Unknown),
        ] {
            assert_eq!(inside(name), what, "{name}");
        }
        assert!(is_package("mesos--0f_tmp") && !is_package("mesos.tar.xz"));
    }
}
