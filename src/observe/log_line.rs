//! One line of the journal, as it is shown below a unit.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::system::journald;

/// What systemd is called where it writes about a unit.
const SYSTEMD: &str = "systemd";

/// Who wrote a line, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `SYSLOG_IDENTIFIER`, else the name of the process.
    pub identifier: String,
    /// What was written.
    pub message: String,
}

impl LogLine {
    /// Whether systemd wrote it, not the unit.
    pub fn is_of_systemd(&self) -> bool {
        self.identifier == SYSTEMD
    }

    /// Whether it has one of these words of its writer.
    pub fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.message.contains(word))
    }
}

impl From<journald::Line> for LogLine {
    fn from(line: journald::Line) -> LogLine {
        LogLine { identifier: line.identifier, message: line.message }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.identifier, self.message)
    }
}

impl Serialize for LogLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
