//! Killed at any effect, a node goes on or is clean; an effect that fails leaves it as it was, or
//! resumable.
//!
//! Every effect on the outside passes a fault point (`system/fault.rs`). An undisturbed run is
//! recorded; then each point of it is a case: the process dies there as in a power cut, or the
//! effect ends in an error. After each case the same command, `recover` or the opposite command
//! must bring the node to the undisturbed outcome, or to where it began, by a comparison of every
//! path.
//!
//! `make test` runs a shard, another one at each commit; `make crash-matrix` (`CRASH_MATRIX=all`)
//! runs all of it.
mod bench;
mod order;
mod point;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use bench::{Bench, Operation};
use support::build::Build;
use support::faults::{Event, Point, points, seed, spread};
use trial::{ALL_NEXT, FollowUp, Next, Trial, run_all, undoing};

/// How many points of each operation `make test` tries.
const SHARD: usize = 24;
/// How many failed installs are killed in their undoing, at how many points each, in `make test`.
const UNDONE: usize = 3;
/// Of how many failed installs the whole undoing is tried in the full matrix.
const ALL_UNDONE: usize = 16;
/// Errors of a file system.
const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EROFS", "EMFILE"];
/// Errors of systemd: it refuses, or a job fails; and it never answers.
const REFUSALS: [&str; 2] = ["EIO", "silence"];

fn is_full() -> bool {
    std::env::var("CRASH_MATRIX").is_ok_and(|v| v == "all")
}

fn shard<T: Clone>(all: Vec<T>, count: usize) -> Vec<T> {
    if is_full() { all } else { spread(&all, count, seed()) }
}

/// A kill at this point with every follow-up, each also killed itself; of these one or two in a
/// shard.
fn kills(operation: Operation, index: usize, point: &Point) -> Trial {
    let seed = seed();
    let mut follow_ups = Vec::new();
    for (number, next) in ALL_NEXT.into_iter().enumerate() {
        if is_full() || (index + seed) % 3 == number {
            follow_ups.push(FollowUp { next, second_kill: None });
            if is_full() || (index + seed).is_multiple_of(5) {
                follow_ups.push(FollowUp {
                    next,
                    second_kill: Some((index * 7919 + number * 104_729 + seed) % 1000),
                });
            }
        }
    }
    Trial { operation, action: "kill", point: point.clone(), then_kill: None, follow_ups }
}

/// Every error at this point; of these one in a shard.
fn errors(operation: Operation, index: usize, point: &Point) -> Vec<Trial> {
    let actions: &[&'static str] =
        if ["Call", "Job"].contains(&point.effect.as_str()) { &REFUSALS } else { &ERRORS };
    let chosen = actions
        .iter()
        .enumerate()
        .filter(|(number, _)| is_full() || (index + seed()) % actions.len() == *number);
    let follow_ups = vec![FollowUp { next: Next::Same, second_kill: None }];
    let trial = |action| Trial {
        operation,
        action,
        point: point.clone(),
        then_kill: None,
        follow_ups: follow_ups.clone(),
    };
    chosen.map(|(_, action)| trial(*action)).collect()
}

fn of_points(operation: Operation, points: &[Point]) -> Vec<Trial> {
    let of_point = |(index, point)| {
        errors(operation, index, point).into_iter().chain([kills(operation, index, point)])
    };
    points.iter().enumerate().flat_map(of_point).collect()
}

/// Runs them, says on the terminal what was covered, and fails if a node did not converge.
fn converge(bench: &Bench, name: &str, points: usize, trials: &[Trial]) {
    let tally = run_all(bench, trials);
    let _ = writeln!(std::io::stderr(), "crash matrix: {name}: {points} points, {tally}");
    let first = tally.wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        tally.wrong.is_empty(),
        "{} of {} cases did not converge:\n{first}",
        tally.wrong.len(),
        tally.cases()
    );
}

fn matrix(operation: Operation, name: &str) {
    if !support::is_root() {
        return;
    }
    let bench = Bench::of_directories(&Build::tiny());
    let recorded = points(&bench.record(operation));
    converge(&bench, name, recorded.len(), &of_points(operation, &shard(recorded.clone(), SHARD)));
}

#[test]
fn install_killed_at_any_effect_ends_installed_or_clean() {
    matrix(Operation::Install, "install");
}

#[test]
fn repair_killed_at_any_effect_ends_installed_or_clean() {
    matrix(Operation::Reinstall, "re-install");
}

#[test]
fn uninstall_killed_at_any_effect_ends_clean_or_installed() {
    matrix(Operation::Uninstall, "uninstall");
}

#[test]
fn recover_killed_at_any_effect_ends_installed_or_clean() {
    matrix(Operation::Recover, "recover");
}

#[test]
fn rollback_killed_at_any_effect_ends_installed_or_clean() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::of_directories(&Build::tiny());
    let failing: Vec<Point> = points(&bench.record(Operation::Install))
        .into_iter()
        .filter(|point| point.object.contains("{root}"))
        .collect();
    let mut trials = Vec::new();
    let mut all = 0;
    for (index, point) in spread(&failing, if is_full() { ALL_UNDONE } else { UNDONE }, seed())
        .into_iter()
        .enumerate()
    {
        let action = ERRORS[(index + seed()) % ERRORS.len()];
        let undone = undoing(&bench, Operation::Install, action, &point);
        all += undone.len();
        for (number, kill) in shard(undone, UNDONE).into_iter().enumerate() {
            let next = ALL_NEXT[(index + number + seed()) % ALL_NEXT.len()];
            let follow_ups = vec![FollowUp { next, second_kill: None }];
            trials.push(Trial {
                operation: Operation::Install,
                action,
                point: point.clone(),
                then_kill: Some(kill),
                follow_ups,
            });
        }
    }
    assert!(!trials.is_empty(), "no install failed");
    converge(&bench, "undoing of a failed install", all, &trials);
}

#[test]
fn install_killed_in_any_package_ends_installed_or_clean() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::of_directories(&Build::fixture());
    let edges = edges_of_packages(&bench.record(Operation::Install));
    assert!(edges.len() > 60, "only {} edges of packages", edges.len());
    let trials: Vec<Trial> = shard(edges.clone(), 8)
        .iter()
        .enumerate()
        .map(|(index, point)| kills(Operation::Install, index, point))
        .collect();
    converge(
        &bench,
        "install of the whole build, first, middle and last effect of each package",
        edges.len(),
        &trials,
    );
}

/// The first, the middle and the last effect between the journal's `begin` and `done` of each
/// package.
fn edges_of_packages(events: &[Event]) -> Vec<Point> {
    let mut edges = Vec::new();
    let mut inside: Option<Vec<Point>> = None;
    for event in events {
        match event {
            Event::Told(text) if text.contains(r#""record":"begin""#) => {
                // A package of the bootstrap archive that nobody expected is begun in the middle.
                let is_package = [r#""key":"package "#, r#""key":"bootstrap "#]
                    .iter()
                    .any(|key| text.contains(key));
                inside = inside.take().or(is_package.then(Vec::new));
            }
            Event::Told(text) if text.contains(r#""record":"done""#) => {
                if let Some(points) = inside.take() {
                    edges.extend(
                        [points.first(), points.get(points.len() / 2), points.last()]
                            .into_iter()
                            .flatten()
                            .cloned(),
                    );
                }
            }
            Event::Told(_) => {}
            Event::Effect(point) => inside.iter_mut().for_each(|points| points.push(point.clone())),
        }
    }
    edges
}

/// What a node that runs has besides: calls of systemd, its jobs, and HTTP.
fn of_machines(operation: Operation, name: &str) {
    if !support::is_root() {
        return;
    }
    let bench = Bench::of_machines(&Build::tiny());
    let outside = ["Call", "Job", "Receive", "Mounts", "Spawn"];
    let recorded: Vec<Point> = points(&bench.record(operation))
        .into_iter()
        .filter(|point| outside.contains(&point.effect.as_str()))
        .collect();
    converge(&bench, name, recorded.len(), &of_points(operation, &shard(recorded.clone(), SHARD)));
}

#[test]
fn install_with_failing_services_ends_installed_or_clean() {
    of_machines(Operation::Install, "install on a machine: systemd, jobs, HTTP");
}

#[test]
fn uninstall_with_failing_systemd_ends_clean_or_installed() {
    of_machines(Operation::Uninstall, "uninstall on a machine: systemd, jobs");
}

/// Fault points that no run of these tests passes: the file, the effect, and what passes them.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("system/compress.rs", "Open", "`publish`, which works on no node: tests/suite/publish.rs"),
    ("system/compress.rs", "Attributes", "the same"),
    ("system/compress.rs", "Write", "the same"),
    ("system/compress.rs", "Sync", "the same"),
    (
        "system/files",
        "Attributes",
        "a umask that takes bits, and owners of a place below an image: tests/suite/offline.rs",
    ),
    ("system/http/neighbour.rs", "Receive", "checks and `status`, which change nothing"),
    (
        "system/mounts.rs",
        "Mounts",
        "checks, which change nothing; Mesos' mounts on a real node: tests/nodes/parting.rs",
    ),
    (
        "system/immutable.rs",
        "Attributes",
        "an /etc/resolv.conf that nobody may change: its own tests",
    ),
    (
        "system/overwrite.rs",
        "Write",
        "an /etc/resolv.conf that is a mount point: tests/suite/unusual_file_systems.rs",
    ),
    ("system/overwrite.rs", "Sync", "the same"),
    ("system/control_groups.rs", "Call", "tasks of a real node: tests/nodes/parting.rs"),
    ("system/netlink.rs", "Call", "the kernel of a real node: tests/nodes/uninstall_network.rs"),
    ("system/sysctl.rs", "Write", "the same"),
    ("system/systemd/bus.rs", "Call", "systemd itself: tests/nodes/crash_real.rs"),
    ("system/systemd/bus.rs", "Job", "the same"),
    ("system/unpack.rs", "Write", "a sparse file: tests/suite/archives.rs"),
    (
        "system/unpack/copy.rs",
        "Write",
        "a /opt/mesosphere on a file system of its own: tests/suite/kept_packages.rs",
    ),
    ("system/unpack/tree.rs", "Remove", "a member that comes twice: tests/suite/archives.rs"),
    (
        "system/unpack/tree.rs",
        "Directory",
        "a parent that no member names: tests/suite/archives.rs",
    ),
    (
        "system/confine",
        "Confine",
        "scripts of the build, in a view that is thrown away: tests/suite/scripts.rs",
    ),
    ("system/confine", "Remove", "the same"),
    ("system/confine", "Directory", "the same"),
    ("system/confine", "Attributes", "the same"),
    ("system/confine", "Write", "the same"),
    ("system/confine", "Mounts", "the same"),
    ("system/confine", "Open", "the same"),
    ("system/confine", "Link", "the same"),
    (
        "system/process",
        "Spawn",
        "scripts, and the start of ourselves without a password: tests/suite/scripts.rs",
    ),
    ("system/process", "Directory", "the same"),
    ("system/process", "Write", "the same"),
    ("system/process", "Remove", "the same"),
    ("system/process", "Mounts", "the same"),
    ("system/files/held.rs", "Open", "`--events` and `bundle`: tests/suite/others_files.rs"),
    ("system/files/place.rs", "Remove", "what a killed run left; an undisturbed run has none"),
    ("system/files/removal.rs", "Sync", "a directory that keeps something: tests/suite/trees.rs"),
];

/// The fault points in the sources: file and line, and the effect.
fn places(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("list the sources") {
        let path = entry.expect("list the sources").path();
        if path.is_dir() {
            found.extend(places(&path));
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("read a source");
        let relative = path
            .strip_prefix(env!("CARGO_MANIFEST_DIR"))
            .expect("it is in the project")
            .display()
            .to_string();
        for (index, line) in text.lines().enumerate() {
            let point = line
                .split_once("fault::point(Effect::")
                .or_else(|| line.split_once("passing(Effect::"));
            if let Some((effect, _)) = point.and_then(|(_, rest)| rest.split_once(',')) {
                found.insert(format!("{relative}:{}", index + 1), effect.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_fault_point_is_hit() {
    if !support::is_root() {
        return;
    }
    let mut missing = places(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/system"));
    assert!(missing.len() > 40, "{missing:?}");
    for bench in [Bench::of_directories(&Build::tiny()), Bench::of_machines(&Build::tiny())] {
        for operation in
            [Operation::Install, Operation::Reinstall, Operation::Uninstall, Operation::Recover]
        {
            for event in bench.record(operation) {
                if let Event::Told(text) = event {
                    text.strip_prefix("at ").map(|place| missing.remove(place));
                }
            }
        }
    }
    let excuse = |place: &str, effect: &str| {
        let of = |(file, what, _): &(&str, &str, &str)| {
            *what == effect && place.strip_prefix("src/").is_some_and(|p| p.starts_with(file))
        };
        ELSEWHERE.iter().position(of)
    };
    let used: BTreeSet<usize> =
        missing.iter().filter_map(|(place, effect)| excuse(place, effect)).collect();
    missing.retain(|place, effect| excuse(place, effect).is_none());
    assert!(missing.is_empty(), "no run passes these fault points: {missing:#?}");
    assert_eq!(
        used.len(),
        ELSEWHERE.len(),
        "some of these are passed now, or gone: {ELSEWHERE:#?}"
    );
}

#[test]
fn steps_done_in_the_journal_are_on_disk_content_first() {
    if !support::is_root() {
        return;
    }
    let benches = [
        Bench::of_directories(&Build::tiny()),
        Bench::of_machines(&Build::tiny()),
        Bench::of_directories(&Build::fixture()),
    ];
    let mut renames = 0;
    for bench in &benches {
        for operation in
            [Operation::Install, Operation::Reinstall, Operation::Uninstall, Operation::Recover]
        {
            let events = bench.record(operation);
            renames += points(&events).iter().filter(|point| point.effect == "Rename").count();
            let wrong = order::violations(&events);
            assert!(
                wrong.is_empty(),
                "{operation:?}: {} effects out of order:\n{}",
                wrong.len(),
                wrong.join("\n")
            );
        }
    }
    assert!(renames > 100, "only {renames} renames were recorded");
}

/// What a killed run had not made durable, the next one must, although it finds the work done.
#[test]
fn resumed_run_syncs_the_writes_of_the_killed_run() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::of_directories(&Build::tiny());
    let mut wrong = BTreeSet::new();
    for operation in [Operation::Install, Operation::Reinstall, Operation::Uninstall] {
        for point in shard(points(&bench.record(operation)), SHARD) {
            let image = bench.ready(operation);
            let (killed, mut events) = bench.run_recorded(
                image.path(),
                operation,
                &point::fault(&point, "kill", image.path()),
            );
            assert_eq!(killed.status.code(), None, "the point was not hit: {point:?}");
            // It died at the last one.
            events.pop();
            events.extend(bench.run_recorded(image.path(), operation, "").1);
            wrong.extend(
                order::violations(&events)
                    .into_iter()
                    .map(|wrong| format!("{wrong} (killed at {} {})", point.effect, point.object)),
            );
        }
    }
    let first = wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} effects out of order:\n{first}", wrong.len());
}
