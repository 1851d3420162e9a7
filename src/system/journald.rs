//! Reads the log of a unit from the journal files themselves.

use std::path::PathBuf;

/// One line.
pub struct Line {
    /// Who.
    pub identifier: String,
    /// What.
    pub message: String,
}

/// Stub until merged.
pub fn last_lines(_: &[PathBuf], _: &str, _: usize) -> std::io::Result<Vec<Line>> {
    Ok(Vec::new())
}
