//! Data of the operator, and data that a purge removes.

use std::path::Path;

use support::build::Build;
use support::image::{Image, Mounted, Serve};

use super::{PURGE, json, list, tells, write};

#[test]
fn data_from_before_the_install_is_never_purged() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    let theirs = [
        "var/lib/zookeeper/version-2/log.1",
        "var/lib/cni/networks/podman/10.88.0.2",
        "var/lib/mesos/meta/slaves/latest",
        "etc/systemd/network/dcos.network",
        "etc/calico/calicoctl.cfg",
    ];
    theirs.iter().for_each(|path| write(&image, path, "theirs"));
    std::fs::create_dir_all(image.at("var/log/mesos")).expect("an empty directory");
    let before = image.tree();
    image.install(serve.url(), &[]).ends(0, &[]);
    // What DC/OS adds to it is in among it, and nobody can take it out again.
    ["var/lib/mesos/slave/meta/x", "var/lib/zookeeper/snapshot/x"]
        .iter()
        .for_each(|path| write(&image, path, "DC/OS'"));
    ["var/log/mesos/mesos-master.log", "var/lib/dcos/exhibitor/x"]
        .iter()
        .for_each(|path| write(&image, path, "DC/OS'"));
    let said = image.run(&PURGE);
    said.ends(0, &[]);
    let report = json(&said);
    for place in ["/var/lib/zookeeper", "/var/lib/cni", "/var/lib/mesos", "/etc/calico"] {
        tells(&list(&report, "foreign"), place, "there before the install");
    }
    tells(&list(&report, "kept"), "/etc/systemd/network/dcos.network", "there before the install");
    tells(&list(&report, "kept"), "/var/log/mesos", "empty as it was");
    let added = |change: &String| {
        change.contains("/var/lib/mesos/slave") || change.contains("/var/lib/zookeeper/snapshot")
    };
    let wrong: Vec<String> =
        image.tree().changes_since(&before).into_iter().filter(|change| !added(change)).collect();
    assert_eq!(wrong, Vec::<String>::new());
    // Long after, when no snapshot tells of it any more.
    image.run(&PURGE).ends(0, &[]);
    theirs.iter().for_each(|path| assert!(image.has(path), "{path}"));
}

#[test]
fn announced_purge_still_works_long_after_the_uninstall() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    let before = image.tree();
    image.install(serve.url(), &[]).ends(0, &[]);
    let dcos = [
        "var/lib/dcos/exhibitor/x",
        "var/lib/zookeeper/snapshot/x",
        "var/lib/cni/networks/dcos/9.0.0.1",
        "var/lib/mesos/slave/meta/x",
        "var/log/mesos/archive/x",
        "etc/calico/confd/config/bird.cfg",
        "var/lib/mesosphere/x",
    ];
    dcos.iter().for_each(|path| write(&image, path, "data"));
    let said = image.run(&["uninstall", "--json"]);
    said.ends(0, &[]);
    let report = json(&said);
    for path in [
        "/var/lib/dcos",
        "/var/lib/zookeeper",
        "/var/lib/cni",
        "/var/lib/mesos",
        "/var/log/mesos",
        "/etc/calico",
        "/var/lib/mesosphere",
    ] {
        tells(&list(&report, "kept"), path, "--purge-data removes it");
        assert!(
            report["kept"].as_array().expect("a list").iter().any(|data| data["path"] == path),
            "{path}: {report}"
        );
    }
    // Long after, it is said what goes, and no more.
    let copy = image.copy();
    copy.run(&["uninstall", "--purge-data", "--yes"]).ends(
        0,
        &[&["done: the data that DC/OS left is removed"], &["removed: /", "/var/lib/zookeeper"]],
    );
    // A second install takes over what the first one left, and may purge it.
    image.install(serve.url(), &[]).ends(0, &[]);
    image.run(&["uninstall"]).ends(0, &[]);
    std::fs::remove_dir_all(image.at("var/lib/dcos")).expect("remove it");
    image.run(&PURGE).ends(0, &[]);
    assert_eq!(image.tree().changes_since(&before), Vec::<String>::new());
    // A name that others use too, and nothing in it that only DC/OS makes: told, with and without a
    // word to purge.
    image.install(serve.url(), &[]).ends(0, &[]);
    write(&image, "var/lib/cni/cache/results", "whose?");
    let said = image.run(&["uninstall", "--json"]);
    tells(&list(&json(&said), "kept"), "/var/lib/cni", "a later --purge-data leaves it alone");
    let said = image.run(&PURGE);
    assert!(
        json(&said)["foreign"].to_string().contains("/var/lib/cni (others use this name too"),
        "{}",
        said.out
    );
    assert!(image.has("var/lib/cni/cache/results"));
}

#[test]
fn data_on_its_own_file_system_is_listed_and_emptied_in_place() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    for point in ["var/lib/mesos", "var/lib/dcos/exhibitor"] {
        std::fs::create_dir_all(image.at(point)).expect("a mount point");
    }
    let mesos = Mounted::memory(&image.at("var/lib/mesos"), 1 << 20);
    let exhibitor = Mounted::memory(&image.at("var/lib/dcos/exhibitor"), 1 << 20);
    let before = image.tree();
    image.install(serve.url(), &[]).ends(0, &[]);
    write(&image, "var/lib/mesos/slave/meta/x", "12345");
    write(&image, "var/lib/dcos/exhibitor/x", "1234567");
    write(&image, "var/lib/dcos/other/x", "123");
    let kept = json(&image.run(&["uninstall", "--json"]));
    let size = |path: &str| {
        kept["kept"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|data| data["path"] == path)
            .map(|data| data["bytes"].clone())
    };
    assert_eq!(
        ["/var/lib/mesos", "/var/lib/dcos/exhibitor", "/var/lib/dcos"].map(size),
        [Some(5.into()), Some(7.into()), Some(3.into())],
        "{kept}"
    );
    assert!(
        kept["kept"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|data| data["path"] == "/var/lib/mesos" && data["mounted"] == true)
    );
    let said = image.run(&PURGE);
    said.ends(0, &[]);
    tells(&list(&json(&said), "kept"), "/var/lib/mesos", "a file system is mounted there");
    assert_eq!(image.tree().changes_since(&before), Vec::<String>::new());
    drop((mesos, exhibitor));
    // What is mounted where nobody would look for it is a refusal.
    write(&image, "var/lib/mesos/slave/meta/x", "12345");
    std::fs::create_dir_all(image.at("var/lib/mesos/slave/volume")).expect("a mount point");
    let volume = Mounted::memory(&image.at("var/lib/mesos/slave/volume"), 1 << 20);
    write(&image, "var/lib/mesos/slave/volume/x", "theirs");
    image.run(&PURGE).ends(5, &[&["a file system is mounted at"]]);
    assert!(
        Path::new(&image.at("var/lib/mesos/slave/meta/x")).exists()
            && image.has("var/lib/mesos/slave/volume/x")
    );
    drop(volume);
}

#[test]
fn data_behind_links_is_listed_but_not_offered_for_purge() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let link = |from: &str, to: &str| {
        std::fs::create_dir_all(image.at(from).parent().expect("a parent")).expect("make it");
        std::os::unix::fs::symlink(to, image.at(from)).expect("link");
    };
    image.install(serve.url(), &[]).ends(0, &[]);
    write(&image, "data/mesos/slave/meta/x", "0123456789");
    write(&image, "data/zk/snapshot/log.1", "0123456789");
    write(&image, "data/agent/y", "0123456789");
    link("var/lib/mesos", "/data/mesos");
    link("var/lib/dcos/exhibitor", "../../../data/zk");
    link("var/lib/dcos/mesos/log", "/data/agent");
    std::fs::create_dir_all(image.at("dcos/volume0")).expect("make it");
    let _disk = Mounted::memory(&image.at("dcos/volume0"), 1 << 20);
    write(&image, "dcos/volume0/kafka/z", "0123456789");
    // Within a place a link leads nowhere else.
    link("var/lib/dcos/current", "files");
    image.run(&["uninstall"]).ends(
        0,
        &[
            &["kept data (dcos-node uninstall --purge-data removes it):"],
            &["/var/lib/dcos ", "state of DC/OS' services"],
            &["kept data (behind links, which --purge-data leaves alone):"],
            &["/var/lib/mesos (in /data/mesos)", "10 bytes"],
            &["/var/lib/dcos/exhibitor (in /data/zk)", "10 bytes"],
        ],
    );
    let said = image.run(&PURGE);
    said.ends(0, &[]);
    let report = json(&said);
    let kept: Vec<&str> = report["kept"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|item| item["behind_link"].as_str())
        .collect();
    assert!(
        !kept.is_empty() && kept.iter().all(|place| place.starts_with("/data/mesos")),
        "{kept:?}"
    );
    let foreign = list(&report, "foreign");
    tells(&foreign, "/data/zk", "behind the link /var/lib/dcos/exhibitor");
    tells(&foreign, "/dcos/volume0", "a disk that Mesos offers to services");
    tells(&foreign, "/data/agent", "behind the link /var/lib/dcos/mesos/log");
    tells(&foreign, "/var/lib/mesos", "a link; what it leads to is not removed");
    assert!(!foreign.iter().any(|(what, _)| what.contains("files")), "{foreign:#?}");
    assert!(!image.has("var/lib/dcos"));
    for stays in [
        "dcos/volume0/kafka/z",
        "data/mesos/slave/meta/x",
        "data/zk/snapshot/log.1",
        "data/agent/y",
    ] {
        assert_eq!(std::fs::read_to_string(image.at(stays)).expect(stays), "0123456789");
    }
    let said = image.run(&["status"]);
    assert!(!said.out.contains("/var/lib/mesos is kept of an earlier install"), "{}", said.out);
}
