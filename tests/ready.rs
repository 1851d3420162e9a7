//! Ready means ready: a real node is waited for, and each link of DC/OS' chain that is broken on purpose is named. On the way a master is asked
//! whether its cluster can do without it.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod support;

use support::build::Build;
use support::node::{self, Node, Server};

/// A program of an active package is replaced by one that fails with a word on its lips.
fn break_program(node: &Node, program: &str, unit: &str) {
    let script = format!(
        "p=$(readlink -f {program}) && printf '#!/bin/sh\\necho broken on purpose >&2\\nexit 1\\n' >$p.new && chmod 755 $p.new && mv $p.new $p \
         && systemctl restart --no-block {unit}"
    );
    node.shell(&script).succeeds();
}

fn too_late(node: &Node, level: &str) -> support::node::Outcome {
    let wait = format!("--wait={level}");
    let outcome = node.run(&["dcos-node", "status", &wait, "--wait-timeout=8s"]);
    outcome.exits_with(7).stderr_has("state:  the node is installed and goes on by itself");
    outcome
}

/// What an uninstall would say, that does nothing.
fn leaving(node: &Node, more: &[&str]) -> support::node::Outcome {
    node.run(&[&["dcos-node", "uninstall", "--dry-run"], more].concat())
}

fn set_masters(node: &Node, masters: &[&str]) {
    let list = format!("p=$(readlink -f /opt/mesosphere/etc/master_list) && echo '{masters:?}' >$p && systemctl restart dcos-exhibitor");
    node.shell(&list).succeeds();
}

#[test]
fn a_master_is_waited_for_and_the_first_broken_link_is_named() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory for the build");
    Build::fixture().pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot("ready").knowing(&server);
    node.install_binary();
    let command =
        ["dcos-node", "install", "master", "--bootstrap-url", server.url(), "--wait=cluster-ready", "--wait-timeout=8m", "--json"];
    let installed = node.run(&[&command, node::LACKS].concat());
    let outcome = installed.succeeds().stderr_has("waits for cluster-ready: ").json();
    assert_eq!(outcome["ready"]["level"], "cluster-ready", "{outcome:#}");
    assert_eq!(outcome["ready"]["masters"][0]["serving"], "serving");
    assert!(outcome["ready"]["urls"][0].as_str().is_some_and(|url| url.starts_with("http://")), "{outcome:#}");
    assert_eq!(node.run(&["dcos-node", "status", "--json"]).succeeds().json()["readiness"]["level"], "cluster-ready");

    // A master alone is missed by its agents only.
    assert_eq!(leaving(&node, &["--json"]).succeeds().json()["cluster"]["masters"][0]["serving"], "serving");
    let register = "exec 3<>/dev/tcp/127.0.0.1/5050; printf 'GET /fixture/register?address=10.77.0.9 HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    node.run(&["bash", "-c", register]).stdout_has("registered");
    leaving(&node, &[])
        .exits_with(5)
        .stderr_has("it is the only one, and 1 agent is connected to it")
        .stderr_has("uninstall the agents first");
    leaving(&node, &["--force"]).succeeds().stderr_has("warning: the cluster ends with this master");

    // From the end of the chain to its beginning: what breaks later comes earlier in the chain, and so is the first cause.
    break_program(&node, "/opt/mesosphere/active/marathon/bin/marathon.sh", "dcos-marathon.service");
    too_late(&node, "node-ready").stderr_has("dcos-marathon.service").stderr_has("broken on purpose");
    break_program(&node, "/opt/mesosphere/bin/mesos-dns", "dcos-mesos-dns.service");
    too_late(&node, "node-ready").stderr_has("dcos-mesos-dns.service: ").stderr_has("broken on purpose");
    break_program(&node, "/opt/mesosphere/bin/mesos-master", "dcos-mesos-master.service");
    too_late(&node, "node-ready").stderr_has("dcos-mesos-master.service: ").stderr_has("broken on purpose");
    // The second one of three is this node under another name, so that two of three serve.
    node.shell("ip address add 10.77.0.50/32 dev lo").succeeds();
    set_masters(&node, &["127.0.0.1", "10.77.0.50", "192.0.2.10"]);
    let needed = "for i in $(seq 60); do dcos-node uninstall --dry-run; [ $? = 5 ] && exit 0; sleep 1; done; exit 1";
    node.shell(needed).succeeds().stderr_has("1 of 3 would serve without it").stderr_has("bring another master up first; --force");
    leaving(&node, &["--force", "--json"]).succeeds().stdout_has("put another master in the place of");
    set_masters(&node, &["127.0.0.1", "192.0.2.9", "192.0.2.10"]);
    too_late(&node, "cluster-ready").stderr_has("waiting for masters: 192.0.2.9, 192.0.2.10");
    leaving(&node, &[]).succeeds().stderr_has("warning: the masters have no quorum now: 0 of 3 serve");
    node.run(&["systemctl", "kill", "--signal=STOP", "dcos-exhibitor"]).succeeds();
    leaving(&node, &[]).succeeds().stderr_has("warning: whether the cluster can do without this master is not known");
    node.run(&["systemctl", "kill", "--signal=CONT", "dcos-exhibitor"]).succeeds();
    node.shell("echo -n 192.0.2.77 >/var/lib/dcos/navstar/ip && systemctl restart --no-block dcos-net").succeeds();
    too_late(&node, "node-ready").stderr_has("dcos-net.service: ").stderr_has("dcos-node install master --reset-identity");
    node.run(&["dcos-node", "status"])
        .stdout_has("was 192.0.2.77: it must not change; dcos-node uninstall, then dcos-node install master --reset-identity");
    break_program(&node, "/opt/mesosphere/bin/check-time", "dcos-net.service");
    too_late(&node, "node-ready").stderr_has("check-time");
}
