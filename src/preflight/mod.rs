//! Judges facts: will this node work? Pure; every problem is reported, never only the first.

mod checks;
mod facts;
pub mod report;

pub use facts::Facts;

use report::{Check, Report};

/// All checks, in the order in which they are shown.
pub fn judge(facts: &Facts<'_>, skip: &[(String, String)]) -> Report {
    let judged: Vec<Check> = checks::ALL.iter().map(|check| check(facts)).collect();
    Report::new(facts.role, judged, skip)
}

pub use checks::CHECKS;
