//! Trust that is recorded after an install, or is not.

use std::fs;

use serde_json::{Value, json};
use support::build::Build;
use support::image::Image;

use super::{CHANGED, INSTALL, Server, document, receipt};

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
