//! Signals, a second run, a lost terminal, and a boot in the middle of an install, on real nodes.

use std::time::Duration;

use support::build::{Build, Damage};
use support::node::{self, Node, Running, Server};
use support::step;
use tempfile::TempDir;

/// How long what was told to end may take for that.
const LIMIT: Duration = Duration::from_secs(300);

struct Bench {
    node: Node,
    server: Server,
    build: TempDir,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let build = tempfile::tempdir().expect("a directory for the build");
        Build::tiny().pack(build.path());
        let server = Server::serving(build.path());
        let node = Node::boot(name).knowing(&server);
        node.install_binary();
        Bench { node, server, build }
    }

    fn install(&self) -> Vec<&str> {
        [&["dcos-node", "install", "master", "--bootstrap-url", self.server.url()], node::LACKS]
            .concat()
    }

    /// An install that stands still in the middle, until `/run/go` is there.
    fn standing_still(&self) -> Running {
        self.node.run(&["rm", "-f", "/run/go", "/run/still"]).succeeds();
        let running = self.node.start(&self.install());
        self.node.until("[ -e /run/still ]");
        running
    }

    /// Waits until the boot has told this.
    #[track_caller]
    fn until_told(&self, words: &str) {
        self.node.until(&format!("journalctl -u dcos-setup.service | grep -q '{words}'"));
    }

    fn signal(&self, signal: &str) {
        self.node.run(&["pkill", signal, "-x", "dcos-node"]).succeeds();
    }

    /// Kills an install at a point of it and switches the node off.
    fn off_at(&self, point: &str) {
        let mut words = vec![
            "env".to_owned(),
            "DCOS_NODE_FAULT_WORKERS=1".to_owned(),
            format!("DCOS_NODE_FAULT=kill {point}"),
        ];
        words.extend(self.install().into_iter().map(str::to_owned));
        let killed = self.node.run(&words);
        assert!(killed.was_killed(), "{killed}");
        self.node.cut_power();
    }

    /// Leaves the node as pkgpanda does when it dies in its swap to another active set
    /// (`pkgpanda/__init__.py`, swap_active): so many live names were moved away, and so many new
    /// ones in. The new set has a mark in `etc`.
    fn half_swapped(&self, stage: &str, archived: usize, moved: usize, mark: &str) {
        self.node
            .shell(&format!(
                "set -e; cd /opt/mesosphere; units=/etc/systemd/system; set -- {NAMES}
                systemctl stop dcos.target
                for name; do cp -a $name $name.new; done; touch etc.new/{mark}
                for unit in $(ls $units/dcos.target.wants); do mv $units/$unit $units/$unit.unit.new; done
                echo '{{\"stage\": \"{stage}\", \"extension\": \".new\"}}' >install_progress
                at=0; for name; do [ $at -lt {archived} ] || break; mv $name $name.old; at=$((at + 1)); done
                at=0; for name; do [ $at -lt {moved} ] || break; mv $name.new $name; at=$((at + 1)); done
                sync"
            ))
            .succeeds();
    }

    /// The swap is finished, the role runs with the new set, and nothing waits to be moved.
    fn is_swapped(&self, mark: &str) {
        self.node.until(&format!(
            "[ ! -e /opt/mesosphere/install_progress ] && [ -e /opt/mesosphere/etc/{mark} ]"
        ));
        self.node.until("systemctl is-active -q dcos.target");
        self.node.wait_for_setup();
        self.node
            .shell("ls -d /opt/mesosphere/*.new /etc/systemd/system/*.unit.new")
            .stdout_lacks(".new");
        self.node.run(&["dcos-node", "status"]).stdout_has("master");
    }

    fn boot(&self) {
        self.node.power_on();
        self.node.wait_until_booted();
    }
}

/// What pkgpanda moves in a swap, in its order.
const NAMES: &str = "bin etc include lib /etc/systemd/system/dcos.target.wants environment \
                     environment.export active active.buildinfo.full.json";

/// Stands in the way of the real program until it is told to let it go on.
const SLOW: &str = "#!/bin/sh\n\
                    touch /run/still\n\
                    while [ ! -e /run/go ]; do sleep 0.05; done\n\
                    exec /usr/sbin/useradd.real \"$@\"\n";

#[test]
fn signals_second_run_and_lost_terminal_act_as_documented() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("signals");
    let node = &bench.node;
    node.run(&["mv", "/usr/sbin/useradd", "/usr/sbin/useradd.real"]).succeeds();
    node.write_script("/usr/sbin/useradd", SLOW);
    step("SIGTERM", || terminated_install_stops_safely(&bench));
    step("SIGINT twice", || second_interrupt_stops_at_once(&bench));
    step("SIGHUP", || install_survives_a_lost_terminal(&bench));
    step("systemd", || unit_is_ready_after_the_install(&bench));
}

fn terminated_install_stops_safely(bench: &Bench) {
    let (node, first) = (&bench.node, bench.standing_still());
    let pid = node.run(&["pgrep", "-x", "dcos-node"]).stdout().trim().to_owned();
    node.run(&bench.install())
        .exits_with(8)
        .stderr_has(&format!("process {pid} ("))
        .stderr_has("install master");
    bench.signal("-TERM");
    node::eventually(|| {
        let said = first.stderr_so_far();
        if said.contains("stopping at the next safe point") { Ok(()) } else { Err(said) }
    });
    node.run(&["touch", "/run/go"]).succeeds();
    let ended = first.finish_within(LIMIT);
    ended
        .exits_with(10)
        .stderr_has("stopping at the next safe point")
        .stderr_has("dcos-node install master goes on now");
    node.run(&["dcos-node", "recover"]).succeeds();
    node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
}

fn second_interrupt_stops_at_once(bench: &Bench) {
    let (node, second) = (&bench.node, bench.standing_still());
    bench.signal("-INT");
    node::eventually(|| {
        let said = second.stderr_so_far();
        if said.contains("once more stops at once") { Ok(()) } else { Err(said) }
    });
    bench.signal("-INT");
    // What it waits for is still standing still.
    second.finish_within(LIMIT).exits_with(10);
    node.run(&["touch", "/run/go"]).succeeds();
    // The real one has another name.
    node.until("! pgrep useradd");
    node.run(&bench.install()).succeeds();
    node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
}

fn install_survives_a_lost_terminal(bench: &Bench) {
    let (node, third) = (&bench.node, bench.standing_still());
    bench.signal("-HUP");
    node.run(&["touch", "/run/go"]).succeeds();
    third.finish_within(LIMIT).succeeds();
    node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
}

/// systemd waits for "ready", and knows meanwhile what is being done.
fn unit_is_ready_after_the_install(bench: &Bench) {
    let node = &bench.node;
    node.run(&["rm", "-f", "/run/go", "/run/still"]).succeeds();
    let unit = [
        "systemd-run",
        "--unit=by-systemd",
        "-p",
        "Type=notify",
        "-p",
        "TimeoutStartSec=infinity",
        "-p",
        "RemainAfterExit=yes",
        "--",
        "/usr/local/bin/dcos-node",
    ];
    let verbose = ["-v"];
    let started = node.start(&[&unit[..], &bench.install()[1..], &verbose].concat());
    node.until("[ -e /run/still ]");
    node.until("systemctl show -p StatusText by-systemd | grep -q 'user'");
    node.run(&["systemctl", "is-active", "by-systemd"]).stdout_has("activating");
    node.run(&["touch", "/run/go"]).succeeds();
    started.finish_within(LIMIT).succeeds();
    node.run(&["systemctl", "show", "-p", "StatusText", "by-systemd"]).stdout_has("done");
    node.run(&["dcos-node", "status"]).stdout_has("master");
}

const INSTALLED: &str =
    "[ -e /var/lib/dcos-node/receipt.json ] && systemctl is-active -q dcos.target";

#[test]
fn boot_waits_for_the_network_and_rolls_back_only_on_damage() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("boots");
    step("all packages on the node", || boot_needs_no_network_with_all_packages(&bench));
    step("swap of pkgpanda", || boot_and_install_finish_a_swap(&bench));
    step("no server", || {
        boot_without_a_server_tries_again(&bench);
        stopped_setup_resumes_when_started(&bench);
    });
    step("damaged package", || damaged_package_is_rolled_back_by_the_boot(&bench));
}

fn boot_needs_no_network_with_all_packages(bench: &Bench) {
    let node = &bench.node;
    bench.off_at("Rename 1 /opt/mesosphere/etc.new -> /opt/mesosphere/etc");
    bench.server.stop();
    bench.boot();
    node.until(INSTALLED);
    // It tells so a moment after the role has started.
    bench.until_told("is installed as master");
    node.wait_for_setup();
    node.run(&["journalctl", "-u", "dcos-setup.service"]).stdout_lacks("trying again");
    bench.server.start();
}

/// pkgpanda's own swap, half done in either stage: the boot finishes it, and so does an install of
/// the same build.
fn boot_and_install_finish_a_swap(bench: &Bench) {
    let node = &bench.node;
    bench.half_swapped("archive", 4, 0, "first");
    node.cut_power();
    bench.boot();
    bench.is_swapped("first");
    bench.until_told("the swap that pkgpanda left unfinished is finished");
    node.shell("rm -rf /opt/mesosphere/*.old /etc/systemd/system/*.old").succeeds();
    bench.half_swapped("move_new", 9, 3, "second");
    node.run(&bench.install()).succeeds();
    bench.is_swapped("second");
    node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
}

/// Packages are missing and no server answers: the boot is over all the same.
fn boot_without_a_server_tries_again(bench: &Bench) {
    let node = &bench.node;
    bench.off_at("Directory 1 /var/lib/dcos-node/packages");
    bench.server.stop();
    bench.boot();
    bench.until_told("trying again in 15 s");
    node.run(&["systemctl", "is-active", "multi-user.target"]).succeeds();
    node.run(&["systemctl", "list-jobs"]).stdout_has("No jobs");
}

/// Stopped, it leaves what can be resumed, says so, and has not failed.
fn stopped_setup_resumes_when_started(bench: &Bench) {
    let node = &bench.node;
    node.run(&["systemctl", "stop", "dcos-setup.service"]).succeeds();
    bench.until_told("goes on at the next boot");
    node.run(&["systemctl", "is-failed", "dcos-setup.service"]).stdout_has("inactive");
    node.run(&["dcos-node", "recover"]).exits_with(1).stderr_has("goes on at the next boot");
    node.run(&["systemctl", "start", "dcos-setup.service"]).succeeds();
    bench.server.start();
    node.until(INSTALLED);
    node.wait_for_setup();
    node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
}

fn damaged_package_is_rolled_back_by_the_boot(bench: &Bench) {
    let node = &bench.node;
    bench.off_at("Directory 1 /var/lib/dcos-node/packages");
    let damaged = Build::tiny().damaged("units", Damage::BitFlip);
    damaged.pack(bench.build.path());
    bench.boot();
    bench.until_told("the node is as it was");
    node.wait_for_setup();
    assert!(
        !node.has("/etc/mesosphere")
            && !node.has("/etc/systemd/system/dcos.target")
            && !node.has("/opt/mesosphere/bin")
    );
    node.run(&["systemctl", "is-failed", "dcos-setup.service"]).stdout_lacks("failed");
}
