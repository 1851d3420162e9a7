//! Real nodes of the classic installer: run to each point that it reaches, or as pkgpanda left them
//! once; told, refused, adopted, and uninstalled.

use support::classic::Image;
use support::node::{self, Node, Outcome, Server};
use support::step;
use support::tree::{Golden, Seen, Snapshot, Whole, differences};
use tempfile::TempDir;

/// Runs the installer up to its command number `$STOP`, counted as bash comes to them, and then
/// nothing of it is left.
const STOPPED: &str =
    r#"at=0; trap '[ $((++at)) -lt $STOP ] || kill -KILL $$' DEBUG; . /opt/dcos_install.sh "$@""#;

/// While this is asked for, a download comes to a half and no further.
const CURL: &str = r#"#!/bin/sh
[ -e /run/stall ] || exec /usr/bin/curl.real "$@"
/usr/bin/curl.real "$@"
while [ $# -gt 0 ]; do [ "$1" != -o ] || file=$2; shift; done
truncate -s 6000 "$file"
touch /run/stalled
exec sleep 1000
"#;

/// The installer of the reference build, on a node on which it is run again and again.
struct Reference {
    node: Node,
    before: Whole,
    server: Server,
    directory: TempDir,
}

impl Reference {
    fn new(name: &str) -> Reference {
        let directory = tempfile::tempdir().expect("a directory");
        let serve = format!("{}/fixtures/reference/serve/.", env!("CARGO_MANIFEST_DIR"));
        let copied = std::process::Command::new("cp")
            .args(["-r", &serve])
            .arg(directory.path())
            .status()
            .expect("cp");
        assert!(copied.success());
        let server = Server::serving(directory.path());
        let node = Node::boot(name).knowing(&server);
        node.install_binary();
        node.run(&[
            "curl",
            "-fsSo",
            "/opt/dcos_install.sh",
            &format!("{}/dcos_install.sh", server.url()),
        ])
        .succeeds();
        // What it downloads is named as by DC/OS' own, whose name only an uninstall can know.
        node.shell(
            "sed -i s/reference-bootstrap/bootstrap/ /opt/dcos_install.sh; mv /usr/bin/curl \
             /usr/bin/curl.real",
        )
        .succeeds();
        node.write_script("/usr/bin/curl", CURL);
        // systemd's own, which most machines reach at boot, and which the unit that downloads
        // wants.
        node.run(&["systemctl", "start", "network-online.target"]).succeeds();
        let before = Whole::of(&node);
        Reference { node, before, server, directory }
    }

    fn run_the_installer(&self, more: &[&str], stop: usize) -> Outcome {
        let (stop, installer) = (
            format!("STOP={stop}"),
            ["bash", "-T", "-c", STOPPED, "dcos_install.sh", "-d", "master"],
        );
        self.node.run(&[&["env", &stop], &installer[..], more].concat())
    }

    /// To its end, which is that the build has no activator.
    fn run_to_its_end(&self) {
        self.run_the_installer(&[], 1000).exits_with(1);
    }

    /// What stands here is told, refused, and undone.
    #[track_caller]
    fn is_undone(&self, point: &str) {
        let status = self.node.run(&["dcos-node", "status"]);
        status.exits_with(11).stdout_has("a part of DC/OS, not installed by dcos-node: uninstall");
        let standing =
            || Snapshot::of_areas(&self.node.root(), &["/etc", "/opt", "/tmp", "/var/lib"]);
        let here = standing();
        let install = ["dcos-node", "install", "master", "--bootstrap-url", self.server.url()];
        self.node
            .run(&[&install, node::LACKS].concat())
            .exits_with(5)
            .stderr_has("dcos-node uninstall");
        assert_eq!(
            standing().changes_since(&here),
            Vec::<String>::new(),
            "{point}: a refused install changed something"
        );
        self.node.run(&["dcos-node", "uninstall"]).succeeds();
        self.node.run(&["dcos-node", "status"]).exits_with(11).stdout_has("DC/OS is not installed");
        let changes = Whole::of(&self.node).changes_since(&self.before);
        assert_eq!(
            changes,
            Vec::<String>::new(),
            "{point}: the node is not as it was; its status was {status}"
        );
    }
}

#[test]
fn every_classic_stage_is_reported_refused_and_uninstalled() {
    if !node::available() {
        return;
    }
    let bench = Reference::new("classic-points");
    let (mut points, mut stop) = (0, 1);
    while bench.run_the_installer(&[], stop).was_killed() {
        // Up to its first `mkdir` it only thinks.
        if bench.node.has("/etc/mesosphere") {
            bench.is_undone(&format!("killed before its command {stop}"));
            points += 1;
        }
        stop += 1;
    }
    assert!(points > 30, "the installer was stopped at {points} points only");
    // The build has no activator: this is its end.
    assert!(
        bench.node.has("/opt/mesosphere/active")
            && bench.node.has("/etc/systemd/system/multi-user.target.wants/dcos-setup.service")
    );
    bench.node.run(&["dcos-node", "adopt"]).exits_with(5).stderr_has("its setup has not ended");
    bench.is_undone("its end");
    bench.node.reboot();
    assert!(!bench.node.has("/opt/mesosphere"), "it was installed again at boot");
}

#[test]
fn aborted_classic_download_is_reported_and_uninstalled() {
    if !node::available() {
        return;
    }
    let bench = Reference::new("classic-download");
    let node = &bench.node;
    let archive = bench
        .directory
        .path()
        .join("bootstrap/e9eb4006b24211dc180dccf95c2b8f572f76b3e4.bootstrap.tar.xz");
    let whole = std::fs::read(&archive).expect("the archive");

    bench.server.stop();
    bench.run_to_its_end();
    bench.server.start();
    assert!(!node.has("/opt/mesosphere/active"));
    bench.is_undone("the server was down");

    std::fs::remove_file(&archive).expect("remove the archive");
    bench.run_to_its_end();
    assert!(!node.has("/opt/mesosphere/active"));
    bench.is_undone("404");

    for thousandths in [500, 970, 997] {
        std::fs::write(&archive, &whole[..whole.len() * thousandths / 1000])
            .expect("write the archive");
        bench.run_to_its_end();
        bench.is_undone(&format!("an archive of which {thousandths}/1000 are there"));
    }
    std::fs::write(&archive, &whole).expect("write the archive");

    // Stalled: curl and the start of two units are under way while all is undone.
    node.run(&["touch", "/run/stall"]).succeeds();
    let stalls = || {
        bench.run_the_installer(&["--no-block-dcos-setup"], 1000).succeeds();
        node.until("[ -e /run/stalled ] && pgrep -x sleep");
    };
    stalls();
    node.run(&["rm", "/run/stall", "/run/stalled"]).succeeds();
    assert!(node.has("/tmp/bootstrap.tar.xz"));
    bench.is_undone("a download that stalls");
    node.run(&["touch", "/run/stall"]).succeeds();
    stalls();
    assert!(node.kill("sleep"));
    node.until("systemctl is-failed -q dcos-download && systemctl list-jobs | grep -q 'No jobs'");
    node.run(&["rm", "/run/stall", "/run/stalled"]).succeeds();
    bench.is_undone("a download that was killed");
}

/// The copies that programs for accounts keep of what they change. Of an account that they made
/// themselves nobody knows what was there before.
const BACKUPS: [&str; 4] = [
    "changed /etc/group-",
    "changed /etc/gshadow-",
    "changed /etc/passwd-",
    "changed /etc/shadow-",
];

/// What DC/OS puts there.
const RESOLV_CONF: &str =
    "# Generated by gen_resolvconf.py. Do not edit.\nsearch mesos\nnameserver 198.51.100.1\n";

/// A node on which pkgpanda itself once activated: a golden record, laid over a node that is
/// switched off.
struct Laid {
    node: Node,
    before: Whole,
    server: Server,
}

impl Laid {
    fn new(name: &str) -> Laid {
        let server =
            Server::serving(format!("{}/fixtures/reference/serve", env!("CARGO_MANIFEST_DIR")));
        let node = Node::switched_off(name).knowing(&server);
        // Stands for `pkgpanda setup`, which leaves a whole node as it is.
        node.write(
            "/etc/systemd/system.conf.d/activator.conf",
            "[Manager]\nDefaultEnvironment=REFERENCE_ACTIVATOR=/bin/true\n",
        );
        let node = node.booted();
        node.install_binary();
        // As most machines have it; the unit that downloads wants it.
        node.run(&["systemctl", "add-wants", "multi-user.target", "network-online.target"])
            .succeeds();
        node.reboot();
        let before = Whole::of(&node);
        Laid { node, before, server }
    }

    /// Boots what a record says, byte for byte, with this done to it.
    fn boots(&self, name: &str, role: &str, done: impl Fn(&Image)) {
        self.node.power_off();
        let root = self.node.root();
        let (before, image) = (Snapshot::of(&root), Image::of_node(&root));
        image.lay(name, role);
        let found = differences(
            &Golden::read(format!("fixtures/reference/golden/{name}.json")),
            &Seen::in_directory(&root),
            Some(&before),
        );
        // What the last boot left in /run, which is no part of a node that is off.
        let found: Vec<String> = found
            .iter()
            .filter(|it| !it.what.starts_with("/run/"))
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, Vec::<String>::new(), "{name} is not what was recorded");
        done(&image);
        self.node.power_on();
        self.node.wait_until_booted();
    }

    fn install(&self, role: &str) -> Outcome {
        let install =
            ["dcos-node", "install", role, "--json", "--bootstrap-url", self.server.url()];
        self.node.run(&[&install, node::LACKS].concat())
    }

    /// What every unit of DC/OS' runs as, when none of them polls any more.
    fn processes(&self) -> String {
        self.node
            .run(&["systemctl", "show", "-p", "Id,MainPID,ActiveState,InvocationID", "dcos*"])
            .stdout()
            .to_owned()
    }

    /// Uninstalled, and its data purged long after it.
    #[track_caller]
    fn is_undone(&self, what: &str) {
        self.node.run(&["dcos-node", "uninstall"]).succeeds();
        assert!(self.node.has("/var/lib/dcos"), "{what}: its data was not kept");
        self.node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
        self.node.run(&["dcos-node", "status"]).exits_with(11).stdout_has("DC/OS is not installed");
        let mut changes = Whole::of(&self.node).changes_since(&self.before);
        changes.retain(|change| !BACKUPS.contains(&change.as_str()));
        assert_eq!(changes, Vec::<String>::new(), "{what}: the node is not as it was");
    }
}

#[test]
fn pkgpanda_states_are_reported_adopted_and_uninstalled() {
    if !node::available() {
        return;
    }
    let bench = Laid::new("golden");
    for (name, role) in [("master", "master"), ("slave", "slave"), ("master-swap", "master")] {
        bench.boots(name, role, |_| {});
        step(&format!("{name}: rest"), || bench.comes_to_rest(role));
        let processes = bench.processes();
        step(&format!("{name}: report"), || bench.is_reported_as_classic(role));
        step(&format!("{name}: adopt"), || bench.adopt_writes_only_its_records(name, role));
        step(&format!("{name}: use"), || bench.is_used_after_its_adoption(name, role));
        assert_eq!(bench.processes(), processes, "{name}: something was restarted");
        step(&format!("{name}: uninstall"), || bench.is_undone(name));
    }
    step("resolv.conf", || unknown_resolv_conf_gets_the_upstream_resolvers(&bench));
}

impl Laid {
    /// Nothing waits any more, so that whatever changes from here on was changed by somebody.
    fn comes_to_rest(&self, role: &str) {
        self.node
            .shell(
                "systemctl stop 'dcos-*.timer'; mkdir -p /run/dcos && touch \
                 /run/dcos/metronome-may-start",
            )
            .succeeds();
        if role == "master" {
            // It would try again in an hour.
            self.node
                .shell("systemctl stop dcos-metronome && systemctl start dcos-metronome")
                .succeeds();
        }
        self.node.until(
            "systemctl list-jobs | grep -q 'No jobs' && ! systemctl list-units --all 'dcos*' | \
             grep -q activating",
        );
    }

    fn is_reported_as_classic(&self, role: &str) {
        let whole = "installed, not by dcos-node: adopt or uninstall";
        self.node
            .run(&["dcos-node", "status"])
            .stdout_has(whole)
            .stdout_has("1.12-reference")
            .stdout_has(role);
        self.install(role)
            .exits_with(5)
            .stderr_has("dcos-node uninstall removes DC/OS")
            .stderr_has("dcos-node adopt takes a whole node over");
    }

    fn adopt_writes_only_its_records(&self, name: &str, role: &str) {
        let (before, processes) = (Whole::of(&self.node), self.processes());
        self.node
            .run(&["dcos-node", "adopt"])
            .succeeds()
            .stdout_has(&format!("is adopted as {role}"));
        let mut changes = Whole::of(&self.node).changes_since(&before);
        changes.retain(|change| !change.starts_with("new /var/lib/dcos-node"));
        assert_eq!(
            changes,
            Vec::<String>::new(),
            "{name}: adopt changed more than its own records"
        );
        assert_eq!(self.processes(), processes, "{name}: adopt restarted something");
    }

    fn is_used_after_its_adoption(&self, name: &str, role: &str) {
        self.node.run(&["dcos-node", "status"]).stdout_has("adopted:").stdout_has(role);
        self.node.run(&["dcos-node", "verify"]).succeeds().stdout_has("as installed");
        self.node.run(&["dcos-node", "recover"]).succeeds().stdout_has("nothing was interrupted");
        if name != "master-swap" {
            assert_eq!(self.install(role).succeeds().json()["changed"], false);
        } else {
            self.install(role).exits_with(5).stderr_has("another build");
        }
    }
}

/// DC/OS took over the resolvers, and no record has what was there: its upstream resolvers are put
/// back.
fn unknown_resolv_conf_gets_the_upstream_resolvers(bench: &Laid) {
    bench.boots("master", "master", |image| image.write("/etc/resolv.conf", RESOLV_CONF));
    bench
        .node
        .run(&["dcos-node", "uninstall"])
        .succeeds()
        .stderr_has("what stood there before is not known");
    let rebuilt = bench.node.read("/etc/resolv.conf");
    assert!(rebuilt.contains("nameserver ") && !rebuilt.contains("198.51.100"), "{rebuilt}");
}

#[test]
fn broken_classic_nodes_are_reported_refused_and_uninstalled() {
    if !node::available() {
        return;
    }
    let bench = Laid::new("bricks");
    step("emptied files", || {
        bench.boots("master", "master", Image::emptied);
        bench.node.run(&["systemctl", "is-enabled", "dcos-setup.service"]).stdout_has("masked");
        bench.is_reported_as_a_part();
        bench.is_undone("a power cut emptied every file");
    });
    step("killed swap", || {
        bench.boots("master", "master", killed_in_the_first_half_of_a_swap);
        bench.node.until("systemctl is-failed dcos-setup.service");
        bench.is_reported_as_a_swap();
        bench.is_undone("a swap was killed in its first half");
    });
    step("killed swap that an install finishes", || {
        // An install of the same build, too, does what pkgpanda cannot.
        bench.boots("master", "master", killed_in_the_first_half_of_a_swap);
        bench.is_reported_as_a_swap();
        assert_eq!(bench.install("master").succeeds().json()["changed"], true);
        bench.node.run(&["dcos-node", "adopt"]).succeeds();
        bench.is_undone("a swap was killed in its first half, and finished");
    });
    step("pkgpanda uninstall", || node_after_pkgpanda_uninstall_is_installed_at_boot(&bench));
    step("units without files", || what_outlives_its_files_is_stopped(&bench.node));
}

impl Laid {
    fn is_reported_as_a_part(&self) {
        self.node
            .run(&["dcos-node", "status"])
            .exits_with(11)
            .stdout_has("a part of DC/OS, not installed by dcos-node: uninstall");
        self.node.run(&["dcos-node", "adopt"]).exits_with(5).stderr_has("nothing was changed");
        self.install("master").exits_with(5).stderr_has("dcos-node uninstall removes DC/OS");
    }

    fn is_reported_as_a_swap(&self) {
        self.node
            .run(&["dcos-node", "status"])
            .exits_with(7)
            .stdout_has("a swap by pkgpanda is half done: dcos-node recover finishes it");
        self.node.run(&["dcos-node", "adopt"]).exits_with(5).stderr_has("nothing was changed");
    }
}

fn killed_in_the_first_half_of_a_swap(image: &Image) {
    image.with_new_names();
    image.set_aside(&["bin", "lib"]);
    image.write(
        "/opt/mesosphere/install_progress",
        "{\"stage\": \"archive\", \"extension\": \".new\"}",
    );
}

/// Its setup is still enabled: the boot downloads DC/OS again.
fn node_after_pkgpanda_uninstall_is_installed_at_boot(bench: &Laid) {
    let node = &bench.node;
    bench.boots("master-after-pkgpanda-uninstall", "master", |_| {});
    node.until("[ -e /opt/mesosphere/bin/pkgpanda ] && systemctl list-jobs | grep -q 'No jobs'");
    bench.is_reported_as_a_part();
    bench.is_undone("pkgpanda uninstall, and a boot");
    node.reboot();
    assert!(!node.has("/opt/mesosphere"), "it was installed again at boot");
}

/// As after a removal by hand: an agent that runs on, one service that failed, and the target,
/// whose files are gone and which systemd calls `loaded`.
const REMOVED_BEHIND_SYSTEMD: &str = r"cd /etc/systemd/system
printf '[Unit]\n' > dcos.target
printf '[Service]\nExecStart=/bin/sleep infinity\n' > dcos-mesos-slave.service
printf '[Service]\nType=oneshot\nExecStart=/bin/false\n' > dcos-telegraf.service
systemctl daemon-reload
systemctl start dcos.target dcos-mesos-slave.service && ! systemctl start dcos-telegraf.service
rm dcos.target dcos-mesos-slave.service dcos-telegraf.service
ln -s /dev/null /run/systemd/system/dcos-telegraf.service
[ $(systemctl show -p LoadState dcos-mesos-slave.service) = LoadState=loaded ]";

#[track_caller]
fn what_outlives_its_files_is_stopped(node: &Node) {
    node.shell(REMOVED_BEHIND_SYSTEMD).succeeds();
    let units =
        || node.run(&["systemctl", "list-units", "--all", "--no-legend", "--plain", "dcos*"]);
    units()
        .stdout_has("dcos-mesos-slave.service")
        .stdout_has("dcos-telegraf.service")
        .stdout_has("dcos.target");
    let uninstall = node.run(&["dcos-node", "uninstall"]);
    uninstall
        .succeeds()
        .stdout_has("/run/systemd/system/dcos-telegraf.service (masked by an operator)");
    uninstall.stderr_has("what it runs is not known");
    assert_eq!(units().stdout(), "", "{uninstall}");
    node.shell("pgrep -x sleep").exits_with(1);
}
