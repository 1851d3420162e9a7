//! What a support bundle holds, and what it never does.

mod fields;

use serde::Serialize;

use super::units::TIME_DAEMONS;

pub use fields::{Fields, Kept};

/// The schema of `contents.json` and of what `bundle --json` prints (docs/bundle.md); fields may be
/// added without a new number.
pub const SCHEMA: u32 = 1;

/// Files of the machine, each with its name in the bundle.
pub const OF_MACHINE: [(&str, &str); 22] = [
    ("os-release", "/etc/os-release"),
    ("hostname", "/etc/hostname"),
    ("hosts", "/etc/hosts"),
    ("resolv.conf", "/etc/resolv.conf"),
    ("nsswitch.conf", "/etc/nsswitch.conf"),
    ("selinux-config", "/etc/selinux/config"),
    ("docker-daemon.json", "/etc/docker/daemon.json"),
    ("cmdline", "/proc/cmdline"),
    ("kernel-version", "/proc/version"),
    ("uptime", "/proc/uptime"),
    ("loadavg", "/proc/loadavg"),
    ("meminfo", "/proc/meminfo"),
    ("cpuinfo", "/proc/cpuinfo"),
    ("modules", "/proc/modules"),
    ("mounts", "/proc/self/mountinfo"),
    ("swaps", "/proc/swaps"),
    ("net-dev", "/proc/net/dev"),
    ("net-route", "/proc/net/route"),
    ("net-ipv6-route", "/proc/net/ipv6_route"),
    ("net-if-inet6", "/proc/net/if_inet6"),
    ("net-fib-trie", "/proc/net/fib_trie"),
    ("net-arp", "/proc/net/arp"),
];

/// Settings of the kernel that DC/OS or its documentation speaks of.
pub const SETTINGS: [&str; 14] = [
    "fs/file-max",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "kernel/pid_max",
    "net/core/somaxconn",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/vs/conntrack",
    "net/ipv6/conf/all/disable_ipv6",
    "net/netfilter/nf_conntrack_max",
    "vm/max_map_count",
    "vm/overcommit_memory",
    "vm/swappiness",
    "kernel/random/boot_id",
];

/// The configuration of the active build that has no secrets by what it is for
/// (`gen/dcos-config.yaml`). It is redacted all the same, since an operator's words go into it.
/// Everything else below `etc` stays on the node.
pub const CONFIGURATION: [&str; 32] = [
    "adminrouter.env",
    "check_time.env",
    "dcos-check-config.json",
    "dcos-check-runner.env",
    "dcos-check-runner.yaml",
    "dcos-diagnostics-config.json",
    "dcos-service-configuration.json",
    "dcos-ui-update-service.env",
    "dcos-version.json",
    "dcos_net",
    "dns_config",
    "dns_config_master",
    "dns_search_config",
    "exhibitor",
    "expanded.config.json",
    "extra_master_addresses",
    "marathon",
    "master_count",
    "master_list",
    "mesos-dns.env",
    "mesos-dns.json",
    "mesos-executor-environment.json",
    "mesos-master",
    "mesos-master-provider",
    "mesos-slave",
    "mesos-slave-common",
    "mesos-slave-public",
    "metronome",
    "proxy.env",
    "telegraf.env",
    "ui-config.json",
    "user.config.yaml",
];

/// Files beside the active set that an install or an operator writes, each with its name in the
/// bundle.
pub const OF_NODE: [(&str, &str); 8] = [
    ("repository-url", "/etc/mesosphere/setup-flags/repository-url"),
    ("cluster-package-list", "/etc/mesosphere/setup-flags/cluster-package-list"),
    ("journald-dcos.conf", "/etc/systemd/journald.conf.d/dcos.conf"),
    ("environment", "/opt/mesosphere/environment"),
    ("agent.env", "/etc/mesosphere/mesos/agent.env"),
    ("mesos-slave-common-override", "/var/lib/dcos/mesos-slave-common"),
    ("mesos-resources", "/var/lib/dcos/mesos-resources"),
    ("navstar-ip", "/var/lib/dcos/navstar/ip"),
];

/// Units besides those of the role whose state and log tell something: of the install, of what
/// starts containers and keeps logs, of the network, and of the clock, on which everything else
/// waits. No node has all of them.
pub fn other_units() -> impl Iterator<Item = &'static str> {
    OTHER_UNITS.into_iter().chain(TIME_DAEMONS)
}

const OTHER_UNITS: [&str; 10] = [
    "dcos-setup.service",
    "dcos-download.service",
    "dcos-link-env.service",
    "docker.service",
    "containerd.service",
    "systemd-journald.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "NetworkManager.service",
    "firewalld.service",
];

/// Logs of what is no unit, each with its name and with the field and value by which the journal
/// has it: what dcos-node did and how it ended, and what killed or stalled a program (no memory, a
/// disk that fails).
pub const OTHER_LOGS: [(&str, &str, &str); 2] =
    [("dcos-node", "SYSLOG_IDENTIFIER", "dcos-node"), ("kernel", "_TRANSPORT", "kernel")];

/// What never leaves the node, in words.
pub const NEVER: [(&str, &str); 4] = [
    ("data", "state of ZooKeeper, Mesos and tasks below /var/lib/dcos and /var/lib/mesos"),
    (
        "secrets",
        "docker credentials, the licence, keys, Exhibitor's realm and properties, \
         user.config.full.yaml and expanded.config.full.json",
    ),
    ("packages", "the files of packages, and their manifests: verify.json has what differs"),
    ("accounts", "/etc/passwd, /etc/group and /etc/shadow"),
];

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name in the bundle.
    pub name: String,
    /// Its bytes there; none if it could not be collected.
    pub bytes: Option<u64>,
    /// How many secrets were taken out.
    pub redacted: usize,
    /// Whether only its end is there, because it is longer than a bundle takes.
    pub cut: bool,
    /// Why it could not be collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_because: Option<String>,
}

/// Something that is not in the bundle on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What kind of thing, in one word.
    pub what: &'static str,
    /// What it is.
    pub holds: &'static str,
}

/// All that is left out.
pub fn left_out() -> Vec<LeftOut> {
    NEVER.iter().map(|(what, holds)| LeftOut { what, holds }).collect()
}
