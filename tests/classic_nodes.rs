//! Real nodes of the classic installer: run to several points, adopted, and uninstalled.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod support;

use support::build::Build;
use support::node::{self, Node, Outcome, Server};
use support::tree::{Snapshot, Whole};
use tempfile::TempDir;

/// Data, which an uninstall keeps.
const KEPT: &str = "/var/lib/dcos";

struct Bench {
    node: Node,
    before: Whole,
    server: Server,
    _directory: TempDir,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let directory = tempfile::tempdir().expect("a directory");
        Build::fixture().pack(directory.path());
        let server = Server::serving(directory.path());
        let node = Node::boot(name).knowing(&server);
        node.install_binary();
        node.write("/etc/resolv.conf", "# the operator's\nnameserver 192.0.2.1\n");
        let before = Whole::of(&node);
        Bench { node, before, server, _directory: directory }
    }

    /// `dcos_install.sh` as an operator runs it. The build carries no activator, so it ends where pkgpanda would activate.
    fn run_the_installer(&self, role: &str) {
        self.run_the_installer_as(role, "");
    }

    /// The same, killed in front of the line that enables its units.
    fn run_the_installer_until_it_enables(&self, role: &str) {
        self.run_the_installer_as(
            role,
            "grep -q '^systemctl enable' /tmp/dcos_install.sh && sed -i 's/^systemctl enable/kill -KILL $$ #/' /tmp/dcos_install.sh &&",
        );
    }

    fn run_the_installer_as(&self, role: &str, change: &str) {
        let url = self.server.url();
        self.node.shell(&format!("curl -fsSO --output-dir /tmp {url}/dcos_install.sh && {change} bash /tmp/dcos_install.sh -d {role}"));
        self.node.shell("rm -f /tmp/dcos_install.sh");
    }

    /// A whole node as the classic installer leaves it: what dcos-node makes of the same build, which tests/parity.rs compares with it, with the
    /// installer's own units and without our traces.
    fn whole(&self, role: &str) {
        self.run_the_installer(role);
        self.node
            .shell("mkdir /tmp/units && cp /etc/systemd/system/dcos-setup.service /etc/systemd/system/dcos-download.service /tmp/units")
            .succeeds();
        self.node.run(&["dcos-node", "uninstall"]).succeeds();
        self.node.write("/etc/resolv.conf", "# the operator's\nnameserver 192.0.2.1\n");
        let install = ["dcos-node", "install", role, "--bootstrap-url", self.server.url()];
        self.node.run(&[&install, node::LACKS].concat()).succeeds();
        self.node.shell("rm -r /var/lib/dcos-node /opt/dcos-node && mv /tmp/units/* /etc/systemd/system/ && rmdir /tmp/units && systemctl daemon-reload").succeeds();
    }

    fn uninstalls(&self) {
        self.node.run(&["dcos-node", "uninstall"]).succeeds();
        let mut changed = Whole::of(&self.node).changes_since(&self.before);
        // What stood in resolv.conf is not known where DC/OS wrote the file and no record tells: it names the resolvers that DC/OS asked.
        changed.retain(|change| !change.contains(KEPT) && change != "changed /etc/resolv.conf");
        assert!(changed.is_empty(), "the node is not as it was:\n{}", changed.join("\n"));
        assert!(
            !self.node.read("/etc/resolv.conf").contains("gen_resolvconf") && self.node.read("/etc/resolv.conf").contains("nameserver")
        );
        assert!(!self.node.has("/run/dcos"));
        self.node.run(&["systemctl", "list-units", "--all", "--no-legend", "dcos*"]).stdout_lacks("dcos");
        self.node.run(&["dcos-node", "status"]).exits_with(11);
    }
}

#[test]
fn a_node_where_the_classic_installer_stopped_half_way_is_made_clean() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("classic-half");
    bench.run_the_installer_until_it_enables("slave");
    assert!(bench.node.has("/etc/systemd/system/dcos-setup.service") && bench.node.has("/etc/mesosphere/roles/slave"));
    assert!(!bench.node.has("/etc/systemd/system/multi-user.target.wants/dcos-setup.service"), "it was not stopped in time");
    bench.node.run(&["dcos-node", "status"]).exits_with(11);
    bench.uninstalls();
    bench.run_the_installer("master");
    assert!(bench.node.has("/opt/mesosphere/active") && bench.node.has("/etc/systemd/system/multi-user.target.wants/dcos-setup.service"));
    bench.node.run(&["dcos-node", "adopt"]).exits_with(5).stderr_has("its setup has not ended");
    bench.uninstalls();
    bench.node.reboot();
    assert!(!bench.node.has("/opt/mesosphere"), "it was installed again at boot");
}

#[test]
fn a_whole_classic_node_is_told_adopted_and_uninstalled_and_one_killed_in_a_swap_too() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("classic-whole");
    bench.whole("slave");
    let install = ["dcos-node", "install", "slave", "--bootstrap-url", bench.server.url(), "--json"];
    bench.node.run(&["dcos-node", "status"]).stdout_has("installed, not by dcos-node: adopt or uninstall").stdout_has("1.12-fixture");
    bench.node.run(&install).exits_with(5).stderr_has("dcos-node uninstall removes DC/OS");
    bench
        .node
        .shell("mv /opt/mesosphere/bin /opt/mesosphere/bin.old && echo '{\"stage\": \"archive\"}' >/opt/mesosphere/install_progress")
        .succeeds();
    bench.node.run(&["dcos-node", "adopt"]).exits_with(5).stderr_has("a swap of pkgpanda has not ended");
    bench.node.run(&["dcos-node", "status"]).exits_with(11).stdout_has("unfinished: a swap of pkgpanda has not ended");
    bench.uninstalls();

    bench.whole("slave");
    bench.node.run(&["dcos-node", "adopt"]).succeeds().stdout_has("is adopted as slave");
    assert_eq!(bench.node.run(&install).succeeds().json()["changed"], false);
    bench.node.run(&["dcos-node", "status"]).stdout_has("adopted:");
    bench.uninstalls();
}

/// Runs the installer up to its command number `$STOP`, counted as bash comes to them, and then nothing of it is left.
const STOPPED: &str = r#"at=0; trap '[ $((++at)) -lt $STOP ] || kill -KILL $$' DEBUG; . /opt/dcos_install.sh "$@""#;

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
        let copied = std::process::Command::new("cp").args(["-r", &serve]).arg(directory.path()).status().expect("cp");
        assert!(copied.success());
        let server = Server::serving(directory.path());
        let node = Node::boot(name).knowing(&server);
        node.install_binary();
        node.run(&["curl", "-fsSo", "/opt/dcos_install.sh", &format!("{}/dcos_install.sh", server.url())]).succeeds();
        // What it downloads is named as by DC/OS' own, whose name only an uninstall can know.
        node.shell("sed -i s/reference-bootstrap/bootstrap/ /opt/dcos_install.sh; mv /usr/bin/curl /usr/bin/curl.real").succeeds();
        node.write_script("/usr/bin/curl", CURL);
        // systemd's own, which most machines reach at boot, and which the unit that downloads wants.
        node.run(&["systemctl", "start", "network-online.target"]).succeeds();
        let before = Whole::of(&node);
        Reference { node, before, server, directory }
    }

    fn run_the_installer(&self, more: &[&str], stop: usize) -> Outcome {
        let (stop, installer) = (format!("STOP={stop}"), ["bash", "-T", "-c", STOPPED, "dcos_install.sh", "-d", "master"]);
        self.node.run(&[&["env", &stop], &installer[..], more].concat())
    }

    /// To its end, which is that the build has no activator.
    fn run_to_its_end(&self) {
        self.run_the_installer(&[], 1000).exits_with(1);
    }

    /// What stands here is told, refused, and undone. True if it was a trace of DC/OS at all.
    #[track_caller]
    fn is_undone(&self, point: &str) -> bool {
        let status = self.node.run(&["dcos-node", "status"]);
        status.exits_with(11);
        let is_a_part = status.stdout().contains("a part of DC/OS, not installed by dcos-node: uninstall");
        if is_a_part {
            let areas = ["/etc", "/opt", "/tmp", "/var/lib"];
            let standing = || Snapshot::of_areas(&self.node.root(), &areas);
            let here = standing();
            let install = ["dcos-node", "install", "master", "--bootstrap-url", self.server.url()];
            self.node.run(&[&install, node::LACKS].concat()).exits_with(5).stderr_has("dcos-node uninstall");
            assert_eq!(standing().changes_since(&here), Vec::<String>::new(), "{point}: a refused install changed something");
            self.node.run(&["dcos-node", "uninstall"]).succeeds();
            self.node.run(&["dcos-node", "status"]).exits_with(11).stdout_has("DC/OS is not installed");
        }
        let changes = Whole::of(&self.node).changes_since(&self.before);
        assert_eq!(changes, Vec::<String>::new(), "{point}: the node is not as it was; its status was {status}");
        is_a_part
    }
}

#[test]
fn at_each_point_that_the_classic_installer_reaches_the_node_is_told_refused_and_made_clean() {
    if !node::available() {
        return;
    }
    let bench = Reference::new("classic-points");
    let (mut points, mut stop) = (0, 1);
    while bench.run_the_installer(&[], stop).was_killed() {
        // Up to here it only thinks, and makes two empty directories, which nothing tells from an operator's.
        if bench.node.has("/etc/mesosphere/roles/master") {
            assert!(bench.is_undone(&format!("killed before its command {stop}")));
            points += 1;
        } else {
            bench.node.shell("rmdir /etc/mesosphere/* /etc/mesosphere");
        }
        stop += 1;
    }
    assert!(points > 30, "the installer was stopped at {points} points only");
    assert!(bench.is_undone("its end"));
}

#[test]
fn whatever_ends_the_download_of_the_classic_installer_the_node_is_told_refused_and_made_clean() {
    if !node::available() {
        return;
    }
    let bench = Reference::new("classic-download");
    let node = &bench.node;
    let archive = bench.directory.path().join("bootstrap/e9eb4006b24211dc180dccf95c2b8f572f76b3e4.bootstrap.tar.xz");
    let whole = std::fs::read(&archive).expect("the archive");

    bench.server.stop();
    bench.run_to_its_end();
    bench.server.start();
    assert!(!node.has("/opt/mesosphere/active") && bench.is_undone("the server was down"));

    std::fs::remove_file(&archive).expect("remove the archive");
    bench.run_to_its_end();
    assert!(!node.has("/opt/mesosphere/active") && bench.is_undone("404"));

    for thousandths in [500, 970, 997] {
        std::fs::write(&archive, &whole[..whole.len() * thousandths / 1000]).expect("write the archive");
        bench.run_to_its_end();
        assert!(bench.is_undone(&format!("an archive of which {thousandths}/1000 are there")));
    }
    std::fs::write(&archive, &whole).expect("write the archive");

    // Stalled: curl and the start of two units are under way while all is undone.
    node.run(&["touch", "/run/stall"]).succeeds();
    let stalls = || {
        bench.run_the_installer(&["--no-block-dcos-setup"], 1000).succeeds();
        node.shell("for i in $(seq 300); do [ -e /run/stalled ] && exit; sleep 0.1; done; exit 1").succeeds();
    };
    stalls();
    node.run(&["rm", "/run/stall", "/run/stalled"]).succeeds();
    assert!(node.has("/tmp/bootstrap.tar.xz") && bench.is_undone("a download that stalls"));
    node.run(&["touch", "/run/stall"]).succeeds();
    stalls();
    assert!(node.kill("sleep"));
    node.shell("for i in $(seq 300); do systemctl is-failed -q dcos-download && exit; sleep 0.1; done; exit 1").succeeds();
    node.run(&["rm", "/run/stall", "/run/stalled"]).succeeds();
    assert!(bench.is_undone("a download that was killed"));
}
