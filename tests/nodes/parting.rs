//! How a node parts from its cluster: an agent with its tasks, and a master that others need.
//! Nothing that Mesos mounted or started stays.
//!
//! Real nodes. The stand-in for Mesos' agent does as the real one: it mounts its directories on
//! themselves and keeps a namespace of a container, its executors run in a slice of their own, and
//! on SIGUSR1 it unregisters at once and ends when its tasks have ended.

use std::time::Duration;

use serde_json::Value;
use support::build::Build;
use support::node::{self, Node, Outcome, Server};
use support::step;
use support::tree::Snapshot;
use tempfile::TempDir;

/// Which tasks a stand-in agent runs.
const TASKS: &str = "/var/lib/mesos/slave/stand-in-tasks";
/// As long as it is there a stand-in agent that leaves gives its tasks more time.
const HOLD: &str = "/var/lib/mesos/slave/stand-in-hold";
/// Where Mesos mounts something for itself.
const MOUNTS: [&str; 3] = [
    "/run/mesos/isolators/network/cni",
    "/run/mesos/isolators/network/cni/stand-in/ns",
    "/var/lib/mesos/slave",
];

struct Bench {
    node: Node,
    server: Server,
    _directory: TempDir,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let directory = tempfile::tempdir().expect("a directory for the build");
        Build::fixture().pack(directory.path());
        let server = Server::serving(directory.path());
        let node = Node::boot(name).knowing(&server);
        node.install_binary();
        Bench { node, server, _directory: directory }
    }

    fn install(&self, role: &str) {
        let command =
            ["dcos-node", "install", role, "--bootstrap-url", self.server.url(), "--json"];
        self.node.run(&[&command, node::LACKS].concat()).succeeds();
    }

    fn uninstall(&self, more: &[&str]) -> Outcome {
        self.node.run(&[&["dcos-node", "uninstall", "--json"], more].concat())
    }

    /// Asks, again if need be, until this is the answer: the agent and the masters have few seconds
    /// for theirs, which a busy machine may not give them. Only for what changes nothing.
    #[track_caller]
    fn tells(&self, options: &[&str], code: i32, words: &str) -> Outcome {
        node::eventually(|| {
            let told = self.uninstall(options);
            if told.code() == Some(code) && told.stderr().contains(words) {
                Ok(told)
            } else {
                Err(told.to_string())
            }
        })
    }

    /// Waits until the agent is registered, and gives it tasks.
    fn runs(&self, frameworks: &[&str]) {
        self.node.until("dcos-node uninstall --dry-run --json | grep -q 'registered.: true'");
        self.node.write(TASKS, &format!("{}\n", frameworks.join("\n")));
        let count = frameworks.len();
        self.node.until(&format!(
            "[ $(grep -l mesos_executors.slice /proc/[0-9]*/cgroup | wc -l) -ge {count} ]"
        ));
        if frameworks.contains(&"volumes") {
            self.node.until("findmnt -rno TARGET | grep -q /volume");
        }
    }

    /// Mount points of Mesos, in their order.
    fn mounts(&self) -> Vec<String> {
        self.node
            .shell("findmnt -rno TARGET | grep mesos | sort -u; true")
            .stdout()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Nothing of Mesos runs, is mounted, or is known to systemd.
    #[track_caller]
    fn is_free_of_mesos(&self) {
        assert_eq!(self.mounts(), Vec::<String>::new());
        assert!(
            !self.node.has("/run/mesos")
                && !self.node.has("/run/systemd/system/mesos_executors.slice")
        );
        self.node
            .shell("cat /proc/[0-9]*/cgroup 2>/dev/null | grep mesos_executors.slice")
            .exits_with(1);
        self.node
            .run(&["systemctl", "list-units", "--all", "--no-legend", "mesos*", "dcos*"])
            .stdout_lacks("mesos")
            .stdout_lacks("dcos");
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("a text")
}

fn things(outcome: &Outcome, list: &str) -> Vec<String> {
    let json = outcome.json();
    let items =
        json["report"][list].as_array().unwrap_or_else(|| panic!("no list {list}: {outcome}"));
    items.iter().map(|item| format!("{} {}", text(item, "kind"), text(item, "what"))).collect()
}

/// The node's files but what the node itself goes on writing.
fn files(node: &Node) -> Snapshot {
    let mut files = Snapshot::of(&node.root());
    files.paths.retain(|path, _| {
        !["/var/lib/systemd", "/var/lib/private"].iter().any(|own| path.starts_with(own))
    });
    files
}

#[test]
fn agent_leaves_in_order_without_mesos_mounts_or_processes() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("drain");
    let before = files(&bench.node);
    for role in ["slave", "slave_public"] {
        bench.install(role);
        bench.runs(&["volumes", "marathon", "marathon"]);
        step(&format!("{role}: tasks"), || bench.reports_its_three_tasks());
        step(&format!("{role}: mounted volume"), || bench.keeps_a_mounted_volume());
        step(&format!("{role}: drain too late"), || bench.drain_at_its_limit_stops_nothing());
        bench.runs(&["marathon", "volumes"]);
        let drained = step(&format!("{role}: drain"), || bench.drains_two_tasks());
        step(&format!("{role}: report"), || drained_uninstall_reports_the_mounts(&drained));
        bench.is_free_of_mesos();
        assert_eq!(files(&bench.node).changes_since(&before), Vec::<String>::new());
    }
}

impl Bench {
    fn reports_its_three_tasks(&self) {
        assert_eq!(
            self.mounts().iter().filter(|point| MOUNTS.contains(&point.as_str())).count(),
            MOUNTS.len(),
            "{:?}",
            self.mounts()
        );
        let what =
            "this agent is registered with the masters and runs 3 tasks (marathon: 2, volumes: 1)";
        self.tells(&["--strict"], 5, what)
            .stderr_has("--drain lets the agent leave the cluster in order first");
        let told = self.tells(&["--dry-run"], 0, what);
        assert_eq!(told.json()["cluster"]["frameworks"][0]["name"], "marathon");
        self.node.shell("dcos-node uninstall --dry-run --drain --purge-data").succeeds();
    }

    /// A task's own file system would be left without it, and hides files.
    fn keeps_a_mounted_volume(&self) {
        self.uninstall(&["--purge-data", "--yes"])
            .exits_with(5)
            .stderr_has("/volume, which would be removed")
            .stderr_has("cure:   dcos-node uninstall --drain, if a task");
    }

    fn drain_at_its_limit_stops_nothing(&self) {
        self.node.write(HOLD, "");
        self.tells(&["--drain=1s"], 7, "still runs 3 tasks")
            .stderr_has("nothing was stopped or removed");
        self.node.run(&["rm", HOLD]).succeeds();
        self.node.until(&format!("[ ! -e {TASKS} ]"));
    }

    fn drains_two_tasks(&self) -> Outcome {
        self.node.write(HOLD, "");
        let uninstall = ["dcos-node", "uninstall", "--json", "--strict", "--drain"];
        let draining = self.node.start(&[&uninstall[..], &["--purge-data", "--yes"]].concat());
        node::eventually(|| {
            let said = draining.stderr_so_far();
            let is_told =
                said.contains("waiting for the agent to leave its cluster: it still runs 2 tasks");
            if is_told { Ok(()) } else { Err(said) }
        });
        self.node.run(&["rm", HOLD]).succeeds();
        draining.finish_within(Duration::from_secs(600))
    }
}

fn drained_uninstall_reports_the_mounts(drained: &Outcome) {
    drained.succeeds();
    assert!(drained.json()["cluster"]["drained_seconds"].as_u64() >= Some(3), "{drained}");
    let afterwards = drained.json()["cluster"]["afterwards"][0].clone();
    assert!(
        afterwards.as_str().is_some_and(
            |deed| deed.starts_with("dcos node decommission ") && !deed.contains("ID (")
        ),
        "{drained}"
    );
    let removed = things(drained, "removed");
    for point in MOUNTS {
        assert!(removed.contains(&format!("mount the mount at {point}")), "{removed:#?}");
    }
    assert_eq!(things(drained, "residue"), Vec::<String>::new());
}

#[test]
fn agent_tasks_end_and_a_killed_uninstall_finds_the_mounts() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("tasks");
    step("without root", || {
        bench
            .node
            .run(&["setpriv", "--reuid=65534", "--clear-groups", "dcos-node", "uninstall"])
            .exits_with(3)
            .stderr_has("with sudo");
    });
    for (role, purge) in [("slave", &[][..]), ("slave_public", &["--purge-data", "--yes"])] {
        bench.install(role);
        step(&format!("{role}: killed uninstall"), || bench.killed_uninstall_resumes(purge));
    }
    bench.install("slave");
    step("pkgpanda", || running_pkgpanda_stops_an_uninstall(&bench));
    step("mount of an operator", || mount_of_an_operator_stops_an_uninstall(&bench));
    bench.node.shell("umount /run/mesos/operator").succeeds();
    bench.uninstall(&["--purge-data", "--yes"]).succeeds();
    bench.is_free_of_mesos();
}

impl Bench {
    fn killed_uninstall_resumes(&self, purge: &[&str]) {
        self.runs(if purge.is_empty() {
            &["volumes", "metronome"]
        } else {
            &["marathon", "metronome"]
        });
        for point in MOUNTS.iter().rev() {
            let fault = format!("DCOS_NODE_FAULT=kill Mounts 1 {point}");
            let killed =
                self.node.run(&[&["env", &fault, "dcos-node", "uninstall"], purge].concat());
            assert!(
                killed.was_killed() || killed.code() == Some(137),
                "{fault} was not met: {killed}"
            );
        }
        let outcome = self.uninstall(purge);
        assert_eq!(things(outcome.succeeds(), "residue"), Vec::<String>::new());
        self.is_free_of_mesos();
        assert_eq!(self.node.has("/var/lib/mesos/slave"), purge.is_empty());
        self.node.shell(&format!("rm -f {TASKS}")).succeeds();
    }
}

fn running_pkgpanda_stops_an_uninstall(bench: &Bench) {
    bench.node.write_script("/opt/pkgpanda", "#!/bin/sh\nsleep 600\n");
    let pkgpanda = bench.node.start(&["/opt/pkgpanda"]);
    bench.node.until("pgrep -x pkgpanda");
    bench
        .uninstall(&[])
        .exits_with(8)
        .stderr_has("pkgpanda is at work on this node: process ")
        .stderr_has("nothing was changed");
    assert!(bench.node.kill("pkgpanda"));
    drop(pkgpanda);
    bench.node.until("! pgrep -x pkgpanda");
    bench.node.shell("rm /opt/pkgpanda").succeeds();
}

fn mount_of_an_operator_stops_an_uninstall(bench: &Bench) {
    bench.node.until("[ -e /run/mesos/isolators/network/cni/stand-in/ns ]");
    bench
        .node
        .shell("mkdir -p /run/mesos/operator && mount -t tmpfs operator /run/mesos/operator")
        .succeeds();
    bench
        .uninstall(&[])
        .exits_with(5)
        .stderr_has("mounted at /run/mesos/operator")
        .stderr_has("nothing was changed");
    bench.node.until("systemctl is-active dcos-mesos-slave.service");
}

#[test]
fn needed_master_is_removed_only_with_force() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("quorum");
    bench.install("master");
    // The second one of three is this node under another name, so that two of three serve.
    let masters = r#"["127.0.0.1", "10.77.0.50", "192.0.2.10"]"#;
    let list = format!(
        "p=$(readlink -f /opt/mesosphere/etc/master_list) && echo '{masters}' >$p && systemctl \
         restart dcos-exhibitor"
    );
    bench.node.shell(&format!("ip address add 10.77.0.50/32 dev lo && {list}")).succeeds();
    bench.tells(&["--dry-run"], 5, "1 of 3 would serve without it");
    let refused = bench.uninstall(&["--purge-data", "--yes"]);
    refused
        .exits_with(5)
        .stderr_has("1 of 3 would serve without it")
        .stderr_has("state:  nothing was changed");
    bench.node.run(&["systemctl", "is-active", "dcos.target", "dcos-exhibitor.service"]).succeeds();
    let forced = bench.uninstall(&["--purge-data", "--yes", "--force"]);
    forced
        .succeeds()
        .stderr_has("1 of 3 would serve without it")
        .stdout_has("put another master in the place of 127.0.0.1");
    assert!(!bench.node.has("/opt/mesosphere") && !bench.node.has("/var/lib/dcos"));
}
