//! Files of the operator among those of DC/OS, and in place of them.

use support::build::Build;
use support::image::{Image, Serve};

use super::accounts::add;
use super::{PURGE, json, list, tells, write};

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
