//! The Debian package that `make dist` packs, on a real node.

use support::node::{self, Node};
use support::packing::Packed;

#[test]
fn debian_package_installs_and_removes() {
    if !node::available() {
        return;
    }
    let desk = tempfile::tempdir().expect("a directory");
    let packed = Packed::by(("022", "UTC", "C"), desk.path());
    let node = Node::boot("package");
    node.copy_in(&packed.path(".deb"), "/root/dcos-node.deb");
    let files = || {
        node.shell(
            "find / -xdev \\( -name '*dcos*' -o -name '*.list' \\) ! -path '/proc/*' ! -path \
             '/root/*' | sort",
        )
        .stdout()
        .to_owned()
    };
    let before = files();
    node.shell("rm -f /usr/local/bin/dcos-node; dpkg -i /root/dcos-node.deb").succeeds();
    let told = node.run(&["dcos-node", "--version"]);
    told.succeeds().stdout_has(&format!("dcos-node {}", env!("CARGO_PKG_VERSION")));
    node.shell("command -v dcos-node; dpkg --verify dcos-node; dpkg -L dcos-node | grep -c man8")
        .succeeds()
        .stdout_has("/usr/bin/dcos-node");
    node.run(&["dcos-node", "status"]).exits_with(11);
    // Whoever is not root finds it too.
    node.shell(
        "su nobody -s /bin/sh -c 'PATH=/usr/local/bin:/usr/bin:/bin dcos-node preflight --list'",
    )
    .succeeds()
    .stdout_has("time.sync");
    node.run(&["dpkg", "-r", "dcos-node"]).succeeds();
    assert_eq!(files(), before);
}
