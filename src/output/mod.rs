//! The only room that prints: results, reports, failures, and the news of a run.

pub mod ask;
pub mod bundle;
pub mod explain;
pub mod failure;
pub mod follow;
pub mod log;
pub mod outcome;
pub mod paint;
pub mod preflight;
pub mod publish;
pub mod record;
pub mod status;
pub mod table;
pub mod verify;
mod watch;

use std::io::Write;

use serde::Serialize;

/// Prints a text to standard output. A reader that has gone away is no error: it has seen what it wanted.
pub fn text(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a value as one JSON document to standard output.
pub fn json(value: &impl Serialize) {
    if let Ok(document) = serde_json::to_string_pretty(value) {
        text(&(document + "\n"));
    }
}

/// Prints a text to standard error.
pub fn complaint(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
}

#[cfg(test)]
mod tests;
