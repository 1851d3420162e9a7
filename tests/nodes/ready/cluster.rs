//! Whether the cluster can do without a node, and a node without its cluster.

use support::build::Build;
use support::node::{self, Node};

use super::{at_last, break_program, installed, leaving, set_masters, story, too_late};

pub(super) fn single_master_is_needed_by_its_agents(node: &Node) {
    at_last(node, &["dcos-node", "uninstall", "--dry-run", "--json"], |told| {
        told.code() == Some(0) && told.json()["cluster"]["masters"][0]["serving"] == "serving"
    });
    let register = "exec 3<>/dev/tcp/127.0.0.1/5050; printf 'GET \
                    /fixture/register?address=10.77.0.9 HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    at_last(node, &["bash", "-c", register], |told| told.stdout().contains("registered"));
    leaving(
        node,
        &[],
        5,
        &["it is the only one, and 1 agent is connected to it", "uninstall the agents first"],
    );
    leaving(node, &["--force"], 0, &["warning: the cluster ends with this master"]);
}

pub(super) fn quorum_decides_over_an_uninstall(node: &Node) {
    // The second one of three is this node under another name, so that two of three serve.
    node.shell("ip address add 10.77.0.50/32 dev lo").succeeds();
    set_masters(node, &["127.0.0.1", "10.77.0.50", "192.0.2.10"]);
    leaving(
        node,
        &[],
        5,
        &["1 of 3 would serve without it", "bring another master up first; --force"],
    );
    leaving(node, &["--force", "--json"], 0, &["put another master in the place of"]);
    set_masters(node, &["127.0.0.1", "192.0.2.9", "192.0.2.10"]);
    // Without a quorum: also where only this node is waited for.
    for level in ["node-ready", "cluster-ready"] {
        let missing = "dcos-exhibitor.service: waiting for masters: 192.0.2.9, 192.0.2.10";
        too_late(node, level, missing, &["cure:   see to the masters that are missing"]);
    }
    leaving(node, &[], 0, &["warning: the masters have no quorum now: 0 of 3 serve"]);
}

pub(super) fn silent_and_failed_exhibitor_are_named(node: &Node) {
    node.run(&["systemctl", "kill", "--signal=STOP", "dcos-exhibitor"]).succeeds();
    leaving(
        node,
        &[],
        0,
        &["warning: whether the cluster can do without this master is not known"],
    );
    too_late(node, "node-ready", "dcos-exhibitor.service: Exhibitor does not answer: ", &[]);
    node.run(&["systemctl", "kill", "--signal=CONT", "dcos-exhibitor"]).succeeds();
    break_program(
        node,
        "/opt/mesosphere/active/exhibitor/usr/exhibitor/start_exhibitor",
        "dcos-exhibitor.service",
    );
    let words =
        ["start_exhibitor: broken on purpose", &story("dcos-exhibitor.service", "node-ready")];
    too_late(
        node,
        "node-ready",
        "dcos-exhibitor.service: its program exited with status 1",
        &words,
    );
}

#[test]
fn agent_without_masters_names_the_missing_leader() {
    if !node::available() {
        return;
    }
    let build = Build::fixture().with_masters(&["192.0.2.9"]);
    let (node, outcome, _server) = installed("ready-agent", "slave", build, "cluster-ready", "20s");
    let told = outcome.exits_with(7).json();
    // The install stands, and says so to who reads the failure.
    assert_eq!(told["changed"], true, "{told:#}");
    let error = told["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("not cluster-ready after 20 s: "), "{error}");
    // Its units may have been on their way still.
    let nobody_leads =
        "dcos-net.service: no master leads, as far as this node can tell (leader.mesos): ";
    too_late(&node, "cluster-ready", nobody_leads, &[]);
    at_last(&node, &["dcos-node", "status", "--json"], |status| {
        let obstacles =
            status.json()["readiness"]["obstacles"].as_array().cloned().unwrap_or_default();
        let registers = |o: &&serde_json::Value| {
            o["text"] == "this agent is not registered with the masters yet"
        };
        obstacles
            .iter()
            .find(registers)
            .is_some_and(|obstacle| obstacle["unit"] == "dcos-mesos-slave.service")
    });
    node.run(&["systemctl", "stop", "dcos-mesos-slave"]).succeeds();
    at_last(&node, &["dcos-node", "status"], |status| {
        status.stdout().contains("failed      dcos-mesos-slave.service")
    });
}
