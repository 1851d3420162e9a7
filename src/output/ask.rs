//! Questions to a person at a terminal.

use std::io::{IsTerminal, stderr, stdin};
use std::path::PathBuf;

use indicatif::HumanBytes;

use super::complaint;
use super::table::{aligned, plain};

/// Whether somebody is there to answer.
pub fn can() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Shows what would be removed for ever and asks whether that is meant. Anything but `yes` is no.
pub fn purge(data: &[(PathBuf, u64)]) -> bool {
    let rows: Vec<_> =
        data.iter().map(|(path, size)| vec![plain(path.display().to_string()), plain(HumanBytes(*size).to_string())]).collect();
    complaint(&format!("This data is removed for ever:\n{}Type yes to go on: ", aligned(&rows)));
    let mut answer = String::new();
    stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}
