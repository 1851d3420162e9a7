//! The classic installer itself, stopped at each point that it reaches.

use support::node::{self, Node, Outcome, Server};
use support::tree::{Snapshot, Whole};
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
