//! Builds in the shape of other releases than 1.12 on real nodes: what only a running systemd and
//! running services show.

use support::node::{self, Node, Server};
use support::shape::Shape;
use support::step;
use support::tree::Whole;
use tempfile::TempDir;

struct Bench {
    node: Node,
    before: Whole,
    server: Server,
    _directory: TempDir,
}

impl Bench {
    fn new(name: &str, shape: Shape) -> Bench {
        let directory = tempfile::tempdir().expect("a directory for the build");
        shape.build().pack(directory.path());
        let server = Server::serving(directory.path());
        let node = Node::boot(name).knowing(&server);
        node.install_binary();
        let before = Whole::of(&node);
        Bench { node, before, server, _directory: directory }
    }

    fn installs(&self, role: &str, serving: &[&str]) {
        let install = ["dcos-node", "install", role, "--json", "--bootstrap-url"];
        let outcome = self.node.run(&[&install[..], &[self.server.url()], node::LACKS].concat());
        assert_eq!(outcome.succeeds().json()["changed"], true);
        self.serves(serving);
    }

    fn serves(&self, units: &[&str]) {
        for unit in units {
            self.node.until(&format!("systemctl is-active -q {unit}"));
        }
    }

    fn has_no_drift(&self) {
        let status = self.node.run(&["dcos-node", "status", "--json"]);
        let json = status.json();
        let data = json.get("data").unwrap_or(&json);
        assert_eq!(data["drift"]["files"]["changed"], 0, "{status}");
        assert_eq!(data["drift"]["files"]["missing"], 0, "{status}");
        self.node.run(&["dcos-node", "verify"]).succeeds();
    }

    fn survives_a_power_cut(&self, serving: &[&str]) {
        self.node.cut_power();
        self.node.power_on();
        self.node.wait_until_booted();
        self.serves(serving);
        self.has_no_drift();
    }

    fn is_purged(&self) {
        self.node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
        self.node.stop_forwarding();
        let changed = Whole::of(&self.node).changes_since(&self.before);
        assert!(changed.is_empty(), "the node is not as it was:\n{}", changed.join("\n"));
        let dangling = "! find /etc/systemd/system -xtype l -lname '/opt/mesosphere/*' | grep .";
        self.node.shell(dangling).succeeds();
    }
}

#[test]
fn master_of_2_2_has_no_drift_and_leaves_nothing() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("shape22", Shape::V2_2);
    let node = &bench.node;
    let serving = ["dcos-ui-update-service", "dcos-calico-felix", "dcos-mesos-master"];
    step("install", || bench.installs("master", &serving));
    step("owners that services change", || {
        node.run(&["systemctl", "restart", "dcos-ui-update-service"]).succeeds();
        let owner = "stat -c %G /opt/mesosphere/packages/dcos-ui--*/usr";
        node.shell(owner).stdout_has("dcos_ui_update_service");
        bench.has_no_drift();
    });
    step("files outside", || {
        node.run(&["systemctl", "start", "dcos-diagnostics-mesos-state"]).succeeds();
        for path in ["/var/lib/calico/nodename", "/etc/calico/calicoctl.cfg"] {
            assert!(node.has(path), "{path}");
        }
        assert!(node.has("/var/log/mesos-state.tar.gz"));
    });
    step("power cut", || bench.survives_a_power_cut(&serving));
    step("purge", || bench.is_purged());
}

#[test]
fn agent_of_1_10_runs_linked_units_and_leaves_none() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("shape110", Shape::V1_10);
    let node = &bench.node;
    let serving = ["dcos-spartan", "dcos-mesos-slave", "dcos-epmd"];
    step("install", || {
        bench.installs("slave", &serving);
        node.shell("readlink /etc/systemd/system/dcos-spartan.service")
            .stdout_has("/opt/mesosphere/packages/spartan--");
        bench.has_no_drift();
    });
    step("power cut", || bench.survives_a_power_cut(&serving));
    step("purge", || bench.is_purged());
    step("install again", || bench.installs("slave", &serving));
    step("purge again", || bench.is_purged());
}
