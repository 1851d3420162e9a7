//! Recorded facts, and what the table of checks says about them.

use std::collections::BTreeMap;

use dcos_node::dcos::build::Build;
use dcos_node::dcos::id::PackageId;
use dcos_node::dcos::role::Role;
use dcos_node::dcos::settings::{Settings, Version};
use dcos_node::observe::host::{Host, Outside};
use dcos_node::observe::node::Node;
use dcos_node::preflight::report::{Check, Verdict};
use dcos_node::preflight::{self, Facts};
use dcos_node::system::clock::KernelClock;
use dcos_node::system::root::Root;

/// Facts that a test changes before it asks.
pub struct Recorded {
    pub host: Host,
    pub node: Node,
    pub settings: Settings,
    pub build: Option<Build>,
    pub kept: BTreeMap<PackageId, &'static str>,
    pub role: Option<Role>,
}

impl Recorded {
    /// A node on which nothing was looked at.
    pub fn nothing() -> Recorded {
        let directory = tempfile::tempdir().expect("an empty node");
        let root = Root::new(directory.path());
        let nothing = Settings::default();
        let outside = Outside {
            root: &root,
            systemd: None,
            clock: &KernelClock,
            settings: &nothing,
            ip_detect: None,
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let host = runtime.block_on(Host::look(outside, None, async { None }));
        let host = Host { program_bytes: 0, ..host };
        let node = Node::look(&root).expect("an empty node");
        Recorded {
            host,
            node,
            settings: Settings::default(),
            build: None,
            kept: BTreeMap::new(),
            role: None,
        }
    }

    /// For a node of this role, with a build of this version.
    pub fn of(mut self, role: &str, version: &str) -> Recorded {
        self.role = Some(role.parse().expect("a role"));
        let version = Version { version: version.to_owned(), image_commit: None, variant: None };
        self.settings.version = (!version.version.is_empty()).then_some(version);
        self
    }

    /// The node has a DC/OS of ours.
    pub fn is_installed(&mut self) {
        let receipt = serde_json::json!({
            "schema": 1,
            "dcos_node": "0.1.0",
            "installed_at": "2020-01-01T00:00:00Z",
            "role": self.role,
            "build": {
                "url": "http://192.0.2.1", "bootstrap_id": "b", "package_list_id": "p",
                "bootstrap_packages": [], "packages": [], "node_files": [],
            },
            "version": null,
            "objects": [],
        });
        self.node.receipt = Some(serde_json::from_value(receipt).expect("a receipt"));
    }

    /// What one check says.
    pub fn check(&self, id: &str) -> Check {
        let Recorded { host, node, settings, build, kept, role } = self;
        let facts = Facts {
            host,
            node,
            settings,
            build: build.as_ref(),
            kept,
            role: *role,
            live: true,
            reset_identity: false,
        };
        let report = preflight::judge(&facts, &[]);
        report
            .checks
            .into_iter()
            .find(|check| check.id == id)
            .unwrap_or_else(|| panic!("there is no check {id}"))
    }

    /// One check has this verdict, and its finding has these words.
    #[track_caller]
    pub fn says(&self, id: &str, verdict: Verdict, words: &str) -> Check {
        let check = self.check(id);
        assert!(
            check.verdict == verdict && check.found.contains(words),
            "{id}: expected {verdict:?} with {words:?}, found {check:?}"
        );
        check
    }
}
