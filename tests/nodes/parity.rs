//! After an install the node holds what the classic installer leaves, and every difference has a
//! reason.

use support::node::{self, Node, Server};
use support::tree::{Golden, Kind, Seen, Snapshot, Tolerated, differences};

/// Differences that we mean to have. Nothing else differs.
const MEANT: &[(&str, Kind, &str)] = &[
    (
        "/opt/mesosphere/*.old",
        Kind::Missing,
        "what the bootstrap set leaves behind when the real set replaces it; we activate once, and \
         nothing needs them",
    ),
    ("/opt/mesosphere/*.old/*", Kind::Missing, "the same"),
    (
        "/etc/systemd/system/dcos-download.service",
        Kind::Missing,
        "the download is our own work, verified and resumable",
    ),
    ("unit:dcos-download.service", Kind::Missing, "the same"),
    (
        "/etc/systemd/system/dcos-setup.service",
        Kind::Different,
        "its job is `dcos-node recover`; pkgpanda setup would install again what an uninstall \
         removed",
    ),
    ("/opt/dcos-node*", Kind::Extra, "the binary that recovers, outside /opt/mesosphere"),
    ("/var/lib/dcos-node*", Kind::Extra, "journal, receipt and manifests"),
    ("/usr/local/bin/dcos-node", Kind::Extra, "where the operator, here the test, put the binary"),
];

fn reference(file: &str) -> String {
    format!("{}/fixtures/reference/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn installed_master_equals_that_of_the_classic_installer() {
    is_what_the_classic_installer_leaves("master");
}

#[test]
fn installed_slave_equals_that_of_the_classic_installer() {
    is_what_the_classic_installer_leaves("slave");
}

fn is_what_the_classic_installer_leaves(role: &str) {
    if !node::available() {
        return;
    }
    let server = Server::serving(reference("serve"));
    let node = Node::boot(&format!("parity-{role}")).knowing(&server);
    let before = Snapshot::of(&node.root());
    node.install_binary();
    let install = ["dcos-node", "install", role, "--bootstrap-url", server.url()];
    let other_masters = ["--skip", "ip-detect.master-list=the reference names other addresses"];
    node.run(&[&install, node::LACKS, &other_masters].concat()).succeeds();
    let golden = Golden::read(reference(&format!("golden/{role}.json")));
    let found = |seen: &Seen| differences(&golden, seen, Some(&before));
    let at_rest = Seen::at_rest(&node, |seen| Tolerated(MEANT).complaints(&found(seen)).is_empty());
    Tolerated(MEANT).accepts(&found(&at_rest));
}
