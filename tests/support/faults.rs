//! Points of a recorded run at which the program under test can be killed (`system/fault.rs`), and which of them a run of the tests takes.

use std::collections::BTreeMap;
use std::process::Command;

/// One effect of an undisturbed run.
#[derive(Clone, Debug)]
pub struct Point {
    /// What is done.
    pub effect: String,
    /// To what.
    pub object: String,
    /// The how-many-eth time, from 1.
    pub nth: u32,
}

impl Point {
    /// The value of `DCOS_NODE_FAULT` that kills there.
    pub fn kill(&self) -> String {
        format!("kill {} {} {}", self.effect, self.nth, self.object)
    }
}

/// The points of a record. A body comes in other pieces each time, so only its first piece is a point; what the record tells besides effects is none,
/// nor is the lock, whose name follows from that of the image.
pub fn points(record: &str) -> Vec<Point> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let effects = record.lines().filter(|line| !line.starts_with('#') && !line.ends_with(".lock"));
    let all = effects.filter_map(|line| {
        let (effect, object) = line.split_once(' ')?;
        let nth = seen.entry(line).or_default();
        *nth += 1;
        Some(Point { effect: effect.to_owned(), object: object.to_owned(), nth: *nth })
    });
    all.filter(|point| point.effect != "Receive" || point.nth == 1).collect()
}

/// So many points, spread evenly, beginning somewhere in the first stretch.
pub fn spread(points: &[Point], count: usize, seed: usize) -> Vec<Point> {
    let count = count.min(points.len());
    (0..count)
        .filter_map(|index| {
            let (begin, end) = (points.len() * index / count, points.len() * (index + 1) / count);
            points.get(begin + seed % (end - begin).max(1)).cloned()
        })
        .collect()
}

/// A number that changes with every commit, so that each one tries other points.
pub fn seed() -> usize {
    let commit = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = commit.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    usize::from_str_radix(text.get(..8).unwrap_or("1"), 16).unwrap_or(1)
}
