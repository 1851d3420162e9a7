//! Published builds on real nodes: three words, no argument, and everything verified.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use dcos_node::dcos::index::Index;
use support::build::Build;
use support::node::{self, Node, Outcome, Server};
use support::step;
use tempfile::TempDir;

/// A program that publishes: a small copy, for a debug build has a hundred megabytes of symbols.
pub(crate) fn program(directory: &TempDir) -> PathBuf {
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
pub(crate) fn publish(program: &Path, directory: &Path, more: &[&str]) -> serde_json::Value {
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
    step("nginx", || {
        let installed = node.shell(&words(&told, "master"));
        assert_eq!(installed.succeeds().json()["changed"], true);
        installed.stderr_lacks("no digests");
    });
    step("requests", || only_recompressed_archives_were_fetched(&server));
    step("installed program", || stamped_program_is_installed(&node));
    node.run(&["dcos-node", "uninstall"]).succeeds();
    step("serve", || {
        let told =
            publish(&program, directory.path(), &["--bootstrap-url", "http://127.0.0.1:8081"]);
        node.copy_in(directory.path(), "/srv/serve");
        let serve = ["/srv/serve/dcos-node", "serve", "/srv/serve", "--listen", "127.0.0.1:8081"];
        let serving = node.start(&serve);
        node.until("curl -sf -o /dev/null http://127.0.0.1:8081/bootstrap.latest");
        let installed = node.shell(&words(&told, "slave"));
        assert_eq!(installed.succeeds().json()["role"], "slave");
        drop(serving);
    });
}

fn only_recompressed_archives_were_fetched(server: &Server) {
    let requests = server.requests();
    assert!(
        requests.iter().any(|request| request.contains(".tar.zst")),
        "the alternative was not fetched"
    );
    assert!(
        !requests.iter().any(|it| it.starts_with("GET") && it.contains(".tar.xz")),
        "{requests:?}"
    );
}

fn stamped_program_is_installed(node: &Node) {
    node.shell("cd /downloads && ./dcos-node status").exits_with(126);
    node.run(&["systemctl", "is-active", "dcos.target"]).succeeds();
    // The binary that recovers is the stamped one.
    node.run(&["cmp", "/opt/dcos-node/bin/dcos-node", "/usr/local/bin/dcos-node"]).succeeds();
    let again = [&["dcos-node", "install", "master", "--json"][..], node::LACKS].concat();
    assert_eq!(node.run(&again).succeeds().json()["changed"], false);
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
    let (bytes, members) = size_of_the_build(directory.path());
    let node = Node::boot("room").knowing(&server);
    node.copy_in(&directory.path().join("dcos-node"), "/usr/local/bin/dcos-node");
    for (options, found) in [
        (format!("size={}", (bytes - 4096) / 4096 * 4096), "needs"),
        (format!("nr_inodes={}", members - 1), "inodes"),
    ] {
        step(&options, || {
            mount_packages(&node, &options);
            too_small_disk_is_refused(&node, found);
            skipped_space_check_fails_without_changes(&node);
            umount_packages(&node);
        });
    }
    // A classic build does not state what it needs: it is checked while it is unpacked, inodes too.
    make_classic(directory.path());
    node.install_binary();
    step("classic build", || {
        mount_packages(&node, &format!("nr_inodes={}", members / 2));
        full_disk_leaves_the_node_unchanged(&node, &["--bootstrap-url", server.url()]);
        umount_packages(&node);
    });
}

/// Bytes on a disk and members of a published build.
fn size_of_the_build(directory: &Path) -> (u64, u64) {
    let index = std::fs::read(directory.join("dcos-build.json")).expect("an index");
    let index = Index::parse(&index).expect("an index");
    let contents = index.artifacts.values().filter_map(|artifact| artifact.content);
    contents.fold((0, 0), |(b, m), content| (b + content.disk_bytes, m + content.members))
}

pub(crate) fn make_classic(directory: &Path) {
    for name in ["dcos-build.json", "dcos-build"] {
        let path = directory.join(name);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
            .expect("make it classic");
    }
}

fn mount_packages(node: &Node, options: &str) {
    node.shell(&format!(
        "mkdir -p /opt/mesosphere && mount -t tmpfs -o {options} tmpfs /opt/mesosphere"
    ))
    .succeeds();
}

fn umount_packages(node: &Node) {
    node.run(&["dcos-node", "uninstall"]).succeeds();
    node.shell("umount /opt/mesosphere; rmdir /opt/mesosphere; test ! -e /var/lib/dcos-node")
        .succeeds();
}

fn install(node: &Node, more: &[&str]) -> Outcome {
    node.run(&[&["dcos-node", "install", "master"][..], node::LACKS, more].concat())
}

fn too_small_disk_is_refused(node: &Node, found: &str) {
    install(node, &[]).exits_with(3).stderr_has("storage.room").stderr_has(found);
    node.run(&["dcos-node", "fetch"])
        .exits_with(3)
        .stderr_has("/opt/mesosphere (tmpfs)")
        .stderr_has(found);
}

/// The operator takes the responsibility; then the disk refuses, and all is as it was.
fn skipped_space_check_fails_without_changes(node: &Node) {
    full_disk_leaves_the_node_unchanged(node, &["--skip", "storage.room=I dare"]);
    assert!(!node.has("/etc/mesosphere"));
    // The packages wait for the next try on the other file system, and nothing else is there.
    let there = node.run(&["ls", "/opt/dcos-node"]);
    assert_eq!(there.succeeds().stdout(), "packages\n");
}

fn full_disk_leaves_the_node_unchanged(node: &Node, more: &[&str]) {
    install(node, more)
        .exits_with(1)
        .stderr_has("No space left")
        .stderr_has("the node is as it was");
}
