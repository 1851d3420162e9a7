//! What DC/OS made of the machine's network and settings goes with an uninstall, and what others
//! made stays; the report tells of each.
//!
//! Real nodes with real interfaces, addresses, rules, routes and a real packet filter. Kernels for
//! tests may lack dummy interfaces and IPVS: `spartan` and the bridges are bridges here,
//! `minuteman` is a veth pair, `vtep1024` and `vtep2048` are real vxlan links; IPVS is tested with
//! written answers (`system/netlink/ipvs.rs`). `ipset` is a stand-in that keeps its names in a
//! directory. The settings below `vm` are the host's, so that files are mounted over them; those
//! below `net` are the node's own and are made writable.

mod networkd;

use serde_json::Value;
use support::build::Build;
use support::node::{self, Node, Outcome, Server};
use support::step;
use support::tree::Whole;
use tempfile::TempDir;

/// What an operator has before anything of DC/OS comes, some of it much like DC/OS'.
const OPERATOR: &str = "
    ip link add br-op type bridge && ip link add dcos-op type bridge && ip address add 192.0.2.9/24 dev br-op
    ip link set br-op up && ip rule add from 10.9.0.0/16 lookup 42 && ip route add unreachable 10.8.0.0/16 table 42
    iptables -w -A INPUT -p tcp --dport 9999 -m comment --comment 'not Skip DC/OS L4LB traffic' -j ACCEPT
    iptables -w -t nat -A POSTROUTING -s 192.0.2.0/24 -m comment --comment 'about \"UCR-DEFAULT-BRIDGE\"' -j MASQUERADE
    iptables -w -t nat -N CNI-theirs
    iptables -w -t nat -A CNI-theirs -m comment --comment 'name: \"cbr0\" id: \"c1\"' -j MASQUERADE
    iptables -w -t nat -A POSTROUTING -s 192.0.2.9/32 -m comment --comment 'name: \"cbr0\" id: \"c1\"' -j CNI-theirs
    ipset create operator hash:ip
    for s in swappiness:60 max_map_count:65530; do
        echo ${s#*:} > /opt/${s%:*} && mount --bind /opt/${s%:*} /proc/sys/vm/${s%:*}
    done
    mount --bind /proc/sys/net /proc/sys/net && mount -o remount,bind,rw /proc/sys/net
    for i in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $i; done
    systemctl set-environment OPERATOR=1";

/// What DC/OS makes while it runs (facts of its units, dcos-net and Mesos), as far as its units
/// could not make it in this node.
const DCOS: &str = "
    ip link add spartan type bridge || ip link show spartan
    ip address replace 198.51.100.1/32 dev spartan && ip link set spartan up
    ip address replace 198.51.100.2/32 dev lo
    ip link add minuteman type veth peer name mm-peer || ip link show minuteman
    ip link add vtep1024 type vxlan id 1024 dstport 64000 dev eth0 && ip link set vtep1024 up
    for bridge in d-dcos m-dcos ucr-br0; do ip link add $bridge type bridge; done
    ip rule add from 9.0.0.0/8 lookup 42 && ip -6 rule add from fd01:b::/64 lookup 42
    ip route add 9.1.0.0/16 dev vtep1024 table 42 && ip route add unreachable 9.2.0.0/16 table 42
    iptables -w -A FORWARD -j ACCEPT
    iptables -w -t nat -N UCR-DEFAULT-BRIDGE
    iptables -w -t nat -A UCR-DEFAULT-BRIDGE -p tcp --dport 8080 -j DNAT --to-destination 9.1.0.2:80
    iptables -w -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j UCR-DEFAULT-BRIDGE
    iptables -w -t nat -N M-DCOS && iptables -w -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j M-DCOS
    iptables -w -t nat -N CNI-0a1b2c
    iptables -w -t nat -A CNI-0a1b2c -d 172.31.254.0/24 -m comment --comment 'name: \"mesos-bridge\" id: \"c1\"' -j ACCEPT
    iptables -w -t nat -A POSTROUTING -s 172.31.254.2/32 -m comment --comment 'name: \"mesos-bridge\" id: \"c1\"' -j CNI-0a1b2c
    for twice in 1 2; do
        iptables -w -t nat -I POSTROUTING -m comment --comment Minuteman-IPVS-IPTables-masquerade-rule -j MASQUERADE
    done
    for p in iptables ip6tables; do $p -w -t nat -A OUTPUT -m comment --comment 'Skip DC/OS L4LB traffic' -j RETURN; done
    ipset create dcos-l4lb hash:ip,port && ipset create dcos-l4lb-ipv6 hash:ip,port
    systemctl set-environment NODENAME=10.77.0.2
    echo 1 > /proc/sys/vm/swappiness && echo 262144 > /proc/sys/vm/max_map_count
    for i in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 2 > $i; done";

/// A rule of the operator's in the older flavour of the packet filter, which `iptables` does not
/// show here, if the kernel has that flavour.
const OLDER_OPERATOR: &str = "if iptables-legacy -w -t nat -A POSTROUTING -s 192.0.2.0/24 -j \
                              MASQUERADE; then touch /run/older; fi";
/// DC/OS' own beside it.
const OLDER: &str = "
    if [ -e /run/older ]; then
        iptables-legacy -w -t nat -N UCR-DEFAULT-BRIDGE
        iptables-legacy -w -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j UCR-DEFAULT-BRIDGE
        iptables-legacy -w -t nat -A POSTROUTING -m comment --comment Minuteman-IPVS-IPTables-masquerade-rule -j MASQUERADE
    fi";
/// The operator's rule, and nothing else.
const OLDER_LEFT: &str = "
    [ ! -e /run/older ] || [ \"$(iptables-legacy -w -t nat -S | grep -v ^-P)\" = '-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE' ]";

/// What DC/OS' services keep.
const DATA: &str = "
    for directory in dcos/exhibitor dcos/navstar mesos/slave/meta; do mkdir -p /var/lib/$directory; done
    echo 10.77.0.2 > /var/lib/dcos/navstar/ip && head -c 100000 /dev/zero > /var/lib/dcos/exhibitor/log
    echo agent > /var/lib/mesos/slave/meta/state && mkdir -p /var/log/mesos && echo started > /var/log/mesos/mesos-agent.log";

/// The stand-in for the program that small Debians lack.
const IPSET: &str = "#!/bin/sh
mkdir -p /run/ipset
case \"$1 $2\" in
    'list -name') ls /run/ipset;;
    'create '*) touch \"/run/ipset/$2\";;
    'destroy '*) rm \"/run/ipset/$2\";;
    *) echo \"the stand-in does not know $*\" >&2; exit 1;;
esac
";

struct Bench {
    node: Node,
    server: Server,
    directory: TempDir,
}

impl Bench {
    fn new(name: &str) -> Bench {
        Bench::on(Node::switched_off(name), name)
    }

    fn on(node: Node, name: &str) -> Bench {
        let directory = tempfile::tempdir().expect("a directory for the build");
        Build::tiny().pack(directory.path());
        let server = Server::serving(directory.path());
        let node = node.knowing(&server);
        // The journal grows whatever happens: not on the disk that is measured.
        node.write("/usr/lib/systemd/journald.conf.d/memory.conf", "[Journal]\nStorage=volatile\n");
        // Its own name, so that nobody has to be asked for it.
        node.write("/etc/hosts", &format!("{}10.77.0.2\t{name}\n", node.read("/etc/hosts")));
        let node = node.booted();
        node.install_binary();
        node.write_script("/usr/local/sbin/ipset", IPSET);
        Bench { node, server, directory }
    }

    /// A node of an operator.
    fn with_operator(name: &str) -> Bench {
        let bench = Bench::new(name);
        bench.all(OPERATOR);
        bench
    }

    /// Runs lines of shell, each of which must work.
    fn all(&self, lines: &str) {
        self.node.shell(&format!("set -e\n{lines}")).succeeds();
    }

    fn install(&self) {
        self.install_as("slave");
    }

    fn install_as(&self, role: &str) {
        let command =
            ["dcos-node", "install", role, "--bootstrap-url", self.server.url(), "--json"];
        self.node.run(&[&command, node::LACKS].concat()).succeeds();
    }

    fn uninstall(&self) -> Outcome {
        self.node.run(&["dcos-node", "uninstall", "--purge-data", "--yes", "--json"])
    }

    /// What of the node is not as it was.
    fn changes_since(&self, before: &Whole) -> Vec<String> {
        Whole::after(&self.node, before).changes_since(before)
    }

    /// The same for what is no file.
    fn state_since(&self, before: &Whole) -> Vec<String> {
        self.node.state().changes_since(&before.state)
    }
}

/// The things in one list of a report.
fn things(outcome: &Outcome, list: &str) -> Vec<String> {
    let report = &outcome.json()["report"];
    let items =
        report[list].as_array().unwrap_or_else(|| panic!("no list {list}: {outcome}")).clone();
    items.iter().map(|item| format!("{} {}", text(item, "kind"), text(item, "what"))).collect()
}

fn text(item: &Value, field: &str) -> String {
    item[field].as_str().expect("a text").to_owned()
}

#[track_caller]
fn has(list: &[String], thing: &str) {
    assert!(list.iter().any(|item| item == thing), "{thing} is not among {list:#?}");
}

#[test]
fn network_state_of_dcos_is_removed_and_foreign_state_stays() {
    if !node::available() {
        return;
    }
    let bench = Bench::with_operator("network");
    bench.all(OLDER_OPERATOR);
    let before = Whole::at_rest(&bench.node);
    bench.install();
    bench.all(DCOS);
    bench.all(OLDER);
    step("dry run", || {
        let dry = bench.node.run(&["dcos-node", "uninstall", "--dry-run"]);
        dry.succeeds()
            .stdout_has("remove the interface spartan")
            .stdout_has("set vm/swappiness back to 60");
    });
    step("state before", || dcos_has_changed_the_node(&bench, &before));
    let outcome = bench.uninstall();
    step("removed", || removed_objects_are_listed(outcome.succeeds()));
    step("kept", || kept_objects_are_listed(&outcome));
    step("state after", || {
        bench.all(OLDER_LEFT);
        // It cannot be told from an operator's, so the report names it and the operator decides.
        bench.all("iptables -w -D FORWARD -j ACCEPT");
        assert_eq!(bench.changes_since(&before), Vec::<String>::new());
        assert_eq!(bench.uninstall().succeeds().json()["changed"], false);
    });
}

fn dcos_has_changed_the_node(bench: &Bench, before: &Whole) {
    let made = bench.state_since(before);
    for begin in [
        "new unit file: dcos-tiny",
        "new unit: dcos.target loaded active",
        "new environment: NODENAME",
        "new user: dcos_tiny",
        "new link: spartan",
        "new address: lo inet 198.51.100.2",
        "new rule: 32765:",
        "new route: 9.1.0.0/16",
        "new firewall: iptables nat -N UCR",
        "new set of addresses: dcos-l4lb",
        "new setting: vm.swappiness = 1",
    ] {
        assert!(
            made.iter().any(|change| change.starts_with(begin)),
            "{begin} is not among {made:#?}"
        );
    }
}

fn removed_objects_are_listed(outcome: &Outcome) {
    let removed = things(outcome, "removed");
    for interface in ["spartan", "minuteman", "vtep1024", "d-dcos", "m-dcos", "ucr-br0"] {
        has(&removed, &format!("interface the interface {interface}"));
    }
    for thing in [
        "address the address 198.51.100.2/32 of lo",
        "ip-set the ipset dcos-l4lb-ipv6",
        "firewall-chain the chain UCR-DEFAULT-BRIDGE (iptables -t nat)",
        "firewall-chain the chain M-DCOS (iptables -t nat)",
        "firewall-chain the chain CNI-0a1b2c (iptables -t nat)",
        "environment NODENAME in systemd's environment",
        "sysctl the setting vm/max_map_count",
        "sysctl the setting net/ipv4/conf/eth0/rp_filter",
        "active-name /opt/mesosphere/bin",
        "file /etc/systemd/system/dcos.target",
    ] {
        has(&removed, thing);
    }
    assert_eq!(
        removed.iter().filter(|thing| thing.starts_with("routing-rule")).count(),
        2,
        "{removed:#?}"
    );
}

fn kept_objects_are_listed(outcome: &Outcome) {
    assert_eq!(things(outcome, "residue"), Vec::<String>::new());
    assert_eq!(things(outcome, "unknown"), Vec::<String>::new());
    has(&things(outcome, "foreign"), "firewall-rule -A FORWARD -j ACCEPT (iptables -t filter)");
    has(&things(outcome, "foreign"), "docker docker's networks dcos");
    let deed =
        outcome.json()["report"]["afterwards"][0].as_str().map(str::to_owned).unwrap_or_default();
    assert!(deed.starts_with("docker network rm dcos once "), "{outcome}");
    assert_eq!(outcome.json()["report"]["compared"], true);
}

/// Which build a round installs, and for how long: the tiny one for a moment, or the one whose
/// stand-ins work until they took over `resolv.conf`.
fn build_of(round: usize) -> &'static str {
    if [5, 10, 15].contains(&round) { "fixture" } else { "tiny" }
}

#[test]
fn twenty_install_rounds_leave_the_node_unchanged() {
    if !node::available() {
        return;
    }
    let bench = Bench::with_operator("rounds");
    let server = bench.server.url();
    for (name, build) in [("tiny", Build::tiny()), ("fixture", Build::fixture())] {
        let url = format!("{server}/{name}");
        build.with_bootstrap_url(&url).pack(&bench.directory.path().join(name));
    }
    let before = Whole::at_rest(&bench.node);
    for (round, role) in (0..20).zip(["master", "slave", "slave_public"].into_iter().cycle()) {
        let install = [
            "dcos-node",
            "install",
            role,
            "--json",
            "--bootstrap-url",
            &format!("{server}/{}", build_of(round)),
        ];
        bench.node.run(&[&install, node::LACKS].concat()).succeeds();
        bench.all(DCOS);
        bench.all(DATA);
        if build_of(round) == "fixture" {
            bench.node.until("grep -q gen_resolvconf /etc/resolv.conf");
        }
        if round % 4 == 3 {
            // Data outlives the uninstall, and can be purged long after it.
            let outcome = bench.node.run(&["dcos-node", "uninstall", "--json"]);
            assert_eq!(
                things(outcome.succeeds(), "residue"),
                Vec::<String>::new(),
                "round {round}"
            );
            bench.node.stop_forwarding();
            let kept: Vec<String> = outcome.json()["kept"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|data| text(data, "path"))
                .collect();
            let is_kept =
                |change: &String| kept.iter().any(|path| change.contains(&format!(" {path}")));
            let changes: Vec<String> = bench
                .changes_since(&before)
                .into_iter()
                .filter(|change| !is_kept(change))
                .collect();
            assert_eq!(changes, Vec::<String>::new(), "round {round}, {role}, with its data kept");
            assert!(
                bench.node.has("/var/lib/dcos/exhibitor/log")
                    && bench.node.has("/var/lib/mesos/slave/meta/state"),
                "{kept:?}"
            );
            bench.uninstall().succeeds();
        } else {
            assert_eq!(
                things(bench.uninstall().succeeds(), "residue"),
                Vec::<String>::new(),
                "round {round}"
            );
            bench.node.stop_forwarding();
        }
        let after = Whole::after(&bench.node, &before);
        assert_eq!(after.changes_since(&before), Vec::<String>::new(), "round {round}, {role}");
        assert_eq!(after.growth_since(&before), Vec::<String>::new(), "round {round}, {role}");
    }
}

#[test]
fn killed_network_cleanup_resumes_and_finds_new_objects() {
    if !node::available() {
        return;
    }
    let bench = Bench::with_operator("netkill");
    let before = Whole::at_rest(&bench.node);
    bench.install();
    bench.all(DCOS);
    let faults = [
        "kill Spawn 12 /usr/sbin/iptables",
        "kill Spawn 20 /usr/sbin/iptables",
        "kill Spawn 2 /usr/local/sbin/ipset",
        "kill Call 1 remove the rule ipv4 32764: from 9.0.0.0/8 lookup 42",
        "kill Call 1 remove the interface minuteman",
        "kill Call 1 remove the interface vtep2048",
        "kill Call 1 UnsetEnvironment NODENAME",
        "kill Write 1 /proc/sys/vm/swappiness",
    ];
    for fault in faults {
        let killed = bench.node.run(&[
            "env",
            &format!("DCOS_NODE_FAULT={fault}"),
            "dcos-node",
            "uninstall",
            "--purge-data",
            "--yes",
        ]);
        assert!(killed.was_killed() || killed.code() == Some(137), "{fault} was not met: {killed}");
        // A unit that was being stopped made it meanwhile.
        bench.node.shell("ip link add vtep2048 type vxlan id 2048 dstport 64001 dev eth0");
    }
    let outcome = bench.uninstall();
    outcome.succeeds();
    has(&things(&outcome, "removed"), "interface the interface vtep2048");
    bench.all("iptables -w -D FORWARD -j ACCEPT");
    assert_eq!(bench.state_since(&before), Vec::<String>::new());
}

#[test]
fn residue_has_its_own_exit_code_and_the_next_try_removes_it() {
    if !node::available() {
        return;
    }
    let bench = Bench::with_operator("residue");
    let before = Whole::at_rest(&bench.node);
    bench.install();
    // Something that DC/OS' uninstall does not know of makes the interface again and again.
    bench.node.write_script(
        "/opt/again",
        "#!/bin/sh\nwhile :; do ip link add spartan type bridge 2>/dev/null; sleep 0.01; done\n",
    );
    let again = bench.node.start(&["/opt/again"]);
    // It does so before the last look: accounts go after the interface, and not without it.
    let is_there = "ip link show spartan >/dev/null 2>&1";
    bench.all("mv /usr/sbin/userdel /usr/sbin/userdel.real");
    let held_up =
        format!("#!/bin/sh\nuntil {is_there}; do sleep 0.05; done\nexec userdel.real \"$@\"\n");
    bench.node.write_script("/usr/sbin/userdel", &held_up);
    bench.node.until(is_there);
    let outcome = bench.uninstall();
    bench.all("mv /usr/sbin/userdel.real /usr/sbin/userdel");
    outcome.exits_with(9).stderr_has("help:   dcos-node bundle");
    assert_eq!(things(&outcome, "residue"), ["interface the interface spartan"]);
    assert!(
        bench.node.has("/var/lib/dcos-node/journal")
            && bench.node.has("/opt/dcos-node/bin/dcos-node")
    );
    bench.node.run(&["dcos-node", "status"]).stdout_has("uninstall was interrupted");
    assert!(bench.node.kill("again"));
    drop(again);
    // What it had just started.
    bench.node.until("! pgrep -x ip");
    let outcome = bench.uninstall();
    outcome.succeeds();
    has(&things(&outcome, "removed"), "interface the interface spartan");
    assert!(!bench.node.has("/var/lib/dcos-node"));
    assert_eq!(bench.state_since(&before), Vec::<String>::new());

    step("no snapshot", || uninstall_without_a_snapshot_goes_by_names(&bench));
}

/// With a receipt of a dcos-node that took no snapshots, names tell what is of DC/OS, and the
/// earlier value of a setting is not guessed.
fn uninstall_without_a_snapshot_goes_by_names(bench: &Bench) {
    bench.install();
    let mut receipt: Value =
        serde_json::from_str(&bench.node.read("/var/lib/dcos-node/receipt.json"))
            .expect("a receipt");
    assert!(
        receipt.as_object_mut().expect("an object").remove("snapshot").is_some(),
        "the receipt has no snapshot"
    );
    bench.node.write("/var/lib/dcos-node/receipt.json", &receipt.to_string());
    bench.all("ip link add spartan type bridge; echo 1 > /proc/sys/vm/swappiness");
    let outcome = bench.uninstall();
    assert_eq!(outcome.succeeds().json()["report"]["compared"], false);
    has(&things(&outcome, "removed"), "interface the interface spartan");
    has(&things(&outcome, "kept"), "sysctl vm/swappiness");
    assert_eq!(bench.node.read("/proc/sys/vm/swappiness"), "1\n");
}
