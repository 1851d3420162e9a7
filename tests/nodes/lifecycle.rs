//! The life of a real node: installed, rebooted, asked, uninstalled, and installed again.

mod bundle;
mod odd_nodes;

use dcos_node::dcos::event::Kind;
use support::build::{Build, Damage, Packed};
use support::node::{self, Node, Outcome, Running, Server};
use support::step;
use support::tree::Whole;
use tempfile::TempDir;

/// A packed build and the directory it lies in.
struct Served {
    packed: Packed,
    server: Server,
    _directory: TempDir,
}

fn serving(build: Build) -> Served {
    let directory = tempfile::tempdir().expect("a directory for the build");
    let packed = build.pack(directory.path());
    Served { packed, server: Server::serving(directory.path()), _directory: directory }
}

fn node_for(name: &str, served: &Served) -> Node {
    let node = Node::boot(name).knowing(&served.server);
    node.install_binary();
    node
}

fn install(node: &Node, served: &Served, role: &str) -> Outcome {
    let command = ["dcos-node", "install", role, "--bootstrap-url", served.server.url(), "--json"];
    node.run(&[&command, node::LACKS].concat())
}

/// What an uninstall must give back: everything but data.
#[track_caller]
fn is_as_before(node: &Node, before: &Whole) {
    node.stop_forwarding();
    let mut changed = Whole::of(node).changes_since(before);
    changed.retain(|change| {
        !["/var/lib/dcos", "/var/lib/mesos", "/var/log/mesos"]
            .iter()
            .any(|kept| change.contains(kept))
    });
    assert!(changed.is_empty(), "the node is not as it was:\n{}", changed.join("\n"));
}

/// What an install told the node's journal, searched by what its entries are made for.
fn is_in_the_journal(node: &Node) {
    let entries = |searches: &[&str]| -> Vec<serde_json::Value> {
        node.until("journalctl --sync");
        let found = node.run(
            &[&["journalctl", "--no-pager", "-o", "json", "SYSLOG_IDENTIFIER=dcos-node"], searches]
                .concat(),
        );
        found
            .succeeds()
            .stdout()
            .lines()
            .map(|line| serde_json::from_str(line).expect("an entry"))
            .collect()
    };
    let kind = |kind: Kind| format!("MESSAGE_ID={}", kind.message_id().expect("an id"));
    let begun = entries(&[&kind(Kind::Started), "DCOS_NODE_COMMAND=install"]);
    assert_eq!(begun.len(), 1, "{begun:#?}");
    assert_eq!(begun[0]["MESSAGE"], "install master begins");
    let ended = entries(&[&kind(Kind::Ended), "DCOS_NODE_ROLE=master", "DCOS_NODE_EXIT_CODE=0"]);
    assert_eq!((ended.len(), &ended[0]["DCOS_NODE_COMMAND"]), (1, &"install".into()));
    let fetched = entries(&[&kind(Kind::Done)]);
    assert!(
        fetched.iter().any(|entry| entry["DCOS_NODE_PACKAGE"]
            .as_str()
            .is_some_and(|id| id.starts_with("mesos--"))),
        "{fetched:#?}"
    );
    // The last ones came while journald was being restarted, or after it.
    let started = entries(&[&kind(Kind::Begun), "DCOS_NODE_UNIT=dcos.target"]);
    assert_eq!(started[0]["PRIORITY"], "6", "{started:#?}");
}

const RESOLV_CONF: &str = "# the operator's\nnameserver 192.0.2.1\n";

#[test]
fn node_installs_reboots_uninstalls_and_installs_again() {
    if !node::available() {
        return;
    }
    let served = serving(Build::fixture());
    let node = node_for("life", &served);
    node.write("/etc/resolv.conf", RESOLV_CONF);
    let before = Whole::of(&node);
    step("clean node", || clean_node_has_nothing_to_uninstall(&node));
    step("first install", || install_starts_the_role(&node, &served));
    step("journal", || is_in_the_journal(&node));
    step("second install", || second_install_restarts_nothing(&node, &served));
    step("reboot", || reboot_starts_the_role(&node));
    step("verify", || running_node_is_as_installed(&node));
    step("bundle", || bundle::bundle_has_the_log_and_no_secret(&node));
    step("uninstall", || uninstall_restores_the_node(&node, &before));
    step("another role", || {
        assert_eq!(install(&node, &served, "slave_public").succeeds().json()["changed"], true);
        node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
        assert!(!node.has("/var/lib/dcos") && !node.has("/opt/mesosphere"));
        is_as_before(&node, &before);
    });
}

fn clean_node_has_nothing_to_uninstall(node: &Node) {
    node.run(&["dcos-node", "status"]).exits_with(11).stdout_has("not installed");
    node.run(&["dcos-node", "uninstall", "--json"]).succeeds().stdout_has("\"changed\": false");
}

fn install_starts_the_role(node: &Node, served: &Served) {
    assert_eq!(install(node, served, "master").succeeds().json()["changed"], true);
    node.run(&["systemctl", "is-active", "dcos.target"]).succeeds();
    let enabled = ["dcos-setup.service", "dcos.target", "dcos-mesos-master.service"];
    node.run(&[&["systemctl", "is-enabled"][..], &enabled].concat()).succeeds();
    node.run(&["/opt/mesosphere/bin/dcos-shell", "pkgpanda", "list"])
        .succeeds()
        .stdout_has("mesos--");
}

fn second_install_restarts_nothing(node: &Node, served: &Served) {
    // What fails in its first moments is started again by systemd.
    node.until("systemctl is-active dcos-net.service");
    let pid = || {
        node.run(&["systemctl", "show", "-p", "MainPID", "dcos-net.service"]).stdout().to_owned()
    };
    let before = pid();
    let again = install(node, served, "master");
    assert_eq!(again.succeeds().json()["changed"], false);
    assert_eq!(pid(), before, "the second install restarted a unit");
    install(node, served, "slave")
        .exits_with(5)
        .stderr_has("a slave needs a machine without DC/OS");
}

fn reboot_starts_the_role(node: &Node) {
    node.reboot();
    node.until("systemctl is-active dcos.target");
    let status = node::eventually(|| {
        let status = node.run(&["dcos-node", "status"]);
        if status.code() == Some(0) { Ok(status) } else { Err(status.to_string()) }
    });
    status.stdout_has("role:").stdout_has("master").stdout_has("1.12-fixture");
    node.run(&["setpriv", "--reuid=65534", "--clear-groups", "dcos-node", "status"])
        .stdout_has("Only root may read the receipt");
}

/// What DC/OS itself does while it runs is no damage, and what cannot be read is no proof.
fn running_node_is_as_installed(node: &Node) {
    node.run(&["dcos-node", "verify"]).succeeds().stdout_has("as installed");
    node.run(&["setpriv", "--reuid=65534", "--clear-groups", "dcos-node", "verify"])
        .exits_with(4)
        .stdout_has("only root may read");
}

fn uninstall_restores_the_node(node: &Node, before: &Whole) {
    node.until("grep -q gen_resolvconf /etc/resolv.conf");
    let removed = node.run(&["dcos-node", "uninstall", "--json"]);
    assert_eq!(removed.succeeds().json()["kept"][0]["path"], "/var/lib/dcos");
    is_as_before(node, before);
    assert_eq!(node.read("/etc/resolv.conf"), RESOLV_CONF);
    assert!(
        !node.read("/etc/passwd").contains("dcos_") && !node.read("/etc/group").contains("dcos_")
    );
    node.run(&["systemctl", "list-units", "--all", "--no-legend", "dcos*"]).stdout_lacks("dcos");
}

#[test]
fn impossible_installs_are_refused_without_changes() {
    if !node::available() {
        return;
    }
    let served = serving(Build::tiny());
    let node = node_for("refusals", &served);
    let before = Whole::of(&node);
    step("without root", || commands_without_root_name_sudo(&node, served.server.url()));
    step("command lines", || impossible_command_lines_are_refused(&node, served.server.url()));
    step("server down", || {
        served.server.stop();
        install(&node, &served, "master").exits_with(3).stderr_has("bootstrap.connect");
        served.server.start();
    });
    is_as_before(&node, &before);
    step("files of an operator", || {
        node.write("/opt/mesosphere/notes.txt", "the operator's");
        install(&node, &served, "master")
            .exits_with(5)
            .stderr_has("/opt/mesosphere/notes.txt")
            .stderr_has("move that somewhere else");
        node.shell("rm -r /opt/mesosphere").succeeds();
    });
    step("full disk", || full_disk_leaves_the_node_unchanged(&node, &served));
    is_as_before(&node, &before);
    step("lock", || {
        let held = node.start(&["flock", "/run/dcos-node.lock", "sleep", "infinity"]);
        node.until("! flock -n /run/dcos-node.lock true");
        install(&node, &served, "master").exits_with(8);
        drop(held);
    });
}

fn commands_without_root_name_sudo(node: &Node, url: &str) {
    let unprivileged = ["setpriv", "--reuid=65534", "--clear-groups", "dcos-node"];
    let install = ["install", "master", "--bootstrap-url", url];
    node.run(&[&unprivileged[..], &install].concat())
        .exits_with(3)
        .stderr_has("run the same command with sudo");
    node.run(&[&unprivileged[..], &["recover"]].concat()).exits_with(3).stderr_has("with sudo");
}

fn impossible_command_lines_are_refused(node: &Node, url: &str) {
    node.run(&["dcos-node", "install", "master"]).exits_with(2).stderr_has("--bootstrap-url");
    let install = ["dcos-node", "install", "master", "--bootstrap-url", url];
    node.run(&[&install[..], &["--no-start", "--wait"]].concat())
        .exits_with(2)
        .stderr_has("--no-start starts nothing, so the node does not come to node-ready");
    node.run(&[&install[..], &["--skip", "privileges.root=I dare"]].concat())
        .exits_with(2)
        .stderr_has("cannot be skipped");
}

/// The archives of this build would fit, so nothing proves beforehand that there is too little
/// room.
fn full_disk_leaves_the_node_unchanged(node: &Node, served: &Served) {
    node.shell("mkdir -p /opt/mesosphere && mount -t tmpfs -o size=16k tmpfs /opt/mesosphere")
        .succeeds();
    install(node, served, "master")
        .exits_with(1)
        .stderr_has("No space left")
        .stderr_has("the node is as it was");
    node.shell("umount /opt/mesosphere && rmdir /opt/mesosphere").succeeds();
    node.run(&["dcos-node", "uninstall"]).succeeds();
}

#[test]
fn damaged_package_is_named_and_the_others_are_kept() {
    if !node::available() {
        return;
    }
    let damaged = serving(Build::tiny().damaged("units", Damage::BitFlip));
    let node = node_for("damaged", &damaged);
    let before = Whole::of(&node);
    install(&node, &damaged, "master")
        .exits_with(6)
        .stderr_has(damaged.packed.id("units"))
        .stderr_has("kept in /var/lib/dcos-node/packages");
    assert!(
        !node.has("/etc/systemd/system/dcos-setup.service")
            && !node.has("/etc/mesosphere")
            && !node.has("/opt/mesosphere")
            && !node.has("/opt/dcos-node")
    );
    node.run(&["dcos-node", "uninstall"]).succeeds();
    is_as_before(&node, &before);
}

#[test]
fn install_resumes_at_the_next_boot_after_a_power_cut() {
    if !node::available() {
        return;
    }
    let served = serving(Build::fixture());
    let node = node_for("power", &served);
    let mut running = node.start(&[
        "dcos-node",
        "install",
        "master",
        "--bootstrap-url",
        served.server.url(),
        "-d",
    ]);
    // The setup link is durable before the first package: from here on a boot goes on.
    wait_for(&node, "/etc/systemd/system/multi-user.target.wants/dcos-setup.service", &mut running);
    node.cut_power();
    drop(running);
    node.power_on();
    node.until("[ -e /var/lib/dcos-node/receipt.json ] && systemctl is-active dcos.target");
    node.wait_for_setup();
    assert_eq!(install(&node, &served, "master").succeeds().json()["changed"], false);
}

/// Waits until a command has made something.
#[track_caller]
fn wait_for(node: &Node, place: &str, maker: &mut Running) {
    loop {
        let goes_on = maker.is_running();
        if node.has(place) {
            return;
        }
        assert!(
            goes_on,
            "it ended without {place}: {}{}",
            maker.stdout_so_far(),
            maker.stderr_so_far()
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn killed_install_is_undone_by_uninstall_resumed_by_install() {
    if !node::available() {
        return;
    }
    let served = serving(Build::fixture());
    let node = node_for("killed", &served);
    let before = Whole::of(&node);
    // Killed as soon as something is there. Who comes too late for that finds an install that has
    // ended well.
    let killed_at = |place: &str| -> bool {
        let mut running = node.start(&[
            "dcos-node",
            "install",
            "slave",
            "--bootstrap-url",
            served.server.url(),
            "-d",
        ]);
        wait_for(&node, place, &mut running);
        node.kill("dcos-node");
        let ended = running.finish_within(std::time::Duration::from_secs(300));
        assert!(ended.was_killed() || ended.code() == Some(0), "{ended}");
        ended.was_killed()
    };
    for place in [
        "/var/lib/dcos-node/manifests",
        "/opt/mesosphere/active",
        "/etc/systemd/system/dcos.target.wants",
    ] {
        killed_at(place);
        node.run(&["dcos-node", "uninstall"]).succeeds();
        is_as_before(&node, &before);
    }
    let is_half_done = killed_at("/opt/mesosphere/active");
    assert_eq!(install(&node, &served, "slave").succeeds().json()["changed"], is_half_done);
    node.run(&["systemctl", "is-active", "dcos.target"]).succeeds();
    node.run(&["dcos-node", "uninstall"]).succeeds();
    is_as_before(&node, &before);
}

#[test]
fn isolate_after_an_install_keeps_dcos_running() {
    if !node::available() {
        return;
    }
    let served = serving(Build::tiny());
    let node = node_for("isolate", &served);
    install(&node, &served, "master").succeeds();
    node.until("systemctl is-active -q dcos.target");
    // As `init 3` and the end of a rescue shell do.
    node.run(&["systemctl", "isolate", "multi-user.target"]).succeeds();
    node.run(&["systemctl", "is-active", "dcos.target"]).succeeds();
    node.run(&["systemctl", "stop", "dcos.target"]).succeeds();
    let stopped = "dcos.target is inactive";
    node.run(&["dcos-node", "status"]).stdout_has(stopped).stdout_has("start it:");
    let again = ["dcos-node", "install", "master", "--bootstrap-url", served.server.url()];
    node.run(&again).exits_with(12).stderr_has(stopped);
}
