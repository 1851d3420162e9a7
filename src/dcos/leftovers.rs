//! What DC/OS leaves on a node besides its packages, links and units, by its creator, and what an
//! uninstall does about each.
//!
//! Read off the sources of DC/OS 1.10 to 2.2 (`dcos_install.sh`, pkgpanda, `dcos-net-setup.py`, the
//! units) and off nodes after `pkgpanda uninstall`.

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
pub const LEFTOVERS: [Leftover; 34] = [
    leftover(layout::MESOSPHERE, "dcos-download.service", Fate::RemoveIfEmpty),
    leftover(layout::REPOSITORY, PKGPANDA, Fate::RemoveIfEmpty),
    leftover(layout::INSTALL_PROGRESS, PKGPANDA, Fate::Remove),
    leftover(layout::BOOTSTRAP_MARKER, "dcos-download.service", Fate::Remove),
    leftover(layout::ETC_MESOSPHERE, INSTALLER, Fate::RemoveIfEmpty),
    leftover(layout::ROLES, INSTALLER, Fate::RemoveFilesIn),
    leftover(layout::SETUP_FLAGS, INSTALLER, Fate::RemoveFilesIn),
    leftover("/etc/mesosphere/docker_credentials", INSTALLER, Fate::Remove),
    leftover("/etc/mesosphere/mesos/agent.env", OPERATOR, Fate::Keep),
    leftover("/etc/mesosphere/mesos/agent-public.env", OPERATOR, Fate::Keep),
    leftover("/etc/mesosphere/mesos/master.env", OPERATOR, Fate::Keep),
    leftover(layout::MANUAL_HOST_USERS, OPERATOR, Fate::Keep),
    leftover(layout::JOURNALD_SETTINGS, INSTALLER, Fate::RemoveIfEmpty),
    leftover("/etc/systemd/journald.conf.d/dcos.conf", INSTALLER, Fate::Remove),
    leftover("/etc/rexray", INSTALLER, Fate::RemoveIfEmpty),
    leftover(
        "/etc/rexray/config.yml",
        "dcos_install.sh, dcos-rexray.service",
        Fate::RemoveBesideDcos,
    ),
    leftover("/etc/systemd/network/dcos.network", "dcos-net-setup.py", Fate::RemoveBesideDcos),
    leftover(
        "/etc/NetworkManager/conf.d/dcos-net.conf",
        "dcos-net-setup.py",
        Fate::RemoveBesideDcos,
    ),
    leftover(layout::RESOLV_CONF_TMP, "gen_resolvconf.py, killed", Fate::RemoveBesideDcos),
    leftover("/run/dcos", "sockets and RuntimeDirectory= of DC/OS' units", Fate::Remove),
    leftover("/run/dcos_exhibitor", "dcos-exhibitor.service", Fate::Remove),
    leftover(layout::MESOS_RUN, "dcos-mesos-slave.socket", Fate::RemoveBesideDcos),
    leftover(layout::EXECUTORS_SLICE, "Mesos' agent", Fate::RemoveBesideDcos),
    leftover(layout::CALICO_RUN, "dcos-calico-bird.service", Fate::RemoveBesideDcos),
    leftover(layout::LIBSTORAGE_RUN, "dcos-rexray.service", Fate::RemoveBesideDcos),
    leftover("/tmp/bootstrap.tar.xz", "dcos-download.service, killed", Fate::RemoveBesideDcos),
    leftover("/tmp/root-cert.pem", INSTALLER, Fate::RemoveBesideDcos),
    leftover("/tmp/nginx-mesos-cache", "dcos-adminrouter.service", Fate::Keep),
    leftover("/tmp/vm.args", "dcos-net.service", Fate::Keep),
    leftover("/tmp/sys.config", "dcos-net.service", Fate::Keep),
    leftover("/tmp/dcos", AUTOMATION, Fate::Keep),
    leftover("/opt/dcos_install_tmp", AUTOMATION, Fate::Keep),
    leftover("/opt/dcos-prereqs.installed", AUTOMATION, Fate::Keep),
    leftover(layout::PROFILE, "dcos-link-env.service", Fate::RemoveIfItLeadsInside),
];

/// Files of the installer in [`layout::ROLES`] and [`layout::SETUP_FLAGS`]: of `dcos_install.sh`
/// and of the templates for clouds, in all releases.
const OF_INSTALLER: [(&str, &[&str]); 2] = [
    (layout::ROLES, &["master", "slave", "slave_public", "aws", "aws_master"]),
    (
        layout::SETUP_FLAGS,
        &["repository-url", "cluster-package-list", "bootstrap-id", "cluster-packages.json"],
    ),
];

/// Whether the installer makes a file of this name there, or we left it half written.
pub fn is_of_installer(path: &std::path::Path) -> bool {
    OF_INSTALLER.iter().any(|(directory, names)| {
        path.strip_prefix(directory)
            .ok()
            .and_then(|name| name.to_str())
            .is_some_and(|name| names.contains(&name) || is_staging(name))
    })
}

/// Units of the classic installer itself, and pkgpanda's target.
pub const CLASSIC_UNITS: [&str; 4] =
    ["dcos-setup.service", "dcos-download.service", "dcos-link-env.service", layout::TARGET];

/// Units of DC/OS 1.10 to 2.2, of all roles: for nodes whose packages are gone.
pub const UNITS: [&str; 67] = [
    "dcos-adminrouter-agent.service",
    "dcos-adminrouter.service",
    "dcos-bouncer-migrate-users.service",
    "dcos-bouncer.service",
    "dcos-calico-bird.service",
    "dcos-calico-confd.service",
    "dcos-calico-felix.service",
    "dcos-calico-libnetwork-plugin.service",
    "dcos-checks-api.service",
    "dcos-checks-api.socket",
    "dcos-checks-poststart.service",
    "dcos-checks-poststart.timer",
    "dcos-cockroach.service",
    "dcos-cockroachdb-config-change.service",
    "dcos-cockroachdb-config-change.timer",
    "dcos-cosmos.service",
    "dcos-diagnostics-mesos-state.service",
    "dcos-diagnostics-mesos-state.timer",
    "dcos-diagnostics.service",
    "dcos-diagnostics.socket",
    "dcos-docker-gc.service",
    "dcos-docker-gc.timer",
    "dcos-epmd.service",
    "dcos-etcd.service",
    "dcos-exhibitor.service",
    "dcos-fluent-bit.service",
    "dcos-gen-resolvconf.service",
    "dcos-gen-resolvconf.timer",
    "dcos-history.service",
    "dcos-log-agent.service",
    "dcos-log-agent.socket",
    "dcos-log-master.service",
    "dcos-log-master.socket",
    "dcos-logrotate-agent.service",
    "dcos-logrotate-agent.timer",
    "dcos-logrotate-master.service",
    "dcos-logrotate-master.timer",
    "dcos-marathon.service",
    "dcos-mesos-dns.service",
    "dcos-mesos-master.service",
    "dcos-mesos-slave-public.service",
    "dcos-mesos-slave-public.socket",
    "dcos-mesos-slave.service",
    "dcos-mesos-slave.socket",
    "dcos-metrics-agent.service",
    "dcos-metrics-agent.socket",
    "dcos-metrics-master.service",
    "dcos-metrics-master.socket",
    "dcos-metronome.service",
    "dcos-navstar.service",
    "dcos-net-watchdog.service",
    "dcos-net.service",
    "dcos-oauth.service",
    "dcos-pkgpanda-api.service",
    "dcos-pkgpanda-api.socket",
    "dcos-rexray.service",
    "dcos-signal.service",
    "dcos-signal.timer",
    "dcos-spartan-watchdog.service",
    "dcos-spartan-watchdog.timer",
    "dcos-spartan.service",
    "dcos-telegraf-http.socket",
    "dcos-telegraf.service",
    "dcos-telegraf.socket",
    "dcos-ui-update-service.service",
    "dcos-ui-update-service.socket",
    "dcos-ui-update.service",
];

/// How the names of DC/OS' units begin.
pub const UNIT_PREFIX: &str = "dcos-";

/// How a unit ends that an activation has copied and not put in place.
pub const UNIT_NEW: &str = ".unit.new";

/// Accounts that packages of DC/OS 1.10 to 2.2 ask for (`username` of their `pkginfo.json`): for
/// nodes whose packages are gone.
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
    let live = layout::ACTIVE_NAMES
        .into_iter()
        .find(|active| name == *active || name.strip_suffix(layout::NEW) == Some(active));
    let path = layout::active_name(name);
    match live {
        Some(active) => Inside::Active(active),
        None if layout::ACTIVE_NAMES
            .into_iter()
            .any(|active| name.strip_suffix(layout::OLD) == Some(active)) =>
        {
            Inside::Scratch
        }
        // The bootstrap archive of some builds links its units here, too.
        None if layout::TARGET_WANTS_NAMES.contains(&name) || is_staging(name) => Inside::Scratch,
        // pkgpanda writes its progress here, and then renames it.
        None if path == std::path::Path::new(layout::INSTALL_PROGRESS_NEW) => Inside::Scratch,
        None if LEFTOVERS.iter().any(|l| path == std::path::Path::new(l.path)) => Inside::Known,
        // A fresh file system that is mounted there has this.
        None if name == "lost+found" => Inside::Known,
        None => Inside::Unknown,
    }
}

/// Downloads the bootstrap archive (`gen/dcos-services.yaml`).
pub const DOWNLOAD: &str = "dcos-download.service";

/// Where the text of [`DOWNLOAD`] has `curl` write the archive.
pub fn download_of(unit: &str) -> Option<&str> {
    let mut words = unit.lines().find(|line| line.contains("curl"))?.split_ascii_whitespace();
    words.find(|word| ["-o", "--output"].contains(word))?;
    words.next().filter(|path| path.starts_with('/') && !path.split('/').any(|part| part == ".."))
}

/// Whether a name is one that Python's `tempfile` gives, as pkgpanda has it for an archive
/// (`pkgpanda/util.py`, download).
pub fn is_temporary_archive(name: &str) -> bool {
    let random = name.strip_prefix("tmp").and_then(|rest| rest.strip_suffix(".tar.xz"));
    random.is_some_and(|random| {
        random.len() == 8
            && random.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    })
}

/// Whether a name is that of what `dcos-diagnostics-mesos-state.service` asked Mesos for, and was
/// killed before it put it into its archive.
pub fn is_mesos_state(name: &str) -> bool {
    let seconds = name.strip_prefix("mesos-state-").and_then(|rest| rest.strip_suffix(".log"));
    seconds.is_some_and(|s| !s.is_empty() && s.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether docker's settings are those that DC/OS' calico gave it: a store in DC/OS' etcd.
pub fn is_docker_in_dcos_etcd(settings: &str) -> bool {
    settings.contains("cluster-store") && settings.contains("thisdcos.directory")
}

/// Whether a name in the repository is a package of pkgpanda's, whole or not (`<id>_tmp`).
pub fn is_package(name: &str) -> bool {
    name.parse::<super::id::PackageId>().is_ok()
}

/// Whether a name is that of a file of ours that was about to get another one (`system::files`).
pub fn is_staging(name: &str) -> bool {
    name.ends_with(".dcos-node.tmp")
}

/// Whether a unit of a release, or of its installer, has this name.
pub fn is_unit_of_dcos(name: &str) -> bool {
    CLASSIC_UNITS.contains(&name) || UNITS.contains(&name)
}

/// Whether a unit is named as those of DC/OS are: an operator's may be, too.
pub fn looks_like_dcos(name: &str) -> bool {
    CLASSIC_UNITS.contains(&name) || name.starts_with(UNIT_PREFIX)
}

/// The units that a socket, timer or path of its own starts: by its text, else the service of its
/// name (`systemd.socket(5)`, `systemd.timer(5)`).
pub fn started_by(name: &str, text: &str) -> Vec<String> {
    let Some((stem, "socket" | "timer" | "path")) = name.rsplit_once('.') else {
        return Vec::new();
    };
    let named = |line: &str| {
        line.trim()
            .strip_prefix("Service=")
            .or(line.trim().strip_prefix("Unit="))
            .map(|unit| unit.trim().to_owned())
    };
    let all: Vec<String> = text.lines().filter_map(named).collect();
    if all.is_empty() { vec![format!("{stem}.service")] } else { all }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_leftovers_are_distinguished_from_unknown_files() {
        for (name, what) in [
            ("bin", Inside::Active("bin")),
            ("environment.export.new", Inside::Active("environment.export")),
            ("active.buildinfo.full.json.old", Inside::Scratch),
            ("dcos.target.wants.old", Inside::Scratch),
            ("install_progress", Inside::Known),
            ("install_progress.new", Inside::Scratch),
            ("packages", Inside::Known),
            ("bin.bak", Inside::Unknown),
            (".old", Inside::Unknown),
        ] {
            assert_eq!(inside(name), what, "{name}");
        }
        assert_eq!(
            started_by("dcos-a.socket", "[Socket]\nService=dcos-b.service\n"),
            ["dcos-b.service"]
        );
        assert_eq!(
            (started_by("dcos-a.timer", ""), started_by("dcos-a.service", "")),
            (vec!["dcos-a.service".to_owned()], vec![])
        );
        assert!(
            is_unit_of_dcos("dcos-signal.timer")
                && !is_unit_of_dcos("dcos-custom.service")
                && looks_like_dcos("dcos-custom.service")
        );
        assert_eq!(
            download_of(
                "[Service]\nExecStart=/usr/bin/curl -fLsSv --retry 20 -o /srv/x.tar.xz http://b/x\n"
            ),
            Some("/srv/x.tar.xz")
        );
        assert_eq!(
            download_of("ExecStart=/usr/bin/curl -o ../x http://b/x\n").or(download_of("")),
            None
        );
        assert!(
            is_temporary_archive("tmpab12_d3f.tar.xz")
                && !is_temporary_archive("tmp-of-ann.tar.xz")
        );
        assert!(is_mesos_state("mesos-state-1600000000.log"));
        assert!(!["mesos-state-.log", "mesos-state-x.log"].iter().any(|name| is_mesos_state(name)));
        assert!(is_package("mesos--0f_tmp") && !is_package("mesos.tar.xz"));
    }
}
