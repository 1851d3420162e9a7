//! Changes that count as intact.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A path that is not as its package or an activation made it, and counts as intact while it is as
/// it was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// As the node sees it.
    pub path: PathBuf,
    /// What it was when it was accepted.
    #[serde(flatten)]
    pub content: Content,
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// Why it is not as it was made.
    pub reason: String,
}

/// What an accepted path holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Content {
    /// A file.
    File {
        /// Hexadecimal.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Where it points.
        target: PathBuf,
    },
}
