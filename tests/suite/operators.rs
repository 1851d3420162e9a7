//! What an operator had before DC/OS, or made beside it, outlives an uninstall, and is told.

mod accounts;
mod data;
mod files;

use support::build::Build;
use support::image::{Image, Said, Serve};

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
