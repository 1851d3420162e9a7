//! Effects of runs on images: the directory of the image and its lock have names of their own each
//! time, and stand as words in what is compared.

use std::path::Path;

use support::faults::{self, Event, Point};

/// Stands for the directory of the image in a recorded object.
const ROOT: &str = "{root}";
/// Stands for the lock of the image, which lies outside of it under a name of its own.
const LOCK: &str = "{lock}";

/// The fault of this action at this point of a run on this image.
pub fn fault(point: &Point, action: &str, image: &Path) -> String {
    point.fault(action).replace(ROOT, text(image)).replace(LOCK, &lock(image))
}

/// Reads the record of a run on this image.
pub fn events(record: &str, image: &Path) -> Vec<Event> {
    faults::events(&record.replace(&lock(image), LOCK).replace(text(image), ROOT))
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
