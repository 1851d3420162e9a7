//! Effects of recorded runs (`src/system/fault.rs`), the addresses by which a fault finds them
//! again, and which of them a run of the tests takes.

use std::collections::BTreeMap;
use std::process::Command;

/// One effect of a recorded run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What is done: `Write`, `Rename`.
    pub effect: String,
    /// To what.
    pub object: String,
    /// The how-many-eth time, from 1, that this effect meets this object.
    pub nth: u32,
}

impl Point {
    /// The value of `DCOS_NODE_FAULT` for this action there.
    pub fn fault(&self, action: &str) -> String {
        format!("{action} {} {} {}", self.effect, self.nth, self.object)
    }

    /// Whether the next run passes it for certain: a body may come in fewer pieces then.
    pub fn comes_again(&self) -> bool {
        self.effect != "Receive" || self.nth == 1
    }

    /// The value of `DCOS_NODE_FAULT` that kills there.
    pub fn kill(&self) -> String {
        self.fault("kill")
    }
}

/// What a run did: its effects, and between them the records that were added to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An effect on the outside.
    Effect(Point),
    /// A record of the journal, which is durable by then.
    Told(String),
}

/// Reads the record of a run.
pub fn events(record: &str) -> Vec<Event> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let mut read = |line| {
        let (effect, object) = str::split_once(line, ' ')?;
        if effect == "#" {
            return Some(Event::Told(object.to_owned()));
        }
        let nth = seen.entry(line).or_default();
        *nth += 1;
        Some(Event::Effect(Point {
            effect: effect.to_owned(),
            object: object.to_owned(),
            nth: *nth,
        }))
    };
    record.lines().filter_map(&mut read).collect()
}

/// The effects alone.
pub fn points(events: &[Event]) -> Vec<Point> {
    let effect =
        |event: &Event| if let Event::Effect(point) = event { Some(point.clone()) } else { None };
    events.iter().filter_map(effect).collect()
}

/// The effects of a recorded run on a real node or on an image at another place that come at the
/// same address in the next one: a body comes in other pieces each time, so only its first piece
/// does, and the name of the lock follows from that of the image.
pub fn lasting_points(record: &str) -> Vec<Point> {
    let comes_again = |point: &Point| point.comes_again() && !point.object.ends_with(".lock");
    points(&events(record)).into_iter().filter(comes_again).collect()
}

/// So many of them, spread evenly, beginning somewhere in the first stretch.
pub fn spread<T: Clone>(all: &[T], count: usize, seed: usize) -> Vec<T> {
    let count = count.min(all.len());
    (0..count)
        .filter_map(|index| {
            let (begin, end) = (all.len() * index / count, all.len() * (index + 1) / count);
            all.get(begin + seed % (end - begin).max(1)).cloned()
        })
        .collect()
}

/// A number that changes with every commit, so that each one tries other points.
pub fn seed() -> usize {
    let commit =
        Command::new("git").args(["rev-parse", "HEAD"]).current_dir(crate::checkout()).output();
    let text = commit.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    usize::from_str_radix(text.get(..8).unwrap_or("1"), 16).unwrap_or(1)
}
