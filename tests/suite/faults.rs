//! Every fault under which the classic installer was watched, met by dcos-node: `docs/faults.md`
//! has both side by side.
//!
//! A row is replayed so: something is broken, `install` says in one line what and ends with the
//! right code, the node is as it was, the cause is removed, and the same command ends in the
//! undisturbed tree.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use dcos_node::action::capacity::Capacity;
use dcos_node::action::journal::Journal;
use dcos_node::action::run::run;
use dcos_node::action::{Action, Error, Site};
use dcos_node::dcos::event::Events;
use dcos_node::dcos::fetching::Fetching;
use dcos_node::dcos::index::Artifact;
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::digest::{hex, sha256};
use dcos_node::system::http::{Client, Options};
use dcos_node::system::root::Root;
use dcos_node::system::source::{Mirrors, Source};
use support::build::{BOOTSTRAP_ARCHIVE, Build, Damage};
use support::http_server::Server;
use support::image::{Image, Mounted, Said, Serve};
use support::tree::Snapshot;

use crate::architecture::texts::names_of_tests;

/// The tree of `tiny` without any fault, and the bytes that it takes.
fn undisturbed() -> &'static Snapshot {
    static TREE: OnceLock<Snapshot> = OnceLock::new();
    TREE.get_or_init(|| {
        let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        image.tree()
    })
}

/// Replays one row about what a server has: `install` fails with this code and these words in one
/// line, and works once the server is mended.
#[track_caller]
fn replay(spoil: impl FnOnce(&Serve), code: i32, line: &[&str], more: &[&str]) {
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    spoil(&serve);
    let before = image.tree();
    image.install(serve.url(), more).ends(code, &[line, &["state:"], &["cure:"]]);
    image.is_as(&before);
    Build::tiny().pack(serve.path());
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
    image.equals(undisturbed());
}

/// The archive of one package replaced by that of another build, under its old name.
fn content(package: &'static str, change: impl FnOnce(Build) -> Build) -> impl FnOnce(&Serve) {
    move |serve| {
        let other = Serve::of(&change(Build::tiny()));
        std::fs::copy(other.packed.archive(package), serve.packed.archive(package))
            .expect("replace the archive");
    }
}

fn id(package: &str) -> String {
    static IDS: OnceLock<std::collections::BTreeMap<String, String>> = OnceLock::new();
    IDS.get_or_init(|| Serve::of(&Build::tiny()).packed.ids.clone())[package].clone()
}

#[test]
fn damaged_package_is_named_and_fetched_again() {
    if !support::is_root() {
        return;
    }
    for damage in [Damage::BitFlip, Damage::Truncated, Damage::Page] {
        let spoil = |serve: &Serve| drop(Build::tiny().damaged("units", damage).pack(serve.path()));
        replay(spoil, 6, &["error:", &id("units")], &[]);
    }
}

#[test]
fn damaged_bootstrap_archive_leaves_the_node_installable() {
    if !support::is_root() {
        return;
    }
    let whole = std::fs::metadata(Serve::of(&Build::tiny()).packed.bootstrap_archive())
        .expect("the archive")
        .len();
    for kept in [whole / 2, whole * 97 / 100, whole * 997 / 1000, whole - 1] {
        let cut = |serve: &Serve| {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(serve.packed.bootstrap_archive())
                .expect("open");
            file.set_len(kept).expect("cut");
        };
        replay(cut, 6, &["error:", "bootstrap"], &[]);
    }
    replay(
        |serve| drop(Build::tiny().damaged(BOOTSTRAP_ARCHIVE, Damage::BitFlip).pack(serve.path())),
        6,
        &["error:", "bootstrap"],
        &[],
    );
}

#[test]
fn archive_of_another_package_is_refused_by_name() {
    if !support::is_root() {
        return;
    }
    let other = |serve: &Serve| {
        std::fs::copy(serve.packed.archive("files"), serve.packed.archive("units")).expect("copy");
    };
    replay(other, 6, &[&id("units")], &[]);
}

#[tokio::test]
async fn intact_archive_with_unknown_digest_is_refused() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let archive = serve.packed.archive("units");
    let mut right = std::fs::read(&archive).expect("the archive");
    content("units", |build| {
        build.with_file("units", "bin/tiny-master", 0o755, "#!/bin/sh\necho tampered with\n")
    })(&serve);
    let mut tampered = std::fs::read(&archive).expect("the archive");
    // Both end in padding of xz, so that their lengths are the same and only the digest differs.
    let length = right.len().max(tampered.len());
    right.resize(length, 0);
    tampered.resize(length, 0);
    std::fs::write(&archive, tampered).expect("pad the archive");
    let sha256 = hex(&sha256(&right));
    let artifact =
        Artifact { bytes: length as u64, sha256: sha256.clone(), content: None, alternative: None };

    let client = Client::new(&Options::default()).expect("a client");
    let site = Site {
        root: Root::new(image.path()),
        systemd: None,
        patience: Duration::from_secs(1),
        source: Some(Mirrors::new(Source::parse(serve.url(), &client).expect("a source"), [])),
        capacity: Capacity::new(&Fetching::default()),
        privileged: true,
        events: Events::to(std::sync::mpsc::channel().0),
        cancellation: Cancellation::default(),
    };
    let journal = Journal::open(&site.root).expect("a journal");
    let fetch = [vec![Action::FetchPackage {
        id: id("units").parse().expect("an id"),
        artifact: Some(artifact),
    }]];
    let Err(Error::Integrity { source, .. }) = run(&fetch, &site, &journal, 1).await else {
        panic!("it was taken")
    };
    let why = format!("{source:#}");
    assert!(
        why.contains(&sha256) && why.contains("the build index says") && why.contains(&id("units")),
        "{why}"
    );
    let place = format!("var/lib/dcos-node/packages/{}", id("units"));
    assert!(!image.has(&place));
    std::fs::write(&archive, right).expect("mend the server");
    run(&fetch, &site, &journal, 1).await.expect("the right content");
    assert!(image.has(&place));
}

#[test]
fn unfit_packages_are_named_and_fetched_again_once_fixed() {
    if !support::is_root() {
        return;
    }
    let pkginfo =
        |text: &'static str| content("units", move |build| build.with_pkginfo("units", text));
    let units = id("units");
    replay(pkginfo("{not JSON"), 6, &[&units, "pkginfo.json"], &[]);
    replay(pkginfo("[]"), 6, &[&units, "pkginfo.json"], &[]);
    replay(
        content("units", |build| build.without_file("units", "pkginfo.json")),
        6,
        &[&units, "pkginfo.json"],
        &[],
    );
    replay(pkginfo(r#"{"requires": ["nowhere"]}"#), 6, &[&units, "nowhere"], &[]);
    replay(pkginfo(r#"{"username": "root"}"#), 6, &[&units, "root"], &[]);
    let reserved = |build: Build| {
        build.with_file(
            "units",
            "dcos.target.wants/dcos-setup.service",
            0o644,
            "[Service]\nExecStart=/bin/true\n",
        )
    };
    replay(content("units", reserved), 6, &[&units, "dcos-setup.service"], &[]);
    let same = |build: Build| build.with_file("units", "lib/first", 0o644, "another");
    replay(content("units", same), 6, &[&units, &id("files"), "lib/first"], &[]);
}

#[test]
fn archive_member_outside_its_package_is_refused() {
    if !support::is_root() {
        return;
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let name = b"../../../../root/evil";
    header.as_gnu_mut().expect("GNU").name[..name.len()].copy_from_slice(name);
    header.set_size(4);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append(&header, &b"evil"[..]).expect("written to memory");
    let evil = tar.into_inner().expect("written to memory");
    let spoil =
        |serve: &Serve| drop(Build::tiny().with_raw_archive("units", evil).pack(serve.path()));
    replay(spoil, 6, &["../../../../root/evil"], &[]);
}

#[test]
fn missing_or_cut_package_list_is_named_without_changes() {
    if !support::is_root() {
        return;
    }
    let list = Serve::of(&Build::tiny()).packed.package_list_id;
    replay(
        |serve| std::fs::remove_file(serve.packed.package_list()).expect("remove"),
        3,
        &[&list, "No such file"],
        &[],
    );
    replay(
        |serve| std::fs::write(serve.packed.package_list(), "[\"files--1").expect("cut"),
        3,
        &[&list, "JSON"],
        &[],
    );
}

/// A server of `tiny`, an image, and what stood in it.
async fn served() -> (Serve, Server, Image, Snapshot) {
    let serve = Serve::of(&Build::tiny());
    let server = Server::start(serve.path()).await;
    let image = Image::new();
    let before = image.tree();
    (serve, server, image, before)
}

/// The path of an archive on the server.
fn on_server(serve: &Serve, archive: &Path) -> String {
    format!("/{}", archive.strip_prefix(serve.path()).expect("it is served").display())
}

/// The same command with the same address of the server, now that it is well again.
#[track_caller]
fn converges(image: &Image, url: &str) {
    image.install(url, &[]).ends(0, &[&["done:"]]);
    image.equals(undisturbed());
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_archive_is_named_with_url_and_status() {
    if !support::is_root() {
        return;
    }
    for (status, passes) in [(404, false), (503, true), (500, true)] {
        for archive in ["units", BOOTSTRAP_ARCHIVE] {
            let (serve, server, image, before) = served().await;
            let file = if archive == "units" {
                serve.packed.archive(archive)
            } else {
                serve.packed.bootstrap_archive()
            };
            let path = on_server(&serve, &file);
            server.answer(&path, status, 1000);
            let address = server.at(&path);
            // The checks find it before anything is touched; without them the install does.
            image
                .install(server.url(), &[])
                .ends(3, &[&["FAIL", "bootstrap.artifacts"], &["state:", "nothing was changed"]]);
            image.is_as(&before);
            image
                .install(server.url(), &["-d"])
                .ends(1, &[&[&address, &status.to_string()], &["state:"], &["cure:"]]);
            image.is_as(&before);
            if passes {
                // One that the checks see, and two for the install itself.
                let passing = Server::start(serve.path()).await;
                passing.answer(&path, status, 3);
                image.install(passing.url(), &["-d"]).ends(0, &[&["done:"]]);
                image.equals(undisturbed());
            } else {
                converges(&image, serve.url());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn install_with_the_server_down_changes_nothing() {
    if !support::is_root() {
        return;
    }
    let (serve, server, image, before) = served().await;
    let url = server.url().to_owned();
    let _refusing = server.stop().await;
    image.install(&url, &[]).ends(
        3,
        &[&["error:", "bootstrap.connect"], &["refused"], &["state:", "nothing was changed"]],
    );
    image.equals(&before);
    converges(&image, serve.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_dies_in_a_download_is_named_or_resumed() {
    if !support::is_root() {
        return;
    }
    for archive in ["units", BOOTSTRAP_ARCHIVE] {
        let (serve, server, image, before) = served().await;
        let file = if archive == "units" {
            serve.packed.archive(archive)
        } else {
            serve.packed.bootstrap_archive()
        };
        let path = on_server(&serve, &file);
        server.cut_after(&path, 20);
        let child = image.start(&["install", "master", "--bootstrap-url", server.url()]);
        server.is_asked(&format!("GET {path} ")).await;
        let url = server.url().to_owned();
        let _refusing = server.stop().await;
        let said =
            tokio::task::spawn_blocking(move || Said::of(child.wait_with_output().expect("wait")))
                .await
                .expect("wait");
        said.ends(1, &[&["because", &url, "refused", "tried"], &["state:"], &["cure:"]]);
        image.is_as(&before);
        let back = Server::start(serve.path()).await;
        back.cut_times(&path, 1000, 2);
        converges(&image, back.url());
        assert!(back.requests(&path) > 2, "the download was not gone on with");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_download_is_requested_again() {
    if !support::is_root() {
        return;
    }
    let (serve, server, image, _) = served().await;
    server.stall_after(&on_server(&serve, &serve.packed.archive("units")), 100, 1);
    converges(&image, server.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_installs_result_in_one_install() {
    if !support::is_root() {
        return;
    }
    let (serve, server, image, _) = served().await;
    server.stall_after(&on_server(&serve, &serve.packed.archive("units")), 100, 1000);
    let mut first = image.start(&["install", "master", "--bootstrap-url", server.url()]);
    while !image.has("opt/dcos-node/bin/dcos-node") {
        assert!(first.try_wait().expect("look after it").is_none(), "it ended before it had begun");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pid = first.id().to_string();
    let is = |said: &Said| {
        said.ends(
            8,
            &[&["error:", &pid, "install master"], &["state:", "nothing was changed"], &["cure:"]],
        );
    };
    is(&image.install(server.url(), &[]));
    is(&image.run(&["install", "slave", "--bootstrap-url", server.url()]));
    is(&image.run(&["uninstall"]));
    is(&image.run(&["recover"]));
    first.kill().expect("kill");
    first.wait().expect("wait");
    image
        .run(&["install", "slave", "--bootstrap-url", serve.url()])
        .ends(5, &[&["error:", "master", "slave"], &["cure:"]]);
    converges(&image, serve.url());
    image.install(serve.url(), &["--json"]).ends(0, &[&["\"changed\": false"]]);
    image.install(serve.url(), &["--json", "-d"]).ends(0, &[&["\"changed\": false"]]);
    image.equals(undisturbed());
}

#[test]
fn unknown_role_is_a_usage_error() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let before = image.tree();
    image
        .run(&["install", "foo", "--bootstrap-url", serve.url()])
        .ends(2, &[&["foo"], &["master", "slave", "slave_public"]]);
    image
        .run(&["install", "master", "slave", "--bootstrap-url", serve.url()])
        .ends(2, &[&["slave"]]);
    image.run(&["install", "--bootstrap-url", serve.url()]).ends(2, &[&["ROLE"]]);
    image.equals(&before);
}

#[test]
fn disk_full_at_any_step_leaves_the_node_unchanged() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let (image, _mounted) = Image::of_size(2 << 30);
    let used = || {
        let status = nix::sys::statvfs::statvfs(image.path()).expect("statvfs");
        usize::try_from((status.blocks() - status.blocks_free()) * status.fragment_size())
            .expect("bytes")
    };
    image.install(serve.url(), &[]).ends(0, &[]);
    let (all, binary) = (
        used(),
        std::fs::metadata(image.at("opt/dcos-node/bin/dcos-node")).expect("the binary").len()
            as usize,
    );
    drop((image, _mounted));
    let rest = all - binary;
    // The journal takes a mebibyte while an install is under way.
    let sizes =
        [0, 8, 20, 35, 50, 65, 80, 90, 95].map(|part| binary + (1 << 20) + rest * part / 100);
    let mut refused = 0;
    for size in [4096 * 40, binary / 2].into_iter().chain(sizes) {
        let (image, mounted) = Image::of_size(size);
        let before = image.tree();
        let said = image.install(serve.url(), &[]);
        if said.code() != Some(0) {
            refused += 1;
            // useradd does not say why it cannot write.
            let why = if said.err.contains("useradd") {
                "/etc/passwd"
            } else {
                "No space left on device"
            };
            said.ends(1, &[&[why], &["state:"], &["cure:"]]);
            assert!(!said.err.contains("could not be made"), "{}", said.err);
            image.is_as(&before);
        }
        mounted.resize(2 * all);
        converges(&image, serve.url());
    }
    assert!(refused > 5, "the disk was full {refused} times only");
}

#[test]
fn full_tmp_does_not_stop_an_install() {
    if !support::is_root() {
        return;
    }
    let (serve, tmp) = (Serve::of(&Build::tiny()), tempfile::tempdir().expect("a directory"));
    let _mounted = Mounted::memory(tmp.path(), 4096);
    std::fs::write(tmp.path().join("full"), [0; 4096]).expect("fill it");
    assert!(std::fs::write(tmp.path().join("more"), "x").is_err(), "it is not full");
    let image = Image::new().with("TMPDIR", tmp.path().to_str().expect("UTF-8"));
    converges(&image, serve.url());
}

#[test]
fn fresh_file_system_for_opt_mesosphere_is_kept() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    std::fs::create_dir_all(image.at("opt/mesosphere")).expect("make it");
    let mounted = Mounted::memory(&image.at("opt/mesosphere"), 64 << 20);
    std::fs::create_dir(image.at("opt/mesosphere/lost+found")).expect("as mkfs makes it");
    let before = image.tree();
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
    image.install(serve.url(), &["--json"]).ends(0, &[&["\"changed\": false"]]);
    image.run(&["uninstall"]).ends(0, &[&["done:"]]);
    assert!(image.has("opt/mesosphere/lost+found"));
    let left: Vec<String> = image
        .tree()
        .changes_since(&before)
        .into_iter()
        .filter(|change| !change.contains("/var/lib/dcos"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    mounted.resize(16 << 10);
    image
        .install(serve.url(), &[])
        .ends(1, &[&["No space left"], &["state:", "the node is as it was"]]);
    mounted.resize(64 << 20);
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
}

/// The rows of a table of a document: the cells of each.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The names of all tests: those in every file of `tests/`, and the unit tests of `src/`.
fn tests_of_this_project() -> BTreeSet<String> {
    let (mut names, mut todo) = (
        BTreeSet::new(),
        ["tests", "src"].map(|part| Path::new(env!("CARGO_MANIFEST_DIR")).join(part)).to_vec(),
    );
    while let Some(place) = todo.pop() {
        if place.is_dir() {
            todo.extend(
                std::fs::read_dir(&place).expect("list").map(|entry| entry.expect("entry").path()),
            );
        } else if place.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&place).expect("a source");
            names.extend(names_of_tests(&text).into_iter().map(|(_, name)| name));
        }
    }
    names
}

#[test]
fn every_row_of_the_fault_table_names_an_existing_test() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md"))
            .expect("docs/faults.md");
    let (rows, tests) = (rows(&text), tests_of_this_project());
    assert!(rows.len() > 50, "the table has {} rows", rows.len());
    for row in rows {
        let [fault, _, _, test] = row.as_slice() else { panic!("four cells are wanted: {row:?}") };
        let named: Vec<&str> = test.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{fault}: no test");
        for name in named {
            assert!(tests.contains(name), "{fault}: there is no test {name}");
        }
    }
}
