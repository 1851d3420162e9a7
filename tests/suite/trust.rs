//! Nothing of a published build is used, run or called verified that was not compared with its
//! index, byte for byte.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::build::{Build, Packed};
use support::image::{Image, Said};
use tempfile::TempDir;

/// What an attacker adds to a file.
const EVIL: &str = "# EVIL\n";

/// A serve directory and the programs of its publications.
struct Server {
    directory: TempDir,
    packed: Packed,
    plain: PathBuf,
    _programs: TempDir,
}

impl Server {
    fn of(build: Build) -> Server {
        let (directory, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let packed = build.pack(directory.path());
        // A small copy: a debug build has a hundred megabytes of symbols.
        let plain = programs.path().join("program");
        let strip = Command::new("strip")
            .arg("-o")
            .arg(&plain)
            .arg(env!("CARGO_BIN_EXE_dcos-node"))
            .status();
        assert!(strip.unwrap().success());
        Server { directory, packed, plain, _programs: programs }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn url(&self) -> String {
        format!("file://{}", self.directory.path().display())
    }

    /// Publishes what is there, and returns the stamped program.
    fn publish(&self, more: &[&str]) -> PathBuf {
        let output = Command::new(&self.plain)
            .args(["publish", "--bootstrap-url", &self.url()])
            .args(more)
            .arg(self.directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        self.path("dcos-node")
    }

    fn index_sha256(&self) -> String {
        let text = fs::read(self.path("dcos-build.json")).unwrap();
        dcos_node::system::digest::hex(&dcos_node::system::digest::sha256(&text))
    }

    /// The same package ids with something added to a file; returns the true archive.
    fn tamper(&self, package: &str, file: &str) -> Vec<u8> {
        self.packed.tamper(package, file, |text| text + EVIL)
    }
}

/// The file that the attacker changes.
const CHANGED: &str = "etc/by-number";
/// Where packages wait for an install.
const STORE: &str = "var/lib/dcos-node/packages";

fn document(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out))
}

fn is_evil(image: &Image, server: &Server) -> bool {
    let files = |place: &str| image.at(place).join(server.packed.id("files")).join(CHANGED);
    let file = ["opt/mesosphere/packages", STORE].map(files).into_iter().find(|file| file.exists());
    fs::read_to_string(file.unwrap()).unwrap().contains(EVIL)
}

fn receipt(image: &Image) -> Value {
    serde_json::from_slice(&fs::read(image.at("var/lib/dcos-node/receipt.json")).unwrap()).unwrap()
}

/// The origins of all packages that a run told, by package name.
fn origins(events: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(events).unwrap();
    let mut origins: Vec<(String, String)> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "package")
        .map(|event| {
            let id = event["id"].as_str().unwrap();
            (
                id.split("--").next().unwrap().to_owned(),
                event["origin"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    origins.sort();
    fs::remove_file(events).unwrap();
    origins
}

fn all(origin: &str) -> Vec<(String, String)> {
    ["files", "tools", "units"].map(|name| (name.to_owned(), origin.to_owned())).into()
}

const INSTALL: [&str; 5] = ["install", "master", "-d", "--require-digests", "--json"];

#[test]
fn packages_of_a_classic_fetch_are_fetched_again_for_a_stamp() {
    if !support::is_root() {
        return;
    }
    let (server, image) = (Server::of(Build::tiny()), Image::new());
    let events = tempfile::tempdir().unwrap();
    let events = events.path().join("events");
    let told = ["--events", events.to_str().unwrap()];
    let sound = server.tamper("files", CHANGED);
    let fetched =
        image.run(&[&["fetch", "--bootstrap-url", &server.url(), "--json"], &told[..]].concat());
    fetched.ends(0, &[]);
    assert_eq!(document(&fetched)["trust"], "unverified");
    assert!(is_evil(&image, &server));
    assert_eq!(origins(&events), all("fetched"));
    // Another classic run uses them, and says of what kind they are.
    let again = image.run(&[&["fetch", "--bootstrap-url", &server.url()], &told[..]].concat());
    again.ends(0, &[&["files--", "kept, unverified"]]);
    assert_eq!(origins(&events), all("kept-unverified"));

    fs::write(server.packed.archive("files"), sound).unwrap();
    let stamped = server.publish(&[]);
    let fetched =
        image.run_with(&stamped, &[&["fetch", "--require-digests", "--json"], &told[..]].concat());
    fetched.ends(0, &[&["files--", "not from an archive that the build index names"]]);
    assert_eq!(
        (&document(&fetched)["trust"], &document(&fetched)["index_sha256"]),
        (&json!("verified"), &json!(server.index_sha256()))
    );
    assert!(!is_evil(&image, &server));
    let came = origins(&events);
    assert!(came.contains(&("files".into(), "fetched".into())), "{came:?}");
    // What came of true archives without an index is of the same archives.
    assert!(came.contains(&("units".into(), "kept-verified".into())), "{came:?}");

    let installed = image.run_with(&stamped, &[&INSTALL[..], &told[..]].concat());
    installed.ends(0, &[]);
    assert_eq!(origins(&events), all("kept-verified"));
    let outcome = document(&installed);
    assert_eq!(
        (&outcome["trust"], &outcome["origins"]["kept_verified"]),
        (&json!("verified"), &json!(3))
    );
    let receipt = receipt(&image);
    assert_eq!(receipt["trust"]["index_sha256"], server.index_sha256());
    let packages = receipt["trust"]["packages"].as_object().unwrap();
    let index: Value =
        serde_json::from_slice(&fs::read(server.path("dcos-build.json")).unwrap()).unwrap();
    let id = server.packed.id("files");
    assert_eq!(
        packages[id]["archive_sha256"],
        index["artifacts"][format!("packages/files/{id}.tar.xz")]["sha256"]
    );
    let status = document(&image.run(&["status", "--json"]));
    assert_eq!(
        (&status["trust"], &status["index_sha256"]),
        (&json!("verified"), &json!(server.index_sha256()))
    );
    image.run(&["verify"]).ends(0, &[&["trust: verified", &server.index_sha256()]]);
}

#[test]
fn package_with_something_added_is_fetched_again() {
    if !support::is_root() {
        return;
    }
    let (server, image) = (Server::of(Build::tiny()), Image::new());
    let stamped = server.publish(&[]);
    image.run_with(&stamped, &["fetch"]).ends(0, &[]);
    let package = image.at(STORE).join(server.packed.id("units"));
    fs::write(package.join("dcos.target.wants/dcos-evil.service"), "[Service]\n").unwrap();
    fs::create_dir_all(package.join("dcos.target.wants/__pycache__")).unwrap();
    fs::write(package.join("dcos.target.wants/__pycache__/x.pyc"), "").unwrap();
    let installed = image.run_with(&stamped, &INSTALL);
    installed.ends(0, &[&["units--", "dcos-evil.service in it was added since"]]);
    assert!(!image.has("etc/systemd/system/dcos.target.wants/dcos-evil.service"));
    assert_eq!(
        document(&installed)["origins"],
        json!({
            "fetched": 1, "kept_verified": 2, "kept_unverified": 0
        })
    );
}

#[test]
fn packages_of_either_form_of_an_archive_are_verified() {
    if !support::is_root() {
        return;
    }
    let (server, image) = (Server::of(Build::tiny()), Image::new());
    image.run(&["fetch", "--bootstrap-url", &server.url()]).ends(0, &[]);
    let stamped = server.publish(&["--recompress", "zstd"]);
    let installed = image.run_with(&stamped, &INSTALL);
    installed.ends(0, &[]);
    assert_eq!(document(&installed)["origins"]["kept_verified"], 3);

    let other = Image::new();
    let installed = other.run_with(&stamped, &INSTALL);
    installed.ends(0, &[]);
    let manifest =
        other.at("var/lib/dcos-node/manifests").join(format!("{}.json", server.packed.id("files")));
    let manifest: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    let index: Value =
        serde_json::from_slice(&fs::read(server.path("dcos-build.json")).unwrap()).unwrap();
    let id = server.packed.id("files");
    let artifact = &index["artifacts"][format!("packages/files/{id}.tar.xz")];
    assert_eq!(manifest["archive_sha256"], artifact["alternative"]["sha256"]);
    assert_eq!(document(&installed)["trust"], "verified");
}

/// An ip-detect that is heard of when it runs.
fn calling(listener: &TcpListener) -> String {
    let port = listener.local_addr().unwrap().port();
    format!("#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/{port}\necho 192.0.2.7\n")
}

#[test]
fn where_digests_are_demanded_no_script_of_a_classic_build_runs() {
    if !support::is_root() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let build = Build::tiny().with_file("dcos-config", "bin/detect_ip", 0o755, calling(&listener));
    let build = build.with_file("dcos-config", "pkginfo.json", 0o644, "{}");
    // Scripts run where there is a systemd.
    let image = Image::new().with("DCOS_NODE_FAULT_SYSTEMD", "1");
    fs::create_dir(image.at("run")).unwrap();
    let server = Server::of(build);
    let before = image.tree();
    let url = server.url();
    let from = ["--bootstrap-url", url.as_str()];
    let demands: [&[&str]; 5] = [
        &["install", "master", "--require-digests"],
        &["install", "master", "--require-digests", "-d"],
        &["install", "master", "--require-digests", "--dry-run"],
        &["install", "master", "--require-digests", "-p"],
        &["preflight", "master", "--require-digests"],
    ];
    for command in demands {
        image.run(&[command, &from[..]].concat()).ends(6, &[&["has no digests"]]);
        assert!(listener.accept().is_err(), "{command:?} ran a script of the build");
    }
    image.equals(&before);
    // The script is one that is heard of.
    image.run(&[&["preflight", "master"], &from[..]].concat());
    assert!(listener.accept().is_ok());
}

#[test]
fn finished_classic_install_is_unverified_until_compared() {
    if !support::is_root() {
        return;
    }
    let (server, image) = (Server::of(Build::tiny()), Image::new());
    image
        .run(&["install", "master", "-d", "--json", "--bootstrap-url", &server.url()])
        .ends(0, &[]);
    let stamped = server.publish(&[]);
    let install = |more: &[&str]| {
        image.run_with(&stamped, &[&["install", "master", "-d", "--json"], more].concat())
    };
    let installed = image.tree();
    let same = install(&[]);
    same.ends(0, &[&["warning:", "trust: unverified", "dcos-node verify --online"]]);
    assert_eq!(
        (&document(&same)["changed"], &document(&same)["trust"]),
        (&json!(false), &json!("unverified"))
    );
    assert_eq!(same.err.matches("warning:").count(), 1, "{}", same.err);
    install(&["--require-digests"]).ends(6, &[&["trust: unverified"], &["verify --online"]]);
    image.run_with(&stamped, &["fetch", "--require-digests"]).ends(6, &[&["trust: unverified"]]);
    let status = document(&image.run(&["status", "--json"]));
    assert_eq!((&status["trust"], &status["index_sha256"]), (&json!("unverified"), &Value::Null));

    // Another build is published meanwhile: the node is judged by the index of what it runs.
    Build::tiny().with_file("files", "etc/more", 0o644, "more").pack(server.directory.path());
    server.publish(&[]);
    let verified = image.run(&["verify", "--online", "--json"]);
    verified.ends(0, &[]);
    assert_eq!(document(&verified)["trust"], "verified");
    image.equals(&installed);
    let status = document(&image.run(&["status", "--json"]));
    assert_eq!(status["trust"], "verified");
    assert_ne!(status["index_sha256"], server.index_sha256());
    image.run(&["verify"]).ends(0, &[&["trust: verified"]]);
}

#[test]
fn difference_from_the_published_archives_is_never_verified() {
    if !support::is_root() {
        return;
    }
    let (server, image) = (Server::of(Build::tiny()), Image::new());
    let sound = server.tamper("files", CHANGED);
    image.run(&["install", "master", "-d", "--bootstrap-url", &server.url()]).ends(0, &[]);
    // As installed, but nobody knows of what.
    image.run(&["verify"]).ends(0, &[&["as installed"], &["trust: unverified"]]);
    let online = image.run(&["verify", "--online"]);
    online.ends(4, &[&["build index", "no published index of the packages"]]);
    fs::write(server.packed.archive("files"), sound).unwrap();
    let stamped = server.publish(&[]);
    let online = image.run_with(&stamped, &["verify", "--online"]);
    online.ends(6, &[&["S.5", CHANGED], &["trust: unverified"]]);
    image
        .run_with(&stamped, &["install", "master", "-d", "--require-digests"])
        .ends(6, &[&["trust: unverified"]]);
    assert_eq!(document(&image.run(&["status", "--json"]))["trust"], "unverified");
    // A node file that is another than the published one is a difference, too.
    let (server, image) = (Server::of(Build::tiny()), Image::new());
    image.run(&["install", "master", "-d", "--bootstrap-url", &server.url()]).ends(0, &[]);
    let stamped = server.publish(&[]);
    let flag = image.at("etc/mesosphere/setup-flags/repository-url");
    fs::write(&flag, "http://elsewhere.example\n").unwrap();
    image
        .run_with(&stamped, &["verify", "--online"])
        .ends(6, &[&["setup-flags/repository-url"], &["trust: unverified"]]);
}

#[test]
fn receipt_of_an_older_version_proves_no_trust() {
    if !support::is_root() {
        return;
    }
    let (server, image) = (Server::of(Build::tiny()), Image::new());
    let stamped = server.publish(&[]);
    image.run_with(&stamped, &["install", "master", "-d"]).ends(0, &[]);
    let path = image.at("var/lib/dcos-node/receipt.json");
    let mut old = receipt(&image);
    old.as_object_mut().unwrap().remove("trust");
    fs::write(&path, serde_json::to_vec(&old).unwrap()).unwrap();
    let status = document(&image.run(&["status", "--json"]));
    assert_eq!((&status["trust"], &status["index_sha256"]), (&json!("unverified"), &Value::Null));
    image.run_with(&stamped, &INSTALL).ends(6, &[&["trust: unverified"]]);
    image.run_with(&stamped, &["verify", "--online"]).ends(0, &[&["trust: verified"]]);
    image.run_with(&stamped, &INSTALL).ends(0, &[]);
}

#[test]
fn install_resumed_under_another_index_begins_anew() {
    if !support::is_root() {
        return;
    }
    let node_file = |text: &str| Build::tiny().with_node_file("/etc/mesosphere/extra", 0o644, text);
    // Of the attacker: another package, and a node file of another content.
    let evil = Server::of(node_file("evil\n"));
    evil.tamper("files", CHANGED);
    let good = Server::of(node_file("good\n"));
    assert_eq!(evil.packed.id("files"), good.packed.id("files"));
    for is_published in [false, true] {
        let image = Image::new();
        let before = image.tree();
        // An index of the attacker's, or none.
        if is_published {
            evil.publish(&[]);
        }
        let commit =
            image.at("etc/systemd/system/multi-user.target.wants/.dcos.target.dcos-node.tmp");
        let image = image.with("DCOS_NODE_FAULT", format!("kill Link 1 {}", commit.display()));
        let killed = image.run(&["install", "master", "-d", "--bootstrap-url", &evil.url()]);
        assert_eq!(killed.code(), None);
        let image = image.without("DCOS_NODE_FAULT");
        assert!(fs::read(image.at("etc/mesosphere/extra")).unwrap().starts_with(b"evil"));
        let stamped = good.publish(&[]);
        let resumed = image.run_with(&stamped, &INSTALL);
        resumed.ends(0, &[&["begun with another build index or without one", "undone"]]);
        let outcome = document(&resumed);
        assert_eq!(
            (&outcome["trust"], &outcome["index_sha256"], &outcome["origins"]["fetched"]),
            (&json!("verified"), &json!(good.index_sha256()), &json!(3))
        );
        assert!(!is_evil(&image, &good));
        assert!(fs::read(image.at("etc/mesosphere/extra")).unwrap().starts_with(b"good"));
        image.run(&["verify"]).ends(0, &[&["trust: verified"]]);
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[]);
        image.equals(&before);
    }
}

#[test]
fn install_needs_no_server_once_all_is_fetched() {
    if !support::is_root() {
        return;
    }
    let (server, image) = (Server::of(Build::tiny()), Image::new());
    let stamped = server.plain.with_file_name("stamped");
    fs::copy(server.publish(&[]), &stamped).unwrap();
    image.run_with(&stamped, &["fetch"]).ends(0, &[]);
    let away = server.directory.path().with_extension("away");
    fs::rename(server.directory.path(), &away).unwrap();
    let check = image.run_with(&stamped, &["preflight", "master"]);
    check.ends(0, &[&["bootstrap.build", "with 3 packages"], &["this node and verified"]]);
    let image_of = |damage: &str| {
        let image = image.copy();
        fs::write(image.at(damage), "x").unwrap();
        image
    };
    let installed = image.run_with(&stamped, &["install", "master", "--require-digests", "--json"]);
    installed.ends(0, &[]);
    assert_eq!(document(&installed)["origins"]["kept_verified"], 3);
    assert_eq!(document(&installed)["trust"], "verified");
    let again = image.run_with(&stamped, &["install", "master", "--json"]);
    assert_eq!((again.code(), &document(&again)["changed"]), (Some(0), &json!(false)));

    // What is damaged, or of another index, is asked for.
    image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[]);
    fs::rename(&away, server.directory.path()).unwrap();
    image.run_with(&stamped, &["fetch"]).ends(0, &[]);
    fs::rename(server.directory.path(), &away).unwrap();
    let package = format!("{STORE}/{}/{CHANGED}", server.packed.id("files"));
    let damaged = image_of(&package);
    damaged
        .run_with(&stamped, &["install", "master", "--require-digests"])
        .ends(1, &[&["is not what was unpacked"], &["cannot fetch"]]);
    assert!(!damaged.has("opt/mesosphere/active"));
    let index = format!("var/lib/dcos-node/index/{}.json", {
        let text = fs::read(away.join("dcos-build.json")).unwrap();
        dcos_node::system::digest::hex(&dcos_node::system::digest::sha256(&text))
    });
    image_of(&index)
        .run_with(&stamped, &["install", "master", "--require-digests"])
        .ends(6, &[&["no index"]]);
    image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[]);
    assert!(!image.has("var/lib/dcos-node"));
    fs::rename(&away, server.directory.path()).unwrap();
}

#[test]
fn stamp_of_an_earlier_build_names_where_the_new_program_is() {
    if !support::is_root() {
        return;
    }
    let message = |server: &Server| {
        format!(
            "this dcos-node was published for an earlier build; get the new one: curl -O \
             {}/dcos-node",
            server.url()
        )
    };
    let changed = || Build::tiny().with_file("files", "etc/more", 0o644, "more");
    // The old index is still served, and only files are gone.
    let server = Server::of(Build::tiny());
    let old = server.packed.archive("files");
    let stamped = server.publish(&[]);
    changed().pack(server.directory.path());
    fs::remove_file(&old).unwrap();
    let image = Image::new();
    let before = image.tree();
    for command in [&["install", "master", "-d"][..], &["install", "master"], &["fetch"]] {
        image.run_with(&stamped, command).ends(6, &[&[&message(&server)]]);
    }
    // Published again, and the old index stays under its own name.
    let earlier = server.path("earlier");
    fs::rename(&stamped, &earlier).unwrap();
    server.publish(&[]);
    image.run_with(&earlier, &["install", "master", "-d"]).ends(6, &[&[&message(&server)]]);
    // And without the old index.
    fs::remove_dir_all(server.path("dcos-build")).unwrap();
    image.run_with(&earlier, &["install", "master", "-d"]).ends(6, &[&[&message(&server)]]);
    image.equals(&before);
    image.run_with(&server.path("dcos-node"), &["install", "master", "-d"]).ends(0, &[]);

    // A file that is gone without a newer build is an incomplete copy.
    let server = Server::of(Build::tiny());
    let stamped = server.publish(&[]);
    fs::remove_file(server.packed.archive("files")).unwrap();
    let incomplete = Image::new().run_with(&stamped, &["install", "master"]);
    incomplete.ends(3, &[&["bootstrap.artifacts"]]);
}
