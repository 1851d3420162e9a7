//! Every wait answers Ctrl-C within a second: it listens to `Cancellation`. A pause, or a wait on
//! something else, is in the one file of `Cancellation` or in a table with its reason.

use support::source::{File, Kind, Sources};

use super::{at, finds, holds, is_in, src, uses};

/// Where the pauses are that a signal ends.
const HOME: &str = "system/cancellation";

/// Pauses and waits that no signal ends.
const PAUSES: [&str; 12] = [
    "nix::poll::poll",
    "nix::poll::ppoll",
    "nix::sys::epoll",
    "nix::sys::select",
    "nix::sys::socket::sockopt::ReceiveTimeout",
    "std::sync::Condvar",
    "std::thread::park_timeout",
    "std::thread::sleep",
    "tokio::time::interval",
    "tokio::time::interval_at",
    "tokio::time::sleep",
    "tokio::time::sleep_until",
];
/// The same as methods of values that this rule cannot follow.
const METHODS: [&str; 4] = ["recv_timeout", "wait_timeout", "wait_timeout_while", "park_timeout"];

/// In which file which of them is, and why Ctrl-C is answered within a second all the same.
const EXCEPTIONS: [(&str, &str, &str); 12] = [
    (
        "system/archive/budget",
        "std::sync::Condvar",
        "what frees memory is another package's work, which a signal ends as it ends this one's",
    ),
    (
        "system/confine/supervise",
        "nix::poll::poll",
        "the init of a script, a process of its own; it ends with its caller's socket",
    ),
    ("system/http/backoff", "tokio::time::sleep", "inside `Client`, which waits by Cancellation"),
    ("system/http/rate", "tokio::time::sleep", "inside `Client`, which waits by Cancellation"),
    ("system/lock", "std::thread::sleep", "ten times 10 ms, for the name of a lock's holder"),
    (
        "system/netlink",
        "nix::sys::socket::sockopt::ReceiveTimeout",
        "the kernel answers within the call; a change of it is never left half read",
    ),
    ("system/server", "tokio::time::interval", "a task beside the one that a signal ends"),
    ("system/server", "tokio::time::sleep", "dropped when the future that stops the server ends"),
    (
        "system/shared_sync",
        "std::sync::Condvar",
        "a sync of the disk, which nothing can interrupt; what is recorded after it needs it",
    ),
    (
        "system/systemd/bus",
        "tokio::time::interval",
        "inside `Cancellable`, which waits by Cancellation",
    ),
    (
        "system/systemd/bus",
        "tokio::time::sleep",
        "inside `Cancellable`, which waits by Cancellation",
    ),
    ("system/systemd/fake", "tokio::time::sleep", "a systemd of tests, and inside `Cancellable`"),
];

fn waits(sources: &Sources, exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = vec![false; exceptions.len()];
    for file in sources.files.iter().filter(|file| !is_in(file, HOME)) {
        let paths = uses(file, &PAUSES).chain(methods(file));
        for (line, path) in paths {
            let excused = exceptions.iter().position(|(place, pause, _)| {
                is_in(file, place) && (path == *pause || path.starts_with(&format!("{pause}::")))
            });
            match excused {
                Some(index) => used[index] = true,
                None => complaints.push(at(file, line, &format!("{path}: wait by Cancellation"))),
            }
        }
    }
    let stale = exceptions.iter().zip(used).filter(|(_, used)| !used);
    complaints.extend(stale.map(|((place, pause, _), _)| format!("{place} has no {pause}")));
    complaints
}

fn methods(file: &File) -> impl Iterator<Item = (usize, String)> {
    let calls = file.tokens.windows(3).filter(|w| w[0].is(".") && w[2].is("("));
    calls
        .filter(|w| w[1].kind == Kind::Word && METHODS.contains(&w[1].text.as_str()))
        .map(|w| (w[1].line, w[1].text.clone()))
}

#[test]
fn every_wait_listens_to_the_cancellation() {
    holds(&waits(&src(), &EXCEPTIONS));
}

#[test]
fn every_exception_of_the_waits_has_a_reason() {
    for (place, pause, reason) in EXCEPTIONS {
        assert!(reason.split(' ').count() >= 3, "{place}: {pause}: {reason:?}");
    }
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
        ("system/lock.rs", "fn a() { std::thread::sleep(STEP); told.recv_timeout(STEP); }\n"),
    ]);
    let excused = [
        ("system/lock", "std::thread::sleep", "short"),
        ("system/gone", "std::thread::sleep", "of a file that is not there any more"),
    ];
    finds(
        &waits(&planted, &excused),
        &[
            "wait.rs:3: tokio::time::sleep",
            "wait.rs:4: std::thread::sleep",
            "system/lock.rs:1: recv_timeout",
            "system/gone has no",
        ],
    );
}
