//! What stands on a node already: whatever of it blocks is named exactly.

use std::fs;
use std::path::Path;

use dcos_node::dcos::journal::{InstallIntent, Intent};
use dcos_node::observe::node::Node;
use dcos_node::preflight::report::Verdict::{Fail, Pass, Warn};
use dcos_node::system::root::Root;

use super::recorded::Recorded;

const ID: &str = "installation.existing";

/// A node for a master on which these files stand.
fn with(files: &[&str]) -> Recorded {
    let directory = tempfile::tempdir().expect("a directory for the node");
    for file in files {
        let path = directory.path().join(file.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a directory")).expect("make it");
        match path.file_name().filter(|_| file.contains(".wants/")) {
            Some(unit) => {
                std::os::unix::fs::symlink(Path::new("/etc/systemd/system").join(unit), &path)
                    .expect("make the link")
            }
            None => fs::write(path, "").expect("write the file"),
        }
    }
    Recorded {
        node: Node::look(&Root::new(directory.path())).expect("look at the node"),
        ..Recorded::nothing()
    }
    .of("master", "2.2.0")
}

#[test]
fn each_trace_of_an_unknown_installation_is_named() {
    for (path, what) in [
        ("/opt/mesosphere/bin", "not ours"),
        ("/opt/mesosphere/active.old", "not ours"),
        ("/opt/mesosphere/environment.new", "not ours"),
        ("/opt/mesosphere/install_progress", "not ours"),
        ("/etc/systemd/system/multi-user.target.wants/dcos.target", "of DC/OS"),
        ("/etc/systemd/journald.conf.d/dcos.conf", "of DC/OS"),
        ("/opt/mesosphere/packages/mesos--0f", "a package that is not ours"),
        ("/etc/mesosphere/roles/slave", "a role that is not ours"),
        ("/etc/systemd/system/dcos.target.wants/dcos-net.service", "a unit that is not ours"),
        ("/etc/systemd/system/dcos-setup.service", "of the classic installer"),
        ("/etc/systemd/system/dcos.target", "of the classic installer"),
    ] {
        let check = with(&[path]).check(ID);
        assert_eq!((check.verdict, check.found), (Fail, format!("{path} ({what})")));
        assert!(
            !check.skippable
                && check.cure.as_deref().is_some_and(|cure| cure.starts_with("dcos-node adopt")),
            "{path}: {:?}",
            check.cure
        );
    }
    // An uninstall would leave it alone.
    let check = with(&["/opt/mesosphere/notes-of-an-operator"]).check(ID);
    assert_eq!(
        (check.verdict, check.found.as_str()),
        (Fail, "/opt/mesosphere/notes-of-an-operator (not DC/OS')")
    );
    assert_eq!(check.cure.as_deref(), Some("move that somewhere else"));
    // What an install may find without being hindered.
    for path in [
        "/opt/mesosphere/lost+found",
        "/var/lib/dcos/cluster-id",
        "/etc/mesosphere/mesos/agent.env",
    ] {
        with(&[path]).says(ID, Pass, "none");
    }
}

#[test]
fn first_traces_of_an_unknown_installation_are_named() {
    let names = ["active", "bin", "environment", "environment.export", "etc", "include", "lib"]
        .map(|name| format!("/opt/mesosphere/{name}"));
    let found = with(&names.each_ref().map(String::as_str)).says(ID, Fail, " and 2 more").found;
    assert_eq!(names.iter().filter(|name| found.contains(name.as_str())).count(), 5, "{found}");
}

#[test]
fn node_of_another_role_is_reported_with_both_roles() {
    let intent = || {
        let build = serde_json::json!({
            "url": "http://192.0.2.1", "bootstrap_id": "b", "package_list_id": "p",
            "bootstrap_packages": [], "packages": [], "node_files": [],
        });
        let intent = serde_json::json!({
            "role": "slave_public", "build": build, "version": null, "start": true,
            "restart_journald": false, "restart_docker": false, "skips": [],
        });
        Some(Intent::Install(Box::new(
            serde_json::from_value::<InstallIntent>(intent).expect("an intent"),
        )))
    };
    let mut whole = Recorded::nothing().of("slave", "2.2.0");
    whole.is_installed();
    whole.says(ID, Pass, "installed by dcos-node");
    assert_eq!(
        whole.of("master", "2.2.0").says(ID, Fail, "").found,
        "this node is a slave, not a master"
    );

    let mut half = Recorded::nothing().of("slave_public", "2.2.0");
    half.node.story.intent = intent();
    half.says(ID, Pass, "an interrupted install, which goes on");
    let mut half = half.of("slave", "2.2.0");
    let check = half.says(ID, Fail, "");
    assert_eq!(
        (check.found.as_str(), check.cure.as_deref()),
        (
            "this node is a slave_public, not a slave",
            Some("keep it a slave_public; a slave needs a machine without DC/OS")
        )
    );
    half.node.story.intent = Some(Intent::Uninstall { purge_data: false, keep_packages: true });
    half.says(ID, Pass, "an interrupted uninstall, which is finished first");
}

#[test]
fn mask_of_a_dcos_unit_is_a_warning() {
    let mut recorded = with(&[]);
    recorded.says("installation.masks", Pass, "none");
    recorded.node.masked_units = vec!["dcos-net.service".into()];
    recorded.says("installation.masks", Warn, "dcos-net.service");
    recorded.is_installed();
    recorded.says("installation.masks", Pass, "installed");
}
