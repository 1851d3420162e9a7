//! A real node: ports that are really held, and file systems that are really full.

use crate::support::node::{self, Node};

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
    checks.into_iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id} is not in {report}"))
}

#[track_caller]
fn says(node: &Node, role: &str, id: &str, verdict: &str, words: &[&str]) {
    let check = check(node, role, id);
    let found = check["found"].as_str().unwrap_or_default();
    assert!(check["verdict"] == verdict && words.iter().all(|word| found.contains(word)), "expected {verdict} with {words:?}: {check}");
}

#[test]
fn ports_and_file_systems_of_a_real_node_are_seen_as_they_are() {
    if !node::available() {
        return;
    }
    let node = Node::boot("machine");
    node.install_binary();
    says(&node, "master", "ports.free", "pass", &["free"]);
    says(&node, "master", "storage.packages", "pass", &["left"]);
    says(&node, "master", "machine.architecture", "pass", &["x86_64"]);
    says(&node, "master", "services.dnsmasq", "pass", &["not running"]);

    node.write("/opt/squatter.pl", SQUATTER);
    node.run(&["systemd-run", "--unit=squatter", "perl", "/opt/squatter.pl"]).succeeds();
    node.shell("for i in $(seq 100); do grep -q :13BA /proc/net/tcp6 && exit 0; sleep 0.1; done; systemctl status squatter; exit 1")
        .succeeds();
    let pid = node.run(&["systemctl", "show", "-p", "MainPID", "--value", "squatter"]);
    let by = format!("perl (pid {}, squatter.service)", pid.stdout().trim());
    let held = ["443/tcp", "8080/tcp", "61053/udp", "5050/tcp"];
    says(&node, "master", "ports.free", "fail", &held);
    says(&node, "master", "ports.free", "fail", &[&format!("8080/tcp (marathon) is held by {by} at 0.0.0.0")]);
    says(&node, "master", "ports.free", "fail", &[&format!("5050/tcp (mesos-master) is held by {by} at ::")]);
    assert!(check(&node, "master", "ports.free")["cure"].as_str().is_some_and(|cure| cure.contains("squatter.service")));
    says(&node, "slave", "ports.free", "pass", &["free"]);
    node.run(&["systemctl", "stop", "squatter"]).succeeds();
    says(&node, "master", "ports.free", "pass", &["free"]);

    for (options, words) in [("size=64m", "67 MB"), ("nr_inodes=900", "inodes"), ("size=64m,noexec", "67 MB")] {
        node.shell(&format!("mkdir -p /opt/mesosphere && mount -t tmpfs -o {options} tmpfs /opt/mesosphere")).succeeds();
        says(&node, "master", "storage.packages", "fail", &[words, "left on /opt/mesosphere (tmpfs)"]);
        says(&node, "master", "storage.noexec", if options.contains("noexec") { "fail" } else { "pass" }, &[]);
        node.shell("umount /opt/mesosphere && rmdir /opt/mesosphere").succeeds();
    }
}
