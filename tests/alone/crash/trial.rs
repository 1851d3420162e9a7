//! One fault, or one after the other, and what brings the node back.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::bench::{Bench, End, Operation, copy, said};
use super::point::fault;
use support::faults::{Event, Point, points};

/// What is done to which effect of which command, and what follows.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The command that is disturbed.
    pub operation: Operation,
    /// `kill`, or an error.
    pub action: &'static str,
    /// The effect.
    pub point: Point,
    /// A kill later in the same run: while it undoes what the fault has stopped.
    pub then_kill: Option<Point>,
    /// What brings the node back; each from where the fault left it.
    pub follow_ups: Vec<FollowUp>,
}

/// What brings a node back.
#[derive(Clone, Copy, Debug)]
pub struct FollowUp {
    /// The command.
    pub next: Next,
    /// It is killed too, at this part of a thousand of its own effects, and given once more.
    pub second_kill: Option<usize>,
}

/// A command after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same once more.
    Same,
    /// `recover`.
    Recover,
    /// The opposite one.
    Opposite,
}

/// All commands that may follow.
pub const ALL_NEXT: [Next; 3] = [Next::Same, Next::Recover, Next::Opposite];

/// Kinds of cases, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One kill.
    Killed,
    /// A kill, and another one in what followed.
    KilledTwice,
    /// An effect that failed.
    Failed,
    /// An effect that failed, and a kill in the undoing of the rest.
    FailedThenKilled,
}

/// How many cases of each kind ended how, and which did not end well.
#[derive(Default)]
pub struct Tally {
    /// By kind and end.
    pub ends: BTreeMap<(Kind, End), usize>,
    /// What went wrong.
    pub wrong: Vec<String>,
}

impl Tally {
    /// All cases.
    pub fn cases(&self) -> usize {
        self.ends.values().sum::<usize>() + self.wrong.len()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [Kind::Killed, Kind::KilledTwice, Kind::Failed, Kind::FailedThenKilled];
        let of_kind = kinds.map(|kind| {
            self.ends.iter().filter(|((k, _), _)| *k == kind).map(|(_, n)| n).sum::<usize>()
        });
        write!(
            f,
            "{} cases (killed {}, killed twice {}, failed {}, ",
            self.cases(),
            of_kind[0],
            of_kind[1],
            of_kind[2]
        )?;
        write!(f, "failed and killed in the undoing {})", of_kind[3])?;
        let ends = [End::Installed, End::Clean, End::CleanWithPackages, End::AsItBegan];
        let of_end = ends.map(|end| {
            self.ends.iter().filter(|((_, e), _)| *e == end).map(|(_, n)| n).sum::<usize>()
        });
        write!(
            f,
            " -> installed {}, clean {}, clean with packages kept {}, ",
            of_end[0], of_end[1], of_end[2]
        )?;
        write!(f, "as it began {}, NOT CONVERGED {}", of_end[3], self.wrong.len())
    }
}

impl Trial {
    /// Runs it. What is wrong is a line for each case.
    fn run(&self, bench: &Bench, tally: &Mutex<Tally>) {
        let is_killed = self.action == "kill" || self.then_kill.is_some();
        let (mut image, mut output) = self.disturb(bench);
        for _ in 0..20 {
            // A body that came in fewer pieces than in the recorded run; that it comes so each time
            // is unlikely.
            if !is_killed || output.status.code().is_none() || self.point.comes_again() {
                break;
            }
            (image, output) = self.disturb(bench);
        }
        for follow_up in &self.follow_ups {
            let result = if is_killed && output.status.code().is_some() {
                Err(format!("the point was not hit: {}", said(&output)))
            } else if self.follow_ups.len() == 1 {
                self.follow(bench, image.path(), *follow_up)
            } else {
                self.follow(bench, copy(image.path()).path(), *follow_up)
            };
            let mut tally = tally.lock().expect("no panic");
            match result {
                Ok(end) => *tally.ends.entry((self.kind(*follow_up), end)).or_default() += 1,
                Err(why) => {
                    let then = self
                        .then_kill
                        .as_ref()
                        .map(|point| format!(", then kill {point:?}"))
                        .unwrap_or_default();
                    tally.wrong.push(format!(
                        "{:?}: {} {:?}{then}, {follow_up:?}: {why}",
                        self.operation, self.action, self.point
                    ));
                }
            }
        }
    }

    /// The run with its fault, and what it left.
    fn disturb(&self, bench: &Bench) -> (TempDir, Output) {
        let image = bench.ready(self.operation);
        let mut wish = fault(&self.point, self.action, image.path());
        if let Some(point) = &self.then_kill {
            wish = format!("{wish}\n{}", fault(point, "kill", image.path()));
        }
        let output = bench.run(image.path(), self.operation, &[("DCOS_NODE_FAULT", &wish)]);
        (image, output)
    }

    fn kind(&self, follow_up: FollowUp) -> Kind {
        match (self.action, &self.then_kill, follow_up.second_kill) {
            ("kill", _, None) => Kind::Killed,
            ("kill", _, Some(_)) => Kind::KilledTwice,
            (_, None, _) => Kind::Failed,
            (_, Some(_), _) => Kind::FailedThenKilled,
        }
    }

    fn follow(&self, bench: &Bench, image: &Path, follow_up: FollowUp) -> Result<End, String> {
        let command = match follow_up.next {
            Next::Same => self.operation,
            Next::Recover => Operation::Recover,
            Next::Opposite if self.operation == Operation::Uninstall => Operation::Install,
            Next::Opposite => Operation::Uninstall,
        };
        if let Some(part) = follow_up.second_kill {
            let mut effects = points(&bench.run_recorded(copy(image).path(), command, "").1);
            effects.retain(Point::comes_again);
            // An operation that had not begun has nothing to recover: then there is no second
            // effect.
            if let Some(point) = effects.get(effects.len() * part / 1000) {
                let killed =
                    bench.run(image, command, &[("DCOS_NODE_FAULT", &fault(point, "kill", image))]);
                if killed.status.code().is_some() {
                    return Err(format!(
                        "the second kill was not hit at {point:?}: {}",
                        said(&killed)
                    ));
                }
            }
        }
        let after = bench.run(image, command, &[]);
        // The stand-in for systemd is another one in each run: it runs nothing that an earlier one
        // started, and an installed node is not healthy for it.
        if ![Some(0), Some(12)].contains(&after.status.code()) {
            return Err(format!(
                "{command:?} after it ended with {:?}: {}",
                after.status.code(),
                said(&after)
            ));
        }
        bench.judge(image, command, self.operation)
    }
}

/// Runs all trials, on as many threads as there are processors.
pub fn run_all(bench: &Bench, trials: &[Trial]) -> Tally {
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, std::num::NonZero::get) {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::SeqCst)) {
                    trial.run(bench, &tally);
                }
            });
        }
    });
    tally.into_inner().expect("no panic")
}

/// What a run with an error at this point does after it: it undoes what it had done. Nothing where
/// it does not fail.
pub fn undoing(bench: &Bench, operation: Operation, action: &str, point: &Point) -> Vec<Point> {
    let image = bench.ready(operation);
    let (output, events) =
        bench.run_recorded(image.path(), operation, &fault(point, action, image.path()));
    let after = events
        .iter()
        .position(|event| *event == Event::Effect(point.clone()))
        .map_or(events.len(), |at| at + 1);
    if output.status.success() { Vec::new() } else { points(&events[after..]) }
}
