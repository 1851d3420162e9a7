//! The machine, its kernel, its software and its services: each check on good and on bad facts.

use std::collections::BTreeSet;

use dcos_node::dcos::accounts::Accounts;
use dcos_node::dcos::commands;
use dcos_node::observe::account_files::Obstacle;
use dcos_node::observe::machine::{Cgroups, Journal, Machine, SeLinux};
use dcos_node::observe::neighbours::Neighbours;
use dcos_node::observe::programs::Programs;
use dcos_node::preflight::report::Verdict::{self, Fail, Pass, Skipped, Unknown, Warn};

use super::recorded::Recorded;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const CONTROLLERS: [&str; 6] = ["blkio", "cpu", "cpuacct", "devices", "freezer", "memory"];
const GROUPS: &str = "docker:x:990:\nsystemd-journal:x:101:\nnogroup:x:65534:\n";

/// A CentOS 7 that lacks nothing.
fn good() -> Recorded {
    let mut recorded = Recorded::nothing();
    recorded.host.machine = Some(Machine {
        architecture: "x86_64".into(),
        kernel: "3.10.0-1160.el7.x86_64".into(),
        hostname: "m1".into(),
        processors: Ok(4),
        memory: Ok(33_000_000_000),
        swap: Ok(0),
        cgroups: Ok(Cgroups {
            mounted: set(&CONTROLLERS),
            only_v2: false,
            enabled: set(&CONTROLLERS),
        }),
        selinux: Some(SeLinux { enforcing: true, policy: Some("targeted".into()) }),
        modules: Ok(set(&["ip_vs", "ip_vs_wlc", "dummy", "overlay", "vxlan", "raid1", "dm_raid"])),
        ipv6: true,
        umask: Some(0o22),
        locale: Some("en_US.utf8".into()),
        journal: Some(Journal { path: "/run/log/journal".into(), group: 101, mode: 0o2755 }),
    });
    recorded.host.programs = Some(Programs {
        found: commands::all().map(str::to_owned).collect(),
        missing_paths: BTreeSet::new(),
    });
    recorded.host.neighbours = Some(Ok(Neighbours::default()));
    recorded.node.accounts =
        Accounts::parse("dcos_log:x:997:101::/opt/mesosphere:/sbin/nologin\n", GROUPS);
    recorded
}

const IDS: [&str; 25] = [
    "machine.architecture",
    "machine.kernel",
    "machine.processors",
    "machine.memory",
    "machine.swap",
    "machine.hostname",
    "kernel.cgroups",
    "kernel.selinux",
    "kernel.modules-net",
    "kernel.modules-containers",
    "kernel.modules-storage",
    "kernel.ipv6",
    "software.commands",
    "software.paths",
    "accounts.groups",
    "accounts.files",
    "accounts.nogroup",
    "system.locale",
    "system.umask",
    "system.journal",
    "services.firewalld",
    "services.dnsmasq",
    "services.resolved",
    "services.network-manager",
    "services.networkd",
];

#[test]
fn a_good_machine_passes_every_check() {
    for (role, version) in [("slave", "1.13.0"), ("slave_public", "1.13.7")] {
        let recorded = good().of(role, version);
        for id in IDS {
            recorded.says(id, Pass, "");
        }
    }
    good().of("master", "1.13.0").says("machine.swap", Skipped, "agents");
    good().of("master", "1.13.0").says("kernel.cgroups", Pass, "version 1");
}

type Change = fn(&mut Machine);

#[test]
fn machine_faults_get_the_severity_of_role_and_version() {
    let rows: &[(Change, &str, &str, &str, Verdict, &str)] = &[
        (
            |m| m.architecture = "aarch64".into(),
            "machine.architecture",
            "slave",
            "2.2.0",
            Fail,
            "aarch64",
        ),
        (
            |m| m.kernel = "2.6.32-754.el6".into(),
            "machine.kernel",
            "slave",
            "2.2.0",
            Fail,
            "2.6.32",
        ),
        (|m| m.kernel = "3.9.11".into(), "machine.kernel", "master", "1.12.0", Fail, "3.9"),
        (|m| m.kernel = "6.1.0-18-amd64".into(), "machine.kernel", "master", "1.12.0", Pass, "6.1"),
        (|m| m.kernel = "none".into(), "machine.kernel", "master", "1.12.0", Unknown, "none"),
        (|m| m.processors = Ok(2), "machine.processors", "master", "1.12.0", Warn, "2"),
        (|m| m.processors = Ok(2), "machine.processors", "slave", "1.12.0", Pass, "2"),
        (
            |m| m.processors = Err("no cpuinfo".into()),
            "machine.processors",
            "slave",
            "1.12.0",
            Unknown,
            "no cpuinfo",
        ),
        (|m| m.memory = Ok(16_800_000_000), "machine.memory", "master", "1.12.0", Warn, "16.8 GB"),
        (|m| m.memory = Ok(16_800_000_000), "machine.memory", "slave", "1.12.0", Pass, "16.8 GB"),
        (
            |m| m.memory = Err("no meminfo".into()),
            "machine.memory",
            "slave",
            "1.12.0",
            Unknown,
            "no meminfo",
        ),
        (|m| m.swap = Ok(2_000_000_000), "machine.swap", "slave", "1.12.0", Warn, "2 GB"),
        (
            |m| m.hostname = "localhost.localdomain".into(),
            "machine.hostname",
            "slave",
            "1.12.0",
            Warn,
            "localhost",
        ),
        (
            |m| m.cgroups = Ok(Cgroups { only_v2: true, ..Cgroups::default() }),
            "kernel.cgroups",
            "slave",
            "2.2.0",
            Fail,
            "version 2 only",
        ),
        (
            |m| m.cgroups = Ok(Cgroups { only_v2: true, ..Cgroups::default() }),
            "kernel.cgroups",
            "master",
            "2.2.0",
            Skipped,
            "version 2 only",
        ),
        (
            |m| drop(m.cgroups.as_mut().map(|c| c.enabled.remove("memory"))),
            "kernel.cgroups",
            "slave_public",
            "1.12.0",
            Fail,
            "switched off: memory",
        ),
        (
            |m| drop(m.cgroups.as_mut().map(|c| c.mounted.remove("blkio"))),
            "kernel.cgroups",
            "slave",
            "1.12.0",
            Warn,
            "not mounted: blkio",
        ),
        (
            |m| m.cgroups = Err("no mountinfo".into()),
            "kernel.cgroups",
            "slave",
            "1.12.0",
            Unknown,
            "no mountinfo",
        ),
        (|m| m.selinux = None, "kernel.selinux", "slave", "1.10.0", Pass, "off"),
        (|_| (), "kernel.selinux", "slave", "1.12.0", Pass, "enforcing targeted"),
        (|_| (), "kernel.selinux", "slave", "1.11.0", Fail, "before 1.12"),
        (|_| (), "kernel.selinux", "slave", "", Warn, "before 1.12"),
        (
            |m| m.selinux = Some(SeLinux { enforcing: true, policy: Some("mls".into()) }),
            "kernel.selinux",
            "slave",
            "2.2.0",
            Fail,
            "enforcing mls",
        ),
        (
            |m| m.selinux = Some(SeLinux { enforcing: false, policy: None }),
            "kernel.selinux",
            "slave",
            "1.10.0",
            Pass,
            "permissive",
        ),
        (
            |m| m.modules = Ok(set(&["dummy", "ip_vs"])),
            "kernel.modules-net",
            "slave",
            "1.12.0",
            Fail,
            "not available: ip_vs_wlc",
        ),
        (
            |m| m.modules = Ok(set(&["dummy"])),
            "kernel.modules-net",
            "slave",
            "1.10.0",
            Warn,
            "ip_vs_wlc",
        ),
        (
            |m| m.modules = Ok(set(&["ip_vs", "ip_vs_wlc"])),
            "kernel.modules-net",
            "slave",
            "1.10.0",
            Fail,
            "dummy",
        ),
        (
            |m| m.modules = Ok(set(&[])),
            "kernel.modules-containers",
            "slave",
            "1.12.0",
            Warn,
            "overlay, vxlan",
        ),
        (
            |m| m.modules = Ok(set(&[])),
            "kernel.modules-storage",
            "slave",
            "1.13.0",
            Warn,
            "raid1, dm_raid",
        ),
        (
            |m| m.modules = Ok(set(&[])),
            "kernel.modules-storage",
            "slave",
            "1.12.0",
            Skipped,
            "does not matter",
        ),
        (
            |m| m.modules = Err("no list".into()),
            "kernel.modules-net",
            "slave",
            "1.12.0",
            Unknown,
            "no list",
        ),
        (|m| m.ipv6 = false, "kernel.ipv6", "slave", "1.12.0", Fail, "counts as true"),
        (|m| m.ipv6 = false, "kernel.ipv6", "slave", "1.10.0", Skipped, "does not matter"),
        (|m| m.ipv6 = false, "kernel.ipv6", "slave", "", Warn, "no build"),
        (|_| (), "kernel.ipv6", "slave", "1.12.0", Warn, "advisory"),
        (|m| m.umask = Some(0o77), "system.umask", "slave", "1.12.0", Warn, "0077"),
        (|m| m.umask = None, "system.umask", "slave", "1.12.0", Unknown, "kernel"),
        (|m| m.locale = Some("C".into()), "system.locale", "slave", "1.12.0", Warn, "C"),
        (|m| m.locale = None, "system.locale", "slave", "1.12.0", Warn, "none"),
        (
            |m| {
                m.journal = Some(Journal { path: "/var/log/journal".into(), group: 0, mode: 0o755 })
            },
            "system.journal",
            "slave",
            "1.12.0",
            Warn,
            "/var/log/journal is of group number 0",
        ),
        (
            |m| {
                m.journal =
                    Some(Journal { path: "/var/log/journal".into(), group: 101, mode: 0o700 })
            },
            "system.journal",
            "slave",
            "1.12.0",
            Warn,
            "0700",
        ),
        (|m| m.journal = None, "system.journal", "slave", "1.12.0", Warn, "no directory"),
    ];
    for (change, id, role, version, verdict, words) in rows {
        let mut recorded = good().of(role, version);
        change(recorded.host.machine.as_mut().expect("a machine"));
        recorded.says(id, *verdict, words);
    }
}

#[test]
fn ipv6_is_judged_against_the_build() {
    let mut recorded = good().of("slave", "1.12.0");
    recorded.settings.ipv6 = Some(false);
    recorded.says("kernel.ipv6", Pass, "off in the build");
    recorded.host.machine.as_mut().expect("a machine").ipv6 = false;
    recorded.says("kernel.ipv6", Pass, "off in the kernel, as in the build");
    recorded.settings.ipv6 = Some(true);
    recorded.says("kernel.ipv6", Fail, "enable_ipv6: true");
}

#[test]
fn missing_programs_accounts_and_groups_are_named() {
    let mut recorded = good().of("slave", "1.12.0");
    recorded.says("software.commands", Pass, "");
    let programs = recorded.host.programs.as_mut().expect("programs");
    for name in ["ipset", "ifconfig"] {
        programs.found.remove(name);
    }
    programs.missing_paths = set(&["/usr/bin/curl"]);
    recorded.says("software.commands", Fail, "not found: ipset, ifconfig");
    recorded.says("software.paths", Warn, "/usr/bin/curl");
    recorded.host.programs.as_mut().expect("programs").missing_paths = set(&["/bin/ping"]);
    recorded.says("software.paths", Fail, "not there: /bin/ping");
    let recorded = recorded.of("slave", "1.13.0");
    assert!(!recorded.says("software.commands", Fail, "ipset").found.contains("ifconfig"));

    let mut recorded = good().of("slave", "1.13.0");
    recorded.node.accounts =
        Accounts::parse("dcos_log:x:997:100::/:/sbin/nologin\n", "systemd-journal:x:101:\n");
    recorded.says(
        "accounts.groups",
        Fail,
        "there is no group docker; the user dcos_log is not in the group systemd-journal",
    );
    recorded.says("accounts.nogroup", Fail, "nogroup");
    recorded.node.manual_accounts = true;
    recorded.says("accounts.groups", Skipped, "other means");
    let recorded = recorded.of("slave", "2.0.0");
    recorded.says("accounts.nogroup", Skipped, "does not matter");
    let mut recorded = recorded.of("slave", "");
    recorded.says("accounts.nogroup", Warn, "nogroup");
    recorded.node.accounts = Accounts::default();
    recorded.says("system.journal", Unknown, "no group");
}

#[test]
fn account_files_that_cannot_be_replaced_fail() {
    let mut recorded = good().of("slave", "2.0.0");
    recorded.host.account_files =
        vec![("/etc/passwd", Obstacle::MountPoint), ("/etc/shadow", Obstacle::Immutable)];
    let check = recorded.says(
        "accounts.files",
        Fail,
        "/etc/passwd is a mount point; /etc/shadow is immutable",
    );
    assert_eq!(check.cure.as_deref(), Some("umount /etc/passwd; chattr -i /etc/shadow"));
    recorded.is_installed();
    recorded.says("accounts.files", Warn, "immutable");
    recorded.node.manual_accounts = true;
    recorded.says("accounts.files", Skipped, "other means");
}

#[test]
fn conflicting_services_warn_unless_they_ignore_dcos_links() {
    let active =
        |names: &[&str]| names.iter().map(|name| format!("{name}.service")).collect::<Vec<_>>();
    let mut recorded = good().of("slave", "1.12.0");
    let all =
        active(&["dnsmasq", "firewalld", "NetworkManager", "systemd-networkd", "systemd-resolved"]);
    let networkd =
        vec![("00-all.network".to_owned(), vec!["en*".to_owned(), "s?artan".to_owned()])];
    let rule = "interface-name:docker*;interface-name:m-*;interface-name:=d-dcos;vtep*;interface-name:spartan;interface-name:minuteman";
    recorded.host.neighbours = Some(Ok(Neighbours {
        active: all,
        unmanaged: vec!["interface-name:docker*".into()],
        networkd,
    }));
    for id in ["services.firewalld", "services.dnsmasq", "services.resolved"] {
        recorded.says(id, Warn, "running");
    }
    recorded.says(
        "services.network-manager",
        Warn,
        "would manage m-dcos, d-dcos, vtep1024, spartan, minuteman",
    );
    recorded.says("services.networkd", Warn, "00-all.network matches en* s?artan");
    let neighbours =
        recorded.host.neighbours.as_mut().and_then(|n| n.as_mut().ok()).expect("neighbours");
    neighbours.unmanaged = rule.split(';').map(str::to_owned).collect();
    neighbours.networkd = vec![("00-eth.network".to_owned(), vec!["e*".to_owned()])];
    recorded.says("services.network-manager", Pass, "leaves them alone");
    recorded.says("services.networkd", Pass, "leaves them alone");
    recorded.host.neighbours = Some(Err("systemd is silent".into()));
    recorded.says("services.dnsmasq", Unknown, "systemd is silent");
}

#[test]
fn directory_root_has_no_machine_checks() {
    let recorded = Recorded::nothing().of("slave", "1.12.0");
    for id in IDS.iter().filter(|id| !id.starts_with("accounts.")) {
        recorded.says(id, Skipped, "directory");
    }
}
