//! After an install the node holds what the classic installer leaves, and every difference has a reason.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod support;

use support::node::{self, Node, Server};
use support::tree::{Golden, Kind, Seen, Snapshot, Tolerated, differences};

/// Differences that we mean to have. Nothing else differs.
const MEANT: &[(&str, Kind, &str)] = &[];

fn reference(file: &str) -> String {
    format!("{}/fixtures/reference/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_master_is_what_the_classic_installer_leaves() {
    is_what_the_classic_installer_leaves("master");
}

#[test]
fn a_slave_is_what_the_classic_installer_leaves() {
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
    let installed = node.run(&["dcos-node", "install", role, "--bootstrap-url", server.url(), "--skip", "time.sync=the clock is the machine's", "--skip", "ip-detect.master-list=any address will do"]);
    println!("{}\n{}", installed.stdout(), installed.stderr());
    installed.succeeds();
    let golden = Golden::read(reference(&format!("golden/{role}.json")));
    let found = differences(&golden, &Seen::at_rest(&node, &golden), Some(&before));
    let status = node.run(&["dcos-node", "status"]);
    println!("{}\n{}", status.stdout(), status.stderr());
    Tolerated(MEANT).accepts(&found);
}
