//! How far a node has come: what "installed" means to different people (files unpacked, target
//! started, node serving, cluster formed).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// All files are in their places.
    Unpacked,
    /// `dcos.target` is active.
    Started,
    /// The clock is right, the node's DNS answers, the role's units stay up, and DC/OS' own
    /// poststart checks pass.
    NodeReady,
    /// A master: all masters serve, one leads, and the web interface answers. An agent: it is
    /// registered.
    ClusterReady,
}

impl Level {
    /// All, from the lowest.
    pub const ALL: [Level; 4] =
        [Level::Unpacked, Level::Started, Level::NodeReady, Level::ClusterReady];

    /// The word for it on the command line and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Level::Unpacked => "unpacked",
            Level::Started => "started",
            Level::NodeReady => "node-ready",
            Level::ClusterReady => "cluster-ready",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a level is one of unpacked, started, node-ready and cluster-ready")]
pub struct UnknownLevel;

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(word: &str) -> Result<Level, UnknownLevel> {
        Level::ALL.into_iter().find(|level| level.word() == word).ok_or(UnknownLevel)
    }
}
