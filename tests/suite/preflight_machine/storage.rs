//! File systems: each check on good and on bad facts.

use std::time::Duration;

use dcos_node::dcos::build::Build;
use dcos_node::observe::docker::Engine;
use dcos_node::observe::server::{Artifacts, Layer, Published, Server};
use dcos_node::observe::storage::Place;
use dcos_node::preflight::report::Verdict::{self, Fail, Pass, Skipped, Unknown, Warn};
use serde_json::json;

use super::recorded::Recorded;

fn good() -> Recorded {
    let place = |path: &str| {
        let place = Place {
            path: path.to_owned(),
            mounted_at: "/".into(),
            device: 1,
            kind: "xfs".into(),
            options: vec!["rw".into()],
            free_bytes: 60_000_000_000,
            free_inodes: Some(3_000_000),
            file_types: Some(Ok(true)),
        };
        (path.to_owned(), Ok(place))
    };
    let mut recorded = Recorded::nothing();
    let paths = [
        "/opt/mesosphere",
        "/var/lib/dcos",
        "/var/lib/mesos/slave",
        "/var/lib/docker",
        "/var",
        "/tmp",
    ];
    let paths = paths.into_iter().chain([
        "/opt/mesosphere/packages",
        "/etc",
        "/etc/mesosphere",
        "/etc/systemd/system",
        "/var/lib/dcos-node",
        "/opt/dcos-node",
    ]);
    recorded.host.storage = Some(paths.map(place).collect());
    recorded
}

fn change(recorded: &mut Recorded, path: &str, how: impl Fn(&mut Place)) {
    let places = recorded.host.storage.as_mut().expect("places");
    how(places
        .iter_mut()
        .find(|(known, _)| known == path)
        .expect("a place")
        .1
        .as_mut()
        .expect("facts"));
}

type Change = fn(&mut Place);

#[test]
fn storage_faults_get_the_severity_of_role_and_version() {
    let noexec: Change = |p| p.options.push("noexec".into());
    let rows: &[(&str, Change, &str, &str, &str, Verdict, &str)] = &[
        (
            "/opt/mesosphere",
            |_| (),
            "storage.packages",
            "slave",
            "2.2.0",
            Pass,
            "60 GB and 3000000 inodes left on / (xfs)",
        ),
        (
            "/opt/mesosphere",
            |p| p.free_bytes = 100 << 20,
            "storage.packages",
            "slave",
            "2.2.0",
            Fail,
            "104 MB",
        ),
        (
            "/opt/mesosphere",
            |p| p.free_inodes = Some(900),
            "storage.packages",
            "slave",
            "2.2.0",
            Fail,
            "900 inodes",
        ),
        (
            "/opt/mesosphere",
            |p| p.free_inodes = None,
            "storage.packages",
            "slave",
            "2.2.0",
            Pass,
            "60 GB left",
        ),
        (
            "/opt/mesosphere",
            |p| p.free_bytes = 1_500_000_000,
            "storage.packages",
            "slave",
            "2.2.0",
            Warn,
            "1.5 GB",
        ),
        (
            "/opt/mesosphere",
            |p| p.free_inodes = Some(50_000),
            "storage.packages",
            "slave",
            "2.2.0",
            Warn,
            "50000 inodes",
        ),
        ("/var", |_| (), "storage.state", "slave", "2.2.0", Pass, "60 GB"),
        ("/var", |p| p.free_inodes = Some(0), "storage.state", "slave", "2.2.0", Warn, "0 inodes"),
        ("/var", |p| p.free_inodes = None, "storage.state", "slave", "2.2.0", Pass, "60 GB"),
        (
            "/opt/mesosphere",
            |p| p.free_inodes = Some(0),
            "storage.packages",
            "slave",
            "2.2.0",
            Fail,
            "and 0 inodes",
        ),
        ("/var", |p| p.free_bytes = 9_000_000_000, "storage.state", "slave", "2.2.0", Warn, "9 GB"),
        ("/var", |_| (), "storage.ftype", "slave", "1.11.0", Pass, ""),
        (
            "/var/lib/docker",
            |p| p.file_types = Some(Ok(false)),
            "storage.ftype",
            "slave",
            "1.11.0",
            Fail,
            "under /var/lib/docker",
        ),
        (
            "/var/lib/mesos/slave",
            |p| p.file_types = Some(Ok(false)),
            "storage.ftype",
            "master",
            "1.11.0",
            Warn,
            "/var/lib/mesos/slave",
        ),
        (
            "/var/lib/docker",
            |p| p.file_types = Some(Err("closed".into())),
            "storage.ftype",
            "slave",
            "1.11.0",
            Unknown,
            "closed",
        ),
        ("/var/lib/docker", |p| p.file_types = None, "storage.ftype", "slave", "1.11.0", Pass, ""),
        ("/var", |_| (), "storage.remote", "slave", "1.11.0", Pass, "local"),
        (
            "/var/lib/mesos/slave",
            |p| p.kind = "nfs4".into(),
            "storage.remote",
            "slave",
            "1.11.0",
            Warn,
            "on / (nfs4)",
        ),
        ("/var", |_| (), "storage.noexec", "slave", "1.11.0", Pass, ""),
        ("/var", |_| (), "storage.writable", "slave", "2.2.0", Pass, ""),
        (
            "/etc/systemd/system",
            |p| p.options = vec!["ro".into()],
            "storage.writable",
            "slave",
            "2.2.0",
            Fail,
            "/etc/systemd/system is on /, which is",
        ),
        (
            "/opt/mesosphere",
            noexec,
            "storage.noexec",
            "slave",
            "2.2.0",
            Fail,
            "/opt/mesosphere is on /",
        ),
        (
            "/var/lib/dcos",
            noexec,
            "storage.noexec",
            "master",
            "2.2.0",
            Fail,
            "/var/lib/dcos is on /",
        ),
        ("/tmp", |_| (), "storage.tmp-noexec", "master", "1.11.0", Pass, ""),
        ("/tmp", noexec, "storage.tmp-noexec", "master", "1.11.0", Fail, "/tmp is noexec"),
        ("/tmp", noexec, "storage.tmp-noexec", "master", "1.12.3", Fail, "/tmp is noexec"),
        ("/tmp", noexec, "storage.tmp-noexec", "master", "1.12.4", Warn, "/tmp is noexec"),
        ("/tmp", noexec, "storage.tmp-noexec", "master", "1.13.0", Fail, "/tmp is noexec"),
        ("/tmp", noexec, "storage.tmp-noexec", "slave", "1.11.0", Warn, "/tmp is noexec"),
        ("/tmp", noexec, "storage.tmp-noexec", "master", "", Warn, "/tmp is noexec"),
    ];
    for (path, how, id, role, version, verdict, words) in rows {
        let mut recorded = good().of(role, version);
        change(&mut recorded, path, how);
        recorded.says(id, *verdict, words);
    }
}

#[test]
fn a_node_with_packages_needs_no_room_for_them() {
    let mut recorded = good().of("slave", "2.2.0");
    change(&mut recorded, "/opt/mesosphere", |p| p.free_bytes = 100 << 20);
    recorded.is_installed();
    recorded.says("storage.packages", Warn, "there already");
}

#[test]
fn required_space_is_computed_from_the_archives_of_the_build() {
    let mut recorded = good().of("slave", "2.2.0");
    let archives = |bytes, of_unknown_length| {
        let artifacts = Artifacts { count: 2, bytes, of_unknown_length, ..Artifacts::default() };
        let artifacts = Layer::Reached { took: Duration::ZERO, result: Ok(artifacts) };
        Some(Server {
            place: "here".into(),
            network: None,
            build: Layer::NotReached,
            is_another: false,
            artifacts,
            published: Published::Unknown,
            is_not_needed: false,
        })
    };
    change(&mut recorded, "/opt/mesosphere", |p| p.free_bytes = 800_000_000);
    recorded.host.server = archives(900_000_000, 0);
    recorded.says("storage.packages", Fail, "800 MB");
    recorded.host.server = archives(900_000_000, 1);
    recorded.says("storage.packages", Warn, "800 MB");
    recorded.host.server = archives(700_000_000, 0);
    recorded.says("storage.packages", Warn, "800 MB");
    change(&mut recorded, "/opt/mesosphere", |p| p.free_inodes = Some(900));
    recorded.says("storage.packages", Fail, "900 inodes");
    recorded.host.server = archives(150_000, 0);
    recorded.says("storage.packages", Warn, "900 inodes");
}

#[test]
fn docker_storage_is_judged_at_its_reported_path() {
    let mut recorded = good().of("slave", "2.2.0");
    recorded.host.docker = Some(Ok(Engine {
        version: "19.03.5".into(),
        containerd: None,
        driver: "overlay2".into(),
        loopback: None,
        root: "/data/docker".into(),
        live_restore: Some(false),
    }));
    recorded.says("storage.ftype", Unknown, "/data/docker was not looked at");
    recorded.says("docker.root-dir", Unknown, "/data/docker was not looked at");
    recorded.host.storage.as_mut().expect("places")[3].0 = "/data/docker".into();
    recorded.says("storage.ftype", Pass, "ftype=1 under /var/lib/mesos/slave, /data/docker");
    recorded.says("docker.root-dir", Pass, "/data/docker is on / (xfs)");
    for (kind, option, words) in [
        ("tmpfs", "rw", "in memory"),
        ("nfs4", "rw", "on another machine"),
        ("xfs", "ro", "read-only"),
    ] {
        change(&mut recorded, "/data/docker", |p| {
            (p.kind, p.options) = (kind.into(), vec![option.into()])
        });
        recorded.says("docker.root-dir", Warn, words);
    }
    recorded.host.storage.as_mut().expect("places")[3].1 = Err("it is gone".into());
    recorded.says("storage.remote", Unknown, "it is gone");
}

/// A published build with three packages, of which one is in the bootstrap archive.
fn published() -> Build {
    let artifact = |disk_bytes: u64, members: u64| {
        json!({
            "bytes": 1, "sha256": "0".repeat(64),
            "content": {"disk_bytes": disk_bytes, "bytes": 1, "members": members, "links": 100},
        })
    };
    let build = json!({
        "url": "http://192.0.2.1", "bootstrap_id": "b", "package_list_id": "p",
        "index_sha256": "0".repeat(64),
        "bootstrap_packages": ["one--1"], "packages": ["one--1", "two--1", "three--1"],
        "node_files": [{"path": "/etc/x", "mode": 420, "content": "x"}],
        "artifacts": {
            "bootstrap/b.bootstrap.tar.xz": artifact(1_000_000_000, 1000),
            "packages/two/two--1.tar.xz": artifact(2_000_000_000, 2000),
            "packages/three/three--1.tar.xz": artifact(3_000_000_000, 3000),
        },
    });
    serde_json::from_value(build).expect("a build")
}

#[test]
fn required_space_is_exact_with_a_build_index() {
    let mut recorded = good().of("slave", "2.2.0");
    recorded.says("storage.room", Skipped, "no build index");
    recorded.build = Some(published());
    // 6000 members, 300 links, 1 node file, 3 manifests, the journal; the manifests, the node file
    // and the journal take some bytes too.
    recorded.says("storage.room", Pass, "/ (xfs) needs 6 GB and 6305 inodes");
    // Our program.
    recorded.host.program_bytes = 500_000_000;
    recorded.says("storage.room", Pass, "/ (xfs) needs 6.5 GB and 6306 inodes");
    let rows: [(Change, Verdict, &str); 6] = [
        (|p| p.free_bytes = 6_000_000_000, Fail, "6 GB and 3000000 inodes left"),
        (|p| p.free_bytes = 6_100_000_000, Pass, ""),
        (|p| p.free_inodes = Some(6304), Fail, "6304 inodes left"),
        (|p| p.free_inodes = None, Pass, ""),
        (|p| (p.kind, p.free_bytes) = ("btrfs".into(), 100), Warn, "btrfs"),
        (|p| (p.kind, p.free_inodes) = ("btrfs".into(), Some(100)), Fail, "btrfs"),
    ];
    for (how, verdict, words) in rows {
        let mut recorded = good().of("slave", "2.2.0");
        recorded.build = Some(published());
        // All on one file system, so all have the same left.
        for (_, place) in recorded.host.storage.as_mut().expect("places") {
            how(place.as_mut().expect("facts"));
        }
        recorded.says("storage.room", verdict, words);
    }
}

const REPOSITORY: &str = "/opt/mesosphere/packages";

#[test]
fn each_file_system_is_judged_by_the_missing_data_it_will_hold() {
    let id = |id: &str| id.parse().expect("an id");
    let mut recorded = good().of("slave", "2.2.0");
    recorded.build = Some(published());
    change(&mut recorded, REPOSITORY, |p| {
        (p.mounted_at, p.device, p.free_bytes) = ("/opt/mesosphere".into(), 2, 5_900_000_000)
    });
    // The packages wait on another file system until the install moves them.
    let needs = "/ (xfs) needs 6 GB and 6305 inodes, 60 GB and 3000000 inodes left; \
                 /opt/mesosphere (xfs) needs 6 GB and 6000 inodes, 5.9 GB";
    recorded.says("storage.room", Fail, needs);
    recorded.kept.insert(id("two--1"), "/opt/dcos-node/packages");
    let needs = "/ (xfs) needs 4 GB and 4304 inodes, 60 GB and 3000000 inodes left; \
                 /opt/mesosphere (xfs) needs 6 GB";
    recorded.says("storage.room", Fail, needs);
    recorded.kept.insert(id("two--1"), REPOSITORY);
    recorded.says("storage.room", Pass, "/opt/mesosphere (xfs) needs 4 GB and 4000 inodes");
    for all in ["one--1", "three--1"] {
        recorded.kept.insert(id(all), REPOSITORY);
    }
    recorded.says("storage.room", Pass, "/ (xfs) needs 1 MB and 302 inodes");
    // Whoever cannot read our records does not know what is there.
    recorded.kept.clear();
    recorded.node.unreadable = true;
    recorded.says("storage.room", Warn, "/opt/mesosphere");
}

#[test]
fn two_mounts_of_a_file_system_share_its_room() {
    let mut recorded = good().of("slave", "2.2.0");
    recorded.build = Some(published());
    for path in [REPOSITORY, "/opt/mesosphere"] {
        change(&mut recorded, path, |p| p.mounted_at = "/opt/mesosphere".into());
    }
    recorded.says(
        "storage.room",
        Pass,
        "needs 6 GB and 6305 inodes, 60 GB and 3000000 inodes left",
    );
    recorded.kept.insert("two--1".parse().expect("an id"), "/opt/dcos-node/packages");
    recorded.says("storage.room", Pass, "needs 4 GB");
}
