//! Packages that wait for an install lie outside of `/opt/mesosphere`, whose presence other tools
//! take for an installed node, and get there in one step.

use std::fs;
use std::path::Path;

use support::build::Build;
use support::image::{Image, Mounted, Said, Serve};

const STORE: &str = "var/lib/dcos-node/packages";
const OPT_STORE: &str = "opt/dcos-node/packages";
const REPOSITORY: &str = "opt/mesosphere/packages";
const FAULT: &str = "DCOS_NODE_FAULT";

/// Visible and hidden names in a directory of the image.
fn names(image: &Image, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(image.at(directory)).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// An install that fails when all packages are in the repository already.
fn failing_late(image: Image, url: &str) -> (Image, Said) {
    let etc = image.at("opt/mesosphere/etc").display().to_string();
    let image = image.with(FAULT, format!("ENOSPC Rename 1 {etc}.new -> {etc}"));
    let said = image.install(url, &[]);
    (image.without(FAULT), said)
}

fn origins(said: &Said) -> serde_json::Value {
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    document["origins"].clone()
}

#[test]
fn guards_see_no_dcos_after_a_failed_install() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny().corrupt("units")), Image::new());
    let before = image.tree();
    let said = image.install(serve.url(), &[]);
    // How many the failure of one lets the others end differs.
    let count = names(&image, STORE).len();
    let kept = match count {
        1 => format!("1 unverified package is kept in /{STORE}"),
        _ => format!("{count} unverified packages are kept in /{STORE}"),
    };
    said.ends(6, &[&["state:", "the node is as it was", &kept, "for the next try"]]);
    assert!(!image.has("opt/mesosphere"));
    image.equals(&before);
    image.run(&["status"]).ends(11, &[&["packages wait for an install"]]);
    Build::tiny().pack(serve.path());
    let installed = image.install(serve.url(), &["--json"]);
    installed.ends(0, &[]);
    let origins = origins(&installed);
    let is = |kind: &str, count: usize| origins[kind] == count;
    assert!(is("kept_unverified", count) && is("fetched", 3 - count), "{count}: {origins}");
    assert!(!image.has(STORE), "{:?}", names(&image, STORE));
    image.run(&["verify"]).ends(0, &[]);
}

#[test]
fn packages_return_to_the_store_after_a_late_failure() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let before = image.tree();
    let (image, said) = failing_late(image, serve.url());
    said.ends(1, &[&["state:", "the node is as it was", "packages are kept in", STORE]]);
    assert!(!image.has("opt/mesosphere"));
    image.equals(&before);
    let kept = names(&image, STORE);
    assert!(kept.iter().all(|name| !name.starts_with('.')) && kept.len() > 2, "{kept:?}");
    image.run(&["uninstall"]).ends(0, &[&["done:"]]);
    assert!(!image.has("var/lib/dcos-node"));
    image.equals(&before);
}

/// `/opt/mesosphere` and `/var` are file systems of their own.
fn mounted_apart(image: &Image) -> [Mounted; 2] {
    fs::create_dir(image.at("opt/mesosphere")).expect("make it");
    let var = Mounted::memory(&image.at("var"), 64 << 20);
    fs::create_dir(image.at("var/lib")).expect("make it");
    [Mounted::memory(&image.at("opt/mesosphere"), 64 << 20), var]
}

#[test]
fn packages_are_copied_where_no_rename_is_possible() {
    if !support::is_root() {
        return;
    }
    let (serve, plain, image) = (Serve::of(&Build::tiny()), Image::new(), Image::new());
    let _mounted = mounted_apart(&image);
    image.run(&["fetch", "--bootstrap-url", serve.url()]).ends(0, &[]);
    let fetched = names(&image, OPT_STORE);
    assert!(fetched.len() > 2 && names(&image, "opt/mesosphere").is_empty(), "{fetched:?}");
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
    image.run(&["verify"]).ends(0, &[]);
    assert_eq!(names(&image, REPOSITORY), fetched);
    assert!(!image.has(OPT_STORE));
    // The copy is what an unpacked archive is: owners, modes, times, links.
    plain.install(serve.url(), &[]).ends(0, &[&["done:"]]);
    for name in &fetched {
        let listed = |image: &Image| {
            let format = "%P %M %U %G %T@ %n %l\\n";
            let mut command = std::process::Command::new("find");
            command.arg(image.at(REPOSITORY).join(name)).args(["!", "-type", "d"]);
            let output = command.args(["-printf", format]).output().expect("find");
            let mut lines: Vec<String> =
                String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(listed(&image), listed(&plain), "{name}");
    }
    image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
    assert!(names(&image, "opt/mesosphere").is_empty() && !image.has("opt/dcos-node"));
}

#[test]
fn copied_packages_return_to_the_store_after_a_failure() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let _mounted = mounted_apart(&image);
    let (image, said) = failing_late(image, serve.url());
    said.ends(1, &[&["state:", "packages are kept in", OPT_STORE]]);
    assert!(names(&image, "opt/mesosphere").is_empty());
    let kept = names(&image, OPT_STORE);
    assert!(kept.iter().all(|name| !name.starts_with('.')) && kept.len() > 2, "{kept:?}");
    let installed = image.install(serve.url(), &["--json"]);
    installed.ends(0, &[]);
    assert_eq!(origins(&installed)["fetched"], 0);
}

#[test]
fn copy_cut_by_a_kill_is_done_again() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let id = serve.packed.id("files");
    for (effect, next) in [("SyncFileSystem", "install"), ("Rename", "recover")] {
        let image = Image::new();
        let _mounted = mounted_apart(&image);
        let to = image.at(REPOSITORY).join(id).display().to_string();
        let staging = image.at(REPOSITORY).join(format!(".{id}.tmp")).display().to_string();
        let object = if effect == "Rename" { format!("{staging} -> {to}") } else { staging };
        let image = image.with(FAULT, format!("kill {effect} 1 {object}"));
        assert_eq!(image.install(serve.url(), &["-d"]).code(), None, "{effect}: not killed");
        let image = image.without(FAULT);
        assert!(image.at(OPT_STORE).join(id).is_dir(), "{effect}");
        match next {
            "install" => image.install(serve.url(), &["-d"]).ends(0, &[&["done:"]]),
            _ => image.run(&["recover"]).ends(0, &[]),
        };
        image.run(&["verify"]).ends(0, &[]);
        let left = names(&image, REPOSITORY);
        assert!(left.iter().all(|name| !name.starts_with('.')), "{effect}: {left:?}");
        assert!(!image.has(OPT_STORE), "{effect}");
    }
}

/// A node on which an older version kept packages in the repository.
fn kept_by_an_older_version(serve: &Serve) -> Image {
    let image = Image::new();
    image.run(&["fetch", "--bootstrap-url", serve.url()]).ends(0, &[]);
    fs::create_dir(image.at("opt/mesosphere")).expect("make it");
    fs::rename(image.at(STORE), image.at(REPOSITORY)).expect("move them");
    let journal = image.at("var/lib/dcos-node/journal");
    let text = fs::read_to_string(&journal).expect("read");
    let directories = ["/opt/mesosphere", "/opt/mesosphere/packages"]
        .map(|path| serde_json::json!({"object": "directory", "path": path}));
    let begin = serde_json::json!({"record": "begin", "key": "kept", "objects": directories});
    fs::write(journal, format!("{text}{begin}\n")).expect("write");
    image
}

#[test]
fn packages_kept_by_an_older_version_are_used_or_removed() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let bare = Image::new().tree();
    let used = kept_by_an_older_version(&serve);
    let installed = used.install(serve.url(), &["--json"]);
    installed.ends(0, &[]);
    assert_eq!(origins(&installed)["fetched"], 0);
    used.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);

    let removed = kept_by_an_older_version(&serve);
    removed.run(&["uninstall"]).ends(0, &[&["done:"]]);
    assert!(!removed.has("opt/mesosphere") && !removed.has("var/lib/dcos-node"));

    let (moved, said) = failing_late(kept_by_an_older_version(&serve), serve.url());
    said.ends(1, &[&["state:", "packages are kept in", STORE]]);
    assert!(!moved.has("opt/mesosphere"));
    moved.equals(&bare);
}

#[test]
fn kept_packages_of_another_build_are_removed_by_the_install() {
    if !support::is_root() {
        return;
    }
    let other = Build::tiny().with_file("files", "etc/more", 0o644, "x");
    let (first, second) = (Serve::of(&Build::tiny()), Serve::of(&other));
    let unused = Path::new(STORE).join(first.packed.id("files"));
    assert_ne!(first.packed.id("files"), second.packed.id("files"));
    let image = Image::new();
    image.run(&["fetch", "--bootstrap-url", first.url()]).ends(0, &[]);
    assert!(image.has(&unused));
    image.install(second.url(), &[]).ends(0, &[&["done:"]]);
    assert!(!image.has(STORE), "{:?}", names(&image, STORE));
    let receipt = fs::read_to_string(image.at("var/lib/dcos-node/receipt.json")).expect("read");
    assert!(!receipt.contains(first.packed.id("files")));
    image.run(&["verify"]).ends(0, &[]);
}

#[test]
fn package_that_cannot_be_kept_is_removed() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let id = serve.packed.id("files");
    let [from, to] = [REPOSITORY, STORE].map(|place| image.at(place).join(id));
    let back = format!("EIO Rename 1 {} -> {}", from.display(), to.display());
    let before = image.tree();
    let etc = image.at("opt/mesosphere/etc").display().to_string();
    let image = image.with(FAULT, format!("ENOSPC Rename 1 {etc}.new -> {etc}\n{back}"));
    let said = image.install(serve.url(), &[]);
    said.ends(1, &[&[id, "is not kept for the next try"], &["the node is as it was"]]);
    assert!(!image.has("opt/mesosphere") && !to.exists());
    image.equals(&before);
}
