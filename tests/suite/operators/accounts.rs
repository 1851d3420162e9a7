//! Accounts and groups of the operator.

use support::build::Build;
use support::image::{Image, Mounted, Serve};

use super::{json, list, tells, write};

pub(super) fn add(image: &Image, file: &str, text: &str) {
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
