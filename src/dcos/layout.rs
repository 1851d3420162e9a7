//! Every path on a node, absolute as the node sees it. Which directory of this machine is the
//! node's root is not known here: `system::root::Root` maps these paths to the disk.

use std::path::PathBuf;

use super::id::PackageId;

/// Where DC/OS lives.
pub const MESOSPHERE: &str = "/opt/mesosphere";
/// The repository: one directory a package.
pub const REPOSITORY: &str = "/opt/mesosphere/packages";
/// The package directories that are active, by package name.
pub const ACTIVE: &str = "/opt/mesosphere/active";
/// The libraries of the active packages.
pub const LIBRARIES: &str = "/opt/mesosphere/lib";
/// Where DC/OS' units find programs (`environment`, `pkgpanda/__init__.py`).
pub const PROGRAM_PATH: &str = "/opt/mesosphere/bin:/usr/bin:/bin:/sbin";
/// Configuration of everything.
pub const ETC: &str = "/etc";
/// Configuration of the node that is not part of a package.
pub const ETC_MESOSPHERE: &str = "/etc/mesosphere";
/// One empty file, named as the role.
pub const ROLES: &str = "/etc/mesosphere/roles";
/// Where this node's packages come from, for pkgpanda.
pub const REPOSITORY_URL: &str = "/etc/mesosphere/setup-flags/repository-url";
/// The directory of these settings.
pub const SETUP_FLAGS: &str = "/etc/mesosphere/setup-flags";
/// Which package list this node has, for pkgpanda.
pub const CLUSTER_PACKAGE_LIST: &str = "/etc/mesosphere/setup-flags/cluster-package-list";
/// An operator's word that accounts are made by other means (`pkgpanda/actions.py`).
pub const MANUAL_HOST_USERS: &str = "/etc/mesosphere/manual_host_users";
/// Where the administrator's units lie.
pub const SYSTEM_UNITS: &str = "/etc/systemd/system";
/// Where an operator's drop-ins and masks may lie besides: `systemctl set-property`, and
/// `--runtime` until the next boot.
pub const MORE_SYSTEM_UNITS: [&str; 3] =
    ["/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/system"];
/// Where systemd finds unit files, those of generators left out (`systemd.unit(5)`).
pub const UNIT_PLACES: [&str; 8] = [
    SYSTEM_UNITS,
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Links to the units that `dcos.target` wants.
pub const TARGET_WANTS: &str = "/etc/systemd/system/dcos.target.wants";
/// The target that starts the role.
pub const TARGET: &str = "dcos.target";
/// The link that makes the target start at boot: the commit point of an install.
pub const COMMIT_LINK: &str = "/etc/systemd/system/multi-user.target.wants/dcos.target";
/// The unit whose job is `dcos-node recover`.
pub const SETUP_UNIT: &str = "/etc/systemd/system/dcos-setup.service";
/// The link that makes `recover` run at boot.
pub const SETUP_LINK: &str = "/etc/systemd/system/multi-user.target.wants/dcos-setup.service";
/// Our own directory under `/opt`.
pub const OUR_OPT: &str = "/opt/dcos-node";
/// Below these lies all that an install makes; each may be a file system of its own.
pub const TOPS: [&str; 4] = ["/etc", "/opt", "/var/lib", MESOSPHERE];
/// The binary that recovers: outside `/opt/mesosphere`, so that nothing there is needed for it.
pub const OUR_BINARY: &str = "/opt/dcos-node/bin/dcos-node";
/// The binary that runs, on this machine.
pub const OWN_PROGRAM: &str = "/proc/self/exe";
/// Journal, receipt and manifests; mode 0700.
pub const OUR_STATE: &str = "/var/lib/dcos-node";
/// What was begun and what is done.
pub const JOURNAL: &str = "/var/lib/dcos-node/journal";
/// A journal that could not be followed, while an uninstall goes on without it.
pub const DAMAGED_JOURNAL: &str = "/var/lib/dcos-node/journal.damaged";
/// What this node owes to us.
pub const RECEIPT: &str = "/var/lib/dcos-node/receipt.json";
/// There while `/etc/resolv.conf`, which nobody might change, may be changed: it is to be made so
/// again.
pub const IMMUTABLE_MARK: &str = "/var/lib/dcos-node/resolv-conf-immutable";
/// One file a package: what each file of it was when it was unpacked.
pub const MANIFESTS: &str = "/var/lib/dcos-node/manifests";
/// The index of a published build whose packages were fetched, named by its SHA-256: with it and
/// the packages an install needs no server.
pub const KEPT_INDEX: &str = "/var/lib/dcos-node/index";
/// Packages that wait for an install, in our state.
pub const STATE_STORE: &str = "/var/lib/dcos-node/packages";
/// Packages that wait for an install, beside our program.
pub const OPT_STORE: &str = "/opt/dcos-node/packages";
/// Both; see [`super::store`].
pub const STORES: [&str; 2] = [STATE_STORE, OPT_STORE];
/// The home of root.
pub const ROOT_HOME: &str = "/root";
/// The kernel's tables of processes, sockets and mounts.
pub const PROC: &str = "/proc";
/// The descriptors of this process.
pub const DESCRIPTORS: &str = "/dev/fd";
/// The kernel's modules that are loaded or have parameters.
pub const SYS_MODULES: &str = "/sys/module";
/// One directory a kernel, with the lists of its modules.
pub const MODULES: &str = "/lib/modules";
/// `1` where SELinux refuses; there only where it is on.
pub const SELINUX_ENFORCE: &str = "/sys/fs/selinux/enforce";
/// Which policy SELinux has.
pub const SELINUX_CONFIG: &str = "/etc/selinux/config";
/// Where distributions keep the system's locale.
pub const LOCALES: [&str; 2] = ["/etc/locale.conf", "/etc/default/locale"];
/// Where systemd-networkd looks for its configuration, the administrator's first.
pub const NETWORKD: [&str; 3] =
    ["/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network"];
/// Where this machine has programs, besides [`PROGRAM_PATH`].
pub const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Programs that DC/OS' units name by their paths (`ExecStartPre` of most of them, 1.10 to 2.2).
pub const PROGRAMS_OF_UNITS: [&str; 3] = ["/bin/bash", "/bin/ping", "/usr/bin/mkdir"];
/// Programs that the classic installer's own units name by their paths (`gen/dcos-services.yaml`).
pub const PROGRAMS_OF_CLASSIC_UNITS: [&str; 4] =
    ["/usr/bin/curl", "/usr/bin/ln", "/usr/bin/rm", "/usr/bin/tar"];
/// The working directory of Mesos agents (`MESOS_WORK_DIR`).
pub const MESOS_WORK: &str = "/var/lib/mesos/slave";
/// Where Mesos mounts for containers: their volumes in their sandboxes, and the layers of their
/// images.
pub const MESOS_CONTAINERS: [&str; 2] =
    ["/var/lib/mesos/slave/slaves", "/var/lib/mesos/slave/provisioner"];
/// Where docker keeps images and containers unless it is told otherwise.
pub const DOCKER_STATE: &str = "/var/lib/docker";
/// How the names of loop devices begin.
pub const LOOP_DEVICES: &str = "/dev/loop";
/// Where disks are mounted that Mesos offers to services whole (`make_disk_resources.py`), and how
/// the names of their mount points begin.
pub const MOUNT_DISKS: (&str, &str) = ("/dcos", "volume");
/// State of everything.
pub const VAR: &str = "/var";
/// Temporary files; ZooKeeper's JNA runs code from there.
pub const TMP: &str = "/tmp";
/// Where an operator keeps things, and an account of DC/OS' may own some.
pub const OPERATORS: [&str; 7] = [ETC, VAR, TMP, "/home", "/srv", "/opt", "/root"];
/// Held by the one dcos-node that may change this node.
pub const LOCK: &str = "/run/dcos-node.lock";
/// State of DC/OS' packages, kept by an uninstall unless data is purged.
pub const STATE: &str = "/var/lib/dcos";
/// State of the web interface's updater, which changes its owners at each start (1.13 to 2.2).
pub const UI_UPDATE_STATE: &str = "/var/lib/dcos/dcos-ui-update-service";
/// State of Mesos agents, kept by an uninstall unless data is purged.
pub const MESOS_STATE: &str = "/var/lib/mesos";
/// The address that the node had when DC/OS first ran on it
/// (`packages/dcos-net/extra/dcos-net-env`, which refuses another one).
pub const KEPT_ADDRESS: &str = "/var/lib/dcos/navstar/ip";
/// The id of the cluster that the node belongs to.
pub const CLUSTER_ID: &str = "/var/lib/dcos/cluster-id";
/// Leads to what the agent keeps under the id that it has with the Mesos masters.
pub const LATEST_AGENT: &str = "/var/lib/mesos/slave/meta/slaves/latest";
/// What a node knows itself by, from one install to the next: its address, its cluster, and the
/// agent that it is to the Mesos masters.
pub const IDENTITY: [&str; 3] = [KEPT_ADDRESS, CLUSTER_ID, "/var/lib/mesos/slave/meta"];
/// Tells networkd that DC/OS' interfaces are none of its business.
pub const NETWORKD_FILE: &str = "/etc/systemd/network/dcos.network";
/// Tells NetworkManager the same.
pub const NETWORK_MANAGER_FILE: &str = "/etc/NetworkManager/conf.d/dcos-net.conf";
/// What DC/OS' units make while they run, and nobody else: sockets of this boot, and what keeps
/// networkd and NetworkManager away from DC/OS' interfaces (`dcos-net-setup.py`).
pub const MADE_BY_UNITS: [&str; 9] = [
    "/run/dcos",
    "/run/dcos_exhibitor",
    MESOS_RUN,
    CALICO_RUN,
    LIBSTORAGE_RUN,
    EXECUTORS_SLICE,
    NETWORKD_FILE,
    NETWORK_MANAGER_FILE,
    RESOLV_CONF_TMP,
];
/// What Mesos' agent keeps until the next boot: containers' networks, and the sockets of their
/// executors.
pub const MESOS_RUN: &str = "/run/mesos";
/// Sockets of calico, which others than DC/OS bring too.
pub const CALICO_RUN: &str = "/run/calico";
/// Lock and sockets of REX-Ray, which others than DC/OS run too.
pub const LIBSTORAGE_RUN: &str = "/run/libstorage";
/// docker's own settings. `create-calico-docker-network.py` writes into them (agents of 2.1 and
/// 2.2).
pub const DOCKER_SETTINGS: &str = "/etc/docker/daemon.json";
/// State of docker for this boot.
pub const DOCKER_RUN: &str = "/run/docker";
/// Sockets of docker's plugins. docker makes it, and where docker has not `dcos-rexray.service`
/// does.
pub const DOCKER_PLUGINS: &str = "/run/docker/plugins";
/// Made by Mesos' agent for its executors, which outlive it there (Mesos, `systemd.cpp`).
pub const EXECUTORS_SLICE: &str = "/run/systemd/system/mesos_executors.slice";
/// What DC/OS, its installer and its units make besides packages and units; an uninstall tells what
/// is new of it.
pub const WATCHED: [&str; 27] = [
    MESOSPHERE,
    ETC_MESOSPHERE,
    "/etc/rexray",
    "/etc/profile.d/dcos.sh",
    "/etc/systemd/journald.conf.d/dcos.conf",
    NETWORKD_FILE,
    NETWORK_MANAGER_FILE,
    RESOLV_CONF_TMP,
    "/etc/calico",
    "/var/lib/calico",
    "/var/log/mesos-state.tar",
    "/var/log/mesos-state.tar.gz",
    STATE,
    MESOS_STATE,
    "/var/lib/mesosphere",
    "/var/lib/zookeeper",
    "/var/lib/cni",
    DOCKER_STATE,
    "/var/log/mesos",
    "/run/dcos",
    MESOS_RUN,
    "/run/dcos_exhibitor",
    CALICO_RUN,
    LIBSTORAGE_RUN,
    DOCKER_RUN,
    DOCKER_PLUGINS,
    EXECUTORS_SLICE,
];
/// Written by `dcos_install.sh`, and on agents again at every start of `dcos-rexray.service`.
pub const REXRAY_SETTINGS: &str = "/etc/rexray/config.yml";
/// The unit that does.
pub const REXRAY: &str = "dcos-rexray.service";
/// The overlay networks, on masters.
pub const OVERLAYS: &str = "/opt/mesosphere/etc/overlay/config/master.json";
/// Where CNI keeps the addresses of containers, a directory for each network.
pub const CNI_NETWORKS: [&str; 2] = ["/run/dcos/cni/networks", "/var/lib/cni/networks"];
/// The links by which units start at boot.
pub const BOOT_WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
/// The resolver configuration that DC/OS takes over.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Addresses of hosts that need no name server (`hosts(5)`).
pub const HOSTS: &str = "/etc/hosts";
/// NetworkManager's own settings, and the directories with more of them, later ones prevailing
/// (`NetworkManager.conf(5)`).
pub const NETWORK_MANAGER: &str = "/etc/NetworkManager/NetworkManager.conf";
/// The directories with more of them.
pub const NETWORK_MANAGER_MORE: [&str; 3] =
    ["/usr/lib/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/etc/NetworkManager/conf.d"];
/// There if Debian's resolvconf or openresolv is installed.
pub const RESOLVCONF: [&str; 2] = ["/etc/resolvconf/update.d", "/etc/resolvconf.conf"];
/// Where a dhclient that runs has its number.
pub const RUN: &str = "/run";
/// Where an operator may have told dhclient to leave the resolver configuration alone
/// (`dhclient-script(8)`).
pub const DHCLIENT_HOOKS: [&str; 2] =
    ["/etc/dhcp/dhclient-enter-hooks.d", "/etc/dhcp/dhclient-enter-hooks"];
/// Accounts, one a line (`passwd(5)`).
pub const PASSWD: &str = "/etc/passwd";
/// Groups, one a line (`group(5)`).
pub const GROUP: &str = "/etc/group";
/// Passwords of accounts (`shadow(5)`); not every system has the file.
pub const SHADOW: &str = "/etc/shadow";
/// Passwords of groups (`gshadow(5)`); not every system has the file.
pub const GSHADOW: &str = "/etc/gshadow";
/// What the programs for accounts write.
pub const ACCOUNT_FILES: [&str; 4] = [PASSWD, GROUP, SHADOW, GSHADOW];
/// All files of the programs for accounts: they have numbers for containers besides (`subuid(5)`).
pub const LOCKED_FILES: [&str; 6] = [PASSWD, SHADOW, GROUP, GSHADOW, "/etc/subuid", "/etc/subgid"];
/// The lock of the programs for accounts (`lckpwdf(3)`).
pub const ACCOUNT_LOCK: &str = "/etc/.pwd.lock";
/// Our copies of the backups of [`ACCOUNT_FILES`], as they were before our accounts.
pub const KEPT_ACCOUNTS: &str = "/var/lib/dcos-node/accounts";
/// The shell of accounts that nobody logs in to.
pub const NO_LOGIN: &str = "/sbin/nologin";
/// Settings of journald beside the distribution's (`journald.conf(5)`).
pub const JOURNALD_SETTINGS: &str = "/etc/systemd/journald.conf.d";
/// Where journald keeps journals: across boots, or for this one.
pub const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// Where journald takes entries.
pub const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";
/// The program with which DC/OS checks a node, and what came before it (1.10 and 1.11).
pub const CHECK_RUNNERS: [&str; 2] =
    ["/opt/mesosphere/bin/dcos-check-runner", "/opt/mesosphere/bin/dcos-diagnostics"];
/// Whether DC/OS' units look at the clock (`ENABLE_CHECK_TIME`).
pub const CHECK_TIME: &str = "/opt/mesosphere/etc/check_time.env";
/// The masters, with static discovery.
pub const MASTER_LIST: &str = "/opt/mesosphere/etc/master_list";
/// How many masters there are; on masters only.
pub const MASTER_COUNT: &str = "/opt/mesosphere/etc/master_count";
/// Who may ask Exhibitor; there only with `exhibitor_admin_password`.
pub const EXHIBITOR_REALM: &str = "/opt/mesosphere/etc/exhibitor_realm";
/// Exhibitor's authority, and our certificate and key for it; there only where it speaks TLS (2.0
/// on).
pub const EXHIBITOR_TLS: [&str; 3] = [
    "/var/lib/dcos/exhibitor-tls-artifacts/root-cert.pem",
    "/var/lib/dcos/exhibitor-tls-artifacts/client-cert.pem",
    "/var/lib/dcos/exhibitor-tls-artifacts/client-key.pem",
];
/// The active ip-detect and ip-detect-public.
pub const DETECT_IP: &str = "/opt/mesosphere/bin/detect_ip";
/// The address at which people reach the web interface.
pub const DETECT_IP_PUBLIC: &str = "/opt/mesosphere/bin/detect_ip_public";
/// Where docker listens.
pub const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Version, image commit and variant of the active build (package dcos-metadata).
pub const DCOS_VERSION: &str = "/opt/mesosphere/etc/dcos-version.json";
/// Left by pkgpanda while a swap is under way.
pub const INSTALL_PROGRESS: &str = "/opt/mesosphere/install_progress";
/// What becomes [`INSTALL_PROGRESS`] by a rename.
pub const INSTALL_PROGRESS_NEW: &str = "/opt/mesosphere/install_progress.new";
/// In the bootstrap archive; removed by `pkgpanda setup` when it is done.
pub const BOOTSTRAP_MARKER: &str = "/opt/mesosphere/bootstrap";
/// Files that `dcos_install.sh` of every release writes, besides those in [`ETC_MESOSPHERE`].
pub const NODE_FILES: [&str; 5] = [
    "/etc/systemd/journald.conf.d/dcos.conf",
    REXRAY_SETTINGS,
    "/etc/systemd/system/dcos-link-env.service",
    "/etc/systemd/system/dcos-download.service",
    SETUP_UNIT,
];
/// Where the link of `dcos-link-env.service` goes.
pub const PROFILES: &str = "/etc/profile.d";
/// Where other programs would read a certificate or credentials, or be in the way of them.
pub const OF_OTHER_PROGRAMS: [&str; 12] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/boot",
    "/dev",
    PROC,
    "/sys",
];
/// What puts DC/OS on the path of login shells.
pub const PROFILE: &str = "/etc/profile.d/dcos.sh";
/// Written by `gen_resolvconf.py` until it is renamed.
pub const RESOLV_CONF_TMP: &str = "/etc/resolv.conf.tmp";
/// The upstream resolvers of the active build (package dcos-config).
pub const DNS_CONFIG: &str = "/opt/mesosphere/etc/dns_config";
/// The search domains of the active build (package dcos-config).
pub const DNS_SEARCH_CONFIG: &str = "/opt/mesosphere/etc/dns_search_config";
/// How a name ends that a swap has set aside.
pub const OLD: &str = ".old";
/// The directory of units that the target wants, live, to come, and set aside by a swap.
pub const TARGET_WANTS_NAMES: [&str; 3] =
    ["dcos.target.wants", "dcos.target.wants.new", "dcos.target.wants.old"];
/// How a rename inside a swap ends: what is not live yet.
pub const NEW: &str = ".new";

/// The names under [`MESOSPHERE`] that are switched from one active set to the next
/// (`pkgpanda/__init__.py`, get_active_names), in our order: `active` last, because pkgpanda takes
/// its presence for a sound node.
pub const ACTIVE_NAMES: [&str; 8] = [
    "bin",
    "etc",
    "include",
    "lib",
    "environment",
    "environment.export",
    "active.buildinfo.full.json",
    "active",
];

/// The directories of a package whose files are linked into the active set; the last one holds
/// units.
pub const WELL_KNOWN: [&str; 5] = ["bin", "etc", "include", "lib", "dcos.target.wants"];

/// The directory of one package.
pub fn package(id: &PackageId) -> PathBuf {
    PathBuf::from(format!("{REPOSITORY}/{id}"))
}

/// A package's directory in the bootstrap archive.
pub fn in_bootstrap_archive(id: &PackageId) -> PathBuf {
    PathBuf::from(format!("{id}"))
}

/// The manifest of one package.
pub fn manifest(id: &PackageId) -> PathBuf {
    PathBuf::from(format!("{MANIFESTS}/{id}.json"))
}

/// The kept index with this SHA-256.
pub fn kept_index(sha256: &str) -> PathBuf {
    PathBuf::from(format!("{KEPT_INDEX}/{sha256}.json"))
}

/// One of [`ACTIVE_NAMES`], live.
pub fn active_name(name: &str) -> PathBuf {
    PathBuf::from(format!("{MESOSPHERE}/{name}"))
}

/// One of [`ACTIVE_NAMES`], built but not live.
pub fn new_name(name: &str) -> PathBuf {
    PathBuf::from(format!("{MESOSPHERE}/{name}{NEW}"))
}

/// Where the programs for accounts keep one of [`ACCOUNT_FILES`] as it was before the last change.
pub fn account_backup(file: &std::path::Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-");
    PathBuf::from(name)
}

/// Where an uninstall keeps a file that somebody changed since the install: the first of these
/// names that no earlier one took.
pub fn saved(path: &std::path::Path) -> impl Iterator<Item = PathBuf> {
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dcos-node-save");
        if number > 0 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    };
    (0..).map(name)
}

/// Whether DC/OS or dcos-node writes a file of the install again: an activation its units,
/// `dcos-rexray.service` its own settings.
pub fn is_rewritten(path: &std::path::Path) -> bool {
    [SYSTEM_UNITS, ROLES, REXRAY_SETTINGS, OUR_OPT, OUR_STATE]
        .iter()
        .any(|place| path.starts_with(place))
}

/// Where a unit is copied to.
pub fn unit(name: &str) -> PathBuf {
    PathBuf::from(format!("{SYSTEM_UNITS}/{name}"))
}

/// Where an administrator puts settings beside those of a unit.
pub fn drop_ins(name: &str) -> PathBuf {
    PathBuf::from(format!("{SYSTEM_UNITS}/{name}.d"))
}

/// The link by which `dcos.target` wants a unit.
pub fn wants(name: &str) -> PathBuf {
    PathBuf::from(format!("{TARGET_WANTS}/{name}"))
}

/// Where something is set aside, beside itself; `moment` tells one time from another.
pub fn set_aside(path: &std::path::Path, moment: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", moment.replace(':', "")));
    PathBuf::from(name)
}

/// The file that says which role this node has.
pub fn role_file(role: super::role::Role) -> PathBuf {
    PathBuf::from(format!("{ROLES}/{role}"))
}

/// The state directory of one package.
pub fn state_directory(package: &str) -> PathBuf {
    PathBuf::from(format!("{STATE}/{package}"))
}
