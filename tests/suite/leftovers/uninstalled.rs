//! Every state is uninstalled, and every other command leads there.

use std::path::Path;
use std::process::Command;

use support::build::Build;
use support::classic::Image;
use support::tree::Snapshot;

use super::states::{MARKER_LEFT, states};
use super::{ends, json, run, seen};

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
