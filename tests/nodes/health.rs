//! An installed node that is not healthy, on a real node: exit code 12, and why.

use serde_json::{Value, json};
use support::build::{Build, Packed};
use support::node::{self, Node, Server};
use support::step;

/// Units that run until they are killed, and one that fails and that a node does without.
fn with_services() -> Build {
    let unit = |build: Build, name: &str, service: &str| {
        let text = format!("[Unit]\nDescription=tiny: {name}\n\n[Service]\n{service}\n");
        build.with_file("units", &format!("dcos.target.wants/{name}.service"), 0o644, text)
    };
    let build = unit(Build::tiny(), "dcos-tiny-once", "ExecStart=/bin/sleep infinity");
    let again = "Restart=always\nRestartSec=100ms\nExecStart=/bin/sleep infinity";
    let build = unit(build, "dcos-tiny-again", again);
    let build = unit(build, "dcos-telegraf", "ExecStart=/bin/sh -c 'exit 1'");
    build.with_file("files", "share/lost", 0o644, "lost\n").with_file(
        "tools",
        "share/changed",
        0o644,
        "as published\n",
    )
}

struct Installed {
    node: Node,
    install: Vec<String>,
    packed: Packed,
}

impl Installed {
    /// The path of a file in a package.
    fn path(&self, package: &str, file: &str) -> String {
        format!("/opt/mesosphere/packages/{}/{file}", self.packed.id(package))
    }

    /// Demands this exit code of `status`, and returns what is not healthy.
    #[track_caller]
    fn ails(&self, code: i32) -> Value {
        let status = self.node.run(&["dcos-node", "status", "--json"]);
        status.exits_with(code);
        let document: Value = serde_json::from_str(status.stdout()).expect("JSON");
        document["unhealthy"].clone()
    }
}

#[test]
fn unhealthy_node_is_exit_code_12_until_it_is_well() {
    if !node::available() {
        return;
    }
    let build = tempfile::tempdir().expect("a directory for the build");
    let packed = with_services().pack(build.path());
    let server = Server::serving(build.path());
    let node = Node::boot("health").knowing(&server);
    node.install_binary();
    let install =
        [&["dcos-node", "install", "master", "--bootstrap-url", server.url()], node::LACKS]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
    let installed = Installed { node, install, packed };
    step("a failed unit that the role does without is healthy", || {
        installed.node.run(&installed.install).succeeds();
        installed.node.until("systemctl is-failed -q dcos-telegraf.service");
        installed.node.run(&["dcos-node", "status", "--wait=started"]).succeeds();
        assert_eq!(installed.ails(0), json!([]));
    });
    step("missing files are restored and changed ones stay", || {
        missing_file_is_restored(&installed)
    });
    step("a unit failed", || failed_unit_is_named(&installed));
    step("a unit does not stay up", || restarted_unit_is_named(&installed));
    step("an inactive target", || inactive_target_is_named_if_it_should_run(&installed));
    step("an uninstalled node is not installed", || {
        installed.node.run(&["dcos-node", "uninstall"]).succeeds();
        installed.node.run(&["dcos-node", "status"]).exits_with(11);
    });
}

fn missing_file_is_restored(installed: &Installed) {
    let Installed { node, install, .. } = installed;
    let lost = installed.path("files", "share/lost");
    let changed = installed.path("tools", "share/changed");
    node.write(&changed, "changed by an operator\n");
    assert_eq!(installed.ails(0), json!([]));
    node.run(&["rm", &lost]).succeeds();
    assert_eq!(installed.ails(12), json!([{"kind": "missing", "count": 1}]));
    let pids = "systemctl show -p MainPID dcos-tiny-once.service dcos-tiny-again.service";
    let running = node.shell(pids).stdout().to_owned();

    let beside = installed.path("files", "share/added");
    node.write(&beside, "an operator's\n");
    node.run(install).exits_with(5).stderr_has(&beside).stderr_has("nothing was changed");
    node.run(&["rm", &beside]).succeeds();

    node.run(install).succeeds().stdout_has("done:").stdout_has(&format!("restored: {lost}"));
    assert_eq!(node.read(&lost), "lost\n");
    assert_eq!(node.read(&changed), "changed by an operator\n");
    assert_eq!(node.shell(pids).stdout(), running);
    assert_eq!(installed.ails(0), json!([]));
}

fn failed_unit_is_named(installed: &Installed) {
    let Installed { node, install, .. } = installed;
    let unit = "dcos-tiny-once.service";
    node.run(&["systemctl", "kill", "--signal=KILL", unit]).succeeds();
    node.until(&format!("systemctl is-failed -q {unit}"));
    let ails = installed.ails(12);
    assert_eq!((&ails[0]["kind"], &ails[0]["unit"]), (&json!("failed"), &json!(unit)), "{ails}");
    node.run(&["dcos-node", "status"]).exits_with(12).stdout_has("not healthy").stdout_has(unit);
    node.run(install).exits_with(12).stdout_has("not healthy because dcos-tiny-once.service");
    node.run(&["systemctl", "start", unit]).succeeds();
    node.run(&["dcos-node", "status", "--wait=started"]).succeeds();
}

fn restarted_unit_is_named(installed: &Installed) {
    let node = &installed.node;
    let unit = "dcos-tiny-again.service";
    let pid = format!("systemctl show -p MainPID {unit}");
    for times in 1..=3 {
        let before = node.shell(&pid).stdout().to_owned();
        node.run(&["systemctl", "kill", "--signal=KILL", unit]).succeeds();
        node.until(&format!(
            "systemctl is-active -q {unit} && [ \"$({pid})\" != '{}' ]",
            before.trim()
        ));
        if times == 2 {
            node.run(&["dcos-node", "status", "--wait=started"]).succeeds();
        }
    }
    node.run(&["journalctl", "--sync"]);
    node.run(&["dcos-node", "status", "--wait=started"]);
    let ails = installed.ails(12);
    assert_eq!(ails, json!([{"kind": "restarted", "unit": unit, "times": 3}]));
}

fn inactive_target_is_named_if_it_should_run(installed: &Installed) {
    let Installed { node, install, .. } = installed;
    node.run(&["systemctl", "stop", "dcos.target"]).succeeds();
    node.run(install).exits_with(12).stdout_has("not healthy because dcos.target");
    let install_only = [&install[..], &["--no-start".to_owned()]].concat();
    node.run(&install_only).succeeds();
    node.run(&["systemctl", "start", "dcos.target"]).succeeds();
}
