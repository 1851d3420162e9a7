//! Packages that a fetch keeps for an install.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::build::Build;
use support::http_server::Server;
use support::tree::Snapshot;

use super::{STORE, archive_of, ends, image, packed, run, run_with, store};

#[tokio::test(flavor = "multi_thread")]
async fn fetch_gets_all_for_an_install_and_uninstall_removes_it() {
    let (tiny, directory) = packed(&Build::tiny());
    let server = Server::start(directory.path()).await;
    let image = image();
    let fetch = ["fetch", "--bootstrap-url", server.url()];
    let archives = || {
        server
            .heads()
            .iter()
            .filter(|head| head.starts_with("GET") && head.contains(".tar.xz"))
            .count()
    };

    let dry = run(image.path(), &[&fetch[..], &["--dry-run"]].concat());
    ends(&dry, 0, &["fetch and unpack", "none of them done"]);
    assert_eq!(fs::read_dir(image.path()).unwrap().count(), 0);

    ends(
        &run(image.path(), &[&fetch[..], &["--json"]].concat()),
        0,
        &["\"changed\": true", &tiny.bootstrap_id],
    );
    let top: Vec<_> = fs::read_dir(image.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(top, ["var"], "other tools take /opt/mesosphere for an installed node");
    ends(&run(image.path(), &["status"]), 11, &["not installed", "packages wait for an install"]);
    let fetched = Snapshot::of(image.path());
    ends(&run(image.path(), &[&fetch[..], &["--json"]].concat()), 0, &["\"changed\": false"]);
    let mut again = Snapshot::of(image.path()).changes_since(&fetched);
    // The journal is opened for every run.
    again.retain(|change| !change.contains("/var/lib/dcos-node"));
    assert_eq!(again, Vec::<String>::new());

    // One package is not any more what was unpacked; the others are not downloaded again.
    let damaged = image.path().join(STORE).join(tiny.id("files")).join("pkginfo.json");
    let content = fs::read(&damaged).unwrap();
    fs::write(&damaged, vec![b'x'; content.len()]).unwrap();
    // Neither is this, which somebody added.
    fs::write(damaged.with_file_name("added"), "x").unwrap();
    let before = archives();
    let install = ["install", "master", "-d", "--bootstrap-url", server.url()];
    ends(
        &run(image.path(), &install),
        0,
        &["was kept from an earlier run, but pkginfo.json", "it is fetched again"],
    );
    let placed =
        image.path().join("opt/mesosphere/packages").join(tiny.id("files")).join("pkginfo.json");
    assert_eq!(fs::read(placed).unwrap(), content);
    // The settings are read out of two packages; of the archives only the damaged one came.
    let came = server
        .heads()
        .iter()
        .filter(|head| head.starts_with(&format!("GET /{}", archive_of(&tiny, "files"))))
        .count();
    assert!(came >= 2 && archives() - before <= 3, "{came}, {}", archives() - before);
    ends(&run(image.path(), &["uninstall"]), 0, &["removed"]);
    assert_eq!(store(image.path()), Vec::<String>::new());

    ends(&run(image.path(), &fetch), 0, &[]);
    ends(&run(image.path(), &["uninstall"]), 0, &["removed"]);
    assert!(!image.path().join("opt").exists(), "something is left");
}

#[test]
fn killed_fetch_can_be_resumed_or_removed() {
    let (_, directory) = packed(&Build::tiny());
    let fetch = ["fetch", "--bootstrap-url", directory.path().to_str().unwrap()];
    let alone = ("DCOS_NODE_FAULT_WORKERS", "1");
    let record = tempfile::NamedTempFile::new().unwrap();
    let image = image();
    fs::set_permissions(record.path(), fs::Permissions::from_mode(0o666)).unwrap();
    run_with(
        image.path(),
        &fetch,
        &[alone, ("DCOS_NODE_FAULTS_RECORD", record.path().to_str().unwrap())],
    );
    let whole = store(image.path());
    let root = image.path().to_str().unwrap().to_owned();
    let text = fs::read_to_string(record.path()).unwrap().replace(&root, "{root}");
    // What the record tells besides effects, and the lock, whose name follows from that of the
    // image, are no points.
    let effects: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(".lock")).collect();
    assert!(effects.len() > 100 && !whole.is_empty());
    for at in (0..effects.len()).step_by(effects.len() / 24) {
        let image = self::image();
        let (effect, object) = effects[at].split_once(' ').unwrap();
        let nth = effects[..=at].iter().filter(|other| **other == effects[at]).count();
        let fault = format!(
            "kill {effect} {nth} {}",
            object.replace("{root}", image.path().to_str().unwrap())
        );
        let killed = run_with(image.path(), &fetch, &[alone, ("DCOS_NODE_FAULT", &fault)]);
        assert_eq!(killed.status.code(), None, "{fault} was not hit");
        if at % 2 == 0 {
            ends(&run(image.path(), &fetch), 0, &[]);
            assert_eq!(store(image.path()), whole, "{fault}");
        }
        ends(&run(image.path(), &["uninstall"]), 0, &[]);
        assert!(!image.path().join("opt").exists(), "{fault}: something is left");
    }
}

#[test]
fn fetch_beside_an_unfinished_install_is_refused() {
    let (_, directory) = packed(&Build::tiny());
    let (_, other) = packed(&Build::tiny().with_file("files", "etc/new", 0o644, "new"));
    let (this, that) = (directory.path().to_str().unwrap(), other.path().to_str().unwrap());
    let image = image();
    ends(
        &run(image.path(), &["fetch", "--bootstrap-url", this, "--require-digests"]),
        6,
        &["no digests"],
    );
    ends(&run(image.path(), &["install", "master", "-d", "--bootstrap-url", this]), 0, &[]);
    let before = Snapshot::of(image.path());
    ends(
        &run(image.path(), &["fetch", "--bootstrap-url", that]),
        5,
        &["unfinished", "nothing was changed"],
    );
    assert_eq!(Snapshot::of(image.path()).changes_since(&before), Vec::<String>::new());
}

#[test]
fn splay_is_shown_and_journal_keeps_options_without_secrets() {
    let (_, directory) = packed(&Build::tiny());
    let (url, image) = (directory.path().to_str().unwrap(), image());
    let options = [
        "--splay",
        "1s",
        "--limit-rate",
        "100M",
        "--parallel",
        "1",
        "--mirror",
        "http://user:secret@mirror.invalid/x",
    ];
    let dry = run(
        image.path(),
        &[&["install", "master", "-d", "--dry-run", "--bootstrap-url", url], &options[..]].concat(),
    );
    assert!(!ends(&dry, 0, &[]).contains("--splay"));
    // Killed in the middle, its journal stays.
    let bin = image.path().join("opt/dcos-node/bin");
    let fault =
        format!("kill Rename 1 {0}/.dcos-node.dcos-node.tmp -> {0}/dcos-node", bin.display());
    let arguments = [&["install", "master", "-d", "--bootstrap-url", url], &options[..]].concat();
    let killed = run_with(image.path(), &arguments, &[("DCOS_NODE_FAULT", &fault)]);
    let said = String::from_utf8_lossy(&killed.stderr);
    assert!(
        killed.status.code().is_none() && said.contains("before the first request (--splay 1 s)"),
        "{said}"
    );
    let journal = fs::read_to_string(image.path().join("var/lib/dcos-node/journal")).unwrap();
    let kept = r#""fetching":{"mirrors":["http://mirror.invalid/x"],"bytes_per_second":100000000,"parallel":1}"#;
    assert!(journal.contains(kept) && !journal.contains("secret"), "{journal}");
    ends(&run(image.path(), &["recover"]), 0, &[]);
}
