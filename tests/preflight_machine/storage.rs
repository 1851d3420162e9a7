//! File systems: each check on good and on bad facts.

use std::time::Duration;

use dcos_node::observe::docker::Engine;
use dcos_node::observe::server::{Artifacts, Layer, Published, Server};
use dcos_node::observe::storage::Place;
use dcos_node::preflight::report::Verdict::{self, Fail, Pass, Unknown, Warn};

use super::recorded::Recorded;

fn good() -> Recorded {
    let place = |path: &str| {
        let place = Place {
            path: path.to_owned(),
            mounted_at: "/".into(),
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
        "/etc/mesosphere",
        "/etc/systemd/system",
    ];
    recorded.host.storage = Some(paths.map(place).into());
    recorded
}

fn change(recorded: &mut Recorded, path: &str, how: impl Fn(&mut Place)) {
    let places = recorded.host.storage.as_mut().expect("places");
    how(places.iter_mut().find(|(known, _)| known == path).expect("a place").1.as_mut().expect("facts"));
}

type Change = fn(&mut Place);

#[test]
fn each_fault_of_a_file_system_is_found_and_is_as_bad_as_role_and_version_make_it() {
    let noexec: Change = |p| p.options.push("noexec".into());
    let rows: &[(&str, Change, &str, &str, &str, Verdict, &str)] = &[
        ("/opt/mesosphere", |_| (), "storage.packages", "slave", "2.2.0", Pass, "60.0 GB and 3000000 inodes left on / (xfs)"),
        ("/opt/mesosphere", |p| p.free_bytes = 100 << 20, "storage.packages", "slave", "2.2.0", Fail, "104 MB"),
        ("/opt/mesosphere", |p| p.free_inodes = Some(900), "storage.packages", "slave", "2.2.0", Fail, "900 inodes"),
        ("/opt/mesosphere", |p| p.free_inodes = None, "storage.packages", "slave", "2.2.0", Pass, "60.0 GB left"),
        ("/opt/mesosphere", |p| p.free_bytes = 1_500_000_000, "storage.packages", "slave", "2.2.0", Warn, "1.5 GB"),
        ("/opt/mesosphere", |p| p.free_inodes = Some(50_000), "storage.packages", "slave", "2.2.0", Warn, "50000 inodes"),
        ("/var", |_| (), "storage.state", "slave", "2.2.0", Pass, "60.0 GB"),
        ("/var", |p| p.free_bytes = 9_000_000_000, "storage.state", "slave", "2.2.0", Warn, "9.0 GB"),
        ("/var", |_| (), "storage.ftype", "slave", "1.11.0", Pass, ""),
        ("/var/lib/docker", |p| p.file_types = Some(Ok(false)), "storage.ftype", "slave", "1.11.0", Fail, "under /var/lib/docker"),
        ("/var/lib/mesos/slave", |p| p.file_types = Some(Ok(false)), "storage.ftype", "master", "1.11.0", Warn, "/var/lib/mesos/slave"),
        ("/var/lib/docker", |p| p.file_types = Some(Err("closed".into())), "storage.ftype", "slave", "1.11.0", Unknown, "closed"),
        ("/var/lib/docker", |p| p.file_types = None, "storage.ftype", "slave", "1.11.0", Pass, ""),
        ("/var", |_| (), "storage.remote", "slave", "1.11.0", Pass, "local"),
        ("/var/lib/mesos/slave", |p| p.kind = "nfs4".into(), "storage.remote", "slave", "1.11.0", Warn, "on / (nfs4)"),
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
        ("/opt/mesosphere", noexec, "storage.noexec", "slave", "2.2.0", Fail, "/opt/mesosphere is on /"),
        ("/var/lib/dcos", noexec, "storage.noexec", "master", "2.2.0", Fail, "/var/lib/dcos is on /"),
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
fn with_a_build_its_archives_say_how_much_room_is_too_little() {
    let mut recorded = good().of("slave", "2.2.0");
    let archives = |bytes, of_unknown_length| {
        let artifacts = Artifacts { count: 2, bytes, of_unknown_length, ..Artifacts::default() };
        let artifacts = Layer::Reached { took: Duration::ZERO, result: Ok(artifacts) };
        Some(Server { place: "here".into(), network: None, build: Layer::NotReached, artifacts, published: Published::Unknown })
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
fn docker_is_looked_for_where_it_says_that_it_is() {
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
    for (kind, option, words) in [("tmpfs", "rw", "in memory"), ("nfs4", "rw", "on another machine"), ("xfs", "ro", "read-only")] {
        change(&mut recorded, "/data/docker", |p| (p.kind, p.options) = (kind.into(), vec![option.into()]));
        recorded.says("docker.root-dir", Warn, words);
    }
    recorded.host.storage.as_mut().expect("places")[3].1 = Err("it is gone".into());
    recorded.says("storage.remote", Unknown, "it is gone");
}
