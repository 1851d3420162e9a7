//! Images that were filled before their first boot as a node.

use std::path::Path;

use support::build::Build;
use support::node::{self, Node, Server};

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
