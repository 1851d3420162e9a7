//! A swap that pkgpanda began and did not finish is finished, from every state that a kill of
//! pkgpanda can leave.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::faults::{lasting_points, seed, spread};
use support::tree::Snapshot;
use tempfile::TempDir;

/// The names that pkgpanda moves, in its order (`pkgpanda/__init__.py`, get_active_names).
const NAMES: [&str; 9] = [
    "opt/mesosphere/bin",
    "opt/mesosphere/etc",
    "opt/mesosphere/include",
    "opt/mesosphere/lib",
    WANTS,
    "opt/mesosphere/environment",
    "opt/mesosphere/environment.export",
    "opt/mesosphere/active",
    "opt/mesosphere/active.buildinfo.full.json",
];
const WANTS: &str = "etc/systemd/system/dcos.target.wants";
const UNITS: &str = "etc/systemd/system";
const PROGRESS: &str = "opt/mesosphere/install_progress";

/// A node with one set active and another one built beside it, as `pkgpanda activate` has it just
/// before the swap.
struct Bench {
    /// The serve directory whose latest list is the second set.
    second: TempDir,
    prepared: TempDir,
    first: TempDir,
}

/// How far pkgpanda came.
#[derive(Clone, Copy, Debug)]
enum Came {
    /// So many names were moved away, in the stage `archive`.
    Archived(usize),
    /// So many new names were moved in, in the stage `move_new`.
    Moved(usize),
    /// All names were moved in, and so many units have their names.
    Units(usize),
}

/// Whose node it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Made {
    ByUs,
    ByTheClassicInstaller,
}

impl Bench {
    fn new() -> Bench {
        let (first, second) = (serving("first"), serving("second"));
        let (prepared, other) = (image(), image());
        succeeds(&run(
            prepared.path(),
            &["install", "master", "--bootstrap-url", text(first.path())],
            &[],
        ));
        succeeds(&run(
            other.path(),
            &["install", "master", "--bootstrap-url", text(second.path())],
            &[],
        ));
        let packages = "opt/mesosphere/packages/.";
        copy(&other.path().join(packages), &prepared.path().join(packages));
        for name in NAMES {
            copy(&other.path().join(name), &prepared.path().join(format!("{name}.new")));
        }
        for unit in names(&other.path().join(WANTS)) {
            copy(
                &other.path().join(UNITS).join(&unit),
                &prepared.path().join(UNITS).join(format!("{unit}.unit.new")),
            );
        }
        Bench { second, prepared, first }
    }

    /// A node on which pkgpanda came so far.
    fn node(&self, came: Came, made: Made) -> TempDir {
        let node = empty();
        // Links in place of copies: nothing here is written over, only moved, made and removed.
        let status = Command::new("cp")
            .arg("-alT")
            .arg(self.prepared.path())
            .arg(node.path())
            .status()
            .expect("run cp");
        assert!(status.success());
        let root = node.path();
        if made == Made::ByTheClassicInstaller {
            for ours in ["opt/dcos-node", "var/lib/dcos-node"] {
                fs::remove_dir_all(root.join(ours)).expect("remove what is ours");
            }
            let setup = root.join(UNITS).join("dcos-setup.service");
            fs::remove_file(&setup).expect("remove what is ours");
            fs::write(&setup, "[Service]\nExecStart=/opt/mesosphere/bin/pkgpanda setup\n")
                .expect("write");
        }
        go(root, came);
        node
    }

    /// The same, had pkgpanda come to its end.
    fn finished(&self, made: Made) -> Snapshot {
        let node = self.node(Came::Units(usize::MAX), made);
        fs::remove_file(node.path().join(PROGRESS)).expect("remove");
        seen(node.path())
    }

    fn states() -> Vec<Came> {
        let archived = (0..=NAMES.len()).map(Came::Archived);
        archived
            .chain((0..=NAMES.len()).map(Came::Moved))
            .chain([1, 3, usize::MAX].map(Came::Units))
            .collect()
    }
}

/// What pkgpanda does, up to a point (`pkgpanda/__init__.py`, swap_active).
fn go(root: &Path, came: Came) {
    let rename = |from: &str, to: &str| fs::rename(root.join(from), root.join(to)).expect("rename");
    let (archived, moved, units) = match came {
        Came::Archived(count) => (count, 0, 0),
        Came::Moved(count) => (NAMES.len(), count, 0),
        Came::Units(count) => (NAMES.len(), NAMES.len(), count),
    };
    let stage = if matches!(came, Came::Archived(_)) { "archive" } else { "move_new" };
    fs::write(root.join(PROGRESS), format!("{{\"stage\": \"{stage}\", \"extension\": \".new\"}}"))
        .expect("write");
    if archived > 0 {
        for unit in names(&root.join(WANTS)) {
            fs::remove_file(root.join(UNITS).join(unit)).expect("remove a unit");
        }
    }
    for name in NAMES.iter().take(archived) {
        rename(name, &format!("{name}.old"));
    }
    for name in NAMES.iter().take(moved) {
        rename(&format!("{name}.new"), name);
    }
    let new: Vec<String> =
        names(&root.join(UNITS)).into_iter().filter(|name| name.ends_with(".unit.new")).collect();
    for unit in new.iter().take(units) {
        rename(
            &format!("{UNITS}/{unit}"),
            &format!("{UNITS}/{}", unit.trim_end_matches(".unit.new")),
        );
    }
}

/// The reference build with this set as its latest list.
fn serving(set: &str) -> TempDir {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference");
    let ids: serde_json::Value =
        serde_json::from_slice(&fs::read(reference.join("ids.json")).expect("read")).expect("JSON");
    let directory = empty();
    copy(&reference.join("serve/."), directory.path());
    let list = ids[set]["package_list"].as_str().expect("the id of the list");
    fs::write(directory.path().join("cluster-package-list.latest"), list).expect("write");
    directory
}

fn image() -> TempDir {
    let image = empty();
    for directory in
        ["etc/systemd/system/multi-user.target.wants", "etc/profile.d", "opt", "usr", "var/lib"]
    {
        fs::create_dir_all(image.path().join(directory)).expect("make a directory");
    }
    let root = "root:x:0:0::/root:/bin/sh\n";
    for (file, text) in [
        ("passwd", root),
        ("group", "root:x:0:\nsystemd-journal:x:101:\n"),
        ("resolv.conf", "nameserver 192.0.2.1\n"),
    ] {
        fs::write(image.path().join("etc").join(file), text).expect("write");
    }
    image
}

fn empty() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["-a", "-T"]).arg(from).arg(to).status().expect("run cp");
    assert!(status.success(), "cp {} {}", from.display(), to.display());
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("list")
        .map(|entry| entry.expect("list").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn run(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command
        .args(arguments)
        .arg("--root")
        .arg(root)
        .envs(environment.iter().copied())
        .output()
        .expect("run dcos-node")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

/// The tree without journal and receipt, which have times in them.
fn seen(root: &Path) -> Snapshot {
    let mut snapshot = Snapshot::of(root);
    snapshot.paths.retain(|path, _| !path.starts_with("/var/lib/dcos-node"));
    snapshot
}

#[test]
fn recover_finishes_a_swap_from_every_state_on_both_nodes() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    for made in [Made::ByUs, Made::ByTheClassicInstaller] {
        let finished = bench.finished(made);
        for came in Bench::states() {
            let node = bench.node(came, made);
            let output = run(node.path(), &["recover"], &[]);
            succeeds(&output);
            assert!(
                said(&output).contains("the swap that pkgpanda left unfinished is finished"),
                "{}",
                said(&output)
            );
            assert_eq!(
                seen(node.path()).changes_since(&finished),
                Vec::<String>::new(),
                "{made:?} {came:?}"
            );
            assert!(
                said(&run(node.path(), &["recover"], &[])).contains("nothing was interrupted"),
                "{made:?} {came:?}"
            );
            assert_eq!(
                node.path().join("var/lib/dcos-node").exists(),
                made == Made::ByUs,
                "a node that is not ours got traces of us"
            );
        }
    }
}

#[test]
fn install_finishes_a_swap_of_the_same_build_only() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    for made in [Made::ByUs, Made::ByTheClassicInstaller] {
        let finished = bench.finished(made);
        // The states themselves are those of the test above.
        for came in
            [Came::Archived(0), Came::Archived(4), Came::Moved(0), Came::Moved(8), Came::Units(1)]
        {
            let node = bench.node(came, made);
            let before = seen(node.path());
            let other = run(
                node.path(),
                &["install", "master", "--bootstrap-url", text(bench.first.path())],
                &[],
            );
            assert_eq!(other.status.code(), Some(5), "{}", said(&other));
            assert!(said(&other).contains("dcos-node recover finishes it"), "{}", said(&other));
            for look in ["status", "verify"] {
                let told = run(node.path(), &[look], &[]);
                assert!(
                    told.status.code() == Some(7)
                        && said(&told).contains("dcos-node recover finishes it"),
                    "{}",
                    said(&told)
                );
            }
            assert_eq!(
                seen(node.path()).changes_since(&before),
                Vec::<String>::new(),
                "a refusal changed something"
            );
            let same = run(
                node.path(),
                &["install", "master", "--json", "--bootstrap-url", text(bench.second.path())],
                &[],
            );
            succeeds(&same);
            assert!(said(&same).contains("\"changed\": true"), "{}", said(&same));
            assert_eq!(
                seen(node.path()).changes_since(&finished),
                Vec::<String>::new(),
                "{made:?} {came:?}"
            );
        }
    }
}

#[test]
fn swap_recovery_resumes_after_any_kill() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    let finished = bench.finished(Made::ByUs);
    for came in [Came::Archived(3), Came::Moved(5)] {
        let recorded = bench.node(came, Made::ByUs);
        let record = tempfile::NamedTempFile::new().expect("a file");
        succeeds(&run(
            recorded.path(),
            &["recover"],
            &[("DCOS_NODE_FAULTS_RECORD", text(record.path()))],
        ));
        let effects = lasting_points(&fs::read_to_string(record.path()).expect("read the record"));
        assert!(effects.len() > 20, "only {} effects were recorded", effects.len());
        for point in spread(&effects, 12, seed()) {
            let node = bench.node(came, Made::ByUs);
            let kill = point.kill().replace(text(recorded.path()), text(node.path()));
            let killed = run(node.path(), &["recover"], &[("DCOS_NODE_FAULT", &kill)]);
            assert_eq!(killed.status.code(), None, "{point:?} was not hit: {}", said(&killed));
            succeeds(&run(node.path(), &["recover"], &[]));
            assert_eq!(
                seen(node.path()).changes_since(&finished),
                Vec::<String>::new(),
                "killed at {point:?}"
            );
        }
    }
}

#[test]
fn unfinishable_swap_is_named_without_changes() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    let node = bench.node(Came::Archived(2), Made::ByUs);
    fs::remove_dir_all(node.path().join("opt/mesosphere/bin.new")).expect("lose a part");
    let before = seen(node.path());
    let output = run(node.path(), &["recover"], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("/opt/mesosphere/bin") && said(&output).contains("cure: "),
        "{}",
        said(&output)
    );
    let status = run(node.path(), &["status"], &[]);
    assert!(
        said(&status).contains("cannot be finished (pkgpanda left a swap unfinished"),
        "{}",
        said(&status)
    );
    assert_eq!(seen(node.path()).changes_since(&before), Vec::<String>::new());
}
