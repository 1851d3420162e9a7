//! The life of a real node: installed, rebooted, asked, uninstalled, and installed again.

use std::path::Path;

use dcos_node::dcos::event::Kind;
use support::build::{Build, Damage, Packed};
use support::node::{self, Node, Outcome, Running, Server};
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

#[test]
fn node_installs_reboots_uninstalls_and_installs_again() {
    if !node::available() {
        return;
    }
    let served = serving(Build::fixture());
    let node = node_for("life", &served);
    node.write("/etc/resolv.conf", "# the operator's\nnameserver 192.0.2.1\n");
    let before = Whole::of(&node);
    node.run(&["dcos-node", "status"]).exits_with(11).stdout_has("not installed");
    node.run(&["dcos-node", "uninstall", "--json"]).succeeds().stdout_has("\"changed\": false");

    let outcome = install(&node, &served, "master");
    assert_eq!(outcome.succeeds().json()["changed"], true);
    is_in_the_journal(&node);
    node.run(&["systemctl", "is-active", "dcos.target"]).succeeds();
    node.run(&[
        "systemctl",
        "is-enabled",
        "dcos-setup.service",
        "dcos.target",
        "dcos-mesos-master.service",
    ])
    .succeeds();
    node.run(&["/opt/mesosphere/bin/dcos-shell", "pkgpanda", "list"])
        .succeeds()
        .stdout_has("mesos--");

    // What fails in its first moments is started again by systemd.
    node.until("systemctl is-active dcos-net.service");
    let pid = || {
        node.run(&["systemctl", "show", "-p", "MainPID", "dcos-net.service"]).stdout().to_owned()
    };
    let before_again = pid();
    let again = install(&node, &served, "master");
    assert_eq!(again.succeeds().json()["changed"], false);
    assert_eq!(pid(), before_again, "the second install restarted a unit");
    install(&node, &served, "slave")
        .exits_with(5)
        .stderr_has("dcos-node uninstall, then dcos-node install slave");

    node.reboot();
    node.until("systemctl is-active dcos.target");
    let status = node::eventually(|| {
        let status = node.run(&["dcos-node", "status"]);
        if status.code() == Some(0) { Ok(status) } else { Err(status.to_string()) }
    });
    status.stdout_has("role:").stdout_has("master").stdout_has("1.12-fixture");
    node.run(&["setpriv", "--reuid=65534", "--clear-groups", "dcos-node", "status"])
        .stdout_has("Only root may read the receipt");
    // What DC/OS itself does while it runs is no damage, and what cannot be read is no proof.
    node.run(&["dcos-node", "verify"]).succeeds().stdout_has("as installed");
    node.run(&["setpriv", "--reuid=65534", "--clear-groups", "dcos-node", "verify"])
        .exits_with(4)
        .stdout_has("only root may read");
    a_bundle_has_the_story_and_no_secret(&node);
    node.until("grep -q gen_resolvconf /etc/resolv.conf");

    let removed = node.run(&["dcos-node", "uninstall", "--json"]);
    assert_eq!(removed.succeeds().json()["kept"][0]["path"], "/var/lib/dcos");
    is_as_before(&node, &before);
    assert_eq!(node.read("/etc/resolv.conf"), "# the operator's\nnameserver 192.0.2.1\n");
    assert!(
        !node.read("/etc/passwd").contains("dcos_") && !node.read("/etc/group").contains("dcos_")
    );
    node.run(&["systemctl", "list-units", "--all", "--no-legend", "dcos*"]).stdout_lacks("dcos");

    assert_eq!(install(&node, &served, "slave_public").succeeds().json()["changed"], true);
    node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
    assert!(!node.has("/var/lib/dcos") && !node.has("/opt/mesosphere"));
    is_as_before(&node, &before);
}

/// Secrets where operators and programs leave them: in settings beside a unit, on a command line,
/// in the lines of a log. Each has "planted" in it.
fn a_bundle_has_the_story_and_no_secret(node: &Node) {
    let settings = "/etc/systemd/system/dcos-net.service.d";
    node.write(
        &format!("{settings}/proxy.conf"),
        "[Service]\n\
         Environment=\"HTTPS_PROXY=http://ann:planted@proxy.example:3128/\" DB_PASS=planted\n\
         ExecStartPre=-/bin/true --password planted --port 5\n\
         ExecStartPre=-/bin/true -u ann:planted last-word\n",
    );
    node.run(&["systemctl", "daemon-reload"]).succeeds();
    let key =
        "-----BEGIN RSA PRIVATE KEY-----\nMIIplanted\nplanted==\n-----END RSA PRIVATE KEY-----\n";
    node.write(
        "/tmp/said",
        &format!(
            "token=planted\nthe password is planted\n{key}license: |\n  planted\nmore to read\n"
        ),
    );
    node.run(&["systemd-run", "--wait", "--unit=chronyd.service", "cat", "/tmp/said"]).succeeds();
    // The unit has ended some time before journald has what it said.
    node.until("journalctl -u chronyd.service | grep -q 'more to read'");
    node.run(&["dcos-node", "bundle", "/tmp/bundle.tar.gz"]).succeeds().stdout_has("redacted:");
    let part = |name: &str| node.shell(&format!("tar -xzOf /tmp/bundle.tar.gz {name}"));
    node.shell(
        "{ tar -xzOf /tmp/bundle.tar.gz && tar -tzf /tmp/bundle.tar.gz; } >/tmp/all && ! grep -a \
         -i planted /tmp/all",
    )
    .succeeds();
    part("logs/chronyd.service.log")
        .succeeds()
        .stdout_has("| more to read")
        .stdout_has("token=[redacted]");
    part("units/dcos-net.service.d/proxy.conf")
        .succeeds()
        .stdout_has("proxy.example:3128")
        .stdout_has("--port 5");
    part("units.json").succeeds().stdout_has("\"--password\"").stdout_has("last-word");
    part("logs/dcos-node.log")
        .succeeds()
        .stdout_has("dcos-node | install master begins")
        .stdout_has("dcos-node | ended after");
    part("units/dcos-setup.service").succeeds().stdout_has("recover");
    node.shell(&format!(
        "rm -r {settings} /tmp/bundle.tar.gz /tmp/said /tmp/all; systemctl daemon-reload"
    ))
    .succeeds();
}

#[test]
fn impossible_installs_are_refused_without_changes() {
    if !node::available() {
        return;
    }
    let served = serving(Build::tiny());
    let node = node_for("refusals", &served);
    let before = Whole::of(&node);

    let unprivileged = node.run(&[
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        "dcos-node",
        "install",
        "master",
        "--bootstrap-url",
        served.server.url(),
    ]);
    unprivileged.exits_with(3).stderr_has("run the same command with sudo");
    node.run(&["setpriv", "--reuid=65534", "--clear-groups", "dcos-node", "recover"])
        .exits_with(3)
        .stderr_has("with sudo");
    node.run(&["dcos-node", "install", "master"]).exits_with(2).stderr_has("--bootstrap-url");
    node.run(&[
        "dcos-node",
        "install",
        "master",
        "--bootstrap-url",
        served.server.url(),
        "--no-start",
        "--wait",
    ])
    .exits_with(2)
    .stderr_has("--no-start starts nothing, so the node does not come to node-ready");
    node.run(&[
        "dcos-node",
        "install",
        "master",
        "--bootstrap-url",
        served.server.url(),
        "--skip",
        "privileges.root=I dare",
    ])
    .exits_with(2)
    .stderr_has("cannot be skipped");
    served.server.stop();
    install(&node, &served, "master").exits_with(3).stderr_has("bootstrap.connect");
    served.server.start();
    is_as_before(&node, &before);

    node.write("/opt/mesosphere/notes.txt", "the operator's");
    install(&node, &served, "master")
        .exits_with(5)
        .stderr_has("/opt/mesosphere/notes.txt")
        .stderr_has("move that somewhere else");
    node.shell("rm -r /opt/mesosphere").succeeds();

    node.shell("mkdir -p /opt/mesosphere && mount -t tmpfs -o size=16k tmpfs /opt/mesosphere")
        .succeeds();
    // The archives of this build would fit, so nothing proves beforehand that there is too little
    // room.
    install(&node, &served, "master")
        .exits_with(1)
        .stderr_has("No space left")
        .stderr_has("the node is as it was");
    node.shell("umount /opt/mesosphere && rmdir /opt/mesosphere").succeeds();
    node.run(&["dcos-node", "uninstall"]).succeeds();
    is_as_before(&node, &before);

    let held = node.start(&["flock", "/run/dcos-node.lock", "sleep", "infinity"]);
    node.until("! flock -n /run/dcos-node.lock true");
    install(&node, &served, "master").exits_with(8);
    drop(held);
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
        .stderr_has("kept for the next try");
    assert!(
        !node.has("/etc/systemd/system/dcos-setup.service")
            && !node.has("/etc/mesosphere")
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
fn image_filled_without_privileges_boots_as_a_node() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    Build::fixture().pack(directory.path());
    let server = Server::serving(directory.path());
    let image = tempfile::tempdir().expect("a directory");
    let command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    std::process::Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(directory.path())
        .status()
        .expect("chmod");
    std::process::Command::new("chown").arg("65534").arg(image.path()).status().expect("chown");
    let out = std::process::Command::new(command[0])
        .args(&command[1..])
        .arg(node::binary())
        .args(["install", "master", "--root"])
        .arg(image.path())
        .arg("--bootstrap-url")
        .arg(directory.path())
        .output()
        .expect("run dcos-node");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(
        String::from_utf8_lossy(&out.stdout).contains("first boot"),
        "{}",
        String::from_utf8_lossy(&out.stdout)
    );

    let node = Node::switched_off("image").knowing(&server);
    overlay(image.path(), &node.root());
    node.power_on();
    node.wait_until_booted();
    node.until("systemctl is-active dcos.target && [ -e /var/lib/dcos-node/receipt.json ]");
    node.wait_for_setup();
    assert!(node.read("/etc/passwd").contains("dcos_exhibitor"));
    let owners = node.run(&[
        "find",
        "/opt/mesosphere",
        "/etc/mesosphere",
        "/var/lib/dcos-node",
        "/opt/dcos-node",
        "-uid",
        "65534",
    ]);
    assert_eq!(owners.stdout(), "", "the unprivileged user still owns files");
    node.until("/opt/dcos-node/bin/dcos-node status; systemctl is-active dcos-exhibitor");
}

/// Lays one tree over another, modes and links as they are.
fn overlay(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .args(["-a", "--no-target-directory"])
        .arg(from)
        .arg(to)
        .status()
        .expect("cp");
    assert!(status.success());
    std::process::Command::new("chown").arg("0:0").arg(to).status().expect("chown");
}

#[test]
fn an_image_filled_by_root_is_complete() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    Build::fixture().pack(directory.path());
    let node = Node::switched_off("rootimage");
    let out = std::process::Command::new(node::binary())
        .args(["install", "slave", "--json", "--root"])
        .arg(node.root())
        .arg("--bootstrap-url")
        .arg(directory.path())
        .output()
        .expect("run dcos-node");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(
        node.read("/etc/passwd").contains("dcos_telegraf"),
        "accounts were not made in the image"
    );
    assert!(
        !std::fs::read_to_string("/etc/passwd")
            .expect("our own accounts")
            .contains("dcos_telegraf"),
        "accounts were made on the machine that fills the image"
    );
    node.power_on();
    node.wait_until_booted();
    node.until("systemctl is-active dcos.target");
    node.run(&["/opt/dcos-node/bin/dcos-node", "status"]).stdout_has("slave");
}

#[test]
fn install_works_without_bus_writable_usr_and_new_syscalls() {
    if !node::available() {
        return;
    }
    let served = serving(Build::fixture());
    let node = Node::switched_off("old").knowing(&served.server).with_read_only_usr();
    node.copy_in(&node::binary(), "/opt/tools/dcos-node");
    node.power_on();
    node.wait_until_booted();
    node.run(&["touch", "/usr/x"]).exits_with(1);
    // The accounts' programs lie in /usr and write to /etc, so a read-only /usr does not stop them.
    node.shell("systemctl stop dbus.socket dbus.service; ! busctl list").succeeds();
    let run = |words: &str| {
        node.write(
            "/etc/systemd/system/old.service",
            &format!(
                "[Service]\n\
                 Type=oneshot\n\
                 ExecStart=/opt/tools/dcos-node {words}\n\
                 SystemCallFilter=~{NEWER}\n\
                 SystemCallErrorNumber=ENOSYS\n\
                 StandardOutput=file:/opt/tools/out\n\
                 StandardError=file:/opt/tools/err\n"
            ),
        );
        node.shell(
            "rm -f /opt/tools/out /opt/tools/err; systemctl daemon-reload; systemctl start old; \
             code=$?; cat /opt/tools/out; cat /opt/tools/err >&2; exit $code",
        )
    };
    let lacks: Vec<String> = node::LACKS.iter().map(|argument| format!("\"{argument}\"")).collect();
    let install = format!(
        "install master --json --bootstrap-url {} {}",
        served.server.url(),
        lacks.join(" ")
    );
    run(&install).succeeds().stdout_has("\"changed\": true");
    node.run(&["systemctl", "is-active", "dcos.target"]).succeeds();
    run("status").stdout_has("1.12-fixture");
    run(&install).succeeds().stdout_has("\"changed\": false");
    run("uninstall").succeeds();
    assert!(!node.has("/opt/mesosphere"));
}

/// System calls that Linux 3.10 does not have and that we, the standard library or a dependency
/// might use.
const NEWER: &str = "openat2 renameat2 copy_file_range memfd_create pidfd_open pidfd_send_signal \
                     close_range faccessat2 statx clone3 execveat epoll_pwait2 preadv2 pwritev2 \
                     rseq membarrier io_uring_setup landlock_create_ruleset mount_setattr \
                     futex_waitv getrandom";

#[test]
fn journald_is_not_restarted_while_containers_run() {
    if !node::available() {
        return;
    }
    let served = serving(Build::tiny());
    let node = node_for("docker", &served);
    node.write_script("/opt/docker", DOCKER);
    node.run(&["systemd-run", "--quiet", "--unit=docker", "/opt/docker"]).succeeds();
    node.until("curl -fsS --unix-socket /run/docker.sock http://docker/containers/json");
    let pid = || {
        node.run(&["systemctl", "show", "-p", "MainPID", "systemd-journald", "docker"])
            .stdout()
            .to_owned()
    };
    let before = pid();
    install(&node, &served, "slave").succeeds().stdout_has("it applies at the next boot");
    assert_eq!(pid(), before, "journald or docker was restarted");
    node.run(&["dcos-node", "uninstall"]).succeeds();
    let told = node.run(&[
        "dcos-node",
        "install",
        "slave",
        "--bootstrap-url",
        served.server.url(),
        "-d",
        "--restart-journald",
    ]);
    told.succeeds().stdout_lacks("next boot");
    assert_ne!(pid(), before, "journald was not restarted");
}

#[test]
fn failing_units_with_sockets_are_stopped_for_good() {
    if !node::available() {
        return;
    }
    // `Sockets=` has systemd start the socket with each new try of the service.
    let restless = "[Service]\n\
                    Sockets=dcos-tiny-knock.socket\n\
                    Restart=always\n\
                    StartLimitInterval=0\n\
                    RestartSec=20ms\n\
                    ExecStartPre=/bin/false\n\
                    ExecStart=/bin/true\n";
    let unit = |number: u32| format!("dcos.target.wants/dcos-tiny-restless-{number}.service");
    let served = serving((0..10).fold(Build::tiny(), |build, number| {
        build.with_file("units", &unit(number), 0o644, restless)
    }));
    let node = node_for("restless", &served);
    let before = Whole::of(&node);
    for _ in 0..2 {
        install(&node, &served, "slave").succeeds();
        node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
        is_as_before(&node, &before);
    }
}

/// Stands in for a docker daemon: one container runs.
const DOCKER: &str = r#"#!/usr/bin/perl
use IO::Socket::UNIX;
my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM(), Local => "/run/docker.sock", Listen => 5) or die $!;
while (my $client = $socket->accept) {
    while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
    my $body = '[{"Id":"1"}]';
    print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close $client;
}
"#;
