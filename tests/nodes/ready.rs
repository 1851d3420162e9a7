//! Ready means ready: a real node is waited for, and each link of DC/OS' chain that is broken on
//! purpose is named. On the way a master is asked whether its cluster can do without it.

mod cluster;

use std::time::{Duration, Instant};

use support::build::Build;
use support::node::{self, Node, Outcome, Server};
use support::step;

/// How long what was just broken or mended may take to show on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// For an install or a wait that comes to its end.
const LONG: Duration = Duration::from_secs(900);

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

/// Runs a command again and again until its outcome is right: units take their time, the words of
/// one come into the journal a little later, and who asks a part of the cluster gives it three
/// seconds.
#[track_caller]
fn at_last(node: &Node, command: &[&str], is_right: impl Fn(&Outcome) -> bool) -> Outcome {
    let began = Instant::now();
    loop {
        let outcome = node.run(command);
        if is_right(&outcome) {
            return outcome;
        }
        assert!(began.elapsed() < PATIENCE, "the outcome is never the right one: {outcome}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The same until it ends so and says all of this.
#[track_caller]
fn says(node: &Node, command: &[&str], code: i32, texts: &[&str]) -> Outcome {
    let is_said = |outcome: &Outcome, text: &&str| {
        outcome.stdout().contains(*text) || outcome.stderr().contains(*text)
    };
    let began = Instant::now();
    at_last(node, command, |outcome| {
        let is_right =
            outcome.code() == Some(code) && texts.iter().all(|text| is_said(outcome, text));
        assert!(
            is_right || began.elapsed() < PATIENCE,
            "exit code {code} and {texts:?} were expected: {outcome}"
        );
        is_right
    })
}

/// Waits in vain, and demands what the line says after `error:`, without the time, and what is said
/// besides.
#[track_caller]
fn too_late(node: &Node, level: &str, cause: &str, besides: &[&str]) -> Outcome {
    let (wait, error) =
        (format!("--wait={level}"), format!("error: not {level} after 4 s: {cause}"));
    let texts = [&[error.as_str(), "state:  the node is installed and goes on by itself"], besides]
        .concat();
    says(node, &["dcos-node", "status", &wait, "--wait-timeout=4s"], 7, &texts)
}

/// Waits until the node has come to a level.
#[track_caller]
fn comes_to(node: &Node, level: &str) {
    node.run_within(
        LONG,
        &["dcos-node", "status", &format!("--wait={level}"), "--wait-timeout=10m"],
    )
    .succeeds();
}

/// Where the whole story is, which is the cure where nothing better is known.
fn story(unit: &str, level: &str) -> String {
    format!(
        "cure:   journalctl -u {unit} has the whole story; dcos-node status --wait={level} waits \
         again"
    )
}

/// What an uninstall would say, that does nothing.
#[track_caller]
fn leaving(node: &Node, more: &[&str], code: i32, texts: &[&str]) -> Outcome {
    says(node, &[&["dcos-node", "uninstall", "--dry-run"], more].concat(), code, texts)
}

fn set_masters(node: &Node, masters: &[&str]) {
    let list = format!(
        "p=$(readlink -f /opt/mesosphere/etc/master_list) && echo '{masters:?}' >$p && systemctl \
         restart dcos-exhibitor"
    );
    node.shell(&list).succeeds();
}

fn installed(
    name: &str,
    role: &str,
    build: Build,
    level: &str,
    limit: &str,
) -> (Node, Outcome, (Server, tempfile::TempDir)) {
    let directory = tempfile::tempdir().expect("a directory for the build");
    build.pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot(name).knowing(&server);
    node.install_binary();
    node.run(&["dcos-node", "status", "--wait"])
        .exits_with(11)
        .stderr_has("error: DC/OS is not installed here");
    let (wait, limit) = (format!("--wait={level}"), format!("--wait-timeout={limit}"));
    let command =
        ["dcos-node", "install", role, "--bootstrap-url", server.url(), &wait, &limit, "--json"];
    let outcome = node.run_within(LONG, &[&command, node::LACKS].concat());
    // The node's network goes with the server.
    (node, outcome, (server, directory))
}

#[test]
fn wait_for_a_master_names_each_broken_dependency() {
    if !node::available() {
        return;
    }
    let (node, installed, _server) =
        installed("ready", "master", Build::fixture(), "cluster-ready", "10m");
    let outcome = installed
        .succeeds()
        .stderr_has("waits for cluster-ready: ")
        .stderr_has(" well; masters: ")
        .json();
    assert_eq!(outcome["ready"]["level"], "cluster-ready", "{outcome:#}");
    assert_eq!(outcome["ready"]["masters"][0]["serving"], "serving");
    at_last(&node, &["dcos-node", "status", "--json"], |status| {
        status.code() == Some(0) && status.json()["readiness"]["level"] == "cluster-ready"
    });
    step("web interface", || ready_node_shows_its_web_interface(&node));
    step("silent Admin Router", || silent_admin_router_is_named(&node));
    step("telemetry", || failed_telemetry_does_not_count(&node));
    step("checks of DC/OS", || failed_checks_are_named(&node));
    step("stopped service", || stopped_service_is_named(&node));
    step("failing service", || failing_service_is_named_while_it_is_active(&node));
    step("agents of a single master", || cluster::single_master_is_needed_by_its_agents(&node));
    step("Marathon", || failed_marathon_is_named(&node));
    step("table on a terminal", || table_on_a_terminal_shows_the_pending_cause(&node));
    step("Admin Router", || failed_admin_router_is_named(&node));
    step("name servers", || missing_leader_and_failed_mesos_dns_are_named(&node));
    step("Mesos master", || failed_mesos_master_is_named(&node));
    step("quorum", || cluster::quorum_decides_over_an_uninstall(&node));
    step("Exhibitor", || cluster::silent_and_failed_exhibitor_are_named(&node));
    step("dcos-net", || failed_setup_and_changed_address_are_named(&node));
    step("time", || failed_time_check_is_named(&node));
    step("second install", || second_install_reports_its_failed_wait(&node));
}

fn ready_node_shows_its_web_interface(node: &Node) {
    // The web interface is where people come from.
    replace(node, "/opt/mesosphere/bin/detect_ip_public", "echo 203.0.113.9");
    // Its checks are run once, and believed for a while.
    replace(
        node,
        "/opt/mesosphere/bin/dcos-check-runner",
        r#"[ $# = 2 ] && echo run >>/tmp/runs; echo '{"status":0,"checks":{"xz":{"status":0,"output":""}}}'"#,
    );
    comes_to(node, "cluster-ready");
    let arrives = ["dcos-node", "status", "--wait=cluster-ready", "--wait-timeout=2m"];
    at_last(node, &[&arrives[..], &["--json"]].concat(), |told| {
        told.code() == Some(0) && told.json()["urls"][0] == "http://203.0.113.9/"
    });
    says(
        node,
        &arrives,
        0,
        &["level:          cluster-ready\nat:             http://203.0.113.9/", "/exhibitor/\n"],
    );
}

fn silent_admin_router_is_named(node: &Node) {
    node.run(&["systemctl", "kill", "--signal=STOP", "dcos-adminrouter"]).succeeds();
    let silent = "dcos-adminrouter.service: Admin Router does not answer: ";
    too_late(node, "cluster-ready", silent, &[&story("dcos-adminrouter.service", "cluster-ready")]);
    let counted = "rm -f /tmp/runs; dcos-node status --wait=cluster-ready --wait-timeout=4s; \
                   code=$?; wc -l </tmp/runs; exit $code";
    at_last(node, &["sh", "-c", counted], |told| {
        told.code() == Some(7) && told.stderr().contains(silent) && told.stdout() == "1\n"
    });
    node.run(&["systemctl", "kill", "--signal=CONT", "dcos-adminrouter"]).succeeds();
}

/// What DC/OS' own check of all components prints of failed telemetry.
const FAILED_TELEMETRY: &str = r#"{"status":2,"checks":{"components_master":{"status":2,"output":"dcos-telegraf.service ended with 1"}}}"#;

/// Has DC/OS' own checks print this.
fn set_checks(node: &Node, printed: &str) {
    replace(node, "/opt/mesosphere/bin/dcos-check-runner", &format!("echo '{printed}'"));
}

fn failed_telemetry_does_not_count(node: &Node) {
    set_checks(node, FAILED_TELEMETRY);
    break_program(node, "/opt/mesosphere/bin/start_telegraf.sh", "dcos-telegraf");
    comes_to(node, "node-ready");
}

fn failed_checks_are_named(node: &Node) {
    for (printed, told) in [
        (
            r#"{"status":0,"checks":{}}"#,
            "the node's own checks could not run: dcos-check-runner: it ran no checks at all",
        ),
        (
            r#"{"error":"failed to execute.","checks":["xz: no"]}"#,
            "the node's own checks could not run: dcos-check-runner: failed to execute. xz: no",
        ),
        (
            r#"{"status":2,"checks":{"xz":{"status":2,"output":"no xz"}}}"#,
            "the check xz does not pass: no xz",
        ),
        (
            r#"{"status":2,"checks":{"clock_sync":{"status":2,"output":"off"}}}"#,
            "dcos-net.service: the check clock_sync does not pass: off",
        ),
    ] {
        set_checks(node, printed);
        too_late(node, "node-ready", told, &[]);
    }
    set_checks(node, FAILED_TELEMETRY);
}

fn stopped_service_is_named(node: &Node) {
    node.run(&["systemctl", "stop", "dcos-cosmos"]).succeeds();
    too_late(
        node,
        "node-ready",
        "dcos-cosmos.service: is not running",
        &["cure:   systemctl start dcos-cosmos.service"],
    );
}

fn failing_service_is_named_while_it_is_active(node: &Node) {
    replace(node, "/opt/mesosphere/bin/cosmos", "sleep 4; exit 1");
    node.run(&["systemctl", "start", "--no-block", "dcos-cosmos"]).succeeds();
    node.until("[ $(systemctl show -P NRestarts dcos-cosmos) -ge 2 ]");
    too_late(
        node,
        "node-ready",
        "dcos-cosmos.service: ",
        &[&story("dcos-cosmos.service", "node-ready")],
    );
    // It is up for a few seconds at a time: one of the looks falls into them.
    node.until("[ $(systemctl show -P NRestarts dcos-cosmos) -ge 3 ]");
    let restarted = "dcos-cosmos.service was restarted";
    let status = ["dcos-node", "status"];
    says(node, &status, 12, &["\nconverging  dcos-cosmos.service", restarted]);
    // The level that was waited for is reached; the node is not healthy all the same.
    let wait = ["dcos-node", "status", "--wait=started", "--wait-timeout=2m"];
    says(node, &wait, 12, &[restarted]);
}

// From the end of the chain of dependencies to its beginning: what breaks in a later step comes
// earlier in the chain, and so is the first cause.

const EXITED: &str = "its program exited with status 1";

fn failed_marathon_is_named(node: &Node) {
    break_program(node, "/opt/mesosphere/active/marathon/bin/marathon.sh", "dcos-marathon.service");
    replace(node, "/opt/mesosphere/bin/cosmos", "exec sleep 1000");
    node.run(&["systemctl", "restart", "--no-block", "dcos-cosmos"]).succeeds();
    let words = ["marathon.sh: broken on purpose", &story("dcos-marathon.service", "node-ready")];
    too_late(node, "node-ready", &format!("dcos-marathon.service: {EXITED}"), &words);
}

fn failed_admin_router_is_named(node: &Node) {
    break_program(
        node,
        "/opt/mesosphere/active/adminrouter/nginx/sbin/adminrouter",
        "dcos-adminrouter.service",
    );
    too_late(
        node,
        "node-ready",
        "dcos-adminrouter.service: its program failed when it was started",
        &["broken on purpose"],
    );
}

/// The name servers run and know all names but that of the leader; a unit that asks for that name
/// is not the cause.
fn missing_leader_and_failed_mesos_dns_are_named(node: &Node) {
    node.shell(
        "p=$(readlink -f /opt/mesosphere/bin/dcos-net-env) && sed -i 's/qw(leader.mesos /qw(/' $p \
         && systemctl restart dcos-net",
    )
    .succeeds();
    node.run(&["systemctl", "restart", "--no-block", "dcos-history"]).succeeds();
    let nobody_leads =
        "dcos-mesos-dns.service: no master leads, as far as this node can tell (leader.mesos): ";
    too_late(node, "node-ready", nobody_leads, &[&story("dcos-mesos-dns.service", "node-ready")]);
    break_program(node, "/opt/mesosphere/bin/mesos-dns", "dcos-mesos-dns.service");
    too_late(
        node,
        "node-ready",
        &format!("dcos-mesos-dns.service: {EXITED}"),
        &["mesos-dns: broken on purpose"],
    );
}

fn failed_mesos_master_is_named(node: &Node) {
    break_program(node, "/opt/mesosphere/bin/mesos-master", "dcos-mesos-master.service");
    too_late(
        node,
        "node-ready",
        &format!("dcos-mesos-master.service: {EXITED}"),
        &["broken on purpose"],
    );
    let broken = "[Service]\nExecStartPre=/bin/sh -c 'echo not before noon >&2; exit 1'\n";
    node.write("/etc/systemd/system/dcos-mesos-master.service.d/broken.conf", broken);
    node.shell("systemctl daemon-reload && systemctl restart --no-block dcos-mesos-master")
        .succeeds();
    let not_yet = "dcos-mesos-master.service: waits: /bin/sh -c echo not before noon >&2; exit 1 \
                   does not succeed yet";
    too_late(node, "node-ready", not_yet, &["sh: not before noon"]);
    node.write(
        "/etc/systemd/system/dcos-mesos-master.service.d/broken.conf",
        "[Service]\nExecStartPre=/bin/sleep 1000\n",
    );
    node.shell("systemctl daemon-reload && systemctl restart --no-block dcos-mesos-master")
        .succeeds();
    too_late(
        node,
        "node-ready",
        "dcos-mesos-master.service: waits: /bin/sleep 1000 runs for ",
        &[],
    );
}

fn failed_setup_and_changed_address_are_named(node: &Node) {
    break_program(
        node,
        "/opt/mesosphere/active/dcos-net/dcos-net/bin/dcos-net-setup",
        "dcos-net.service",
    );
    let setup = "/opt/mesosphere/active/dcos-net/dcos-net/bin/dcos-net-setup modprobe ip_vs_wlc";
    let waits = format!("dcos-net.service: waits: {setup} does not succeed yet");
    too_late(node, "node-ready", &waits, &["dcos-net-setup: broken on purpose"]);
    replace(node, "/opt/mesosphere/active/dcos-net/dcos-net/bin/dcos-net-setup", "exit 0");
    node.shell(
        "echo -n 192.0.2.77 >/var/lib/dcos/navstar/ip && systemctl restart --no-block dcos-net",
    )
    .succeeds();
    too_late(
        node,
        "node-ready",
        "dcos-net.service: ",
        &["its earlier address (/var/lib/dcos/navstar/ip has it)"],
    );
    let changed = "was 192.0.2.77: it must not change; give this node 192.0.2.77 again";
    at_last(node, &["dcos-node", "status"], |told| told.stdout().contains(changed));
}

fn failed_time_check_is_named(node: &Node) {
    break_program(node, "/opt/mesosphere/bin/check-time", "dcos-net.service");
    // dcos-exhibitor.service waits for it too: who of the two is told first depends on which of
    // them tried it last.
    let waits = ".service: waits: /opt/mesosphere/bin/check-time does not succeed yet\n";
    too_late(node, "node-ready", "dcos-", &[waits, "log:    check-time: broken on purpose\n"]);
}

/// An install that changes nothing and whose wait fails reports both.
fn second_install_reports_its_failed_wait(node: &Node) {
    let again = [
        "dcos-node",
        "install",
        "master",
        "--bootstrap-url",
        "http://bootstrap.dcos.test:8080",
        "--wait",
        "--wait-timeout=1s",
        "--json",
    ];
    let again = node.run_within(LONG, &again);
    assert_eq!(again.exits_with(7).json()["changed"], false);
}

/// The table that redraws itself, on a terminal of its own.
fn table_on_a_terminal_shows_the_pending_cause(node: &Node) {
    let seen = "stty cols 120 rows 40; exec dcos-node --no-color status --wait --wait-timeout=6s";
    let parts = [
        "started -> node-ready  0:0",
        "  units    ",
        " well",
        "  master   ",
        "serving, leads",
        "  waits    dcos-marathon.service: ",
    ];
    // The time goes on by itself, and what was drawn is gone at the end. A machine that stalls
    // draws some seconds less.
    let seconds = |table: &Outcome| {
        (0..60)
            .filter(|second| table.stdout().contains(&format!("node-ready  0:{second:02}")))
            .count()
    };
    let table =
        at_last(node, &["env", "TERM=xterm", "script", "-qec", seen, "/dev/null"], |table| {
            table.code() == Some(7)
                && seconds(table) >= 4
                && parts.iter().all(|part| table.stdout().contains(part))
        });
    let last = table.stdout().split("error: ").last().unwrap_or_default();
    assert!(!last.contains("-> node-ready"), "{table}");
}
