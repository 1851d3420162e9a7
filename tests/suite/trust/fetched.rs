//! Packages of a node are used only if the build index names their archives.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};
use support::build::Build;
use support::image::Image;

use super::{CHANGED, INSTALL, STORE, Server, all, document, is_evil, origins, receipt};

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
