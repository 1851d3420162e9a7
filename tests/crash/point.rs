//! Effects of a recorded run, and the addresses by which a fault finds them again.

use std::collections::BTreeMap;
use std::path::Path;

/// Stands for the directory of the image in a recorded object.
const ROOT: &str = "{root}";
/// Stands for the lock of the image, which lies outside of it under a name of its own.
const LOCK: &str = "{lock}";

/// One effect of an undisturbed run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// `Write`, `Rename`.
    pub effect: String,
    /// What it meets, with [`ROOT`] for the image.
    pub object: String,
    /// The how manieth time, from 1, that this effect meets this object.
    pub nth: u32,
}

impl Point {
    /// The fault of this action at this point of a run on this image.
    pub fn fault(&self, action: &str, image: &Path) -> String {
        let object = self.object.replace(ROOT, text(image)).replace(LOCK, &lock(image));
        format!("{action} {} {} {object}", self.effect, self.nth)
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

/// Reads the record of a run on this image.
pub fn events(record: &str, image: &Path) -> Vec<Event> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let read = record.lines().filter_map(|line| line.split_once(' ')).map(|(effect, object)| {
        if effect == "#" {
            return Event::Told(object.to_owned());
        }
        let object = object.replace(&lock(image), LOCK).replace(text(image), ROOT);
        let nth = seen.entry(format!("{effect} {object}")).or_default();
        *nth += 1;
        Event::Effect(Point { effect: effect.to_owned(), object, nth: *nth })
    });
    read.collect()
}

/// The effects alone.
pub fn points(events: &[Event]) -> Vec<Point> {
    let effect = |event: &Event| if let Event::Effect(point) = event { Some(point.clone()) } else { None };
    events.iter().filter_map(effect).collect()
}

fn text(image: &Path) -> &str {
    image.to_str().expect("the path is UTF-8")
}

/// The name of the lock that belongs to an image (`World::offline_lock`).
fn lock(image: &Path) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(image.join("").as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("dcos-node-{name}.lock")
}
