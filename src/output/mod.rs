//! The only room that prints: results, reports, failures, and the news of a run.

pub mod ask;
pub mod bundle;
pub mod ending;
pub mod explain;
pub mod failure;
pub mod follow;
pub mod log;
pub mod outcome;
pub mod paint;
pub mod preflight;
pub mod publish;
pub mod record;
pub mod show;
pub mod status;
pub mod table;
pub mod verify;
mod watch;

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

/// Prints a text to standard output. A reader that has gone away is no error: it has seen what it
/// wanted.
///
/// # Errors
/// Standard output does not take it: it goes to a disk that is full, say.
pub fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a value as one JSON document to standard output.
///
/// # Errors
/// As those of [`text`].
pub fn json(value: &impl Serialize) -> io::Result<()> {
    text(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Prints a text to standard error.
pub fn complaint(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
}

#[cfg(test)]
mod tests;
