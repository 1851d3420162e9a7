//! Nothing is ever written by a run that promises to change nothing: the kernel sees to it. Proved
//! by trying, with the operator's script.

use serde_json::Value;
use support::build::Build;
use support::node::{self, Node, Outcome, Server};
use support::step;
use support::tree::Snapshot;

/// Says on its standard error, which the report shows, where it could write, and prints an address.
const SCRIPT: &str = r#"#!/bin/bash
for place in /etc /var /var/lib /opt /root /usr /run /home /srv /dev/shm /proc/sys/kernel/domainname /mnt/data /tmp; do
    target=$place
    [ -d "$place" ] && target=$place/probe
    { echo x > "$target"; } 2>/dev/null && echo "wrote:$place" >&2
done
{ chmod 700 /opt || rm -r /opt/keep || mv /opt/keep /opt/moved || touch /opt/keep; } 2>/dev/null && echo "changed:/opt" >&2
cat >/dev/null 2>&1 <<END || echo "no here-document" >&2
$(head -c 100000 /dev/zero | tr '\0' x)
END
echo 127.0.0.1
"#;

/// System calls with which Linux before 5.12 cannot be asked.
const NEWER: &str =
    "mount_setattr landlock_create_ruleset landlock_add_rule landlock_restrict_self";

fn found(report: &Value, id: &str) -> String {
    let checks = report["checks"].as_array().expect("checks");
    let check = checks
        .iter()
        .find(|check| check["id"] == id)
        .unwrap_or_else(|| panic!("no {id} in {report:#}"));
    check["found"].as_str().expect("what was found").to_owned()
}

/// Runs the script by `preflight`, and says how that was sealed and what the script said.
#[track_caller]
fn preflight(node: &Node, before: &[&str]) -> (String, String) {
    let command = [
        before,
        &["dcos-node", "preflight", "master", "--ip-detect", "/opt/scripts/ip-detect", "--json"],
    ]
    .concat();
    let report = node.run(&command).json();
    (report["sealed"].as_str().unwrap_or("nothing").to_owned(), found(&report, "ip-detect.output"))
}

/// The node as it is, but for what its own units write meanwhile.
fn snapshot(node: &Node) -> Snapshot {
    Snapshot::of(&node.root())
}

#[track_caller]
fn is_as_before(node: &Node, before: &Snapshot) {
    let mut changed = snapshot(node).changes_since(before);
    changed.retain(|change| {
        !change.contains("/var/lib/systemd") && !change.contains("/var/lib/private")
    });
    assert!(changed.is_empty(), "the node is not as it was:\n{}", changed.join("\n"));
    node.shell(
        "ls /root/probe /run/probe /home/probe /srv/probe /dev/shm/probe /tmp/probe \
         /mnt/data/probe 2>/dev/null; true",
    )
    .stdout_lacks("probe");
}

#[track_caller]
fn serves(outcome: &Outcome) -> Value {
    outcome.succeeds().json()
}

#[test]
fn read_only_run_cannot_write() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory for the build");
    Build::tiny().pack(directory.path());
    let server = Server::serving(directory.path());
    let node = node_with_files_of_an_operator(&server);
    let before = snapshot(&node);
    let install = [
        &["dcos-node", "install", "slave", "--bootstrap-url", server.url(), "--json"],
        node::LACKS,
    ]
    .concat();
    step("preflight as root", || root_writes_to_a_copy_only(&node, &before));
    step("preflight as another user", || other_user_is_sealed_by_landlock(&node, &before));
    step("reads and sockets", || files_and_sockets_are_reachable(&node, server.url()));
    step("install --dry-run", || {
        dry_run_is_sealed(&node, &[&install[..], &["--dry-run"]].concat());
        is_as_before(&node, &before);
    });
    step("old kernel", || old_kernel_is_sealed_by_mounts(&node, &before));
    step("kernel without seals", || missing_seal_is_reported(&node));
    step("uninstall --dry-run", || {
        serves(&node.run(&install));
        uninstall_dry_run_cannot_write(&node);
    });
}

fn node_with_files_of_an_operator(server: &Server) -> Node {
    let node = Node::boot("sealed").knowing(server);
    node.install_binary();
    node.write_script("/opt/scripts/ip-detect", SCRIPT);
    node.write("/opt/keep/file", "kept");
    node.write("/tmp/operators", "the operator's");
    // A mount of its own kind, with options that a remount must not lift and a name that is written
    // with an escape.
    node.shell(
        "mkdir -p /mnt/data '/mnt/a b' && mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 data \
         /mnt/data && mount -t tmpfs blank '/mnt/a b'",
    )
    .succeeds();
    // No name server answers here, and the node's own name is looked up in every run.
    node.shell("echo 127.0.1.1 sealed >> /etc/hosts").succeeds();
    node
}

fn root_writes_to_a_copy_only(node: &Node, before: &Snapshot) {
    let (sealed, said) = preflight(node, &[]);
    assert_eq!(sealed, "mount-namespace");
    // On a copy of the node's files, which is thrown away.
    assert!(said.contains("wrote:/etc") && said.contains("changed:/opt"), "{said}");
    assert!(!said.contains("no here-document"), "{said}");
    is_as_before(node, before);
}

fn other_user_is_sealed_by_landlock(node: &Node, before: &Snapshot) {
    let (sealed, said) =
        preflight(node, &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    // Without Landlock in this kernel there is nothing for somebody who may not mount; the report
    // says so.
    assert!(["landlock", "not-enforced"].contains(&sealed.as_str()), "{sealed}");
    if sealed == "landlock" {
        assert!(!said.contains("wrote:") && !said.contains("changed:"), "{said}");
        is_as_before(node, before);
    } else {
        node.shell("rm -f /tmp/probe /dev/shm/probe /mnt/data/probe").succeeds();
    }
}

/// What the operator names in /tmp is found, and the node answers: sockets are no files.
fn files_and_sockets_are_reachable(node: &Node, url: &str) {
    node.write_script("/tmp/ip-detect", "#!/bin/sh\necho 127.0.0.1\n");
    let preflight = ["dcos-node", "preflight", "slave", "--bootstrap-url", url];
    let script = ["--ip-detect", "/tmp/ip-detect", "--json"];
    let report = node.run(&[&preflight[..], &script].concat()).json();
    assert_eq!(found(&report, "ip-detect.output"), "127.0.0.1", "{report:#}");
    assert!(
        found(&report, "systemd.running").starts_with(|c: char| c.is_ascii_digit()),
        "{report:#}"
    );
    assert!(found(&report, "bootstrap.build").contains("3 packages"), "{report:#}");
}

fn dry_run_is_sealed(node: &Node, command: &[&str]) {
    let dry = serves(&node.run(command));
    assert_eq!((&dry["sealed"], &dry["changed"]), (&"mount-namespace".into(), &false.into()));
    assert!(dry["plan"].as_array().is_some_and(|plan| !plan.is_empty()), "{dry:#}");
}

/// The report of `preflight` where these system calls do not exist, and what the script said.
fn preflight_without(node: &Node, calls: &str) -> (Value, String) {
    let line = format!(
        "systemd-run --quiet --wait --pipe -p SystemCallFilter='~{calls}' -p \
         SystemCallErrorNumber=ENOSYS dcos-node preflight --ip-detect /opt/scripts/ip-detect \
         --json"
    );
    let report = node.shell(&line).json();
    (report.clone(), found(&report, "ip-detect.output"))
}

fn old_kernel_is_sealed_by_mounts(node: &Node, before: &Snapshot) {
    let (report, said) = preflight_without(node, NEWER);
    assert_eq!(report["sealed"], "mount-namespace", "{report:#}");
    assert!(said.contains("wrote:/etc") && said.contains("changed:/opt"), "{said}");
    is_as_before(node, before);
}

fn missing_seal_is_reported(node: &Node) {
    let (report, said) = preflight_without(node, "unshare landlock_create_ruleset");
    assert_eq!(report["sealed"], "not-enforced");
    let missing: Vec<&str> = report["scripts"]["missing"]
        .as_array()
        .expect("what is missing")
        .iter()
        .filter_map(|missing| missing["piece"].as_str())
        .collect();
    assert_eq!(missing, ["mount-namespace", "pid-namespace", "ipc-namespace", "landlock"]);
    assert!(
        said.contains("wrote:/etc") && said.contains("changed:/opt"),
        "the script does write where it is let: {said}"
    );
    assert!(
        report["not_enforced_because"].as_str().is_some_and(|why| why.contains("not implemented")),
        "{report:#}"
    );
    let probes = "rm -rf /etc/probe /var/probe /var/lib/probe /opt/probe /root/probe /usr/probe \
                  /run/probe /home/probe /srv/probe /dev/shm/probe /tmp/probe /mnt/data/probe";
    // Services of DC/OS do not reach their programs through what the script made of /opt.
    node.shell(probes).succeeds();
    node.run(&["chmod", "755", "/opt"]).succeeds();
}

fn uninstall_dry_run_cannot_write(node: &Node) {
    let before = snapshot(node);
    dry_run_is_sealed(node, &["dcos-node", "uninstall", "--dry-run", "--json"]);
    is_as_before(node, &before);
    node.run(&["dcos-node", "uninstall", "--dry-run"])
        .succeeds()
        .stdout_has("no writes: enforced by read-only mounts");
}
