//! A node that `dcos_node_upgrade.sh` upgraded after dcos-node had installed it.

use support::build::{Build, Packed};
use support::node::{self, Node, Outcome, Server};
use support::step;
use support::tree::Whole;

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

/// A node, and two builds: an upgrade leads from the first to the second.
struct Bench {
    node: Node,
    urls: [String; 2],
    builds: [Packed; 2],
}

impl Bench {
    fn install(&self, url: &str) -> Outcome {
        let install = ["dcos-node", "install", "slave", "--json", "--bootstrap-url", url];
        self.node.run(&[&install, node::LACKS].concat())
    }

    fn status(&self) -> Outcome {
        self.node.run(&["dcos-node", "status", "--json"])
    }

    /// It breaks off in its first download: nothing is active that was not.
    fn failed_upgrade_activates_nothing(&self) {
        let (node, [first, second], [_, new]) = (&self.node, &self.urls, &self.builds);
        upgrade(node, "http://127.0.0.1:1", "1.12.0", new).exits_with(2).stderr_has("curl: ");
        assert!(node.has(&format!("/opt/mesosphere/packages/{}_tmp", new.id("added"))));
        let status = self.status();
        assert_eq!(status.json()["version"]["version"], "1.12.0", "{status}");
        assert_eq!(status.json()["drift"]["drifted"], false, "{status}");
        assert_eq!(self.install(first).succeeds().json()["changed"], false);
        upgrade(node, second, "1.12.9", new).exits_with(1).stderr_has("1.12.0 is installed");
    }

    fn upgrades(&self) {
        let (node, [_, second], [_, new]) = (&self.node, &self.urls, &self.builds);
        upgrade(node, second, "1.12.0", new).succeeds();
        // It does not wait for what it starts.
        let has_started = "systemctl is-active -q dcos-tiny-added && [ -z \"$(systemctl list-jobs \
                           --no-legend)\" ]";
        node.shell(&format!(
            "for i in $(seq 600); do {has_started} && exit; sleep 0.2; done; exit 1"
        ))
        .succeeds();
        node.run(&["systemctl", "is-active", "dcos-tiny-knock.socket"]).exits_with(3);
    }

    fn upgraded_node_has_no_drift(&self) {
        let [old, new] = &self.builds;
        let status = self.status();
        let json = status.succeeds().json();
        assert_eq!(json["version"]["version"], "1.12.1", "{status}");
        assert_eq!(json["bootstrap_id"], format!("{:0>40}", "312e31322e31"), "{status}");
        for (since, package) in
            [("activated_since", new.id("added")), ("deactivated_since", old.id("old"))]
        {
            let list = json[since].as_array().expect("a list");
            assert!(list.contains(&package.into()), "{status}");
        }
        assert_eq!(json["drift"]["drifted"], false, "what pkgpanda did is no drift: {status}");
        self.node.run(&["dcos-node", "recover"]).succeeds().stdout_has("nothing was interrupted");
        self.install(&self.urls[0]).exits_with(5).stderr_has("another build");
    }

    fn install_of_the_new_build_refreshes_the_receipt(&self) {
        let [old, new] = &self.builds;
        let of_old =
            format!("not active any more since pkgpanda's activation: {}\n", old.id("old"));
        self.node
            .run(&["dcos-node", "status"])
            .stdout_has(&format!("activated since by pkgpanda: {}", new.id("added")))
            .stdout_has(&of_old);
        assert_eq!(self.install(&self.urls[1]).succeeds().json()["changed"], false);
        let status = self.status();
        for since in ["activated_since", "deactivated_since"] {
            assert_eq!(status.json()[since], serde_json::json!([]), "{status}");
        }
        // The receipt is of the installed set: what pkgpanda took away is not missing, what it
        // replaced is not changed, and the order in which it wrote its variables is as good as
        // ours.
        self.node.run(&["dcos-node", "verify"]).succeeds().stdout_has("as installed");
        assert_eq!(status.json()["drift"]["drifted"], false, "{status}");
    }
}

#[test]
fn upgraded_node_is_uninstalled_by_its_installed_build() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::serving(directory.path());
    let bench = Bench {
        urls: ["1.12.0", "1.12.1"].map(|name| format!("{}/{name}", server.url())),
        builds: two_builds(server.url(), directory.path()),
        node: Node::boot("upgraded").knowing(&server),
    };
    bench.node.install_binary();
    let before = Whole::of(&bench.node);
    for is_refreshed in [true, false] {
        bench.install(&bench.urls[0]).succeeds();
        if is_refreshed {
            step("failed upgrade", || bench.failed_upgrade_activates_nothing());
        }
        step("upgrade", || bench.upgrades());
        step("status", || bench.upgraded_node_has_no_drift());
        if is_refreshed {
            step("install", || bench.install_of_the_new_build_refreshes_the_receipt());
        }
        step("uninstall", || {
            bench.node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
            let changes = Whole::of(&bench.node).changes_since(&before);
            assert_eq!(changes, Vec::<String>::new(), "refreshed: {is_refreshed}");
        });
    }
}
