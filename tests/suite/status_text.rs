//! What `status` says in every state that a node can be in, word for word: `fixtures/status/`.
//!
//! `make bless` writes the texts again.
#[allow(dead_code, reason = "two states of the classic installer are enough here")]
mod running;

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dcos_node::command::status;
use dcos_node::output;
use dcos_node::output::paint::Paint;
use dcos_node::system::systemd::{Behaviour, Fake, Systemd};
use serde_json::{Value, json};
use support::build::Build;
use support::image::{Image, Serve};
use support::recorded::is_recorded;

/// Nobody, on every system.
const NOBODY: u32 = 65534;

/// What is another at every run or on every machine, in words.
fn steady(text: &str, serve: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace(serve, "BUILD");
        let words = line.split_inclusive([' ', ',', '/', '_', '(']).map(|word| {
            let bare = word
                .trim_end_matches([' ', ',', '/', '_', ';', ')'])
                .rsplit("--")
                .next()
                .unwrap_or_default();
            let is_id =
                [40, 64].contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
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

/// The same; of the level only how far it is, and no skipped check: both are judged by what the
/// machine of the tests has.
fn of_any_machine(text: &str, serve: &str) -> String {
    let lines = steady(text, serve);
    let lines = lines
        .lines()
        .filter(|line| !line.starts_with("skipped:"))
        .map(|line| line.split(" yet: ").next().unwrap_or_default());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Compares with the text that is recorded.
#[track_caller]
fn says(state: &str, text: &str) {
    is_recorded(format!("fixtures/status/{state}.txt"), text);
}

#[track_caller]
fn of_image(state: &str, image: &Image, serve: &Serve) {
    says(state, &of_any_machine(&image.run(&["status"]).out, serve.url()));
}

/// A fresh image in which the fixture build can be installed.
fn image() -> Image {
    let image = Image::new();
    fs::write(image.at("etc/group"), "root:x:0:\nsystemd-journal:x:101:\ndocker:x:102:\n")
        .expect("write");
    image
}

#[test]
fn status_text_of_every_own_state_is_as_recorded() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (image(), Serve::of(&Build::fixture()));
    of_image("not-installed", &image, &serve);
    image.run(&["fetch", "--bootstrap-url", serve.url()]).ends(0, &[]);
    of_image("fetched", &image, &serve);
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    of_image("installed", &image, &serve);
    assert!(!image.run(&["status"]).err.contains("help:"));

    let config = image
        .at("opt/mesosphere/packages")
        .join(serve.packed.id("dcos-config"))
        .join("etc/dns_config");
    fs::write(&config, "RESOLVERS=192.0.2.1\n").expect("write");
    std::os::unix::fs::symlink(
        "/x",
        image.at("etc/systemd/system/dcos.target.wants/foreign.service"),
    )
    .expect("link");
    of_image("drifted", &image, &serve);
    fs::remove_file(image.at("etc/systemd/system/dcos.target.wants/foreign.service"))
        .expect("remove");

    let (receipt, journal) =
        (image.at("var/lib/dcos-node/receipt.json"), image.at("var/lib/dcos-node/journal"));
    let text = fs::read_to_string(&receipt).expect("the receipt");
    let told: Value = serde_json::from_str(&text).expect("JSON");
    let old = fs::read_to_string(&journal).expect("the journal");
    let opened = json!({ "record": "opened", "schema": 1, "dcos_node": "0.1.0" });
    let begun = json!({ "record": "begin", "key": "all", "objects": told["objects"] });
    let asked = |intent: Value| {
        format!(
            "{opened}\n{}\n{begun}\n",
            json!({ "record": "asked", "at": "2026-11-22T00:00:00Z", "intent": intent })
        )
    };
    fs::write(
        &journal,
        asked(json!({ "command": "uninstall", "purge_data": false, "keep_packages": false })),
    )
    .expect("write");
    of_image("uninstall-interrupted", &image, &serve);
    let install = json!({
        "command": "install", "role": "master", "build": told["build"],
        "version": told["version"], "start": true,
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
fn status_text_of_an_unprivileged_image_is_as_recorded() {
    if !support::is_root() {
        return;
    }
    let (directory, serve) = (tempfile::tempdir().expect("a directory"), Serve::of(&Build::tiny()));
    chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("give it away");
    fs::set_permissions(serve.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("open it");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
        command
            .args(arguments)
            .arg("--root")
            .arg(directory.path())
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .expect("run dcos-node")
    };
    assert!(run(&["install", "master", "--bootstrap-url", serve.url()]).status.success());
    says(
        "prepared",
        &of_any_machine(&String::from_utf8_lossy(&run(&["status"]).stdout), serve.url()),
    );
}

#[test]
fn status_text_of_classic_nodes_is_as_recorded() {
    let status = |image: &support::classic::Image| {
        let output = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
            .args(["status", "--root"])
            .arg(image.root())
            .output()
            .expect("run dcos-node");
        of_any_machine(&String::from_utf8_lossy(&output.stdout), "/nowhere")
    };
    let image = support::classic::Image::golden("master", "master");
    says("classic", &status(&image));
    if support::is_root() {
        let adopt = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
            .args(["adopt", "--root"])
            .arg(image.root())
            .status();
        assert!(adopt.expect("run dcos-node").success());
        says("adopted", &status(&image));
    }
    let image = support::classic::Image::golden("master", "master");
    image.with_new_names();
    image.write("/opt/mesosphere/install_progress", r#"{"stage": "archive", "extension": ".new"}"#);
    image.set_aside(&["bin", "lib"]);
    says("classic-half-swapped", &status(&image));
    says(
        "classic-half",
        &status(&support::classic::Image::node_files_only("master").with_bootstrap()),
    );
}

/// What pkgpanda did behind us, or did not come to the end of.
#[test]
fn status_text_after_pkgpanda_is_as_recorded() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (image(), Serve::of(&Build::fixture()));
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    let (java, link) = (
        image.at("opt/mesosphere/packages").join(serve.packed.id("java")),
        image.at("opt/mesosphere/active/java"),
    );
    fs::rename(java, image.at("opt/mesosphere/packages/java--other")).expect("rename");
    let was = fs::read_link(&link).expect("a link");
    let activate = |target: &Path| {
        fs::remove_file(&link)
            .and_then(|()| std::os::unix::fs::symlink(target, &link))
            .expect("link")
    };
    activate("/opt/mesosphere/packages/java--other".as_ref());
    let status = steady(&image.run(&["status"]).out, serve.url());
    says(
        "activated-since",
        &status
            .lines()
            .filter(|line| !line.starts_with("drift:"))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    activate(&was);
    fs::rename(
        image.at("opt/mesosphere/packages/java--other"),
        image.at("opt/mesosphere/packages").join(serve.packed.id("java")),
    )
    .expect("rename");

    fs::write(
        image.at("opt/mesosphere/install_progress"),
        r#"{"stage": "archive", "extension": ".new"}"#,
    )
    .expect("write");
    of_image("half-swapped", &image, &serve);
    fs::remove_dir_all(image.at("opt/mesosphere/lib")).expect("remove");
    of_image("half-swapped-for-ever", &image, &serve);
}

/// Another build on the server, the same, and none.
#[test]
fn status_text_of_the_server_build_is_as_recorded() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (image(), Serve::of(&Build::fixture()));
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    // Nobody waits for more than five seconds for a server; a machine that stalls for so long is
    // asked again.
    let told = || image.run(&["status", "--online"]).out;
    let told = || {
        (0..20).map(|_| told()).find(|told| !told.contains("no answer within")).expect("an answer")
    };
    let online = |state: &str| says(state, &of_any_machine(&told(), serve.url()));
    online("online-same");
    Build::fixture().with_config("dns_search", "other.example").pack(serve.path());
    online("online-other-configuration");
    Build::fixture().with_file("java", "share/notes", 0o644, "another release").pack(serve.path());
    online("online-other-release");
    fs::remove_dir_all(serve.path()).expect("remove");
    online("online-silent");
}

#[test]
fn status_text_of_unreadable_records_is_as_recorded() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (image(), Serve::of(&Build::fixture()));
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    fs::set_permissions(image.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("open it");
    let nobody = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
        .args(["status", "--root"])
        .arg(image.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output();
    says(
        "unprivileged",
        &of_any_machine(
            &String::from_utf8_lossy(&nobody.expect("run dcos-node").stdout),
            serve.url(),
        ),
    );
    fs::write(image.at("var/lib/dcos-node/journal"), "garbage\n").expect("write");
    of_image("journal-damaged", &image, &serve);
    assert!(image.run(&["status"]).err.contains("  help:   dcos-node bundle"));
    fs::write(image.at("var/lib/dcos-node/receipt.json"), "{}\n").expect("write");
    of_image("both-records-damaged", &image, &serve);
}

#[test]
fn status_text_of_a_published_build_has_its_digest() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (image(), Serve::of(&Build::tiny()));
    let publish = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
        .args(["publish", "--bootstrap-url", "http://bootstrap.example"])
        .arg(serve.path())
        .output();
    assert!(publish.expect("run dcos-node").status.success());
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    of_image("installed-published", &image, &serve);
}

#[tokio::test]
async fn status_text_of_a_failed_unit_is_as_recorded() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (image(), Serve::of(&Build::tiny()));
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    let fake = Fake::new(image.path());
    fake.behave("dcos-tiny.service", Behaviour::Fails);
    fake.reload().await.expect("reload");
    fake.start("dcos.target").await.expect("start");
    let world = image.world(Some(Ok(Arc::new(fake))));
    let outcome = status::run(status::Request::default(), &world).await.expect("status");
    assert!(outcome.is_for_support());
    says(
        "degraded",
        &of_any_machine(&output::status::text(&outcome, Paint::stdout(true)), serve.url()),
    );
}
