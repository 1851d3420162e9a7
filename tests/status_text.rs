//! What `status` says in every state that a node can be in, word for word: `fixtures/status/`.
//!
//! `DCOS_NODE_BLESS=1 cargo test --test status_text` writes the texts anew.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

#[allow(dead_code, reason = "two states of the classic installer are enough here")]
#[path = "support/classic.rs"]
mod classic;
mod support;

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dcos_node::action::site::Stop;
use dcos_node::command::{World, status};
use dcos_node::dcos::event::Events;
use dcos_node::output;
use dcos_node::output::paint::Paint;
use dcos_node::system::clock::KernelClock;
use dcos_node::system::root::Root;
use dcos_node::system::systemd::{Behaviour, Fake, Systemd};
use serde_json::{Value, json};
use support::build::Build;
use support::image::{Image, Serve};

/// Nobody, on every system.
const NOBODY: u32 = 65534;

/// What is another at every run or on every machine, in words; of the level only how far it is, and no skipped check, since those are judged anew.
fn steady(text: &str, serve: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("skipped:")).map(|line| {
        let line = line.replace(serve, "BUILD");
        let line = line.split(" yet: ").next().unwrap_or_default().to_owned();
        let words = line.split_inclusive([' ', ',', '/', '_']).map(|word| {
            let bare = word.trim_end_matches([' ', ',', '/', '_', ';']);
            let is_id = bare.len() == 40 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_moment = bare.len() == 20 && bare.ends_with('Z') && bare.starts_with("20");
            if is_id {
                word.replace(bare, "ID")
            } else if is_moment {
                word.replace(bare, "MOMENT")
            } else {
                word.to_owned()
            }
        });
        words.collect::<String>() + "\n"
    });
    lines.collect()
}

/// Compares with the text that is recorded.
#[track_caller]
fn says(state: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/status").join(format!("{state}.txt"));
    if std::env::var_os("DCOS_NODE_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("make it");
        fs::write(&path, text).expect("write");
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap_or_default(), "{state}");
}

#[track_caller]
fn of_image(state: &str, image: &Image, serve: &Serve) {
    says(state, &steady(&image.run(&["status"]).out, serve.url()));
}

/// A fresh image in which the fixture build can be installed.
fn image() -> Image {
    let image = Image::new();
    fs::write(image.at("etc/group"), "root:x:0:\nsystemd-journal:x:101:\ndocker:x:102:\n").expect("write");
    image
}

#[test]
fn every_state_of_our_own_has_its_words() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (image(), Serve::of(&Build::fixture()));
    of_image("not-installed", &image, &serve);
    image.run(&["fetch", "--bootstrap-url", serve.url()]).ends(0, &[]);
    of_image("fetched", &image, &serve);
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    of_image("installed", &image, &serve);

    let config = image.at("opt/mesosphere/packages").join(serve.packed.id("dcos-config")).join("etc/dns_config");
    fs::write(&config, "RESOLVERS=192.0.2.1\n").expect("write");
    std::os::unix::fs::symlink("/x", image.at("etc/systemd/system/dcos.target.wants/foreign.service")).expect("link");
    of_image("drifted", &image, &serve);
    fs::remove_file(image.at("etc/systemd/system/dcos.target.wants/foreign.service")).expect("remove");

    let (receipt, journal) = (image.at("var/lib/dcos-node/receipt.json"), image.at("var/lib/dcos-node/journal"));
    let text = fs::read_to_string(&receipt).expect("the receipt");
    let told: Value = serde_json::from_str(&text).expect("JSON");
    let old = fs::read_to_string(&journal).expect("the journal");
    let opened = json!({ "record": "opened", "schema": 1, "dcos_node": "0.1.0" });
    let begun = json!({ "record": "begin", "key": "all", "objects": told["objects"] });
    let asked =
        |intent: Value| format!("{opened}\n{}\n{begun}\n", json!({ "record": "asked", "at": "2026-11-22T00:00:00Z", "intent": intent }));
    fs::write(&journal, asked(json!({ "command": "uninstall", "purge_data": false, "keep_packages": false }))).expect("write");
    of_image("uninstall-interrupted", &image, &serve);
    let install = json!({
        "command": "install", "role": "master", "build": told["build"], "version": told["version"], "start": true,
        "restart_journald": false, "restart_docker": false, "skips": [],
    });
    fs::write(&journal, asked(install)).expect("write");
    fs::remove_file(&receipt).expect("remove");
    of_image("install-interrupted", &image, &serve);

    fs::write(&receipt, text).expect("write");
    fs::write(&journal, old).expect("write");
    fs::create_dir_all(image.at("var/lib/dcos")).expect("make a directory");
    fs::write(image.at("var/lib/dcos/cluster-id"), "x\n").expect("write");
    image.run(&["uninstall"]).ends(0, &[]);
    of_image("uninstalled-with-data-kept", &image, &serve);
}

#[test]
fn an_image_that_was_filled_without_privileges_has_its_words() {
    if !support::is_root() {
        return;
    }
    let (directory, serve) = (tempfile::tempdir().expect("a directory"), Serve::of(&Build::tiny()));
    chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("give it away");
    fs::set_permissions(serve.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("open it");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
        command.args(arguments).arg("--root").arg(directory.path()).uid(NOBODY).gid(NOBODY).output().expect("run dcos-node")
    };
    assert!(run(&["install", "master", "--bootstrap-url", serve.url()]).status.success());
    says("prepared", &steady(&String::from_utf8_lossy(&run(&["status"]).stdout), serve.url()));
}

#[test]
fn a_node_of_the_classic_installer_has_its_words_whole_and_half() {
    let status = |image: &classic::Image| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_dcos-node")).args(["status", "--root"]).arg(image.root()).output().expect("run dcos-node");
        steady(&String::from_utf8_lossy(&output.stdout), "/nowhere")
    };
    says("classic", &status(&classic::Image::golden("master", "master")));
    says("classic-half", &status(&classic::Image::node_files_only("master").with_bootstrap()));
}

#[tokio::test]
async fn a_node_whose_unit_failed_has_its_words() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (image(), Serve::of(&Build::tiny()));
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    let fake = Fake::new(image.path());
    fake.behave("dcos-tiny.service", Behaviour::Fails);
    fake.reload().await.expect("reload");
    fake.start("dcos.target").await.expect("start");
    let world = World {
        root: Root::new(image.path()),
        systemd: Some(Ok(Arc::new(fake))),
        patience: Duration::from_secs(1),
        clock: Arc::new(KernelClock),
        events: Events::to(std::sync::mpsc::channel().0),
        stop: Stop::default(),
        command_line: "a test".to_owned(),
        ca_file: None,
        stamp: None,
    };
    let outcome = status::run(status::Request::default(), &world).await.expect("status");
    says("degraded", &steady(&output::status::text(&outcome, Paint::stdout(true)), serve.url()));
}
