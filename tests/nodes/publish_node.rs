//! Published builds on real nodes: three words, no argument, and everything verified.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use dcos_node::dcos::index::Index;
use support::build::Build;
use support::node::{self, Node, Server};
use tempfile::TempDir;

/// A program that publishes: a small copy, for a debug build has a hundred megabytes of symbols.
fn program(directory: &TempDir) -> PathBuf {
    let program = directory.path().join("program");
    assert!(
        Command::new("strip")
            .arg("-o")
            .arg(&program)
            .arg(node::binary())
            .status()
            .expect("strip")
            .success()
    );
    program
}

#[track_caller]
fn publish(program: &Path, directory: &Path, more: &[&str]) -> serde_json::Value {
    let output = Command::new(program)
        .args(["publish", "--json"])
        .arg(directory)
        .args(more)
        .output()
        .expect("publish");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a document")
}

/// The words that publish prints, for a role, with what a test node lacks skipped; the download
/// directory lets nothing be run.
fn words(told: &serde_json::Value, role: &str) -> String {
    let skips: Vec<String> =
        node::LACKS.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    let words = told["install"].as_str().expect("words").replace("sudo ", "").replace("ROLE", role);
    format!(
        "mkdir -p /downloads && mount -t tmpfs -o noexec tmpfs /downloads && cd /downloads && \
         {words} --require-digests --json {}",
        skips.join(" ")
    )
}

#[test]
fn node_installs_from_nginx_and_from_serve_in_three_words() {
    if !node::available() {
        return;
    }
    let (directory, elsewhere) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    Build::fixture().pack(directory.path());
    let program = program(&elsewhere);
    let server = Server::serving(directory.path());
    // The URL is the one that the build was made for.
    let told = publish(&program, directory.path(), &["--recompress", "zstd"]);
    assert_eq!(told["bootstrap_url"], server.url());

    let node = Node::boot("published").knowing(&server);
    let installed = node.shell(&words(&told, "master"));
    assert_eq!(installed.succeeds().json()["changed"], true);
    installed.stderr_lacks("no digests");
    assert!(
        server.requests().iter().any(|request| request.contains(".tar.zst")),
        "the alternative was not fetched"
    );
    assert!(
        !server
            .requests()
            .iter()
            .any(|request| request.starts_with("GET") && request.contains(".tar.xz")),
        "{:?}",
        server.requests()
    );
    node.shell("cd /downloads && ./dcos-node status").exits_with(126);
    node.run(&["systemctl", "is-active", "dcos.target"]).succeeds();
    // The binary that recovers is the stamped one.
    node.run(&["cmp", "/opt/dcos-node/bin/dcos-node", "/usr/local/bin/dcos-node"]).succeeds();
    assert_eq!(
        node.run(&[&["dcos-node", "install", "master", "--json"][..], node::LACKS].concat())
            .succeeds()
            .json()["changed"],
        false
    );
    node.run(&["dcos-node", "uninstall"]).succeeds();

    let told = publish(&program, directory.path(), &["--bootstrap-url", "http://127.0.0.1:8081"]);
    node.copy_in(directory.path(), "/srv/serve");
    let serving =
        node.start(&["/srv/serve/dcos-node", "serve", "/srv/serve", "--listen", "127.0.0.1:8081"]);
    node.until("curl -sf -o /dev/null http://127.0.0.1:8081/bootstrap.latest");
    let installed = node.shell(&words(&told, "slave"));
    assert_eq!(installed.succeeds().json()["role"], "slave");
    drop(serving);
}

#[test]
fn install_during_publish_gets_the_old_or_the_new_build() {
    if !node::available() {
        return;
    }
    let (directory, elsewhere) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let program = program(&elsewhere);
    let builds = [Build::tiny(), Build::tiny().with_file("files", "etc/more", 0o644, "more")];
    builds[0].pack(directory.path());
    publish(&program, directory.path(), &[]);
    let server = Server::serving(directory.path());
    let node = Node::boot("meanwhile").knowing(&server);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for build in builds.iter().rev().cycle() {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                build.pack(directory.path());
                publish(&program, directory.path(), &[]);
            }
        });
        let installs = || {
            let ids: Vec<String> = builds
                .iter()
                .map(|build| {
                    build
                        .pack(tempfile::tempdir().expect("a directory").path())
                        .id("files")
                        .to_owned()
                })
                .collect();
            for _ in 0..4 {
                let fetched = "curl -sfO http://bootstrap.dcos.test:8080/dcos-node && install -m \
                               755 dcos-node /usr/local/bin/";
                node.shell(fetched).succeeds();
                node.run(
                    &[&["dcos-node", "install", "master", "--require-digests"][..], node::LACKS]
                        .concat(),
                )
                .succeeds();
                assert_eq!(
                    ids.iter()
                        .filter(|id| node.has(&format!("/opt/mesosphere/packages/{id}")))
                        .count(),
                    1
                );
                node.run(&["dcos-node", "uninstall"]).succeeds();
            }
        };
        // A failed test must end the other thread too.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(installs));
        done.store(true, Ordering::SeqCst);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn install_without_space_leaves_the_node_unchanged() {
    if !node::available() {
        return;
    }
    let (directory, elsewhere) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    Build::tiny().pack(directory.path());
    let program = program(&elsewhere);
    let server = Server::serving(directory.path());
    publish(&program, directory.path(), &[]);
    let index =
        Index::parse(&std::fs::read(directory.path().join("dcos-build.json")).expect("an index"))
            .expect("an index");
    let (bytes, members) = index
        .artifacts
        .values()
        .filter_map(|a| a.content)
        .fold((0, 0), |(b, m), c| (b + c.disk_bytes, m + c.members));
    let node = Node::boot("room").knowing(&server);
    node.copy_in(&directory.path().join("dcos-node"), "/usr/local/bin/dcos-node");
    let install = |more: &[&str]| {
        node.run(&[&["dcos-node", "install", "master"][..], node::LACKS, more].concat())
    };
    for (options, found) in [
        (format!("size={}", (bytes - 4096) / 4096 * 4096), "needs"),
        (format!("nr_inodes={}", members - 1), "inodes"),
    ] {
        node.shell(&format!(
            "mkdir -p /opt/mesosphere && mount -t tmpfs -o {options} tmpfs /opt/mesosphere"
        ))
        .succeeds();
        install(&[]).exits_with(3).stderr_has("storage.room").stderr_has(found);
        node.run(&["dcos-node", "fetch"])
            .exits_with(3)
            .stderr_has("/opt/mesosphere (tmpfs)")
            .stderr_has(found);
        // The operator takes the responsibility; then the disk refuses, and all is as it was.
        install(&["--skip", "storage.room=I dare"])
            .exits_with(1)
            .stderr_has("No space left")
            .stderr_has("the node is as it was");
        assert!(!node.has("/etc/mesosphere") && !node.has("/opt/dcos-node"));
        node.run(&["dcos-node", "uninstall"]).succeeds();
        node.shell("umount /opt/mesosphere; rmdir /opt/mesosphere; test ! -e /var/lib/dcos-node")
            .succeeds();
    }
    // A classic build does not tell what it needs: it is checked as it goes, inodes too.
    for name in ["dcos-build.json", "dcos-build"] {
        let path = directory.path().join(name);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
            .expect("make it classic");
    }
    node.install_binary();
    node.shell(&format!(
        "mkdir -p /opt/mesosphere && mount -t tmpfs -o nr_inodes={} tmpfs /opt/mesosphere",
        members / 2
    ))
    .succeeds();
    install(&["--bootstrap-url", server.url()])
        .exits_with(1)
        .stderr_has("No space left")
        .stderr_has("the node is as it was");
    node.run(&["dcos-node", "uninstall"]).succeeds();
    node.shell("umount /opt/mesosphere; rmdir /opt/mesosphere; test ! -e /var/lib/dcos-node")
        .succeeds();
}
