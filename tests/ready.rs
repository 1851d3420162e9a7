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

/// Programs of active packages are replaced by ones that do this.
fn replace(node: &Node, program: &str, body: &str) {
    node.shell(&format!("readlink -f {program} >/tmp/replaced")).succeeds();
    let place = node.read("/tmp/replaced");
    // Renamed into place: the old one may be running.
    node.write_script(&format!("{}.new", place.trim()), &format!("#!/bin/sh\n{body}\n"));
    node.shell(&format!("mv {0}.new {0}", place.trim())).succeeds();
}

/// One fails with a word on its lips.
fn break_program(node: &Node, program: &str, unit: &str) {
    replace(node, program, "echo broken on purpose >&2\nexit 1");
    node.run(&["systemctl", "restart", "--no-block", unit]).succeeds();
}

/// Waits in vain, and demands what the line says after `error:`, without the time. What was just broken or mended takes a while to show on a busy machine:
/// until then the wait ends with another cause, which is tried again.
#[track_caller]
fn too_late(node: &Node, level: &str, cause: &str) -> support::node::Outcome {
    let wait = format!("--wait={level}");
    let expected = format!("error: not {level} after 4 s: {cause}");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(90);
    loop {
        let outcome = node.run(&["dcos-node", "status", &wait, "--wait-timeout=4s"]);
        let is_told = outcome.stderr().lines().any(|line| line.starts_with(&expected));
        if is_told || std::time::Instant::now() > until {
            assert!(is_told, "{expected:?} was expected: {outcome}");
            outcome.exits_with(7).stderr_has("state:  the node is installed and goes on by itself");
            return outcome;
        }
    }
}

/// Where the whole story is, which is the cure where nothing better is known.
fn story(unit: &str, level: &str) -> String {
    format!("cure:   journalctl -u {unit} has the whole story; dcos-node status --wait={level} waits again")
}

/// What an uninstall would say, that does nothing.
fn leaving(node: &Node, more: &[&str]) -> support::node::Outcome {
    node.run(&[&["dcos-node", "uninstall", "--dry-run"], more].concat())
}

fn set_masters(node: &Node, masters: &[&str]) {
    let list = format!("p=$(readlink -f /opt/mesosphere/etc/master_list) && echo '{masters:?}' >$p && systemctl restart dcos-exhibitor");
    node.shell(&list).succeeds();
}

fn installed(
    name: &str,
    role: &str,
    build: Build,
    level: &str,
    limit: &str,
) -> (Node, support::node::Outcome, (Server, tempfile::TempDir)) {
    let directory = tempfile::tempdir().expect("a directory for the build");
    build.pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot(name).knowing(&server);
    node.install_binary();
    node.run(&["dcos-node", "status", "--wait"]).exits_with(11).stderr_has("error: DC/OS is not installed here");
    let (wait, limit) = (format!("--wait={level}"), format!("--wait-timeout={limit}"));
    let command = ["dcos-node", "install", role, "--bootstrap-url", server.url(), &wait, &limit, "--json"];
    let outcome = node.run_within(std::time::Duration::from_secs(600), &[&command, node::LACKS].concat());
    // The node's network goes with the server.
    (node, outcome, (server, directory))
}

#[test]
fn a_master_is_waited_for_and_each_broken_link_of_the_chain_is_named() {
    if !node::available() {
        return;
    }
    let (node, installed, _server) = installed("ready", "master", Build::fixture(), "cluster-ready", "8m");
    let outcome = installed.succeeds().stderr_has("waits for cluster-ready: ").stderr_has(" well; masters: ").json();
    assert_eq!(outcome["ready"]["level"], "cluster-ready", "{outcome:#}");
    assert_eq!(outcome["ready"]["masters"][0]["serving"], "serving");
    let status = node.run(&["dcos-node", "status", "--json"]).succeeds().json();
    assert_eq!(status["readiness"]["level"], "cluster-ready", "{:#}", status["readiness"]);
    well(&node);
    cluster(&node);
    chain(&node);
}

/// What a node that is well makes of small things.
fn well(node: &Node) {
    // The web interface is where people come from.
    replace(node, "/opt/mesosphere/bin/detect_ip_public", "echo 203.0.113.9");
    // Its checks are run once, and believed for a while.
    replace(
        node,
        "/opt/mesosphere/bin/dcos-check-runner",
        r#"[ $# = 2 ] && echo run >>/tmp/runs; echo '{"status":0,"checks":{"xz":{"status":0,"output":""}}}'"#,
    );
    let arrived = node.run(&["dcos-node", "status", "--wait=cluster-ready", "--wait-timeout=2m", "--json"]);
    assert_eq!(arrived.succeeds().json()["urls"][0], "http://203.0.113.9/");
    let told = node.run(&["dcos-node", "status", "--wait=cluster-ready"]);
    told.succeeds().stdout_has("level:          cluster-ready\nat:             http://203.0.113.9/").stdout_has("/exhibitor/\n");
    node.shell("rm /tmp/runs").succeeds();
    node.run(&["systemctl", "kill", "--signal=STOP", "dcos-adminrouter"]).succeeds();
    too_late(node, "cluster-ready", "dcos-adminrouter.service: Admin Router does not answer: ")
        .stderr_has(&story("dcos-adminrouter.service", "cluster-ready"));
    node.run(&["systemctl", "kill", "--signal=CONT", "dcos-adminrouter"]).succeeds();
    assert_eq!(node.read("/tmp/runs"), "run\n");

    // Telemetry that fails holds nothing up, whatever DC/OS' own check of all components says.
    let components = r#"{"status":2,"checks":{"components_master":{"status":2,"output":"dcos-telegraf.service ended with 1"}}}"#;
    replace(node, "/opt/mesosphere/bin/dcos-check-runner", &format!("echo '{components}'"));
    break_program(node, "/opt/mesosphere/bin/start_telegraf.sh", "dcos-telegraf");
    node.run(&["dcos-node", "status", "--wait", "--wait-timeout=2m"]).succeeds();
    for (printed, told) in [
        (r#"{"status":0,"checks":{}}"#, "the node's own checks could not run: dcos-check-runner: it ran no checks at all"),
        (
            r#"{"error":"failed to execute.","checks":["xz: no"]}"#,
            "the node's own checks could not run: dcos-check-runner: failed to execute. xz: no",
        ),
        (r#"{"status":2,"checks":{"xz":{"status":2,"output":"no xz"}}}"#, "the check xz does not pass: no xz"),
        (
            r#"{"status":2,"checks":{"clock_sync":{"status":2,"output":"off"}}}"#,
            "dcos-net.service: the check clock_sync does not pass: off",
        ),
    ] {
        replace(node, "/opt/mesosphere/bin/dcos-check-runner", &format!("echo '{printed}'"));
        too_late(node, "node-ready", told);
    }
    replace(node, "/opt/mesosphere/bin/dcos-check-runner", &format!("echo '{components}'"));

    // A service that somebody stopped, and one that falls again and again, which is active most of the time.
    node.run(&["systemctl", "stop", "dcos-cosmos"]).succeeds();
    too_late(node, "node-ready", "dcos-cosmos.service: is not running").stderr_has("cure:   systemctl start dcos-cosmos.service");
    replace(node, "/opt/mesosphere/bin/cosmos", "sleep 4; exit 1");
    node.run(&["systemctl", "start", "--no-block", "dcos-cosmos"]).succeeds();
    let fell = "for i in $(seq 60); do [ $(systemctl show -P NRestarts dcos-cosmos) -ge 2 ] && exit; sleep 1; done; exit 1";
    node.shell(fell).succeeds();
    too_late(node, "node-ready", "dcos-cosmos.service: ").stderr_has(&story("dcos-cosmos.service", "node-ready"));
    // It is up for a few seconds at a time: one of the looks falls into them.
    let up = "for i in $(seq 60); do dcos-node status >/tmp/told; s=$?; grep '^converging  dcos-cosmos.service' /tmp/told && exit $s; done; exit 1";
    node.shell(up).exits_with(7);
    // Who waited for less has it.
    node.run(&["dcos-node", "status", "--wait=started"]).succeeds().stdout_has("dcos-cosmos.service");
}

/// What an uninstall says of the cluster.
fn cluster(node: &Node) {
    // A master alone is missed by its agents only.
    assert_eq!(leaving(node, &["--json"]).succeeds().json()["cluster"]["masters"][0]["serving"], "serving");
    let register = "exec 3<>/dev/tcp/127.0.0.1/5050; printf 'GET /fixture/register?address=10.77.0.9 HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    node.run(&["bash", "-c", register]).stdout_has("registered");
    leaving(node, &[])
        .exits_with(5)
        .stderr_has("it is the only one, and 1 agent is connected to it")
        .stderr_has("uninstall the agents first");
    leaving(node, &["--force"]).succeeds().stderr_has("warning: the cluster ends with this master");
}

/// From the end of the chain to its beginning: what breaks later comes earlier in the chain, and so is the first cause.
fn chain(node: &Node) {
    let exited = "its program exited with status 1";
    break_program(node, "/opt/mesosphere/active/marathon/bin/marathon.sh", "dcos-marathon.service");
    replace(node, "/opt/mesosphere/bin/cosmos", "exec sleep 1000");
    node.run(&["systemctl", "restart", "--no-block", "dcos-cosmos"]).succeeds();
    too_late(node, "node-ready", &format!("dcos-marathon.service: {exited}"))
        .stderr_has("marathon.sh: broken on purpose")
        .stderr_has(&story("dcos-marathon.service", "node-ready"));
    on_a_terminal(node);
    break_program(node, "/opt/mesosphere/active/adminrouter/nginx/sbin/adminrouter", "dcos-adminrouter.service");
    too_late(node, "node-ready", "dcos-adminrouter.service: its program failed when it was started").stderr_has("broken on purpose");

    // The name servers live and know everybody but who leads; who asks for that name is not the cause.
    node.shell("p=$(readlink -f /opt/mesosphere/bin/dcos-net-env) && sed -i 's/qw(leader.mesos /qw(/' $p && systemctl restart dcos-net")
        .succeeds();
    node.run(&["systemctl", "restart", "--no-block", "dcos-history"]).succeeds();
    too_late(node, "node-ready", "dcos-mesos-dns.service: no master leads, as far as this node can tell (leader.mesos): ")
        .stderr_has(&story("dcos-mesos-dns.service", "node-ready"));
    break_program(node, "/opt/mesosphere/bin/mesos-dns", "dcos-mesos-dns.service");
    too_late(node, "node-ready", &format!("dcos-mesos-dns.service: {exited}")).stderr_has("mesos-dns: broken on purpose");

    break_program(node, "/opt/mesosphere/bin/mesos-master", "dcos-mesos-master.service");
    too_late(node, "node-ready", &format!("dcos-mesos-master.service: {exited}")).stderr_has("broken on purpose");
    let broken = "[Service]\nExecStartPre=/bin/sh -c 'echo not before noon >&2; exit 1'\n";
    node.write("/etc/systemd/system/dcos-mesos-master.service.d/broken.conf", broken);
    node.shell("systemctl daemon-reload && systemctl restart --no-block dcos-mesos-master").succeeds();
    too_late(node, "node-ready", "dcos-mesos-master.service: waits: /bin/sh -c echo not before noon >&2; exit 1 does not succeed yet")
        .stderr_has("sh: not before noon");
    node.write("/etc/systemd/system/dcos-mesos-master.service.d/broken.conf", "[Service]\nExecStartPre=/bin/sleep 1000\n");
    let hangs = "for i in $(seq 60); do pgrep -x sleep -a | grep -q 1000 && sleep 3 && exit; sleep 0.5; done; exit 1";
    node.shell("systemctl daemon-reload && systemctl restart --no-block dcos-mesos-master").succeeds();
    node.shell(hangs).succeeds();
    too_late(node, "node-ready", "dcos-mesos-master.service: waits: /bin/sleep 1000 runs for ");

    exhibitor(node);

    break_program(node, "/opt/mesosphere/active/dcos-net/dcos-net/bin/dcos-net-setup", "dcos-net.service");
    let setup = "/opt/mesosphere/active/dcos-net/dcos-net/bin/dcos-net-setup modprobe ip_vs_wlc";
    too_late(node, "node-ready", &format!("dcos-net.service: waits: {setup} does not succeed yet"))
        .stderr_has("dcos-net-setup: broken on purpose");
    replace(node, "/opt/mesosphere/active/dcos-net/dcos-net/bin/dcos-net-setup", "exit 0");
    node.shell("echo -n 192.0.2.77 >/var/lib/dcos/navstar/ip && systemctl restart --no-block dcos-net").succeeds();
    too_late(node, "node-ready", "dcos-net.service: ").stderr_has("dcos-node install master --reset-identity");
    node.run(&["dcos-node", "status"])
        .stdout_has("was 192.0.2.77: it must not change; dcos-node uninstall, then dcos-node install master --reset-identity");
    break_program(node, "/opt/mesosphere/bin/check-time", "dcos-net.service");
    too_late(node, "node-ready", "dcos-net.service: waits: /opt/mesosphere/bin/check-time does not succeed yet")
        .stderr_has("log:    check-time: broken on purpose\n");
    // An install that changes nothing and waits in vain says both.
    let again =
        ["dcos-node", "install", "master", "--bootstrap-url", "http://bootstrap.dcos.test:8080", "--wait", "--wait-timeout=1s", "--json"];
    let again = node.run(&again);
    assert_eq!(again.exits_with(7).json()["changed"], false);
}

fn exhibitor(node: &Node) {
    // The second one of three is this node under another name, so that two of three serve.
    node.shell("ip address add 10.77.0.50/32 dev lo").succeeds();
    set_masters(node, &["127.0.0.1", "10.77.0.50", "192.0.2.10"]);
    let needed = "for i in $(seq 60); do dcos-node uninstall --dry-run; [ $? = 5 ] && exit 0; sleep 1; done; exit 1";
    node.shell(needed).succeeds().stderr_has("1 of 3 would serve without it").stderr_has("bring another master up first; --force");
    leaving(node, &["--force", "--json"]).succeeds().stdout_has("put another master in the place of");
    set_masters(node, &["127.0.0.1", "192.0.2.9", "192.0.2.10"]);
    // Without a quorum: also where only this node is waited for.
    for level in ["node-ready", "cluster-ready"] {
        too_late(node, level, "dcos-exhibitor.service: waiting for masters: 192.0.2.9, 192.0.2.10")
            .stderr_has("cure:   see to the masters that are missing");
    }
    leaving(node, &[]).succeeds().stderr_has("warning: the masters have no quorum now: 0 of 3 serve");
    node.run(&["systemctl", "kill", "--signal=STOP", "dcos-exhibitor"]).succeeds();
    leaving(node, &[]).succeeds().stderr_has("warning: whether the cluster can do without this master is not known");
    too_late(node, "node-ready", "dcos-exhibitor.service: Exhibitor does not answer: ");
    node.run(&["systemctl", "kill", "--signal=CONT", "dcos-exhibitor"]).succeeds();
    break_program(node, "/opt/mesosphere/active/exhibitor/usr/exhibitor/start_exhibitor", "dcos-exhibitor.service");
    too_late(node, "node-ready", "dcos-exhibitor.service: its program exited with status 1")
        .stderr_has("start_exhibitor: broken on purpose")
        .stderr_has(&story("dcos-exhibitor.service", "node-ready"));
}

/// The table that redraws itself, on a terminal of its own.
fn on_a_terminal(node: &Node) {
    let seen = "stty cols 120 rows 40; exec dcos-node --no-color status --wait --wait-timeout=6s";
    let table = node.run(&["env", "TERM=xterm", "script", "-qec", seen, "/dev/null"]);
    table.exits_with(7);
    for part in
        ["started -> node-ready  0:0", "  units    ", " well", "  master   ", "serving, leads", "  waits    dcos-marathon.service: "]
    {
        table.stdout_has(part);
    }
    // The time goes on by itself, and what was drawn is gone at the end.
    for second in 1..5 {
        table.stdout_has(&format!("node-ready  0:0{second}"));
    }
    let last = table.stdout().split("error: ").last().unwrap_or_default();
    assert!(!last.contains("-> node-ready"), "{table}");
}

#[test]
fn an_agent_without_masters_says_who_does_not_lead() {
    if !node::available() {
        return;
    }
    let build = Build::fixture().with_masters(&["192.0.2.9"]);
    let (node, outcome, _server) = installed("ready-agent", "slave", build, "cluster-ready", "40s");
    let told = outcome.exits_with(7).json();
    // The install stands, and says so to who reads the failure.
    assert_eq!(told["changed"], true, "{told:#}");
    let error = told["error"].as_str().unwrap_or_default();
    assert!(error.contains(": dcos-net.service: no master leads, as far as this node can tell (leader.mesos): "), "{error}");
    let status = node.run(&["dcos-node", "status", "--json"]).json();
    let obstacles = status["readiness"]["obstacles"].as_array().expect("obstacles");
    let registers = |o: &&serde_json::Value| o["text"] == "this agent is not registered with the masters yet";
    assert_eq!(obstacles.iter().find(registers).unwrap_or_else(|| panic!("{obstacles:#?}"))["unit"], "dcos-mesos-slave.service");
    node.run(&["systemctl", "stop", "dcos-mesos-slave"]).succeeds();
    node.run(&["dcos-node", "status"]).stdout_has("failed      dcos-mesos-slave.service");
}

#[test]
fn an_image_cannot_be_waited_for() {
    let image = tempfile::tempdir().expect("a directory");
    for command in [&["status"][..], &["install", "slave", "--bootstrap-url", "/nowhere"]] {
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_dcos-node"));
        let output = run.args(command).args(["--wait", "--root"]).arg(image.path()).output().expect("run dcos-node");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("error: an image cannot be waited for"));
    }
}
