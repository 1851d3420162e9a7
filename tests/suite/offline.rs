//! Installs into a directory, without privileges: every rule of an install that needs no systemd.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::build::{BOOTSTRAP_ARCHIVE, Build, Compression, Damage, Packed};
use support::http_server::Server;
use support::tree::Snapshot;
use tempfile::TempDir;

/// Nobody, on every system.
const NOBODY: u32 = 65534;

/// A directory that becomes a node, and belongs to who runs dcos-node.
fn image() -> TempDir {
    let image = tempfile::tempdir().expect("a directory");
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(image.path(), Some(NOBODY), Some(NOBODY)).expect("give it away");
    }
    image
}

/// A packed build that everybody may read.
fn packed(build: &Build) -> (Packed, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))
        .expect("open it");
    (build.pack(directory.path()), directory)
}

fn command(image: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(arguments).arg("--root").arg(image).env_remove("http_proxy").stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn run(image: &Path, arguments: &[&str]) -> Output {
    command(image, arguments).output().expect("run dcos-node")
}

#[track_caller]
fn ends(output: &Output, code: i32, texts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
}

fn url(directory: &TempDir) -> &str {
    directory.path().to_str().expect("UTF-8")
}

fn stands(image: &Path) -> Snapshot {
    Snapshot::of(image)
}

#[test]
fn every_form_of_archive_gives_the_same_tree() {
    let mut first: Option<Snapshot> = None;
    for form in [
        Compression::Xz,
        Compression::XzStreams,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Plain,
    ] {
        let (_, directory) = packed(&Build::tiny().compressed(form));
        let image = image();
        ends(
            &run(image.path(), &["install", "master", "--bootstrap-url", url(&directory)]),
            0,
            &["first boot"],
        );
        let mut now = stands(image.path());
        // They name the archive's digest and the moment.
        now.paths.retain(|path, _| !path.starts_with("/var/lib/dcos-node"));
        match &first {
            None => first = Some(now),
            Some(first) => assert_eq!(now.changes_since(first), Vec::<String>::new(), "{form:?}"),
        }
    }
}

#[test]
fn second_install_changes_nothing_and_uninstall_leaves_none() {
    let (_, directory) = packed(&Build::fixture());
    let image = image();
    ends(&run(image.path(), &["status"]), 11, &["not installed"]);
    ends(
        &run(image.path(), &["install", "slave", "--dry-run", "--bootstrap-url", url(&directory)]),
        0,
        &["none of them done"],
    );
    assert_eq!(
        std::fs::read_dir(image.path()).expect("list").count(),
        0,
        "a dry run wrote something"
    );
    ends(
        &run(image.path(), &["install", "slave", "--json", "--bootstrap-url", url(&directory)]),
        0,
        &["\"changed\": true"],
    );
    let installed = stands(image.path());
    ends(
        &run(image.path(), &["install", "slave", "--json", "--bootstrap-url", url(&directory)]),
        0,
        &["\"changed\": false"],
    );
    assert_eq!(stands(image.path()).changes_since(&installed), Vec::<String>::new());
    ends(&run(image.path(), &["uninstall", "--dry-run"]), 0, &["remove /opt/mesosphere/bin"]);
    ends(&run(image.path(), &["uninstall"]), 0, &["removed"]);
    assert_eq!(std::fs::read_dir(image.path()).expect("list").count(), 0, "something is left");
    ends(&run(image.path(), &["uninstall", "--json"]), 0, &["\"changed\": false"]);
}

#[test]
fn another_role_and_another_build_are_refused_by_name() {
    let (first, directory) = packed(&Build::tiny());
    let image = image();
    ends(&run(image.path(), &["install", "master", "--bootstrap-url", url(&directory)]), 0, &[]);
    let installed = stands(image.path());
    ends(
        &run(image.path(), &["install", "slave", "--bootstrap-url", url(&directory)]),
        5,
        &["is a master", "dcos-node install master keeps this node"],
    );
    let (second, other) = packed(&Build::tiny().with_file("files", "etc/new", 0o644, "new"));
    ends(
        &run(image.path(), &["install", "master", "--bootstrap-url", url(&other)]),
        5,
        &[&first.package_list_id, &second.package_list_id],
    );
    assert_eq!(stands(image.path()).changes_since(&installed), Vec::<String>::new());
}

/// What stands on the node is told by its exit code whatever the server does; what only the build
/// could tell waits for it.
#[test]
fn conflict_on_the_node_is_reported_without_a_server() {
    let ((_, directory), image) = (packed(&Build::tiny()), image());
    let install =
        |root: &Path, role: &str| run(root, &["install", role, "--bootstrap-url", "/nowhere"]);
    ends(&install(image.path(), "master"), 3, &["FAIL bootstrap."]);
    ends(&run(image.path(), &["install", "master", "--bootstrap-url", url(&directory)]), 0, &[]);
    let installed = stands(image.path());
    ends(
        &install(image.path(), "slave"),
        5,
        &["is a master", "dcos-node install master keeps this node"],
    );
    ends(&install(image.path(), "master"), 3, &["FAIL bootstrap."]);
    assert_eq!(stands(image.path()).changes_since(&installed), Vec::<String>::new());

    let strange = self::image();
    std::fs::create_dir_all(strange.path().join("opt/mesosphere")).expect("make a directory");
    std::fs::write(strange.path().join("opt/mesosphere/notes.txt"), "the operator's")
        .expect("write");
    ends(
        &install(strange.path(), "master"),
        5,
        &["/opt/mesosphere/notes.txt", "move that somewhere else"],
    );
    // A swap of pkgpanda may lead to the very build that cannot be read: recover finishes it, and
    // nothing else is advised.
    std::fs::remove_dir_all(image.path().join("var/lib/dcos-node")).expect("remove");
    ends(&install(image.path(), "master"), 5, &["dcos-node adopt names what the node lacks"]);
    std::fs::write(
        image.path().join("opt/mesosphere/install_progress"),
        r#"{"stage": "archive", "extension": ".new"}"#,
    )
    .expect("write");
    ends(&install(image.path(), "master"), 3, &["FAIL bootstrap."]);
}

#[test]
fn incompatible_packages_are_refused_before_activation() {
    let broken = Build::tiny()
        .with_pkginfo("files", r#"{"requires":["nowhere"],"environment":{"PATH":"/tmp"}}"#)
        .with_file(
            "tools",
            "dcos.target.wants/dcos-setup.service",
            0o644,
            "[Service]\nExecStart=/bin/true\n",
        );
    let (packed_, directory) = packed(&broken);
    let image = image();
    let refused = run(image.path(), &["install", "master", "--bootstrap-url", url(&directory)]);
    ends(
        &refused,
        6,
        &[
            "requires nowhere",
            "sets PATH",
            "dcos-setup.service",
            packed_.id("files"),
            "the node is as it was",
        ],
    );
    assert!(
        !image.path().join("etc").exists()
            && !image.path().join("opt/mesosphere/bin").exists()
            && !image.path().join("opt/dcos-node").exists()
    );
    ends(&run(image.path(), &["uninstall"]), 0, &[]);
    assert_eq!(std::fs::read_dir(image.path()).expect("list").count(), 0);
}

#[test]
fn every_kind_of_damage_names_the_archive_and_exits_with_6() {
    for damage in
        [Damage::BitFlip, Damage::Truncated, Damage::TrailingGarbage, Damage::Empty, Damage::Page]
    {
        for package in ["units", BOOTSTRAP_ARCHIVE] {
            let (packed_, directory) = packed(&Build::tiny().damaged(package, damage));
            let image = image();
            let name = if package == "units" {
                packed_.id(package).to_owned()
            } else {
                packed_.bootstrap_id.clone()
            };
            // Without the checks, which find the archive that is empty.
            ends(
                &run(
                    image.path(),
                    &["install", "master", "-d", "--bootstrap-url", url(&directory)],
                ),
                6,
                &[&name, "the node is as it was"],
            );
            assert!(!image.path().join("etc").exists(), "{damage:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unpacked_packages_are_not_fetched_again_after_a_failure() {
    let (packed_, directory) = packed(&Build::fixture());
    let server = Server::start(directory.path()).await;
    let broken = format!("/packages/mesos/{}.tar.xz", packed_.id("mesos"));
    server.answer(&broken, 404, 1000);
    let image = image();
    let (place, base) = (image.path().to_owned(), server.url().to_owned());
    // Without the checks, which find that it is missing.
    let arguments = ["install", "slave", "-d", "--bootstrap-url", &base].map(str::to_owned);
    let install = || {
        let (place, arguments) = (place.clone(), arguments.clone());
        tokio::task::spawn_blocking(move || run(&place, &arguments.each_ref().map(String::as_str)))
    };
    ends(&install().await.expect("run"), 1, &["404", packed_.id("mesos"), "the node is as it was"]);
    let kept: Vec<String> = std::fs::read_dir(place.join("var/lib/dcos-node/packages"))
        .expect("list")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!kept.is_empty() && kept.iter().all(|name| !name.starts_with('.')), "{kept:?}");
    let mended = Server::start(directory.path()).await;
    let again = mended.url().to_owned();
    let place_ = place.clone();
    let second = tokio::task::spawn_blocking(move || {
        run(&place_, &["install", "slave", "--bootstrap-url", &again])
    })
    .await
    .expect("run");
    ends(&second, 0, &[]);
    // The checks ask with HEAD whether all are there.
    let asked = |id: &str| {
        let get = format!("GET /packages/{}/{id}.tar.xz ", id.split("--").next().expect("a name"));
        mended.heads().iter().any(|head| head.starts_with(&get))
    };
    assert!(asked(packed_.id("mesos")));
    // The packages that hold the settings are read in memory each time.
    let fetched_again: Vec<&String> = kept
        .iter()
        .filter(|id| {
            asked(id) && !id.starts_with("dcos-config--") && !id.starts_with("dcos-metadata--")
        })
        .collect();
    assert!(fetched_again.is_empty(), "{fetched_again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_install_is_reported_and_resumed_by_repeating() {
    let (packed_, directory) = packed(&Build::fixture());
    let server = Server::start(directory.path()).await;
    let slow = format!("/packages/java/{}.tar.xz", packed_.id("java"));
    server.stall_after(&slow, 100, 1000);
    let image = image();
    let mut child = command(image.path(), &["install", "master", "--bootstrap-url", server.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    // The checks ask with HEAD.
    server.is_asked(&format!("GET {slow} ")).await;
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("signal");
    let status =
        tokio::task::spawn_blocking(move || child.wait()).await.expect("wait").expect("its end");
    assert_eq!(status.code(), Some(10));
    ends(&run(image.path(), &["status"]), 7, &["interrupted"]);
    let url = url(&directory).to_owned();
    ends(&run(image.path(), &["install", "master", "--bootstrap-url", &url]), 0, &[]);
    ends(&run(image.path(), &["uninstall"]), 0, &[]);
    assert_eq!(std::fs::read_dir(image.path()).expect("list").count(), 0);
}

#[test]
fn owners_are_recorded_and_modes_ignore_the_umask() {
    let (packed_, directory) = packed(&Build::tiny());
    let image = image();
    let mut child =
        command(image.path(), &["install", "master", "--bootstrap-url", url(&directory)]);
    let line = format!("umask 077; exec {:?} \"$@\"", child.get_program());
    let arguments: Vec<_> = child.get_args().map(std::ffi::OsStr::to_owned).collect();
    child = Command::new("sh");
    child.arg("-c").arg(line).arg("sh").args(arguments);
    if nix::unistd::geteuid().is_root() {
        child.uid(NOBODY).gid(NOBODY);
    }
    ends(&child.output().expect("run"), 0, &[]);
    let mode = |path: &str| {
        std::fs::symlink_metadata(image.path().join(path)).expect(path).mode() & 0o7777
    };
    assert_eq!(
        (mode("opt"), mode("opt/mesosphere/bin"), mode("etc/mesosphere/roles/master")),
        (0o755, 0o755, 0o644)
    );
    assert_eq!((mode("var/lib/dcos-node"), mode("var/lib")), (0o700, 0o755));
    let manifest = std::fs::read_to_string(
        image.path().join(format!("var/lib/dcos-node/manifests/{}.json", packed_.id("files"))),
    )
    .expect("the manifest");
    assert!(manifest.contains("\"uid\":4321"), "{manifest}");
}

#[test]
fn node_with_lost_files_is_repaired_by_the_same_command() {
    let (_, directory) = packed(&Build::tiny());
    // Only as root is an image complete, with a receipt.
    if !support::is_root() {
        return;
    }
    let image = tempfile::tempdir().expect("a directory");
    std::fs::create_dir_all(image.path().join("etc")).expect("make /etc");
    let bare = Build::tiny()
        .with_pkginfo("units", "{}")
        .with_pkginfo("files", "{}")
        .with_pkginfo("tools", "{}")
        .pack(directory.path());
    assert!(!bare.ids.is_empty());
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_dcos-node"))
            .args(arguments)
            .arg("--root")
            .arg(image.path())
            .output()
            .expect("run")
    };
    ends(&run(&["install", "master", "--bootstrap-url", url(&directory)]), 0, &[]);
    let whole = stands(image.path());
    std::fs::remove_dir_all(image.path().join("opt/mesosphere/bin")).expect("lose a part");
    ends(
        &run(&["install", "master", "--json", "--bootstrap-url", url(&directory)]),
        0,
        &["\"changed\": true"],
    );
    let changes: Vec<String> = stands(image.path())
        .changes_since(&whole)
        .into_iter()
        .filter(|c| !c.contains("/var/lib/dcos-node"))
        .collect();
    assert_eq!(changes, Vec::<String>::new());
    ends(&run(&["uninstall"]), 0, &[]);
    let left: Vec<_> = std::fs::read_dir(image.path())
        .expect("list")
        .map(|e| e.expect("entry").file_name())
        .collect();
    assert_eq!(left, ["etc"]);
}
