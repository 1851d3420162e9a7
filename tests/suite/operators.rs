//! What an operator had before DC/OS, or made beside it, outlives an uninstall, and is told.

use std::path::Path;

use support::build::Build;
use support::image::{Image, Mounted, Said, Serve};

const PURGE: [&str; 4] = ["uninstall", "--purge-data", "--yes", "--json"];

fn write(image: &Image, path: &str, text: &str) {
    std::fs::create_dir_all(image.at(path).parent().expect("a parent")).expect("make a directory");
    std::fs::write(image.at(path), text).expect(path);
}

fn json(said: &Said) -> serde_json::Value {
    serde_json::from_str(&said.out)
        .unwrap_or_else(|error| panic!("{error}: {}{}", said.out, said.err))
}

/// The things in one list of a report, with the reasons.
fn list(report: &serde_json::Value, name: &str) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    report["report"][name]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| (text(&item["what"]), text(&item["why"])))
        .collect()
}

#[track_caller]
fn tells(items: &[(String, String)], what: &str, why: &str) {
    assert!(
        items.iter().any(|(w, y)| w == what && y.contains(why)),
        "{what} ({why}) is not in {items:#?}"
    );
}

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

fn add(image: &Image, file: &str, text: &str) {
    let old = std::fs::read_to_string(image.at(file)).expect(file);
    write(image, file, &(old + text));
}

/// One of the numbers of a line in `/etc/passwd` or `/etc/group`.
fn number(image: &Image, file: &str, name: &str) -> u32 {
    let text = std::fs::read_to_string(image.at(file)).expect(file);
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")))
        .unwrap_or_else(|| panic!("{name} is not in {text}"));
    line.split(':').nth(2).expect("a number").parse().expect("digits")
}

#[test]
fn group_with_members_stays_and_orphaned_files_are_reported() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    write(&image, "etc/login.defs", "USERGROUPS_ENAB yes\n");
    add(&image, "etc/passwd", "ann:x:1000:100::/home/ann:/bin/sh\n");
    image.install(serve.url(), &[]).ends(0, &[]);
    // One is in it, and it is another's first group.
    let group = number(&image, "etc/group", "dcos_tiny_files");
    let text = std::fs::read_to_string(image.at("etc/group")).expect("groups");
    let line = text.lines().find(|line| line.starts_with("dcos_tiny_files:")).expect("the group");
    write(&image, "etc/group", &text.replace(line, &format!("{line}ann")));
    add(&image, "etc/passwd", &format!("bob:x:1001:{group}::/home/bob:/bin/sh\n"));
    std::fs::create_dir_all(image.at("srv/disk")).expect("a mount point");
    let disk = Mounted::memory(&image.at("srv/disk"), 1 << 20);
    let user = number(&image, "etc/passwd", "dcos_tiny_files");
    for (path, uid, gid) in
        [("srv/disk/theirs", user, 0), ("srv/disk/more", user, 0), ("home/ann/file", 1000, group)]
    {
        write(&image, path, "x");
        std::os::unix::fs::chown(image.at(path), Some(uid), Some(gid)).expect("give it away");
    }
    let said = image.run(&["uninstall", "--json"]);
    said.ends(0, &[]);
    let report = json(&said);
    tells(&list(&report, "kept"), "dcos_tiny_files", "its group stays: ann, bob is in it");
    tells(
        &list(&report, "foreign"),
        "/srv/disk/more",
        &format!("owned by dcos_tiny_files (number {user}), who goes, and 1 more below /srv"),
    );
    assert!(
        !list(&report, "foreign").iter().any(|(what, _)| what == "/home/ann/file"),
        "the group stays"
    );
    assert_eq!(
        report["report"]["searched"].as_array().map(|all| all.contains(&"/home".into())),
        Some(true),
        "{report}"
    );
    let [users, groups] = ["etc/passwd", "etc/group"]
        .map(|file| std::fs::read_to_string(image.at(file)).expect(file));
    assert!(!users.contains("dcos_") && groups.contains(&format!("{line}ann")), "{users}{groups}");
    image.run(&["uninstall"]).ends(0, &[&["nothing was changed"]]);
    drop(disk);
}

#[test]
fn earlier_group_is_kept_and_a_new_one_is_known_by_its_files() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    write(&image, "etc/login.defs", "USERGROUPS_ENAB yes\n");
    add(&image, "etc/group", "dcos_tiny_files:x:777:\n");
    image.install(serve.url(), &[]).ends(0, &[]);
    let said = image.run(&["uninstall", "--json"]);
    said.ends(0, &[]);
    tells(&list(&json(&said), "kept"), "dcos_tiny_files", "its group was there before");
    let groups = std::fs::read_to_string(image.at("etc/group")).expect("groups");
    assert!(groups.ends_with("dcos_tiny_files:x:777:\n"), "{groups}");
    let image = Image::new();
    image.install(serve.url(), &[]).ends(0, &[]);
    write(&image, "home/x", "x");
    let group = number(&image, "etc/group", "dcos_tiny_files");
    std::os::unix::fs::chown(image.at("home/x"), None, Some(group)).expect("give it away");
    let said = image.run(&["uninstall", "--json"]);
    tells(
        &list(&json(&said), "foreign"),
        "/home/x",
        &format!("owned by the group dcos_tiny_files (number {group}), which goes"),
    );
}

/// Killed where the group is to be made again that went with its user.
fn killed_between_userdel_and_groupadd(serve: &Serve) -> Image {
    let image = Image::new();
    write(&image, "etc/login.defs", "USERGROUPS_ENAB yes\n");
    add(&image, "etc/group", "dcos_tiny_files:x:777:\n");
    write(&image, "etc/passwd-", "a backup of theirs\n");
    image.install(serve.url(), &[]).ends(0, &[]);
    let killed = image.with("DCOS_NODE_FAULT", "kill Spawn 1 /usr/sbin/groupadd");
    assert_eq!(killed.run(&["uninstall"]).code(), None);
    let [users, groups] = ["etc/passwd", "etc/group"]
        .map(|file| std::fs::read_to_string(killed.at(file)).expect(file));
    assert!(
        !users.contains("dcos_tiny_files") && !groups.contains("dcos_tiny_files"),
        "{users}{groups}"
    );
    killed.without("DCOS_NODE_FAULT")
}

#[test]
fn group_removed_with_its_user_is_restored_after_a_kill() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let groups = |image: &Image| std::fs::read_to_string(image.at("etc/group")).expect("groups");
    let image = killed_between_userdel_and_groupadd(&serve);
    image.run(&["uninstall"]).ends(0, &[]);
    assert!(groups(&image).ends_with("dcos_tiny_files:x:777:\n"), "{}", groups(&image));

    let image = killed_between_userdel_and_groupadd(&serve);
    add(&image, "etc/group", "theirs:x:777:\n");
    let cure = [
        "dcos_tiny_files",
        "with the number 777",
        "of the group theirs now",
        "groupadd dcos_tiny_files",
    ];
    image.run(&["uninstall"]).ends(9, &[&cure]);
    let said = image.run(&["uninstall", "--json"]);
    said.ends(9, &[]);
    let residue = list(&json(&said), "residue");
    assert!(residue.len() == 1, "{residue:#?}");
    tells(
        &residue,
        "dcos_tiny_files",
        "give it another one: groupadd dcos_tiny_files: groupadd dcos_tiny_files failed: groupadd: \
         GID '777'",
    );
    assert!(
        !image.has("opt/mesosphere")
            && !image.has("etc/mesosphere")
            && !image.has("etc/systemd/system/dcos.target")
    );
    // What the residue says cures it.
    add(&image, "etc/group", "dcos_tiny_files:x:778:\n");
    let said = image.run(&["uninstall", "--json"]);
    said.ends(0, &[]);
    tells(&list(&json(&said), "kept"), "dcos_tiny_files", "its group was there before");
    assert!(
        groups(&image).ends_with("theirs:x:777:\ndcos_tiny_files:x:778:\n"),
        "{}",
        groups(&image)
    );
    image.run(&["uninstall"]).ends(0, &[&["nothing was changed"]]);
}

#[test]
fn unremovable_user_delays_only_the_account_backups() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    write(&image, "etc/login.defs", "USERGROUPS_ENAB yes\n");
    write(&image, "etc/passwd-", "a backup of theirs\n");
    let before = std::fs::read_to_string(image.at("etc/passwd")).expect("users");
    image.install(serve.url(), &[]).ends(0, &[]);
    // As `userdel` says it of a user that still runs something.
    let image = image.with("DCOS_NODE_FAULT", "EIO Spawn 1 /usr/sbin/userdel");
    let said = image.run(&["uninstall", "--json"]);
    said.ends(9, &[]);
    let residue = list(&json(&said), "residue");
    tells(&residue, "dcos_tiny_units", "cannot run /usr/sbin/userdel");
    tells(&residue, "/etc/group-", "put back when the last account has gone");
    assert_eq!(residue.len(), 2, "{residue:#?}");
    assert!(
        !image.has("opt/mesosphere")
            && !image.has("etc/mesosphere")
            && image.has("var/lib/dcos-node/journal")
    );
    // The opposite is a way out as well, and the account is still known as one that goes with an
    // uninstall.
    let image = image.without("DCOS_NODE_FAULT");
    image.install(serve.url(), &[]).ends(0, &[]);
    image.run(&["uninstall"]).ends(0, &[]);
    assert_eq!(std::fs::read_to_string(image.at("etc/passwd")).expect("users"), before);
    assert_eq!(
        std::fs::read_to_string(image.at("etc/passwd-")).expect("the backup"),
        "a backup of theirs\n"
    );
    assert!(!image.has("var/lib/dcos-node"));
}

#[test]
fn one_more_uninstall_is_enough_once_the_obstacle_is_gone() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    for again in [&["uninstall"][..], &["recover"]] {
        let image = Image::new();
        let before = image.tree();
        image.install(serve.url(), &[]).ends(0, &[]);
        // As the kernel refuses to remove an immutable file.
        let role = image.at("etc/mesosphere/roles/master");
        let image = image.with("DCOS_NODE_FAULT", format!("EPERM Remove 1 {}", role.display()));
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(9, &[&["roles/master"]]);
        let image = image.without("DCOS_NODE_FAULT");
        image.run(again).ends(0, &[]);
        image.equals(&before);
        assert!(!image.has("etc/mesosphere") && !image.has("var/lib/dcos-node"));
    }
}

#[test]
fn outer_directories_are_removed_once_their_obstacle_is_gone() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let obstacles = ["var/lib", "var", "opt", "etc/systemd/system/dcos-setup.service"];
    for (obstacle, again) in obstacles.iter().flat_map(|o| [(o, "uninstall"), (o, "recover")]) {
        let image = Image::new();
        for directory in ["var", "opt"] {
            std::fs::remove_dir_all(image.at(directory)).expect("remove");
        }
        let before = image.tree();
        image.install(serve.url(), &[]).ends(0, &[]);
        let fault = format!("EPERM Remove 1 {}", image.at(obstacle).display());
        let image = image.with("DCOS_NODE_FAULT", fault);
        let said = image.run(&["uninstall", "--purge-data", "--yes"]);
        said.ends(1, &[&["because", obstacle], &["no boot goes on with it"]]);
        let image = image.without("DCOS_NODE_FAULT");
        image.run(&[again]).ends(0, &[]);
        image.equals(&before);
        assert!(!image.has("var") && !image.has("opt"), "{obstacle}, {again}");
        image.run(&["status"]).ends(11, &[]);
    }
}

#[test]
fn operator_files_that_go_with_a_directory_are_named() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    write(&image, "var/lib/dcos/mesos-slave-common", "MESOS_ATTRIBUTES=rack:1\n");
    image.install(serve.url(), &[]).ends(0, &[]);
    write(&image, "opt/mesosphere/bin/theirs", "theirs");
    let theirs = ["/var/lib/dcos/mesos-slave-common", "/opt/mesosphere/bin/theirs"];
    let planned = image.run(&["uninstall", "--purge-data", "--dry-run", "--json"]);
    let said = image.run(&["uninstall", "--purge-data", "--yes", "--json"]);
    said.ends(0, &[]);
    for path in theirs {
        let key = format!("\"file {path}\"");
        assert!(json(&planned)["plan"].to_string().contains(&key), "{}", planned.out);
        tells(&list(&json(&said), "removed"), path, "was not made by DC/OS");
        assert!(said.err.contains(&format!("{path} was not made by DC/OS")), "{}", said.err);
    }
}

#[test]
fn edited_package_files_that_an_uninstall_removes_are_named() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let package = format!("opt/mesosphere/packages/{}", serve.packed.id("files"));
    for is_adopted in [false, true] {
        let image = Image::new();
        image.install(serve.url(), &[]).ends(0, &[]);
        let edited = format!("{package}/pkginfo.json");
        let text = std::fs::read_to_string(image.at(&edited)).expect("a file");
        write(&image, &edited, &(text + " "));
        write(&image, &format!("{package}/theirs/notes"), "theirs");
        std::os::unix::fs::symlink("/srv/theirs", image.at(format!("{package}/link")))
            .expect("link");
        if is_adopted {
            std::fs::remove_file(image.at("var/lib/dcos-node/receipt.json")).expect("lose it");
            image.run(&["adopt"]).ends(0, &[]);
        }
        let theirs = [
            (edited.clone(), "was changed since the install"),
            (format!("{package}/theirs"), "was not made by DC/OS"),
            (format!("{package}/link"), "was not made by DC/OS"),
        ];
        let planned = image.run(&["uninstall", "--dry-run", "--json"]);
        let said = image.run(&["uninstall", "--yes", "--json"]);
        said.ends(0, &[]);
        for (path, why) in &theirs {
            let key = format!("\"file /{path}\"");
            assert!(json(&planned)["plan"].to_string().contains(&key), "{}", planned.out);
            tells(&list(&json(&said), "removed"), &format!("/{path}"), why);
            assert!(said.err.contains(&format!("/{path} {why}")), "{}", said.err);
        }
        let named = list(&json(&said), "removed");
        let others = named.iter().filter(|(_, why)| why.contains("was changed since"));
        assert_eq!(others.count(), 1, "{named:#?}");
    }
}

#[test]
fn mask_that_an_install_replaces_is_named_and_restored() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let unit = "etc/systemd/system/dcos-tiny.service";
    std::os::unix::fs::symlink("/dev/null", image.at(unit)).expect("mask it");
    let before = image.tree();
    let masked = ["dcos-tiny.service", "masked by an operator"];
    image.install(serve.url(), &[]).ends(0, &[&masked]);
    image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[]);
    image.equals(&before);
}

#[test]
fn operator_files_among_settings_survive_every_uninstall() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    image.install(serve.url(), &[]).ends(0, &[]);
    let theirs =
        ["setup-flags/op.txt", "roles/op", "op.conf"].map(|name| format!("etc/mesosphere/{name}"));
    theirs.iter().for_each(|path| write(&image, path, "theirs"));
    for _ in 0..3 {
        let said = image.run(&["uninstall", "--json"]);
        said.ends(0, &[]);
        for path in &theirs {
            assert!(image.has(path), "{path}");
            let foreign = json(&said)["foreign"].to_string();
            assert!(foreign.contains(&format!("/{path} (not DC/OS')")), "{foreign}");
        }
    }
    image.run(&["uninstall"]).ends(0, &[&["nothing was changed"]]);
    image.install(serve.url(), &[]).ends(0, &[]);
}

#[test]
fn objects_changed_since_the_install_are_kept_and_reported() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    write(&image, "etc/systemd/system/dcos-old.service", "theirs");
    add(&image, "etc/group", "dcos_old:x:700:\n");
    std::os::unix::fs::symlink(
        "../dcos-old.service",
        image.at("etc/systemd/system/multi-user.target.wants/dcos-old.service"),
    )
    .expect("a link");
    image.install(serve.url(), &[]).ends(0, &[]);
    let conf = "etc/systemd/journald.conf.d/dcos.conf";
    add(&image, conf, "Storage=volatile\n");
    let edited = std::fs::read_to_string(image.at(conf)).expect("the file");
    write(&image, "etc/resolv.conf", "nameserver 192.0.2.7\n");
    std::fs::remove_file(image.at("etc/profile.d/dcos.sh")).expect("remove the link");
    write(&image, "etc/profile.d/dcos.sh", "theirs");
    // What DC/OS writes again is not the operator's.
    add(&image, "etc/rexray/config.yml", "x\n");
    // The settings of the setup are.
    add(&image, "etc/mesosphere/setup-flags/repository-url", "x\n");
    std::fs::remove_file(image.at("etc/systemd/system/dcos-old.service")).expect("remove the unit");
    let group = std::fs::read_to_string(image.at("etc/group"))
        .expect("groups")
        .replace("dcos_old:x:700:\n", "");
    write(&image, "etc/group", &group);
    std::os::unix::fs::symlink(
        "/dev/null",
        image.at("etc/systemd/system/multi-user.target.wants/dcos-new.service"),
    )
    .expect("a link");
    let masked = "etc/systemd/system/dcos-tiny.service";
    std::fs::remove_file(image.at(masked)).expect("remove the unit");
    std::os::unix::fs::symlink("/dev/null", image.at(masked)).expect("mask it");
    let said = image.run(&["uninstall", "--json"]);
    said.ends(0, &[&["was changed since the install"]]);
    let report = json(&said);
    let kept = list(&report, "kept");
    tells(&kept, &format!("/{conf}"), "it was changed since an install");
    assert_eq!(
        std::fs::read_to_string(image.at(format!("{conf}.dcos-node-save"))).expect("the saved one"),
        edited
    );
    let flag = "etc/mesosphere/setup-flags/repository-url";
    tells(&kept, &format!("/{flag}"), "it was changed since an install");
    assert!(image.has(format!("{flag}.dcos-node-save")));
    tells(&kept, "/etc/resolv.conf", "written by another since the install");
    tells(&kept, "/etc/profile.d/dcos.sh", "something else stands there now");
    tells(&list(&report, "gone"), "dcos-old.service", "it was there before");
    tells(&list(&report, "gone"), "dcos_old", "it was there before");
    tells(&list(&report, "foreign"), "dcos-new.service", "it starts at boot");
    tells(&list(&report, "foreign"), &format!("/{masked}"), "masked by an operator");
    assert!(
        image.has(masked) && !kept.iter().any(|(what, _)| what.ends_with("dcos-tiny.service")),
        "{kept:#?}"
    );
    for what in kept.iter().map(|(what, _)| what) {
        assert!(
            !list(&report, "removed").iter().any(|(removed, _)| removed == what),
            "{what} is told twice"
        );
    }
    assert!(
        !image.has("etc/rexray/config.yml.dcos-node-save") && !image.has("etc/mesosphere/roles")
    );
    // What an earlier uninstall kept is never written over, and the same is not kept twice.
    for (text, saved) in [
        ("of the second time\n", ".1"),
        ("of the second time\n", ".1"),
        ("of the third time\n", ".2"),
    ] {
        image.install(serve.url(), &[]).ends(0, &[]);
        add(&image, conf, text);
        let now = std::fs::read_to_string(image.at(conf)).expect("the file");
        image
            .run(&["uninstall"])
            .ends(0, &[&["is kept as", &format!("{conf}.dcos-node-save{saved}")]]);
        assert_eq!(
            std::fs::read_to_string(image.at(format!("{conf}.dcos-node-save")))
                .expect("the saved one"),
            edited
        );
        assert_eq!(
            std::fs::read_to_string(image.at(format!("{conf}.dcos-node-save{saved}")))
                .expect("the saved one"),
            now
        );
    }
    assert!(!image.has(format!("{conf}.dcos-node-save.3")) && !image.has(conf));
}

#[test]
fn original_file_is_kept_if_its_replacement_was_replaced() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (
        Serve::of(&Build::tiny().with_node_file("/etc/tiny.conf", 0o644, "of the build\n")),
        Image::new(),
    );
    const ALLOW: [&str; 2] = ["--allow-file", "/etc/tiny.conf"];
    let (unit, conf, profile) =
        ("etc/systemd/system/dcos-tiny.service", "etc/tiny.conf", "etc/profile.d/dcos.sh");
    let older =
        [(unit, "an older unit\n"), (conf, "an older conf\n"), (profile, "an older profile\n")];
    for (path, text) in older {
        std::fs::create_dir_all(image.at(path).parent().expect("a parent")).expect("make it");
        write(&image, path, text);
        std::fs::set_permissions(
            image.at(path),
            std::os::unix::fs::PermissionsExt::from_mode(0o640),
        )
        .expect("a mode of its own");
    }
    let before = image.tree();
    image.install(serve.url(), &ALLOW).ends(0, &[]);
    image.run(&PURGE).ends(0, &[]);
    image.equals(&before);
    image.install(serve.url(), &ALLOW).ends(0, &[]);
    for (path, _) in older {
        std::fs::remove_file(image.at(path)).expect("remove it");
    }
    std::os::unix::fs::symlink("/dev/null", image.at(unit)).expect("mask it");
    std::fs::create_dir(image.at(conf)).expect("make a directory");
    write(&image, profile, "a newer profile\n");
    let said = image.run(&["uninstall", "--json"]);
    said.ends(
        0,
        &[&["what stood there before the install is kept as \
             /etc/systemd/system/dcos-tiny.service.dcos-node-save"]],
    );
    let kept = list(&json(&said), "kept");
    assert!(image.at(unit).is_symlink() && image.at(conf).is_dir(), "something of theirs is gone");
    assert_eq!(std::fs::read_to_string(image.at(profile)).expect("theirs"), "a newer profile\n");
    for (path, text) in older {
        // A mask is told as what it is.
        match path == unit {
            true => {
                tells(&list(&json(&said), "foreign"), &format!("/{path}"), "masked by an operator")
            }
            false => tells(&kept, &format!("/{path}"), "what stood there before is beside it"),
        }
        let saved = image.at(format!("{path}.dcos-node-save"));
        assert_eq!(std::fs::read_to_string(&saved).expect("the older one"), text);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&saved).expect("it stands").permissions(),
        );
        assert_eq!(mode & 0o7777, 0o640, "{path}");
    }
    // A link that somebody only took away leaves the place to what stood there.
    std::fs::remove_dir(image.at(conf)).expect("remove the directory");
    image.install(serve.url(), &ALLOW).ends(0, &[]);
    std::fs::remove_file(image.at(profile)).expect("remove the link");
    image.run(&["uninstall"]).ends(0, &[]);
    assert_eq!(std::fs::read_to_string(image.at(profile)).expect("theirs"), "a newer profile\n");
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
