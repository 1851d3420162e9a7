//! A whole node of the classic installer is adopted; a damaged one is not.

use std::path::Path;
use std::process::Command;

use support::build::Build;
use support::classic::Image;
use support::tree::Snapshot;

use super::{MARATHON, ends, json, run, seen};

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
