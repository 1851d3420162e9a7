//! `dcos-node explain CHECK` and `dcos-node preflight --list`: what checks mean, without looking at
//! any node.

use serde::Serialize;

use super::Failure;
use crate::dcos::exit::Exit;
use crate::dcos::role::Role;
use crate::preflight;
use crate::preflight::explain::{self, Explanation};

/// The schema of the JSON of both.
pub const SCHEMA: u32 = 1;

/// The table of checks.
#[derive(Clone, Debug, Serialize)]
pub struct List {
    /// [`SCHEMA`].
    pub schema: u32,
    /// For which role; none for all.
    pub role: Option<Role>,
    /// Every check.
    pub checks: Vec<Explanation>,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What it means.
    #[serde(flatten)]
    pub check: Explanation,
}

/// Explains a check.
///
/// # Errors
/// There is no such check.
pub fn run(id: &str) -> Result<Outcome, Failure> {
    let rule = preflight::find(id).ok_or_else(|| unknown(id))?;
    Ok(Outcome { schema: SCHEMA, check: Explanation::of(rule, None) })
}

/// Lists all checks.
pub fn list(role: Option<Role>) -> List {
    List {
        schema: SCHEMA,
        role,
        checks: preflight::table().map(|rule| Explanation::of(rule, role)).collect(),
    }
}

/// The answer to the name of a check that there is not.
pub(super) fn unknown(id: &str) -> Failure {
    let closest = explain::closest(id);
    let meant = if closest.is_empty() {
        String::new()
    } else {
        format!("did you mean {}? ", closest.join(" or "))
    };
    Failure::new(Exit::Usage, anyhow::anyhow!("there is no check {id}"))
        .leaving("nothing was changed")
        .cured_by(format!("{meant}dcos-node preflight --list shows all checks"))
}
