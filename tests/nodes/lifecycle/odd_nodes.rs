//! Installs on nodes that are not as most: without a bus, with a read-only `/usr`, on an old
//! kernel, under running containers, with units that never start.

use support::build::Build;
use support::node::{self, Node};
use support::tree::Whole;

use super::{install, is_as_before, node_for, serving};

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

#[test]
fn unit_with_a_queued_start_is_stopped_for_good() {
    if !node::available() {
        return;
    }
    // While it is stopped, it has another unit started, which waits for a unit of the operator.
    let starter = "[Service]\n\
                   ExecStart=/bin/sleep infinity\n\
                   ExecStopPost=/bin/systemctl start --no-block slow.service \
                   dcos-tiny-queued.service\n";
    let queued = "[Unit]\n\
                  After=slow.service\n\n\
                  [Service]\n\
                  ExecStart=/bin/sh -c 'mkdir -p /var/lib/mesos/again; exec sleep infinity'\n";
    let units = [("starter", starter), ("queued", queued)];
    let build = units.iter().fold(Build::tiny(), |build, (name, text)| {
        let path = format!("dcos.target.wants/dcos-tiny-{name}.service");
        build.with_file("units", &path, 0o644, *text)
    });
    let served = serving(build);
    let node = node_for("queued", &served);
    // It ends when the data is removed.
    let slow = "[Service]\n\
                Type=oneshot\n\
                ExecStart=/bin/sh -c 'while [ -e /var/lib/mesos ]; do sleep 0.01; done'\n";
    node.write("/etc/systemd/system/slow.service", slow);
    node.run(&["systemctl", "daemon-reload"]).succeeds();
    install(&node, &served, "slave").succeeds();
    node.until("[ -e /var/lib/mesos/again ]");
    node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
    node.run(&["systemctl", "show", "-P", "Result", "slow.service"]).stdout_has("success");
    let log = node.run(&["journalctl", "--boot", "--unit", "dcos-tiny-queued.service"]);
    assert_eq!(log.stdout().matches("Started dcos-tiny-queued").count(), 1, "{log}");
    // Nor was it tried once its unit file was gone.
    log.stdout_lacks("Failed to start");
    assert!(!node.has("/var/lib/mesos"));
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
