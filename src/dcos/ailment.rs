//! What makes an installed node not healthy.

use std::fmt;

use serde::Serialize;

/// One thing that makes an installed node not healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Ailment {
    /// A unit that the role needs has failed, or does not run.
    Failed {
        /// The unit.
        unit: String,
        /// Why, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A unit that the role needs does not stay up.
    Restarted {
        /// The unit.
        unit: String,
        /// How often it was restarted within the last 10 minutes.
        times: u32,
    },
    /// A unit that the role needs is not ready, though there was time enough.
    Late {
        /// The unit.
        unit: String,
    },
    /// Installed files are missing.
    Missing {
        /// How many files, links, units and accounts.
        count: usize,
    },
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ailment::Failed { unit, why: Some(why) } => write!(f, "{unit}: {why}"),
            Ailment::Failed { unit, why: None } => write!(f, "{unit} does not run"),
            Ailment::Restarted { unit, times } => {
                write!(f, "{unit} was restarted {times} times in 10 minutes")
            }
            Ailment::Late { unit } => {
                write!(f, "{unit} is not ready 20 minutes after the boot or the last change")
            }
            Ailment::Missing { count: 1 } => f.write_str("1 installed file is missing"),
            Ailment::Missing { count } => write!(f, "{count} installed files are missing"),
        }
    }
}
