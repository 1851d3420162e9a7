//! A real node: ports that are really held, and file systems that are really full.

use support::build::Build;
use support::node::{self, Node, Server};
use support::step;
use support::tree::Snapshot;

/// Listens on two TCP ports of IPv4, and on one of UDP and IPv6 each.
const SQUATTER: &str = r#"
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
my (@held, $udp, $six);
for my $port (443, 8080) {
    my $tcp;
    socket($tcp, AF_INET, SOCK_STREAM, 0) and bind($tcp, pack_sockaddr_in($port, INADDR_ANY)) and listen($tcp, 5) or die "$port: $!";
    push @held, $tcp;
}
socket($udp, AF_INET, SOCK_DGRAM, 0) and bind($udp, pack_sockaddr_in(61053, INADDR_ANY)) or die "61053: $!";
socket($six, AF_INET6, SOCK_STREAM, 0) and bind($six, pack_sockaddr_in6(5050, inet_pton(AF_INET6, "::"))) and listen($six, 5) or die "5050: $!";
sleep 100000;
"#;

fn check(node: &Node, role: &str, id: &str) -> serde_json::Value {
    let report = node.run(&["dcos-node", "preflight", role, "--json"]).json();
    let checks = report["checks"].as_array().expect("checks").clone();
    checks
        .into_iter()
        .find(|check| check["id"] == id)
        .unwrap_or_else(|| panic!("{id} is not in {report}"))
}

#[track_caller]
fn says(node: &Node, role: &str, id: &str, verdict: &str, words: &[&str]) {
    let check = check(node, role, id);
    let found = check["found"].as_str().unwrap_or_default();
    assert!(
        check["verdict"] == verdict && words.iter().all(|word| found.contains(word)),
        "expected {verdict} with {words:?}: {check}"
    );
}

#[test]
fn ports_and_file_systems_of_a_real_node_are_judged() {
    if !node::available() {
        return;
    }
    let node = Node::boot("machine");
    node.install_binary();
    step("plain node", || {
        says(&node, "master", "ports.free", "pass", &["free"]);
        says(&node, "master", "storage.packages", "pass", &["left"]);
        says(&node, "master", "machine.architecture", "pass", &["x86_64"]);
        says(&node, "master", "services.dnsmasq", "pass", &["not running"]);
        says(&node, "master", "docker.reachable", "fail", &["there is no /var/run/docker.sock"]);
    });
    step("held ports", || holder_of_ports_is_named(&node));
    for (options, words) in
        [("size=64m", "67 MB"), ("nr_inodes=900", "inodes"), ("size=64m,noexec", "67 MB")]
    {
        step(options, || small_file_system_is_named(&node, options, words));
    }
}

fn holder_of_ports_is_named(node: &Node) {
    node.write("/opt/squatter.pl", SQUATTER);
    node.run(&["systemd-run", "--unit=squatter", "perl", "/opt/squatter.pl"]).succeeds();
    node.until("grep -q :13BA /proc/net/tcp6");
    let pid = node.run(&["systemctl", "show", "-p", "MainPID", "--value", "squatter"]);
    let by = format!("perl (pid {}, squatter.service)", pid.stdout().trim());
    let held = ["443/tcp", "8080/tcp", "61053/udp", "5050/tcp"];
    says(node, "master", "ports.free", "fail", &held);
    for holder in [
        format!("8080/tcp (marathon) is held by {by} at 0.0.0.0"),
        format!("5050/tcp (mesos-master) is held by {by} at ::"),
    ] {
        says(node, "master", "ports.free", "fail", &[&holder]);
    }
    assert!(
        check(node, "master", "ports.free")["cure"]
            .as_str()
            .is_some_and(|cure| cure.contains("squatter.service"))
    );
    says(node, "slave", "ports.free", "pass", &["free"]);
    node.run(&["systemctl", "stop", "squatter"]).succeeds();
    says(node, "master", "ports.free", "pass", &["free"]);
}

fn small_file_system_is_named(node: &Node, options: &str, words: &str) {
    node.shell(&format!(
        "mkdir -p /opt/mesosphere && mount -t tmpfs -o {options} tmpfs /opt/mesosphere"
    ))
    .succeeds();
    let texts = [words, "left on /opt/mesosphere (tmpfs)"];
    says(node, "master", "storage.packages", "fail", &texts);
    let verdict = if options.contains("noexec") { "fail" } else { "pass" };
    says(node, "master", "storage.noexec", verdict, &[]);
    node.shell("umount /opt/mesosphere && rmdir /opt/mesosphere").succeeds();
}

#[test]
fn unknown_result_stops_install_only_if_not_skippable() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory for the build");
    Build::tiny().pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot("unknown").knowing(&server);
    node.install_binary();
    let install = |fault: &str| {
        let words = [
            "env",
            fault,
            "dcos-node",
            "install",
            "slave",
            "--no-start",
            "--json",
            "--bootstrap-url",
            server.url(),
        ];
        node.run(&[&words, node::LACKS].concat())
    };
    let verdict = |report: &serde_json::Value, id: &str| {
        let checks = report["checks"].as_array().expect("checks");
        let check = checks
            .iter()
            .find(|check| check["id"] == id)
            .unwrap_or_else(|| panic!("{id} is not in {report:#}"));
        (check["verdict"].clone(), check["skippable"].clone(), check["found"].to_string())
    };

    // Without the table of mounts, which two looks read, nothing of storage can be judged, and one
    // of these checks cannot be skipped.
    let places = ["/opt", "/etc", "/var/lib"].map(|path| Snapshot::of(&node.inside(path)));
    let stopped = install(
        "DCOS_NODE_FAULT=EIO Mounts 1 /proc/self/mountinfo\nEIO Mounts 2 /proc/self/mountinfo",
    );
    stopped
        .exits_with(3)
        .stderr_has("this node is not ready: storage.writable")
        .stderr_has("nothing was changed");
    let report = &stopped.json()["preflight"];
    for (id, skippable) in
        [("storage.writable", false), ("storage.state", true), ("storage.noexec", true)]
    {
        let (verdict, can_be_skipped, found) = verdict(report, id);
        assert!(
            verdict == "unknown" && can_be_skipped == skippable && found.contains("mountinfo"),
            "{id}: {verdict} {found}"
        );
    }
    for (before, path) in places.iter().zip(["/opt", "/etc", "/var/lib"]) {
        let mut changed = Snapshot::of(&node.inside(path)).changes_since(before);
        changed.retain(|change| !change.contains("/systemd"));
        assert!(changed.is_empty(), "{path} is not as it was:\n{}", changed.join("\n"));
    }

    // One of another place stops nothing.
    let fault = "DCOS_NODE_FAULT=EIO Mounts 1 /var";
    let report = node.run(&["env", fault, "dcos-node", "preflight", "slave", "--json"]).json();
    assert_eq!(verdict(&report, "storage.state").0, "unknown");
    assert_eq!(verdict(&report, "storage.writable").0, "pass");
    install(fault).succeeds();
    assert!(node.has("/opt/mesosphere/active"));
}
