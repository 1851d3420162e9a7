//! Nobody sleeps on his own: a pause that no signal ends, and a loop that looks again and again,
//! are in `system/` alone. All others wait by `Cancellation`.

use support::source::Sources;

use super::{at, finds, holds, src, uses};

/// Pauses that no signal ends.
const PAUSES: [&str; 4] = [
    "tokio::time::sleep",
    "tokio::time::sleep_until",
    "tokio::time::interval",
    "std::thread::sleep",
];

fn waits(sources: &Sources) -> Vec<String> {
    let elsewhere = sources.files.iter().filter(|file| file.room() != "system");
    elsewhere
        .flat_map(|file| {
            uses(file, &PAUSES).map(|(line, path)| {
                at(file, line, &format!("{path} outside system/: wait by Cancellation"))
            })
        })
        .collect()
}

#[test]
fn every_wait_listens_to_the_cancellation() {
    holds(&waits(&src()));
}

#[test]
fn a_pause_that_no_signal_ends_is_found() {
    let planted = Sources::of([
        ("system/cancellation.rs", "use tokio::time::sleep;\n"),
        (
            "command/wait.rs",
            "use std::thread;\n\
             use tokio::time::{self, Instant};\n\
             async fn a() { while !b() { time::sleep(STEP).await; } }\n\
             fn c() { thread::sleep(STEP); sleep(); }\n",
        ),
    ]);
    finds(&waits(&planted), &["wait.rs:3: tokio::time::sleep", "wait.rs:4: std::thread::sleep"]);
}
