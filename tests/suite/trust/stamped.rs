//! Installs by a stamped program: another index, no server, an earlier build.

use std::fs;

use serde_json::json;
use support::build::Build;
use support::image::Image;

use super::{CHANGED, INSTALL, STORE, Server, document, is_evil};

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
    let damaged = image_of(&index);
    let install = ["install", "master", "--require-digests"];
    damaged
        .run_with(&stamped, &install)
        .ends(3, &[&["found:", "cannot read dcos-build.json", "cannot read the directory"]]);
    fs::create_dir(server.directory.path()).unwrap();
    damaged.run_with(&stamped, &install).ends(6, &[&["no index"]]);
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
