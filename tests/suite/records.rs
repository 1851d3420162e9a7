//! The journal and its like: torn anywhere, on a full disk, and written by every dcos-node that
//! there ever was.

use std::path::Path;
use std::process::{Command, Output};

use dcos_node::action::journal::Journal;
use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::journal::{self, Intent, Record, Story};
use dcos_node::dcos::receipt::{self, Manifest, Receipt};
use dcos_node::system::root::Root;
use support::build::Build;
use support::tree::Snapshot;

fn records(schema: u32) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/records/schema-{schema}"))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn records_of_every_schema_stay_readable() {
    for schema in 1..=journal::SCHEMA.max(receipt::SCHEMA) {
        let directory = records(schema);
        let installing =
            Story::read(&read(&directory.join("journal-of-an-install"))).expect("a journal");
        let Some(Intent::Install(intent)) = &installing.intent else {
            panic!("it was to install: {:?}", installing.intent)
        };
        assert_eq!(intent.build.active().len(), 3);
        assert!(
            installing.objects.len() >= 50
                && installing.done.contains(&ActionKey::Switch("bin".into())),
            "{} objects",
            installing.objects.len()
        );

        let removing =
            Story::read(&read(&directory.join("journal-of-an-uninstall"))).expect("a journal");
        assert_eq!(
            removing.intent,
            Some(Intent::Uninstall { purge_data: true, keep_packages: false })
        );
        assert!(!removing.objects.is_empty() && removing.objects.len() < installing.objects.len());

        let receipt = Receipt::parse(&read(&directory.join("receipt.json"))).expect("a receipt");
        assert_eq!(
            (receipt.role.to_string().as_str(), receipt.objects.len() >= 50),
            ("master", true)
        );
        let manifest: Manifest =
            serde_json::from_slice(&read(&directory.join("manifest.json"))).expect("a manifest");
        assert_eq!((manifest.id.name(), manifest.files.len() > 5), ("files", true));
    }
}

#[test]
fn last_traces_are_removed_after_a_kill_with_a_new_journal() {
    let image = tempfile::tempdir().expect("a directory");
    let at = |path: &str| image.path().join(path);
    std::fs::create_dir_all(at("opt/dcos-node/bin")).expect("make it");
    std::fs::write(at("opt/dcos-node/bin/dcos-node"), "").expect("write");
    for directory in ["etc", "var"] {
        std::fs::create_dir_all(at(directory)).expect("make it");
    }
    drop(Journal::open(&Root::new(image.path())).expect("open it"));
    let output = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
        .arg("recover")
        .arg("--root")
        .arg(image.path())
        .output()
        .expect("run");
    assert!(output.status.success(), "{output:?}");
    assert!(!at("opt/dcos-node").exists() && !at("var/lib").exists(), "{output:?}");
}

#[test]
fn journal_torn_in_its_last_record_resumes_without_it() {
    let text = read(&records(1).join("journal-of-an-install"));
    let last =
        text[..text.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("more than one line")
            + 1;
    let before = Story::read(&text[..last]).expect("a journal");
    for length in last..text.len() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("var/lib/dcos-node/journal");
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("make it");
        std::fs::write(&path, &text[..length]).expect("write");
        let journal = Journal::open(&Root::new(directory.path())).expect("open it");
        assert_eq!(journal.story(), before, "torn at byte {length}");
        journal.append(Record::Done { key: "after".into() }).expect("go on");
        let after = Story::read(&read(&path))
            .unwrap_or_else(|error| panic!("torn at byte {length}: {error}"));
        assert!(
            after.done.contains(&"after".into()) && after.objects == before.objects,
            "torn at byte {length}"
        );
    }
}

/// A node that is a directory, and a build for it.
struct Place {
    build: tempfile::TempDir,
    image: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            build: tempfile::tempdir().expect("a directory"),
            image: tempfile::tempdir().expect("a directory"),
        };
        Build::tiny().pack(place.build.path());
        for (path, text) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\nsystemd-journal:x:101:\n"),
        ] {
            std::fs::create_dir_all(place.image.path().join("etc")).expect("make a directory");
            std::fs::write(place.image.path().join(path), text).expect("write");
        }
        place
    }

    fn install(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
        command
            .args(["install", "master", "--bootstrap-url"])
            .arg(self.build.path())
            .arg("--root")
            .arg(self.image.path());
        command.env("DCOS_NODE_FAULT_WORKERS", "1");
        command
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Until the journal has begun nothing else is touched, and what was made for it goes again.
#[test]
fn full_disk_before_the_first_record_leaves_no_trace() {
    let place = Place::new();
    let before = Snapshot::of(place.image.path());
    let ours = place.image.path().join("var/lib/dcos-node");
    let journal = ours.join("journal").display().to_string();
    let staging = ours.join(".journal.dcos-node.tmp").display().to_string();
    let (var, ours) =
        (place.image.path().join("var").display().to_string(), ours.display().to_string());
    let first = [
        format!("Directory 1 {var}"),
        format!("Directory 1 {ours}"),
        format!("Open 1 {staging}"),
        format!("Write 1 {staging}"),
        format!("Sync 1 {staging}"),
        format!("Rename 1 {staging} -> {journal}"),
        format!("Open 1 {journal}"),
        format!("Write 1 {journal}"),
        format!("Sync 1 {journal}"),
        format!("Write 2 {journal}"),
        format!("Sync 2 {journal}"),
    ];
    for point in first {
        let output = place
            .install()
            .env("DCOS_NODE_FAULT", format!("ENOSPC {point}"))
            .output()
            .expect("run dcos-node");
        assert_eq!(output.status.code(), Some(1), "{point}: {}", said(&output));
        assert!(said(&output).contains("nothing was changed"), "{point}: {}", said(&output));
        let changes = Snapshot::of(place.image.path()).changes_since(&before);
        assert!(changes.is_empty(), "{point}: {changes:?}");
    }
}

/// A full disk takes a part of a record. What follows it must be readable, and the same command
/// goes on once there is room.
#[test]
fn install_with_a_full_journal_disk_resumes_with_space() {
    if !support::is_root() {
        return;
    }
    let mut failed = 0;
    for pages in 1..8 {
        let place = Place::new();
        let install: Vec<String> = std::iter::once(env!("CARGO_BIN_EXE_dcos-node").to_owned())
            .chain(
                place.install().get_args().map(|argument| argument.to_string_lossy().into_owned()),
            )
            .collect();
        let ours = place.image.path().join("var/lib/dcos-node");
        std::fs::create_dir_all(&ours).expect("make a directory");
        let script = "directory=$1; pages=$2; shift 2; mount -t tmpfs -o size=$((pages * \
                      4))k,mode=700 tmpfs $directory; \"$@\"; first=$?; mount -o remount,size=16m \
                      $directory; \"$@\" && test -f $directory/receipt.json && exit $((first + \
                      40))";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(&ours)
            .arg(pages.to_string())
            .args(&install);
        let output = command.output().expect("run unshare");
        match output.status.code() {
            Some(40) => {}
            Some(41) => failed += 1,
            _ => panic!("with {pages} pages: {}", said(&output)),
        }
    }
    assert!(failed > 1, "the disk was full {failed} times");
}
