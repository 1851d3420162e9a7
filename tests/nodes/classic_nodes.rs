//! Real nodes of the classic installer: run to each point that it reaches, or as pkgpanda left them
//! once; told, refused, adopted, and uninstalled.

use support::build::{Build, Packed};
use support::classic::Image;
use support::node::{self, Node, Outcome, Server};
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
    let node = &bench.node;
    for (name, role) in [("master", "master"), ("slave", "slave"), ("master-swap", "master")] {
        bench.boots(name, role, |_| {});
        // Nothing waits any more, so that whatever changes from here on was changed by somebody.
        node.shell(
            "systemctl stop 'dcos-*.timer'; mkdir -p /run/dcos && touch \
             /run/dcos/metronome-may-start",
        )
        .succeeds();
        if role == "master" {
            // It would try again in an hour.
            node.shell("systemctl stop dcos-metronome && systemctl start dcos-metronome")
                .succeeds();
        }
        node.until(
            "systemctl list-jobs | grep -q 'No jobs' && ! systemctl list-units --all 'dcos*' | \
             grep -q activating",
        );

        let whole = "installed, not by dcos-node: adopt or uninstall";
        node.run(&["dcos-node", "status"])
            .stdout_has(whole)
            .stdout_has("1.12-reference")
            .stdout_has(role);
        bench
            .install(role)
            .exits_with(5)
            .stderr_has("dcos-node uninstall removes DC/OS")
            .stderr_has("dcos-node adopt takes a whole node over");

        let (before, processes) = (Whole::of(node), bench.processes());
        node.run(&["dcos-node", "adopt"]).succeeds().stdout_has(&format!("is adopted as {role}"));
        let mut changes = Whole::of(node).changes_since(&before);
        changes.retain(|change| !change.starts_with("new /var/lib/dcos-node"));
        assert_eq!(
            changes,
            Vec::<String>::new(),
            "{name}: adopt changed more than its own records"
        );
        assert_eq!(bench.processes(), processes, "{name}: adopt restarted something");

        node.run(&["dcos-node", "status"]).stdout_has("adopted:").stdout_has(role);
        node.run(&["dcos-node", "verify"]).succeeds().stdout_has("as installed");
        node.run(&["dcos-node", "recover"]).succeeds().stdout_has("nothing was interrupted");
        if name != "master-swap" {
            assert_eq!(bench.install(role).succeeds().json()["changed"], false);
        } else {
            bench.install(role).exits_with(5).stderr_has("another build");
        }
        assert_eq!(bench.processes(), processes, "{name}: something was restarted");
        bench.is_undone(name);
    }

    // DC/OS took over the resolvers, and no record tells what was there: its upstream resolvers are
    // put back.
    bench.boots("master", "master", |image| image.write("/etc/resolv.conf", RESOLV_CONF));
    node.run(&["dcos-node", "uninstall"])
        .succeeds()
        .stderr_has("what stood there before is not known");
    let rebuilt = node.read("/etc/resolv.conf");
    assert!(rebuilt.contains("nameserver ") && !rebuilt.contains("198.51.100"), "{rebuilt}");
}

#[test]
fn broken_classic_nodes_are_reported_refused_and_uninstalled() {
    if !node::available() {
        return;
    }
    let bench = Laid::new("bricks");
    let node = &bench.node;
    let is_told = || {
        node.run(&["dcos-node", "status"])
            .exits_with(11)
            .stdout_has("a part of DC/OS, not installed by dcos-node: uninstall");
        node.run(&["dcos-node", "adopt"]).exits_with(5).stderr_has("nothing was changed");
    };
    let its_swap_is_told = || {
        node.run(&["dcos-node", "status"])
            .exits_with(7)
            .stdout_has("a swap by pkgpanda is half done: dcos-node recover finishes it");
        node.run(&["dcos-node", "adopt"]).exits_with(5).stderr_has("nothing was changed");
    };
    let is_refused = || {
        bench.install("master").exits_with(5).stderr_has("dcos-node uninstall removes DC/OS");
    };

    bench.boots("master", "master", Image::emptied);
    node.run(&["systemctl", "is-enabled", "dcos-setup.service"]).stdout_has("masked");
    is_told();
    is_refused();
    bench.is_undone("a power cut emptied every file");

    let killed_in_the_first_half_of_a_swap = |image: &Image| {
        image.with_new_names();
        image.set_aside(&["bin", "lib"]);
        image.write(
            "/opt/mesosphere/install_progress",
            "{\"stage\": \"archive\", \"extension\": \".new\"}",
        );
    };
    bench.boots("master", "master", killed_in_the_first_half_of_a_swap);
    node.until("systemctl is-failed dcos-setup.service");
    its_swap_is_told();
    bench.is_undone("a swap was killed in its first half");
    // An install of the same build, too, does what pkgpanda cannot.
    bench.boots("master", "master", killed_in_the_first_half_of_a_swap);
    its_swap_is_told();
    assert_eq!(bench.install("master").succeeds().json()["changed"], true);
    node.run(&["dcos-node", "adopt"]).succeeds();
    bench.is_undone("a swap was killed in its first half, and finished");

    // Its setup is still enabled: the boot downloads DC/OS again.
    bench.boots("master-after-pkgpanda-uninstall", "master", |_| {});
    node.until("[ -e /opt/mesosphere/bin/pkgpanda ] && systemctl list-jobs | grep -q 'No jobs'");
    is_told();
    is_refused();
    bench.is_undone("pkgpanda uninstall, and a boot");
    node.reboot();
    assert!(!node.has("/opt/mesosphere"), "it was installed again at boot");

    what_outlives_its_files_is_stopped(node);
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

/// Two builds for an upgrade: it takes one unit and one package away, and brings a unit, a package
/// and a user.
fn two_builds(url: &str, at: &std::path::Path) -> [Packed; 2] {
    let pkgpanda = include_str!("../../fixtures/upgrade/pkgpanda");
    let of_version = |name: &str| {
        let id = name.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let version = format!(
            "{{\"version\": \"{name}\", \"dcos-image-commit\": \"{id:0>40}\", \"bootstrap-id\": \
             \"{id:0>40}\"}}\n"
        );
        let build = Build::tiny().with_bootstrap_url(&format!("{url}/{name}"));
        build.with_file("tools", "bin/pkgpanda", 0o755, pkgpanda).with_file(
            "tools",
            "etc/dcos-version.json",
            0o644,
            version,
        )
    };
    let old =
        of_version("1.12.0").with_pkginfo("old", "{}").with_file("old", "lib/old", 0o644, "old");
    let added =
        "[Unit]\nDescription=tiny: is new\n\n[Service]\nExecStart=/opt/mesosphere/bin/tiny-wait\n";
    let new =
        of_version("1.12.1").without_file("units", "dcos.target.wants/dcos-tiny-knock.socket");
    let new = new.with_file("added", "dcos.target.wants/dcos-tiny-added.service", 0o644, added);
    let new = new.with_pkginfo(
        "added",
        "{\"username\": \"dcos_tiny_added\", \"environment\": {\"TINY_ADDED\": \"yes\"}}",
    );
    [old.pack(&at.join("1.12.0")), new.pack(&at.join("1.12.1"))]
}

/// Runs `dcos_node_upgrade.sh` for a build, as an operator does.
fn upgrade(node: &Node, url: &str, from: &str, to: &Packed) -> Outcome {
    let ids: Vec<&str> = to.ids.values().map(String::as_str).collect();
    let script = include_str!("../../fixtures/upgrade/dcos_node_upgrade.sh.in");
    let script =
        script.replace("@FROM@", from).replace("@URL@", url).replace("@IDS@", &ids.join(" "));
    node.write_script("/opt/dcos_node_upgrade.sh", &script);
    let outcome = node.run(&["bash", "/opt/dcos_node_upgrade.sh"]);
    node.run(&["rm", "/opt/dcos_node_upgrade.sh"]).succeeds();
    outcome
}

#[test]
fn upgraded_node_is_uninstalled_by_its_installed_build() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::serving(directory.path());
    let [first, second] = ["1.12.0", "1.12.1"].map(|name| format!("{}/{name}", server.url()));
    let [old, new] = two_builds(server.url(), directory.path());
    let node = Node::boot("upgraded").knowing(&server);
    node.install_binary();
    let before = Whole::of(&node);
    let install = |url: &str| {
        let install = ["dcos-node", "install", "slave", "--json", "--bootstrap-url", url];
        node.run(&[&install, node::LACKS].concat())
    };
    for is_refreshed in [true, false] {
        install(&first).succeeds();
        if is_refreshed {
            // It broke off in its first download: nothing is active that was not.
            upgrade(&node, "http://127.0.0.1:1", "1.12.0", &new).exits_with(2).stderr_has("curl: ");
            assert!(node.has(&format!("/opt/mesosphere/packages/{}_tmp", new.id("added"))));
            let status = node.run(&["dcos-node", "status", "--json"]);
            assert_eq!(status.json()["version"]["version"], "1.12.0", "{status}");
            assert_eq!(status.json()["drift"]["drifted"], false, "{status}");
            assert_eq!(install(&first).succeeds().json()["changed"], false);
            upgrade(&node, &second, "1.12.9", &new).exits_with(1).stderr_has("1.12.0 is installed");
        }

        upgrade(&node, &second, "1.12.0", &new).succeeds();
        // It does not wait for what it starts.
        let has_started = "systemctl is-active -q dcos-tiny-added && [ -z \"$(systemctl list-jobs \
                           --no-legend)\" ]";
        node.shell(&format!(
            "for i in $(seq 600); do {has_started} && exit; sleep 0.2; done; exit 1"
        ))
        .succeeds();
        node.run(&["systemctl", "is-active", "dcos-tiny-knock.socket"]).exits_with(3);
        let status = node.run(&["dcos-node", "status", "--json"]);
        let json = status.succeeds().json();
        assert_eq!(json["version"]["version"], "1.12.1", "{status}");
        assert_eq!(json["bootstrap_id"], format!("{:0>40}", "312e31322e31"), "{status}");
        assert!(
            json["activated_since"].as_array().expect("a list").contains(&new.id("added").into()),
            "{status}"
        );
        assert!(
            json["deactivated_since"].as_array().expect("a list").contains(&old.id("old").into()),
            "{status}"
        );
        assert_eq!(json["drift"]["drifted"], false, "what pkgpanda did is no drift: {status}");
        node.run(&["dcos-node", "recover"]).succeeds().stdout_has("nothing was interrupted");
        install(&first).exits_with(5).stderr_has("another build");
        if is_refreshed {
            let status = node.run(&["dcos-node", "status"]);
            let of_old =
                format!("not active any more since pkgpanda's activation: {}\n", old.id("old"));
            status
                .stdout_has(&format!("activated since by pkgpanda: {}", new.id("added")))
                .stdout_has(&of_old);
            assert_eq!(install(&second).succeeds().json()["changed"], false);
            let status = node.run(&["dcos-node", "status", "--json"]);
            for since in ["activated_since", "deactivated_since"] {
                assert_eq!(status.json()[since], serde_json::json!([]), "{status}");
            }
            // The receipt is of the set that stands: what pkgpanda took away is not missing, what
            // it replaced is not changed, and the order in which it wrote its variables is as good
            // as ours.
            node.run(&["dcos-node", "verify"]).succeeds().stdout_has("as installed");
            assert_eq!(status.json()["drift"]["drifted"], false, "{status}");
        }
        node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
        assert_eq!(
            Whole::of(&node).changes_since(&before),
            Vec::<String>::new(),
            "refreshed: {is_refreshed}"
        );
    }
}
