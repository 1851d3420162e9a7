//! Real nodes of the classic installer: run to several points, adopted, and uninstalled.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod support;

use support::build::Build;
use support::node::{self, Node, Server};
use support::tree::Snapshot;
use tempfile::TempDir;

/// What the node itself goes on writing, what account programs write beside the accounts, and data, which is kept.
const UNCOMPARED: [&str; 11] = [
    "/var/lib/systemd",
    "/var/lib/private",
    "/var/lib/dcos",
    "/var/lib/mesos",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/subuid",
    "/etc/subgid",
    "/etc/.pwd.lock",
];

struct Bench {
    node: Node,
    before: Snapshot,
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
        let before = Snapshot::of(&node.root());
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
        let changed = Snapshot::of(&self.node.root()).changes_since(&self.before);
        let changed: Vec<String> = changed.into_iter().filter(|c| !UNCOMPARED.iter().any(|u| c.contains(u))).collect();
        // What stood there before is not known where DC/OS wrote the file and no record tells: it names the resolvers that DC/OS asked.
        let changed: Vec<String> = changed.into_iter().filter(|c| c != "changed /etc/resolv.conf").collect();
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
