//! Killed at any effect, a node goes on or is clean; an effect that fails leaves it as it was, or resumable.
//!
//! Every effect on the outside passes a fault point (`system/fault.rs`). An undisturbed run is recorded; then each point of it is a case: the process dies
//! there as in a power cut, or the effect ends in an error. After each case the same command, `recover` or the opposite command must bring the node to the
//! undisturbed outcome, or to where it began, by a comparison of every path.
//!
//! `make test` runs a shard, another one at each commit; `make crash-matrix` (`CRASH_MATRIX=all`) runs all of it.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::build::Build;
use support::tree::Snapshot;
use tempfile::TempDir;

/// Whole commands, on a directory, as root: owners and accounts count too.
struct Bench {
    build: PathBuf,
    _directory: TempDir,
    /// An image without DC/OS.
    clean: Snapshot,
    /// The same after an undisturbed install.
    installed: Snapshot,
}

/// One case: what is done to which effect of which command.
#[derive(Clone, Debug)]
struct Case {
    operation: Operation,
    action: &'static str,
    point: Point,
    follow_up: FollowUp,
    /// Another kill in the follow-up, at this part of a thousand of its own effects.
    second: Option<usize>,
}

/// One effect of an undisturbed run.
#[derive(Clone, Debug)]
struct Point {
    effect: String,
    object: String,
    nth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Install,
    Reinstall,
    Uninstall,
    Recover,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum FollowUp {
    Same,
    Recover,
    Opposite,
}

/// How many points of each operation `make test` tries.
const SHARD: usize = 40;

impl Bench {
    fn new() -> Bench {
        let directory = tempfile::tempdir().expect("a directory");
        Build::tiny().pack(directory.path());
        let mut bench = Bench { build: directory.path().to_owned(), _directory: directory, clean: empty(), installed: empty() };
        let image = bench.image();
        bench.clean = seen(image.path());
        succeeded(&bench.run(image.path(), &bench.install(), &[]));
        bench.installed = seen(image.path());
        bench
    }

    /// An image with the few files that every Linux has; accounts are made in it.
    fn image(&self) -> TempDir {
        let image = quick();
        for directory in ["etc/systemd/system/multi-user.target.wants", "etc/profile.d", "opt", "usr", "var/lib"] {
            std::fs::create_dir_all(image.path().join(directory)).expect("make a directory");
        }
        for (file, text) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\nsystemd-journal:x:101:\n"),
            ("etc/resolv.conf", "nameserver 192.0.2.1\n"),
        ] {
            std::fs::write(image.path().join(file), text).expect("write");
        }
        image
    }

    fn install(&self) -> Vec<String> {
        ["install", "master", "--bootstrap-url", self.build.to_str().expect("UTF-8")].map(str::to_owned).to_vec()
    }

    fn arguments(&self, operation: Operation) -> Vec<String> {
        match operation {
            Operation::Install | Operation::Reinstall => self.install(),
            Operation::Uninstall => vec!["uninstall".into(), "--purge-data".into(), "--yes".into()],
            Operation::Recover => vec!["recover".into()],
        }
    }

    fn opposite(operation: Operation) -> Operation {
        if operation == Operation::Uninstall { Operation::Install } else { Operation::Uninstall }
    }

    fn run(&self, image: &Path, arguments: &[String], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
        command.args(arguments).arg("--root").arg(image).env("DCOS_NODE_FAULT_WORKERS", "1").envs(environment.iter().copied());
        command.output().expect("run dcos-node")
    }

    /// An image at the beginning of an operation.
    fn ready(&self, operation: Operation) -> TempDir {
        let image = self.image();
        match operation {
            Operation::Install => {}
            Operation::Reinstall => {
                succeeded(&self.run(image.path(), &self.install(), &[]));
                // A part is lost, so that there is something to put back.
                std::fs::remove_dir_all(image.path().join("opt/mesosphere/lib")).expect("lose a part");
            }
            Operation::Uninstall => succeeded(&self.run(image.path(), &self.install(), &[])),
            Operation::Recover => {
                let half = format!("kill Rename 1 {}", image.path().join("opt/mesosphere/etc.new").display());
                let killed = self.run(image.path(), &self.install(), &[("DCOS_NODE_FAULT", &half)]);
                assert_eq!(killed.status.code(), None, "the install was not killed: {}", String::from_utf8_lossy(&killed.stderr));
            }
        }
        image
    }

    /// Every effect of an undisturbed run.
    fn record(&self, operation: Operation, arguments: &[String]) -> Vec<Point> {
        let image = self.ready(operation);
        let record = tempfile::NamedTempFile::new().expect("a file");
        let path = record.path().to_str().expect("UTF-8");
        succeeded(&self.run(image.path(), arguments, &[("DCOS_NODE_FAULTS_RECORD", path)]));
        points(&std::fs::read_to_string(record.path()).expect("read the record"), image.path())
    }

    /// Runs one case; says what is wrong, if something is.
    fn try_case(&self, case: &Case) -> Result<(), String> {
        let image = self.ready(case.operation);
        let beginning = seen(image.path());
        let object = case.point.object.replace(ROOT, image.path().to_str().expect("UTF-8"));
        let fault = format!("{} {} {} {object}", case.action, case.point.effect, case.point.nth);
        let disturbed = self.run(image.path(), &self.arguments(case.operation), &[("DCOS_NODE_FAULT", &fault)]);
        if case.action == "kill" && disturbed.status.code().is_some() {
            return Err(format!("the point was not hit: {}", said(&disturbed)));
        }
        let follow_up = match case.follow_up {
            FollowUp::Same => case.operation,
            FollowUp::Recover => Operation::Recover,
            FollowUp::Opposite => Self::opposite(case.operation),
        };
        let arguments = self.arguments(follow_up);
        if let Some(part) = case.second {
            self.disturb_again(image.path(), &arguments, part);
        }
        let after = self.run(image.path(), &arguments, &[]);
        if !after.status.success() {
            return Err(format!("{follow_up:?} after it ended with {:?}: {}", after.status.code(), said(&after)));
        }
        let state = seen(image.path());
        let allowed: &[&Snapshot] = match follow_up {
            Operation::Install | Operation::Reinstall => &[&self.installed],
            Operation::Uninstall => &[&self.clean],
            // An operation that had not begun, or was finished, has nothing to recover; an error may have turned it back.
            Operation::Recover => &[&self.installed, &self.clean, &beginning],
        };
        let wrong: Vec<Vec<String>> = allowed.iter().map(|wanted| state.changes_since(wanted)).collect();
        match wrong.iter().min_by_key(|w| w.len()) {
            Some(least) if !least.is_empty() && !is_kept_packages(least, &wrong) => {
                Err(format!("differs: {}", least.iter().take(8).cloned().collect::<Vec<_>>().join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// Kills the follow-up too, at one of its own effects.
    fn disturb_again(&self, image: &Path, arguments: &[String], part: usize) {
        let copy = quick();
        let status = Command::new("cp").args(["-a", "--no-target-directory"]).arg(image).arg(copy.path()).status().expect("cp");
        assert!(status.success());
        let record = tempfile::NamedTempFile::new().expect("a file");
        let path = record.path().to_str().expect("UTF-8");
        self.run(copy.path(), arguments, &[("DCOS_NODE_FAULTS_RECORD", path)]);
        let effects = points(&std::fs::read_to_string(record.path()).expect("read the record"), copy.path());
        if let Some(point) = effects.get(effects.len() * part / 1000) {
            let object = point.object.replace(ROOT, image.to_str().expect("UTF-8"));
            self.run(image, arguments, &[("DCOS_NODE_FAULT", &format!("kill {} {} {object}", point.effect, point.nth))]);
        }
    }
}

/// Stands for the image's directory in a recorded object.
const ROOT: &str = "{root}";

fn points(record: &str, image: &Path) -> Vec<Point> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let image = image.to_str().expect("UTF-8");
    let own = record.lines().filter_map(|line| line.split_once(' '));
    own.map(|(effect, object)| {
        let object = object.replace(image, ROOT);
        let nth = seen.entry(format!("{effect} {object}")).or_default();
        *nth += 1;
        Point { effect: effect.to_owned(), object, nth: *nth }
    })
    .collect()
}

/// A recovery of a failed install may leave verified packages for the next try.
fn is_kept_packages(least: &[String], wrong: &[Vec<String>]) -> bool {
    let kept = |change: &String| change.starts_with("new /opt/mesosphere") || change.starts_with("changed /opt");
    wrong.len() > 1
        && least.iter().all(kept)
        && least.iter().all(|c| c == "new /opt/mesosphere" || c == "changed /opt" || c.contains("/opt/mesosphere/packages"))
}

/// The tree without what is ours by schema, what changes with every account, and what a second run may number otherwise.
fn seen(image: &Path) -> Snapshot {
    let mut snapshot = Snapshot::of(image);
    let ours =
        ["/var/lib/dcos-node", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid", "/etc/.pwd.lock"];
    snapshot.paths.retain(|path, _| !ours.iter().any(|o| path.starts_with(o)));
    snapshot
}

/// A directory in memory, where there is one: thousands of small trees are made and removed.
fn quick() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

fn empty() -> Snapshot {
    Snapshot { paths: BTreeMap::new() }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).lines().filter(|l| !l.starts_with("fetch")).collect::<Vec<_>>().join(" | ")
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

/// A number that changes with every commit, so that each one tries other points.
fn seed() -> usize {
    let commit = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = commit.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    usize::from_str_radix(text.get(..8).unwrap_or("1"), 16).unwrap_or(1)
}

/// Tries cases on two threads and returns what went wrong.
fn try_all(bench: &Bench, cases: &[Case]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(why) = bench.try_case(case) {
                        wrong.lock().expect("no panic").push(format!("{case:?}: {why}"));
                    }
                }
            });
        }
    });
    wrong.into_inner().expect("no panic")
}

fn chosen(points: Vec<Point>, seed: usize) -> Vec<Point> {
    if std::env::var("CRASH_MATRIX").is_ok_and(|v| v == "all") || points.len() <= SHARD {
        return points;
    }
    let step = points.len().div_ceil(SHARD);
    points.into_iter().skip(seed % step).step_by(step).collect()
}

fn matrix(operation: Operation, name: &str) {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    let recorded = bench.record(operation, &bench.arguments(operation));
    let all = recorded.len();
    let seed = seed();
    let mut cases = Vec::new();
    for (index, point) in chosen(recorded, seed).into_iter().enumerate() {
        let follow_ups = [FollowUp::Same, FollowUp::Recover, FollowUp::Opposite];
        let every = std::env::var("CRASH_MATRIX").is_ok_and(|v| v == "all");
        for (number, follow_up) in follow_ups.into_iter().enumerate() {
            if every || (index + seed) % 3 == number {
                let case = Case { operation, action: "kill", point: point.clone(), follow_up, second: None };
                cases.push(case.clone());
                if every || (index + seed).is_multiple_of(5) {
                    cases.push(Case { second: Some((index * 7919 + seed) % 1000), ..case });
                }
            }
        }
        let errors = ["ENOSPC", "EIO", "EROFS", "EMFILE"];
        for (number, action) in errors.into_iter().enumerate() {
            if every || (index + seed) % 4 == number {
                cases.push(Case { operation, action, point: point.clone(), follow_up: FollowUp::Same, second: None });
            }
        }
    }
    let wrong = try_all(&bench, &cases);
    let _ =
        writeln!(std::io::stderr(), "crash matrix: {name}: {all} points, {} cases, {} converged", cases.len(), cases.len() - wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {} cases did not converge:\n{}",
        wrong.len(),
        cases.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn an_install_killed_or_failed_at_any_effect_ends_installed_or_clean() {
    matrix(Operation::Install, "install");
}

#[test]
fn a_repair_killed_or_failed_at_any_effect_ends_installed_or_clean() {
    matrix(Operation::Reinstall, "re-install");
}

#[test]
fn an_uninstall_killed_or_failed_at_any_effect_ends_clean_or_installed() {
    matrix(Operation::Uninstall, "uninstall");
}

#[test]
fn a_recovery_killed_or_failed_at_any_effect_ends_installed_or_clean() {
    matrix(Operation::Recover, "recover");
}
