//! Ready means ready: a real node is waited for, and each link of DC/OS' chain that is broken on purpose is named.
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

    // From the end of the chain to its beginning: what breaks later comes earlier in the chain, and so is the first cause.
    break_program(&node, "/opt/mesosphere/active/marathon/bin/marathon.sh", "dcos-marathon.service");
    too_late(&node, "node-ready").stderr_has("dcos-marathon.service").stderr_has("broken on purpose");
    break_program(&node, "/opt/mesosphere/bin/mesos-dns", "dcos-mesos-dns.service");
    too_late(&node, "node-ready").stderr_has("dcos-mesos-dns.service: ").stderr_has("broken on purpose");
    break_program(&node, "/opt/mesosphere/bin/mesos-master", "dcos-mesos-master.service");
    too_late(&node, "node-ready").stderr_has("dcos-mesos-master.service: ").stderr_has("broken on purpose");
    let list = "p=$(readlink -f /opt/mesosphere/etc/master_list) && echo '[\"127.0.0.1\",\"192.0.2.9\",\"192.0.2.10\"]' >$p";
    node.shell(&format!("{list} && systemctl restart dcos-exhibitor")).succeeds();
    too_late(&node, "cluster-ready").stderr_has("waiting for masters: 192.0.2.9, 192.0.2.10");
    node.shell("echo -n 192.0.2.77 >/var/lib/dcos/navstar/ip && systemctl restart --no-block dcos-net").succeeds();
    too_late(&node, "node-ready").stderr_has("dcos-net.service: ").stderr_has("dcos-node install master --reset-identity");
    break_program(&node, "/opt/mesosphere/bin/check-time", "dcos-net.service");
    too_late(&node, "node-ready").stderr_has("check-time");
}
