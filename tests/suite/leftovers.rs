//! Nodes that the classic installer made, whole or half: uninstalled, adopted, and judged by what
//! stands.

use std::path::Path;
use std::process::{Command, Output};

use support::build::Build;
use support::classic::Image;
use support::tree::Snapshot;

/// A package of the reference build.
const MARATHON: &str = "opt/mesosphere/packages/marathon--5daef719ec4a68fbd3b89f8ac419b637dea6df5c";

/// What account programs write beside the accounts, and data, which is kept.
const UNCOMPARED: [&str; 8] = [
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/subuid",
    "/etc/subgid",
    "/etc/.pwd.lock",
    "/var/lib/dcos",
];

fn run(image: &Image, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dcos-node"))
        .args(arguments)
        .arg("--root")
        .arg(image.root())
        .output()
        .expect("run")
}

#[track_caller]
fn ends(output: &Output, code: i32, texts: &[&str]) {
    let all = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{all}");
    for text in texts {
        assert!(all.contains(text), "{text:?} is not in:\n{all}");
    }
}

fn seen(image: &Image) -> Snapshot {
    let mut snapshot = Snapshot::of(image.root());
    snapshot.paths.retain(|path, _| !UNCOMPARED.iter().any(|other| path.starts_with(other)));
    snapshot
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A state in which everything is in its place.
const MARKER_LEFT: &str = "killed before the marker was removed";

/// The rows of `fixtures/reference/faults.md` that leave something, and what operators do besides.
fn states() -> Vec<(&'static str, Image)> {
    let master = Image::golden("master", "master");
    let half = || {
        Image::node_files_only("master").with_bootstrap().with_packages(&[
            "adminrouter",
            "dcos-log",
            "exhibitor",
        ])
    };
    let of = |change: &dyn Fn(&Image)| {
        let image = master.copy();
        change(&image);
        image
    };
    let of_half = |change: &dyn Fn(&Image)| {
        let image = half();
        change(&image);
        image
    };
    let all = [
        "bin",
        "etc",
        "include",
        "lib",
        "environment",
        "environment.export",
        "active.buildinfo.full.json",
        "active",
    ];
    let progress = |image: &Image, stage: &str| {
        image.write(
            "opt/mesosphere/install_progress",
            &format!("{{\"stage\": \"{stage}\", \"extension\": \".new\"}}"),
        )
    };
    let stray_units = |image: &Image| {
        for name in image.units() {
            if !["dcos-setup.service", "dcos-download.service", "dcos-link-env.service"]
                .contains(&name.as_str())
            {
                image.rename(
                    &format!("etc/systemd/system/{name}"),
                    &format!("etc/systemd/system/{name}.unit.new"),
                );
            }
        }
    };
    // As they stand when an activation fails before its swap: the bootstrap archive's set is
    // active, and no unit is placed.
    let before_units = |image: &Image| {
        let kept = ["dcos-setup.service", "dcos-download.service", "dcos-link-env.service"];
        let placed = image
            .units()
            .into_iter()
            .filter(|name| !kept.contains(&name.as_str()))
            .collect::<Vec<_>>();
        placed.iter().for_each(|name| image.remove(&format!("etc/systemd/system/{name}")));
        ["dcos.target.wants", "multi-user.target.wants/dcos.target"]
            .iter()
            .for_each(|n| image.remove(&format!("etc/systemd/system/{n}")));
    };
    let some_new = |image: &Image| {
        image.with_new_names();
        before_units(image);
        [
            "opt/mesosphere/active.new",
            "opt/mesosphere/environment.export.new",
            "opt/mesosphere/lib.new",
        ]
        .iter()
        .for_each(|n| image.remove(n));
    };
    let pkginfo = |text: Option<&str>| {
        of(&|i| {
            before_units(i);
            match text {
                Some(text) => i.write(&format!("{MARATHON}/pkginfo.json"), text),
                None => i.remove(&format!("{MARATHON}/pkginfo.json")),
            }
        })
    };
    vec![
        (
            "wrong content that is a valid archive",
            of(&|i| i.write(&format!("{MARATHON}/bin/marathon-run"), "#!/bin/sh\nexit 0\n")),
        ),
        (
            "another package's archive under this name",
            of(&|i| {
                some_new(i);
                i.remove(MARATHON);
                i.write(&format!("{MARATHON}/bin/mesos-dns"), "");
                i.write(&format!("{MARATHON}/pkginfo.json"), "{\"username\": \"dcos_mesos_dns\"}");
            }),
        ),
        ("no package list", Image::node_files_only("master").with_bootstrap()),
        (
            "two packages with the same file",
            of(&|i| {
                some_new(i);
                i.write(&format!("{MARATHON}/bin/mesos-dns"), "");
            }),
        ),
        (
            "master and slave at once",
            of(&|i| {
                some_new(i);
                i.write("etc/mesosphere/roles/slave", "");
            }),
        ),
        ("a pkginfo.json of a half node that is no JSON", pkginfo(Some("["))),
        ("a pkginfo.json that is a list", pkginfo(Some("[]"))),
        ("a package without pkginfo.json", pkginfo(None)),
        ("a pkginfo.json that is empty", pkginfo(Some(""))),
        (
            "a package that requires what is not there",
            pkginfo(Some("{\"requires\": [\"nothing\"]}")),
        ),
        ("a username that is none", pkginfo(Some("{\"username\": \"root; reboot\"}"))),
        (
            "a unit with a reserved name",
            of(&|i| {
                some_new(i);
                i.write(
                    &format!("{MARATHON}/dcos.target.wants_master/dcos-setup.service"),
                    "[Service]\nExecStart=/bin/true\n",
                );
            }),
        ),
        (
            "killed late in move_new",
            of(&|i| {
                i.with_new_names();
                i.set_aside(&all);
                ["bin", "etc", "include", "lib", "environment"].iter().for_each(|n| {
                    i.rename(&format!("opt/mesosphere/{n}.new"), &format!("opt/mesosphere/{n}"))
                });
                i.rename(
                    "etc/systemd/system/dcos.target.wants",
                    "etc/systemd/system/dcos.target.wants.old",
                );
                stray_units(i);
                progress(i, "move_new");
            }),
        ),
        (
            "a power cut that emptied files and lost all packages",
            of(&|i| {
                i.emptied();
                ["etc/systemd/system/dcos.target", "etc/systemd/journald.conf.d/dcos.conf"]
                    .iter()
                    .for_each(|n| i.write(n, ""));
                i.remove("opt/mesosphere/packages");
            }),
        ),
        ("a whole master", master.copy()),
        ("a whole slave", Image::golden("slave", "slave")),
        ("a master after an upgrade", Image::golden("master-swap", "master")),
        ("pkgpanda uninstall", Image::golden("master-after-pkgpanda-uninstall", "master")),
        ("server down before the start", Image::node_files_only("master")),
        ("reboot before dcos-setup was enabled", {
            let image = Image::node_files_only("master");
            image.remove("etc/systemd/system/multi-user.target.wants/dcos-setup.service");
            image
        }),
        ("a damaged package", half()),
        ("/tmp was full", {
            let image = Image::node_files_only("master");
            image.write("tmp/bootstrap.tar.xz", "half");
            image
        }),
        (
            "a damaged bootstrap archive",
            of_half(&|i| {
                ["active", "bin", "lib", "environment"]
                    .iter()
                    .for_each(|n| i.remove(&format!("opt/mesosphere/{n}")))
            }),
        ),
        ("a bootstrap archive cut off after active", of_half(&|i| i.remove("opt/mesosphere/bin"))),
        (
            "disk full in the bootstrap archive",
            of_half(&|i| {
                i.emptied();
                i.write("tmp/bootstrap.tar.xz", "whole");
            }),
        ),
        (
            "killed in a fetch",
            of_half(&|i| {
                i.write("opt/mesosphere/packages/marathon--5daef719ec4a68fbd3b89f8ac419b637dea6df5c_tmp/pkginfo.json", "{}");
            }),
        ),
        (
            "killed or failed while linking",
            of(&|i| {
                i.with_new_names();
                i.write("opt/mesosphere/bootstrap", "");
                stray_units(i);
                i.remove("etc/systemd/system/dcos.target.wants");
            }),
        ),
        (
            "a pkginfo.json that is none",
            of(&|i| {
                i.write("opt/mesosphere/packages/marathon--5daef719ec4a68fbd3b89f8ac419b637dea6df5c/pkginfo.json", "[");
            }),
        ),
        (
            "killed in the first half of a swap",
            of(&|i| {
                i.with_new_names();
                i.set_aside(&["bin", "lib"]);
                progress(i, "archive");
            }),
        ),
        (
            "killed before the second half",
            of(&|i| {
                i.with_new_names();
                i.set_aside(&all);
                i.rename(
                    "etc/systemd/system/dcos.target.wants",
                    "etc/systemd/system/dcos.target.wants.old",
                );
                stray_units(i);
                progress(i, "move_new");
            }),
        ),
        (
            "killed in the unit renames",
            of(&|i| {
                i.write("etc/systemd/system/dcos.target.wants.old/x", "");
                i.remove("etc/systemd/system/dcos.target.wants.old/x");
                stray_units(i);
                progress(i, "move_new");
            }),
        ),
        (
            "an upgrade killed after the units were removed",
            of(&|i| {
                stray_units(i);
                i.units()
                    .iter()
                    .filter(|n| n.ends_with(".unit.new"))
                    .for_each(|n| i.remove(&format!("etc/systemd/system/{n}")));
                i.set_aside(&["bin"]);
                progress(i, "archive");
            }),
        ),
        (
            "killed while it wrote its progress",
            of(&|i| i.write("opt/mesosphere/install_progress.new", "{")),
        ),
        (
            "a power cut that emptied the progress of a swap",
            of(&|i| {
                i.with_new_names();
                i.write("opt/mesosphere/install_progress", "");
            }),
        ),
        ("nothing but progress that was not written", {
            let image = Image::clean();
            image.write("opt/mesosphere/install_progress.new", "{");
            image
        }),
        (MARKER_LEFT, of(&|i| i.write("opt/mesosphere/bootstrap", ""))),
        ("a power cut that emptied every file", of(&Image::emptied)),
        (
            "a power cut that also lost paths",
            of(&|i| {
                i.emptied();
                [
                    "opt/mesosphere/active",
                    "opt/mesosphere/lib",
                    "etc/systemd/system/dcos.target",
                    "etc/mesosphere/setup-flags",
                ]
                .iter()
                .for_each(|n| i.remove(n));
            }),
        ),
        ("two roles at once", of(&|i| i.write("etc/mesosphere/roles/slave", ""))),
        ("an operator's rm -rf", of(&|i| i.remove("opt/mesosphere"))),
        (
            "an operator's rm -rf of everything but units and accounts",
            of(&|i| {
                ["opt/mesosphere", "etc/mesosphere", "run/dcos"].iter().for_each(|n| i.remove(n))
            }),
        ),
        ("nothing but units to come", {
            let image = Image::clean();
            image.write("etc/systemd/system/dcos-net.service.unit.new", "");
            image
        }),
        ("nothing but the target's links, set aside", {
            let image = Image::clean();
            image.link(
                "etc/systemd/system/dcos.target.wants.old/dcos-net.service",
                "/etc/systemd/system/dcos-net.service",
            );
            image
        }),
        ("killed within its first mkdir", {
            let image = Image::clean();
            std::fs::create_dir(image.at("etc/mesosphere")).expect("make a directory");
            image
        }),
        ("killed before it wrote its first file", {
            let image = Image::clean();
            std::fs::create_dir_all(image.at("etc/mesosphere/setup-flags"))
                .expect("make a directory");
            image
        }),
        ("killed before it wrote its first file, of an order that begins with roles", {
            let image = Image::clean();
            ["roles", "setup-flags"].iter().for_each(|n| {
                std::fs::create_dir_all(image.at(&format!("etc/mesosphere/{n}")))
                    .expect("make a directory")
            });
            image
        }),
        ("nothing but setup flags", {
            let image = Image::clean();
            image.write("etc/mesosphere/setup-flags/repository-url", "http://192.0.2.9\n\n");
            image
        }),
        ("nothing but journald's file", {
            let image = Image::clean();
            image.write("etc/systemd/journald.conf.d/dcos.conf", "[Journal]\n");
            image
        }),
        ("nothing but the link that starts the target", {
            let image = Image::clean();
            image.link(
                "etc/systemd/system/multi-user.target.wants/dcos.target",
                "/etc/systemd/system/dcos.target",
            );
            image
        }),
        (
            "nothing but unit files",
            of(&|i| {
                [
                    "opt/mesosphere",
                    "etc/mesosphere",
                    "run/dcos",
                    "etc/systemd/system/dcos.target.wants",
                    "etc/systemd/system/multi-user.target.wants/dcos.target",
                ]
                .iter()
                .for_each(|n| i.remove(n));
            }),
        ),
    ]
}

#[test]
fn every_classic_installer_state_is_uninstalled() {
    if !support::is_root() {
        return;
    }
    let clean = Image::clean();
    let before = seen(&clean);
    let mut wrong = Vec::new();
    let serve = format!("{}/fixtures/reference/serve", env!("CARGO_MANIFEST_DIR"));
    for (name, image) in states() {
        // An install finishes this one: tests/suite/releases.rs.
        if name != MARKER_LEFT {
            wrong.extend(
                leads_to_an_uninstall(&image, &serve).err().map(|why| format!("{name}: {why}")),
            );
        }
        let planned = json(&run(&image, &["uninstall", "--dry-run", "--json"]))["plan"].to_string();
        let output = run(&image, &["uninstall", "--json"]);
        for what in list_of(&json(&output), "removed") {
            let named = ["undo", "file"].map(|word| format!("\"{word} {what}\""));
            if !named.iter().any(|named| planned.contains(named)) {
                wrong.push(format!("{name}: removed {what}, which --dry-run does not name"));
            }
        }
        let mut changes = seen(&image).changes_since(&before);
        changes.extend(
            ["tmp/bootstrap.tar.xz", "run/dcos"]
                .iter()
                .filter(|path| image.has(path))
                .map(|path| format!("new /{path}")),
        );
        if !output.status.success() || !changes.is_empty() {
            wrong.push(format!(
                "{name}: {:?} {changes:?} {}",
                output.status.code(),
                String::from_utf8_lossy(&output.stderr)
            ));
        } else if json(&output)["changed"] != true
            || json(&output)["foreign"] != serde_json::json!([])
        {
            wrong.push(format!("{name}: {}", json(&output)));
        }
        ends(&run(&image, &["uninstall"]), 0, &["nothing was changed"]);
        ends(&run(&image, &["status"]), 11, &["not installed"]);
        let install = run(&image, &["install", "master", "--dry-run", "--bootstrap-url", &serve]);
        if !install.status.success() {
            wrong.push(format!(
                "{name}: no install afterwards: {}",
                String::from_utf8_lossy(&install.stderr)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a report lists.
fn list_of(outcome: &serde_json::Value, list: &str) -> Vec<String> {
    let items = outcome["report"][list].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item["what"].as_str().map(str::to_owned)).collect()
}

#[test]
fn group_with_a_dcos_name_goes_only_beside_dcos() {
    if !support::is_root() {
        return;
    }
    for (number, beside, goes) in [(990, false, false), (990, true, true), (1500, true, false)] {
        let image = Image::clean();
        let groups = image.read("etc/group");
        image.write("etc/group", &format!("{groups}dcos_exhibitor:x:{number}:\n"));
        if beside {
            std::fs::create_dir_all(image.at("etc/mesosphere/setup-flags")).expect("make it");
        }
        let planned = run(&image, &["uninstall", "--dry-run", "--json"]);
        let planned = json(&planned)["plan"].to_string();
        assert_eq!(planned.contains("remove the group dcos_exhibitor"), goes, "{planned}");
        let output = run(&image, &["uninstall", "--json"]);
        ends(&output, 0, &[]);
        let removed = list_of(&json(&output), "removed");
        assert_eq!(removed.iter().any(|what| what == "dcos_exhibitor"), goes, "{removed:?}");
        assert_eq!(!image.read("etc/group").contains("dcos_exhibitor"), goes);
    }
}

/// `status` never says that there is no DC/OS, and `install` changes nothing and names `uninstall`.
fn leads_to_an_uninstall(image: &Image, serve: &str) -> Result<(), String> {
    let before = Snapshot::of(image.root());
    let status = run(image, &["status"]);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&status.stdout),
        String::from_utf8_lossy(&status.stderr)
    );
    // A swap that can be finished is.
    let codes: &[i32] =
        if said.contains("a swap by pkgpanda is half done") { &[7] } else { &[0, 11] };
    if said.lines().any(|line| line.starts_with("state:") && line.ends_with("not installed"))
        || !status.status.code().is_some_and(|code| codes.contains(&code))
    {
        return Err(format!("status says {:?} {said}", status.status.code()));
    }
    // A swap that pkgpanda left unfinished on the way to this very build is finished by it, which
    // is another test's.
    let progress = "opt/mesosphere/install_progress";
    if image.has(progress)
        && (image.read(progress).is_empty() || image.read(progress).contains("extension"))
    {
        return Ok(());
    }
    let install = run(image, &["install", "master", "--bootstrap-url", serve]);
    let said = String::from_utf8_lossy(&install.stderr).into_owned();
    let changes = Snapshot::of(image.root()).changes_since(&before);
    if install.status.code() != Some(5)
        || !["dcos-node adopt", "dcos-node uninstall"].iter().any(|fix| said.contains(fix))
        || !changes.is_empty()
    {
        return Err(format!("install says {:?} {said} {changes:?}", install.status.code()));
    }
    Ok(())
}

#[test]
fn uninstall_of_a_classic_node_resumes_after_any_kill() {
    if !support::is_root() {
        return;
    }
    let master = Image::golden("master", "master");
    let before = seen(&Image::clean());
    let uninstall = |image: &Image, variable: &str, value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
        command
            .args(["uninstall", "--root"])
            .arg(image.root())
            .env(variable, value)
            .output()
            .expect("run")
    };
    let (recorded, record) = (master.copy(), tempfile::NamedTempFile::new().expect("a file"));
    ends(
        &uninstall(&recorded, "DCOS_NODE_FAULTS_RECORD", record.path().to_str().expect("UTF-8")),
        0,
        &[],
    );
    let points = std::fs::read_to_string(record.path()).expect("the record");
    // What the record tells besides effects, and the lock, whose name follows from that of the
    // image, are no points.
    let points: Vec<&str> =
        points.lines().filter(|line| !line.starts_with('#') && !line.ends_with(".lock")).collect();
    // The first effects one by one: the journal, and what would start DC/OS at the next boot; then
    // a sample.
    for index in (0..12).chain((12..points.len()).step_by(points.len() / 12)) {
        let image = master.copy();
        let (effect, object) = points[index].split_once(' ').expect("effect and object");
        let here = |point: &&&str| point.split_once(' ') == Some((effect, object));
        let nth = points[..=index].iter().filter(here).count();
        let object = object.replace(
            recorded.root().to_str().expect("UTF-8"),
            image.root().to_str().expect("UTF-8"),
        );
        let killed = uninstall(&image, "DCOS_NODE_FAULT", &format!("kill {effect} {nth} {object}"));
        assert_eq!(killed.status.code(), None, "{effect} {object} was not hit");
        ends(&run(&image, &["uninstall"]), 0, &[]);
        assert_eq!(
            seen(&image).changes_since(&before),
            Vec::<String>::new(),
            "killed at {effect} {object}"
        );
    }
}

#[test]
fn complete_classic_node_is_adopted_by_a_receipt_alone() {
    if !support::is_root() {
        return;
    }
    let image = Image::golden("master", "master");
    let clean = seen(&Image::clean());
    let serve = format!("{}/fixtures/reference/serve", env!("CARGO_MANIFEST_DIR"));
    let install = ["install", "master", "--json", "--bootstrap-url", &serve];
    ends(
        &run(&image, &["status"]),
        0,
        &["installed, not by dcos-node: adopt takes it over", "master"],
    );
    ends(&run(&image, &install), 5, &["cure:   dcos-node adopt takes the node over"]);
    let before = Snapshot::of(image.root());
    ends(
        &run(&image, &["adopt"]),
        0,
        &["is adopted as master", "files of packages are taken for what they should be"],
    );
    let outside: Vec<String> = Snapshot::of(image.root())
        .changes_since(&before)
        .into_iter()
        .filter(|c| !c.contains("/var/lib/dcos-node"))
        .collect();
    assert_eq!(outside, Vec::<String>::new());
    ends(&run(&image, &["adopt", "--json"]), 0, &["\"changed\": false"]);
    ends(&run(&image, &["status"]), 0, &["adopted:", "master"]);
    let manifest: dcos_node::dcos::receipt::Manifest = serde_json::from_str(&image.read(
        "var/lib/dcos-node/manifests/odd-files--f34cb9e22ca2ee36031fa8d5712212f72c165813.json",
    ))
    .expect("a manifest");
    assert!(manifest.archive_sha256.is_empty() && manifest.files.len() > 10);
    assert_eq!(json(&run(&image, &install))["changed"], false);
    ends(&run(&image, &["recover"]), 0, &["nothing was interrupted"]);
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &["removed"]);
    assert_eq!(seen(&image).changes_since(&clean), Vec::<String>::new());
}

#[test]
fn hotfixed_node_is_adopted_with_its_files_accepted() {
    if !support::is_root() {
        return;
    }
    let image = Image::golden("master", "master");
    let unit = "etc/systemd/system/dcos-marathon.service";
    let (in_package, linked) = (format!("{MARATHON}/pkginfo.json"), "opt/mesosphere/bin/java");
    // In the package, in the place of a link into it, and in the place of a copy.
    image.write(&in_package, &(image.read(&in_package) + "\n"));
    image.remove(linked);
    image.write(linked, "#!/bin/sh\nexec /usr/bin/java \"$@\"\n");
    image.write(unit, &(image.read(unit) + "LimitNOFILE=65536\n"));
    let fixed = [in_package.as_str(), linked, unit];
    let before = Snapshot::of(image.root());
    let listed = fixed.map(|path| format!("accepted as it is: /{path}"));
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    ends(&run(&image, &["adopt"]), 0, &listed);
    let changes: Vec<String> = Snapshot::of(image.root())
        .changes_since(&before)
        .into_iter()
        .filter(|change| !change.contains("/var/lib/dcos-node"))
        .collect();
    assert_eq!(changes, Vec::<String>::new());
    ends(&run(&image, &["verify"]), 0, &["as installed", "accepted     /etc/systemd/system/dcos-"]);
    ends(&run(&image, &["status"]), 0, &["accepted:", "3 files differ from the build"]);
    let receipt: serde_json::Value =
        serde_json::from_str(&image.read("var/lib/dcos-node/receipt.json")).expect("JSON");
    assert_eq!(
        (receipt["schema"].as_u64(), receipt["accepted"].as_array().map(Vec::len)),
        (Some(1), Some(3))
    );
    // What is accepted is what was there, and not whatever comes.
    image.write(unit, "[Service]\nExecStart=/bin/true\n");
    ends(&run(&image, &["verify"]), 6, &["/etc/systemd/system/dcos-marathon.service"]);
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &["removed"]);
    assert!(!fixed.iter().any(|path| image.has(path)));
}

#[test]
fn incomplete_node_is_not_adopted_and_faults_are_named() {
    if !support::is_root() {
        return;
    }
    let master = Image::golden("master", "master");
    type Change = &'static dyn Fn(&Image);
    let cases: [(&str, Change); 18] = [
        ("a swap of pkgpanda has not ended", &|i| i.write("opt/mesosphere/install_progress", "{}")),
        ("dcos-node recover finishes", &|i| {
            i.with_new_names();
            i.set_aside(&["bin"]);
            i.write(
                "opt/mesosphere/install_progress",
                "{\"stage\": \"archive\", \"extension\": \".new\"}",
            );
        }),
        (
            "an activation was interrupted: /opt/mesosphere/active.buildinfo.full.json.new",
            &Image::with_new_names,
        ),
        ("its setup has not ended", &|i| i.write("opt/mesosphere/bootstrap", "")),
        ("2 roles", &|i| i.write("etc/mesosphere/roles/slave", "")),
        ("no role", &|i| i.remove("etc/mesosphere/roles/master")),
        ("not a copy of the package's unit: /etc/systemd/system/dcos-", &|i| {
            i.rename("etc/mesosphere/roles/master", "etc/mesosphere/roles/slave")
        }),
        ("missing: /opt/mesosphere/lib", &|i| i.remove("opt/mesosphere/lib")),
        ("dcos.target is not enabled", &|i| {
            i.remove("etc/systemd/system/multi-user.target.wants/dcos.target")
        }),
        ("not a copy of the package's unit", &|i| {
            i.write("etc/systemd/system/dcos-marathon.service", "")
        }),
        ("not a copy of the package's unit: /etc/systemd/system/dcos-marathon.service", &|i| {
            i.remove("etc/systemd/system/dcos-marathon.service");
            i.link("etc/systemd/system/dcos-marathon.service", "/dev/null");
        }),
        ("leads elsewhere: /etc/systemd/system/dcos.target.wants/dcos-marathon.service", &|i| {
            i.remove("etc/systemd/system/dcos.target.wants/dcos-marathon.service");
            i.link("etc/systemd/system/dcos.target.wants/dcos-marathon.service", "/dev/null");
        }),
        ("missing or empty: /opt/mesosphere/environment", &|i| {
            i.write("opt/mesosphere/environment", "")
        }),
        ("not as the active packages have it: /opt/mesosphere/bin/marathon-run", &|i| {
            i.remove("opt/mesosphere/bin/marathon-run");
            i.link("opt/mesosphere/bin/marathon-run", "/bin/true");
        }),
        ("not as the active packages have it: /opt/mesosphere/active/marathon", &|i| {
            let java = std::fs::read_link(i.at("opt/mesosphere/active/java")).expect("a link");
            i.remove("opt/mesosphere/active/marathon");
            i.link("opt/mesosphere/active/marathon", java.to_str().expect("UTF-8"));
        }),
        ("not as the active packages have it: /opt/mesosphere/bin/marathon-run", &|i| {
            i.remove(&format!("{MARATHON}/bin/marathon-run"))
        }),
        ("empty, as a power cut leaves files: /opt/mesosphere/packages/marathon--", &|i| {
            i.write(&format!("{MARATHON}/bin/marathon-run"), "")
        }),
        ("missing users: dcos_marathon", &|i| {
            let users = i.read("etc/passwd");
            let kept = users
                .lines()
                .filter(|line| !line.starts_with("dcos_marathon:"))
                .map(|line| format!("{line}\n"));
            i.write("etc/passwd", &kept.collect::<String>());
        }),
    ];
    for (wrong, change) in cases {
        let image = master.copy();
        change(&image);
        let before = Snapshot::of(image.root());
        ends(&run(&image, &["adopt"]), 5, &[wrong, "nothing was changed"]);
        let status = run(&image, &["status"]);
        // A swap that can be finished is on its way.
        let code =
            if String::from_utf8_lossy(&status.stdout).contains("dcos-node recover finishes it") {
                7
            } else {
                11
            };
        ends(&status, code, &[wrong]);
        assert_eq!(Snapshot::of(image.root()).changes_since(&before), Vec::<String>::new());
    }
    ends(&run(&Image::clean(), &["adopt"]), 11, &["not installed"]);
}

#[test]
fn operator_file_in_a_dcos_directory_is_kept() {
    if !support::is_root() {
        return;
    }
    let image = Image::clean();
    image.write("etc/mesosphere/manual_host_users", "");
    image.write("etc/mesosphere/notes/of-ann.txt", "theirs");
    ends(&run(&image, &["status"]), 11, &["DC/OS is not installed"]);
    ends(
        &run(&image, &["uninstall"]),
        0,
        &["nothing was changed", "/etc/mesosphere/notes (not DC/OS')"],
    );
    // Beside it the installer began, and was killed.
    let before = Snapshot::of(image.root());
    std::fs::create_dir(image.at("etc/mesosphere/setup-flags")).expect("make a directory");
    ends(
        &run(&image, &["status"]),
        11,
        &["a part of DC/OS, not installed by dcos-node", "/etc/mesosphere/setup-flags"],
    );
    ends(
        &run(&image, &["uninstall"]),
        0,
        &[
            "/etc/mesosphere/notes (not DC/OS')",
            "/etc/mesosphere/manual_host_users (of an operator)",
        ],
    );
    assert_eq!(Snapshot::of(image.root()).changes_since(&before), Vec::<String>::new());
}

#[test]
fn operator_files_are_kept_and_reported() {
    if !support::is_root() {
        return;
    }
    let image = Image::golden("slave", "slave");
    let kept = [
        ("etc/mesosphere/mesos/agent.env", "of an operator"),
        ("opt/mesosphere/notes.txt", "not DC/OS'"),
        ("etc/systemd/system/dcos-net.service.d/override.conf", "a drop-in of an operator"),
        (
            "etc/systemd/system.control/dcos-net.service.d/50-CPUWeight.conf",
            "50-CPUWeight.conf (a drop-in of an operator",
        ),
        (
            "run/systemd/system.control/dcos-net.service.d/50-MemoryMax.conf",
            "50-MemoryMax.conf (a drop-in of an operator",
        ),
        (
            "run/systemd/system/dcos-mesos-slave.service.d/nice.conf",
            "nice.conf (a drop-in of an operator",
        ),
        (
            "run/systemd/system/dcos-mesos-slave.service",
            "dcos-mesos-slave.service (a unit of an operator, in the place of DC/OS' own",
        ),
        ("opt/dcos_install_tmp/x", "/opt/dcos_install_tmp"),
    ];
    for (path, _) in kept {
        image.write(path, "theirs");
    }
    image.link(
        "etc/systemd/system/dcos.target.wants/operators.service",
        "/etc/systemd/system/operators.service",
    );
    image.link("run/systemd/system/dcos-telegraf.service", "/dev/null");
    image.write("run/systemd/system/ssh.service.d/other.conf", "not of DC/OS");
    image.link("var/lib/mesos", "/data");
    image.write("data/volume", "theirs");
    image.rename("opt/mesosphere", "disk");
    image.link("opt/mesosphere", "../disk");
    let output = run(&image, &["uninstall", "--purge-data", "--yes"]);
    ends(
        &output,
        0,
        &[
            "which DC/OS' target wants",
            "what it leads to is not removed",
            "a link that was there before",
        ],
    );
    for (path, why) in kept {
        ends(&output, 0, &[why]);
        assert_eq!(image.read(path), "theirs");
    }
    assert_eq!(image.read("data/volume"), "theirs");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("other.conf"));
    // Now that nothing of DC/OS is there, an install would still meet them.
    let met = [
        "dcos-telegraf.service (masked by an operator",
        "50-CPUWeight.conf",
        "50-MemoryMax.conf",
        "nice.conf",
    ];
    ends(&output, 0, &met);
    ends(&run(&image, &["uninstall"]), 0, &met);
    assert!(
        image.has("etc/systemd/system/dcos.target.wants/operators.service")
            && image.has("etc/systemd/system/operators.service")
    );
    assert!(
        !image.has("var/lib/dcos")
            && !image.has("opt/mesosphere/packages")
            && !image.has("etc/systemd/system/dcos-net.service")
    );
}

#[test]
fn partial_download_is_removed_or_reported() {
    if !support::is_root() {
        return;
    }
    let image = Image::node_files_only("master").with_bootstrap();
    // Where dcos-download.service of this build writes.
    image.write("tmp/reference-bootstrap.tar.xz", "half");
    image.write("tmp/tmpab12_d3f.tar.xz", "half a package");
    image.write("tmp/tmp-of-ann.tar.xz", "theirs");
    ends(
        &run(&image, &["uninstall"]),
        0,
        &["/tmp/tmpab12_d3f.tar.xz (perhaps a package that pkgpanda was downloading"],
    );
    let left = ["reference-bootstrap.tar.xz", "tmpab12_d3f.tar.xz", "tmp-of-ann.tar.xz"]
        .map(|name| image.has(&format!("tmp/{name}")));
    assert_eq!(left, [false, true, true]);
    assert!(!image.has("opt/mesosphere") && !image.has("etc/mesosphere"));
}

#[test]
fn unit_that_only_has_a_dcos_name_belongs_to_the_operator() {
    if !support::is_root() {
        return;
    }
    let image = Image::golden("master", "master");
    let unit = "etc/systemd/system/dcos-custom.service";
    let wants = "etc/systemd/system/dcos.target.wants/dcos-custom.service";
    image.write(unit, "[Service]\nExecStart=/opt/mesosphere/bin/python /home/ann/custom\n");
    image.link(wants, "/etc/systemd/system/dcos-custom.service");
    image.write("etc/systemd/system/dcos-custom.socket", "[Socket]\nListenStream=1\n");
    let theirs = Snapshot::of(&image.at("etc/systemd/system"));
    let told = [
        "dcos-custom.service (named like a unit of DC/OS, but no package",
        "dcos-custom.socket",
        "which DC/OS' target wants",
    ];
    ends(&run(&image, &["uninstall"]), 0, &told);
    assert!(image.has(unit) && image.has(wants));
    // Now that no package is there to tell.
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &told);
    let left = Snapshot::of(&image.at("etc/systemd/system")).changes_since(&theirs);
    assert!(!left.iter().any(|change| change.contains("custom")), "{left:#?}");
}

#[test]
fn uninstall_with_a_mount_or_a_file_in_use_removes_nothing() {
    if !support::is_root() {
        return;
    }
    let image = Image::golden("master", "master");
    image.write("var/lib/dcos/exhibitor/snapshot", "state");
    let before = Snapshot::of(image.root());
    let purge = ["uninstall", "--purge-data", "--yes"];
    let mut user = Command::new("sleep")
        .arg("1000")
        .current_dir(image.at("var/lib/dcos/exhibitor"))
        .spawn()
        .expect("sleep");
    let used = loop {
        // Until it is sleep, it is this test.
        let output = run(&image, &purge);
        if String::from_utf8_lossy(&output.stderr).contains("(sleep)") || output.status.success() {
            break output;
        }
    };
    let pid = user.id().to_string();
    user.kill().and_then(|()| user.wait()).expect("end it");
    ends(&used, 5, &[&pid, "(sleep) has its working directory in", "nothing was changed"]);
    assert_eq!(Snapshot::of(image.root()).changes_since(&before), Vec::<String>::new());
    let mount = |arguments: &[&std::ffi::OsStr], program: &str| {
        Command::new(program).args(arguments).status().expect(program).success()
    };
    std::fs::create_dir(image.at("var/lib/dcos/exhibitor/deep")).expect("a mount point");
    let before = Snapshot::of(image.root());
    let point = image.at("var/lib/dcos/exhibitor/deep");
    if mount(&["--bind".as_ref(), image.at("usr").as_os_str(), point.as_os_str()], "mount") {
        let output = run(&image, &purge);
        assert!(mount(&[point.as_os_str()], "umount"));
        ends(
            &output,
            5,
            &["a file system is mounted at", "umount", "what is on that file system stays on it"],
        );
        assert_eq!(Snapshot::of(image.root()).changes_since(&before), Vec::<String>::new());
    }
    let kept = json(&run(&image, &["uninstall", "--json"]));
    assert!(
        kept["kept"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|d| d["path"] == "/var/lib/dcos/exhibitor" && d["bytes"] == 5),
        "{kept}"
    );
    ends(&run(&image, &purge), 0, &[]);
    assert!(!image.has("var/lib/dcos"));
    ends(&run(&image, &purge), 0, &["nothing was changed"]);
}

#[test]
fn resolv_conf_is_restored_or_gets_the_upstream_resolvers() {
    if !support::is_root() {
        return;
    }
    const WRITTEN: &str = "# Generated by gen_resolvconf.py. Do not edit.\n\
                           search x.example\n\
                           nameserver 198.51.100.1\n";
    let directory = tempfile::tempdir().expect("a directory");
    Build::tiny().pack(directory.path());
    let install =
        ["install", "master", "--bootstrap-url", directory.path().to_str().expect("UTF-8")];
    // A link, as systemd-resolved has it.
    let image = Image::clean();
    image.remove("etc/resolv.conf");
    image.link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
    ends(&run(&image, &install), 0, &[]);
    image.remove("etc/resolv.conf");
    image.write("etc/resolv.conf", WRITTEN);
    image.write("etc/resolv.conf.tmp", WRITTEN);
    ends(&run(&image, &["uninstall"]), 0, &[]);
    assert_eq!(
        std::fs::read_link(image.at("etc/resolv.conf")).expect("a link"),
        Path::new("../run/systemd/resolve/stub-resolv.conf")
    );
    assert!(!image.has("etc/resolv.conf.tmp"));
    // A file that is mounted there.
    let image = Image::clean();
    ends(&run(&image, &install), 0, &[]);
    image.write("mounted", WRITTEN);
    let (from, to) = (image.at("mounted"), image.at("etc/resolv.conf"));
    if Command::new("mount").arg("--bind").args([&from, &to]).status().expect("mount").success() {
        let output = run(&image, &["uninstall"]);
        let left = image.read("etc/resolv.conf");
        assert!(Command::new("umount").arg(&to).status().expect("umount").success());
        ends(&output, 0, &[]);
        assert_eq!(left, "nameserver 192.0.2.1\n");
    }
    an_immutable_file_is_changed_only_if_dcos_wrote_it(&install, WRITTEN);
    // No record: the resolvers that DC/OS asked.
    let image = Image::golden("master", "master");
    image.write("etc/resolv.conf", WRITTEN);
    ends(&run(&image, &["uninstall"]), 0, &["what stood there before is not known"]);
    let text = image.read("etc/resolv.conf");
    assert!(
        text.contains("\nsearch ")
            && text.contains("\nnameserver ")
            && !text.contains("198.51.100"),
        "{text}"
    );
    // Nothing else is left of DC/OS: its header is enough.
    let image = Image::clean();
    image.write("etc/resolv.conf", &format!("{WRITTEN}nameserver 192.0.2.53\n"));
    ends(&run(&image, &["status"]), 11, &["a part of DC/OS"]);
    ends(&run(&image, &["uninstall"]), 0, &["it gets the resolvers that DC/OS asked"]);
    let text = image.read("etc/resolv.conf");
    assert!(
        text.ends_with("search x.example\nnameserver 192.0.2.53\n")
            && !text.contains("gen_resolvconf"),
        "{text}"
    );
    // Nobody knows what to write: told, and left.
    image.write("etc/resolv.conf", WRITTEN);
    ends(&run(&image, &["uninstall"]), 0, &["nothing was changed", "name some by hand"]);
}

#[test]
fn purge_asks_on_a_terminal_and_accepts_only_yes() {
    if !support::is_root() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    Build::tiny().pack(directory.path());
    let image = Image::clean();
    ends(
        &run(
            &image,
            &["install", "master", "--bootstrap-url", directory.path().to_str().expect("UTF-8")],
        ),
        0,
        &[],
    );
    image.write("var/lib/dcos/exhibitor/log", "12345");
    // `script` gives the program a terminal of its own, types what it reads, and at its end the
    // character that ends the input.
    let typed = |text: &str| {
        let command = format!(
            "{} uninstall --purge-data --root {}",
            env!("CARGO_BIN_EXE_dcos-node"),
            image.root().display()
        );
        let mut script = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("start script");
        std::io::Write::write_all(&mut script.stdin.take().expect("its input"), text.as_bytes())
            .expect("type");
        script.wait_with_output().expect("wait for it")
    };
    for text in ["no\n", "y\n", ""] {
        ends(
            &typed(text),
            2,
            &[
                "This data is removed for ever:",
                "/var/lib/dcos/exhibitor",
                "the answer was not yes",
                "nothing was changed",
            ],
        );
        assert!(
            image.has("var/lib/dcos/exhibitor/log") && image.has("opt/mesosphere"),
            "{text:?} was taken for a yes"
        );
    }
    // Without a terminal nobody is there to answer.
    ends(&run(&image, &["uninstall", "--purge-data"]), 2, &["--yes"]);
    ends(&typed("yes\n"), 0, &["Type yes to go on:", "DC/OS is removed"]);
    assert!(!image.has("var/lib/dcos") && !image.has("opt/mesosphere"));
    ends(&typed(""), 0, &["nothing was changed"]);
}

/// On a file system that has the flag, whatever temporary directories lie on.
fn an_immutable_file_is_changed_only_if_dcos_wrote_it(install: &[&str], written: &str) {
    let works = |program: &str, arguments: &[&std::ffi::OsStr]| {
        Command::new(program).args(arguments).status().expect(program).success()
    };
    let image = Image::clean();
    let (etc, disk) = (image.at("etc"), image.at("disk"));
    std::fs::File::create(&disk).and_then(|file| file.set_len(64 << 20)).expect("make a disk");
    assert!(works(
        "mkfs.ext4",
        &["-q".as_ref(), "-F".as_ref(), "-d".as_ref(), etc.as_ref(), disk.as_ref()]
    ));
    assert!(works("mount", &["-o".as_ref(), "loop".as_ref(), disk.as_ref(), etc.as_ref()]));
    let mounted = Unmounted(etc.clone());
    let file = image.at("etc/resolv.conf");
    let flag_of =
        |file: &Path, flag: &str| assert!(works("chattr", &[flag.as_ref(), file.as_os_str()]));
    let flag = |flag: &str| flag_of(&file, flag);
    let is_immutable = || {
        let listed = Command::new("lsattr").arg(&file).output().expect("lsattr").stdout;
        String::from_utf8_lossy(&listed).split(' ').next().is_some_and(|flags| flags.contains('i'))
    };
    let (before, operators) = (seen(&image), image.read("etc/resolv.conf"));
    // An operator's own: DC/OS could not replace it.
    flag("+i");
    ends(&run(&image, install), 0, &[]);
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &[]);
    assert!(is_immutable());
    assert_eq!(seen(&image).changes_since(&before), Vec::<String>::new());
    flag("-i");
    // DC/OS' own, which somebody made immutable.
    ends(&run(&image, install), 0, &[]);
    image.write("etc/resolv.conf", written);
    flag("+i");
    // Killed where it is about to get its flag again.
    let mut killed = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    killed
        .args(["uninstall", "--root"])
        .arg(image.root())
        .env("DCOS_NODE_FAULT", format!("kill Attributes 2 {}", file.display()));
    assert_eq!(killed.output().expect("run").status.code(), None);
    assert!(!is_immutable());
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &[]);
    assert!(is_immutable());
    assert_eq!(image.read("etc/resolv.conf"), operators);
    flag("-i");
    // One that refuses to go keeps nothing else, and is told with what helps.
    ends(&run(&image, install), 0, &[]);
    let refuses = image.at("etc/rexray/config.yml");
    flag_of(&refuses, "+i");
    for _ in 0..2 {
        ends(
            &run(&image, &["uninstall", "--purge-data", "--yes"]),
            9,
            &["/etc/rexray/config.yml", "chattr -i"],
        );
        assert!(
            refuses.exists()
                && !image.has("opt/mesosphere")
                && !image.has("etc/mesosphere")
                && image.has("var/lib/dcos-node/journal")
        );
    }
    flag_of(&refuses, "-i");
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &[]);
    assert_eq!(seen(&image).changes_since(&before), Vec::<String>::new());
    drop(mounted);
}

/// A mount that ends with the test.
struct Unmounted(std::path::PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn active_set_counts_after_pkgpanda_changed_it() {
    if !support::is_root() {
        return;
    }
    let (first, second) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    Build::tiny().pack(first.path());
    let packed = Build::tiny()
        .with_pkginfo("tools", "{\"environment\": {\"UPGRADED\": \"yes\"}}")
        .pack(second.path());
    let install = |image: &Image, from: &Path| {
        run(
            image,
            &["install", "master", "--json", "--bootstrap-url", from.to_str().expect("UTF-8")],
        )
    };
    let (image, other) = (Image::clean(), Image::clean());
    let before = seen(&image);
    ends(&install(&image, first.path()), 0, &[]);
    ends(&install(&other, second.path()), 0, &[]);
    // pkgpanda fetches what is new, builds the new names, sets the old ones aside, and makes the
    // new ones live.
    for name in [
        "bin",
        "etc",
        "include",
        "lib",
        "environment",
        "environment.export",
        "active.buildinfo.full.json",
        "active",
    ] {
        let path = format!("opt/mesosphere/{name}");
        image.rename(&path, &format!("{path}.old"));
        assert!(
            Command::new("cp")
                .arg("-aT")
                .args([other.at(&path), image.at(&path)])
                .status()
                .expect("cp")
                .success()
        );
    }
    assert!(
        Command::new("cp")
            .arg("-an")
            .args([other.at("opt/mesosphere/packages/."), image.at("opt/mesosphere/packages")])
            .status()
            .expect("cp")
            .success()
    );
    ends(&install(&image, first.path()), 5, &["another build"]);
    ends(&run(&image, &["status"]), 0, &["activated since by pkgpanda", packed.id("tools")]);
    ends(&run(&image, &["recover"]), 0, &["nothing was interrupted"]);
    let again = install(&image, second.path());
    ends(&again, 0, &[]);
    assert_eq!(
        (json(&again)["changed"].clone(), json(&again)["bootstrap_id"] == *packed.bootstrap_id),
        (false.into(), true)
    );
    let status = run(&image, &["status", "--json"]);
    assert_eq!(
        json(&status)["activated_since"],
        serde_json::json!([]),
        "the receipt was not brought up to what stands"
    );
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &[]);
    assert_eq!(seen(&image).changes_since(&before), Vec::<String>::new());
}

#[test]
fn twenty_install_rounds_leave_the_directory_unchanged() {
    if !support::is_root() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    Build::tiny().pack(directory.path());
    let image = Image::clean();
    let before = Snapshot::of(image.root());
    let used = bytes_below(image.root());
    for (round, role) in (0..20).zip(["master", "slave", "slave_public"].into_iter().cycle()) {
        ends(
            &run(
                &image,
                &["install", role, "--bootstrap-url", directory.path().to_str().expect("UTF-8")],
            ),
            0,
            &[],
        );
        if round % 4 == 3 {
            // Data outlives the uninstall, and can be purged long after it.
            ends(&run(&image, &["uninstall"]), 0, &[]);
        }
        ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &[]);
        assert_eq!(
            Snapshot::of(image.root()).changes_since(&before),
            Vec::<String>::new(),
            "round {round}"
        );
        assert!(bytes_below(image.root()) <= used, "round {round} uses more disk");
    }
}

/// Bytes of all files below a directory.
fn bytes_below(top: &Path) -> u64 {
    let entries =
        std::fs::read_dir(top).expect("list").map(|entry| entry.expect("an entry").path());
    entries
        .map(|path| {
            path.symlink_metadata()
                .map_or(0, |about| if about.is_dir() { bytes_below(&path) } else { about.len() })
        })
        .sum()
}
