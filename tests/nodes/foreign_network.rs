//! What looks much like DC/OS' network and is somebody else's stays and is told of; what cannot be
//! removed keeps nothing else from going.
//!
//! Real nodes; what stands in for what is said in `uninstall_network.rs`. calico's interfaces are
//! bridges and a vxlan link here. The stand-in for `ipset` says of a set that it is in use while a
//! file wants it to.

use serde_json::Value;
use support::build::Build;
use support::node::{self, Node, Outcome, Server};
use support::step;
use tempfile::TempDir;

const IPSET: &str = "#!/bin/sh
mkdir -p /run/ipset
case \"$1 $2\" in
    'list -name') ls /run/ipset;;
    'destroy '*) [ ! -e /run/in-use ] || { echo \"ipset v7.17: Set cannot be destroyed: it is in use by a kernel component\" >&2; exit 1; }
        rm \"/run/ipset/$2\";;
    *) echo \"the stand-in does not know $*\" >&2; exit 1;;
esac
";

/// An operator's own policy routing, and the settings of his interfaces.
const OPERATOR: &str = "
    ip link add op0 type bridge && ip address add 192.0.2.9/24 dev op0 && ip link set op0 up
    ip route add 10.8.0.0/16 dev op0 table 42 && ip rule add from 10.9.0.0/16 lookup 42
    mount --bind /proc/sys/net /proc/sys/net && mount -o remount,bind,rw /proc/sys/net
    for i in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $i; done";

/// After a boot the operator's interface has another number. More of his, and the calico of a
/// Kubernetes, came since the install.
const SINCE: &str = "
    ip link del op0 && ip link add op1 type bridge
    ip link add op0 type bridge && ip address add 192.0.2.9/24 dev op0 && ip link set op0 up
    ip route add 10.8.0.0/16 dev op0 table 42
    ip route add 10.11.0.0/16 dev op0 table 42 && ip rule add from 10.12.0.0/16 lookup 42
    mkdir -p /run/ipset && touch /run/ipset/overlay /run/ipset/theirs
    mkdir -p /run/calico/cgroup && mount -t tmpfs calico /run/calico/cgroup
    ip link add cali0a1b2c3d4e5 type bridge && ip link add vxlan.calico type vxlan id 4096 dstport 4789 dev eth0";

const DCOS: &str = "
    ip link add spartan type bridge && ip link add vtep1024 type vxlan id 1024 dstport 64000 dev eth0 && ip link set vtep1024 up
    mkdir -p /run/dcos/cni/networks/prod && ip link add m-prod type bridge && ip link add d-dcos type bridge
    ip rule add from 9.0.0.0/8 lookup 42 && ip route add 9.1.0.0/16 dev vtep1024 table 42
    ip rule add from 12.0.0.0/8 lookup 42 && ip route add 12.1.0.0/24 dev vtep1024 table 42
    mkdir -p /run/ipset && touch /run/ipset/dcos-l4lb
    for i in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 2 > $i; done";

/// All of it that is the operator's; a set of his has a name that Mesos gives to one, too. That
/// nothing is plugged into a link the kernel tells of its routes some time later.
const THEIRS: &str = "ls /run/ipset | grep -v dcos; findmnt /run/calico/cgroup; ip -o link | cut \
                      -d: -f2 | grep -E 'op|cali' | sort; ip rule; ip route show table 42 | sed \
                      's/ linkdown//'";

fn things(outcome: &Outcome, list: &str) -> Vec<String> {
    let json = outcome.json();
    let items =
        json["report"][list].as_array().unwrap_or_else(|| panic!("no list {list}: {outcome}"));
    items
        .iter()
        .map(|item| format!("{} {}: {}", text(item, "kind"), text(item, "what"), text(item, "why")))
        .collect()
}

fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item[field].as_str().expect("a text")
}

#[track_caller]
fn has(list: &[String], thing: &str) {
    assert!(list.iter().any(|item| item.contains(thing)), "{thing} is not among {list:#?}");
}

struct Bench {
    node: Node,
    server: Server,
    _directory: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let directory = tempfile::tempdir().expect("a directory for the build");
        Build::tiny().pack(directory.path());
        let server = Server::serving(directory.path());
        let node = Node::boot("foreign").knowing(&server);
        node.install_binary();
        node.write_script("/usr/local/sbin/ipset", IPSET);
        Bench { node, server, _directory: directory }
    }

    /// Runs lines of shell, each of which must work.
    fn all(&self, lines: &str) {
        self.node.shell(&format!("set -e\n{lines}")).succeeds();
    }

    fn install(&self) {
        let command =
            ["dcos-node", "install", "slave", "--bootstrap-url", self.server.url(), "--json"];
        self.node.run(&[&command, node::LACKS].concat()).succeeds();
    }

    fn uninstall(&self) -> Outcome {
        self.node.run(&["dcos-node", "uninstall", "--purge-data", "--yes", "--json"])
    }

    fn theirs(&self) -> String {
        self.node.shell(THEIRS).stdout().to_owned()
    }
}

#[test]
fn foreign_routes_and_calico_stay_and_busy_objects_are_named() {
    if !node::available() {
        return;
    }
    let bench = Bench::new();
    bench.all(OPERATOR);
    bench.install();
    bench.all(SINCE);
    let expected = bench.theirs();
    bench.all(DCOS);
    // In a container the settings are the host's.
    bench.all("touch /run/in-use; mount -o remount,bind,ro /proc/sys/net");
    let outcome = bench.uninstall();
    step("busy set", || busy_set_is_the_only_residue(&bench, outcome.exits_with(9)));
    step("report", || foreign_objects_and_kept_settings_are_listed(&outcome));
    assert_eq!(bench.theirs(), expected);
    step("second uninstall", || {
        bench.all("rm /run/in-use; mount -o remount,bind,rw /proc/sys/net");
        assert_eq!(things(bench.uninstall().succeeds(), "residue"), Vec::<String>::new());
        assert_eq!(bench.node.read("/proc/sys/net/ipv4/conf/eth0/rp_filter"), "0\n");
    });
    step("no snapshot", || uninstall_without_a_snapshot_keeps_settings(&bench));
    assert_eq!(bench.theirs(), expected);
}

fn busy_set_is_the_only_residue(bench: &Bench, outcome: &Outcome) {
    let residue = things(outcome, "residue");
    assert_eq!(residue.len(), 1, "{residue:#?}");
    has(&residue, "ip-set the ipset dcos-l4lb: ipset destroy dcos-l4lb failed");
    has(&residue, "in use by a kernel component");
    assert!(
        !bench.node.has("/opt/mesosphere") && !bench.node.has("/etc/mesosphere"),
        "one set kept the rest from being removed"
    );
    let removed = things(outcome, "removed");
    for interface in ["spartan", "vtep1024", "m-prod", "d-dcos"] {
        has(&removed, &format!("interface the interface {interface}:"));
    }
    has(&removed, "from 12.0.0.0/8 lookup 42");
}

fn foreign_objects_and_kept_settings_are_listed(outcome: &Outcome) {
    let foreign = things(outcome, "foreign");
    for thing in [
        "route ipv4 10.11.0.0/16 dev op0 table 42",
        "from 10.12.0.0/16 lookup 42",
        "vxlan.calico",
        "interface op1: a bridge",
        "ipset overlay",
        "ip-set theirs",
    ] {
        has(&foreign, thing);
    }
    assert!(
        !foreign.iter().any(|item| item.contains("10.8.0.0") || item.contains("10.9.0.0")),
        "{foreign:#?}"
    );
    has(
        &things(outcome, "kept"),
        "sysctl net/ipv4/conf/eth0/rp_filter: 2, was 0; a reboot sets it back",
    );
}

/// Foreign objects stay where no record has what there was, too, and settings are reported.
fn uninstall_without_a_snapshot_keeps_settings(bench: &Bench) {
    let (node, path) = (&bench.node, "/var/lib/dcos-node/receipt.json");
    bench.install();
    let mut receipt: Value = serde_json::from_str(&node.read(path)).expect("a receipt");
    assert!(
        receipt.as_object_mut().expect("an object").remove("snapshot").is_some(),
        "the receipt has no snapshot"
    );
    node.write(path, &receipt.to_string());
    bench.all(DCOS);
    let outcome = bench.uninstall();
    assert_eq!(things(outcome.succeeds(), "residue"), Vec::<String>::new());
    has(&things(&outcome, "removed"), "interface the interface vtep1024:");
    for setting in ["all", "default", "eth0"] {
        has(
            &things(&outcome, "kept"),
            &format!("sysctl net/ipv4/conf/{setting}/rp_filter: 2; what it was is not recorded"),
        );
    }
}
