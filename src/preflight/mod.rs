//! Judges facts: will this node work? Pure; every problem is reported, never only the first.
//!
//! Each area is a file with its rows of the one table of checks ([`table`]) and one function a
//! check that says what was found. How bad a bad finding is follows from the table, by role and by
//! the version of the build.

pub mod clock;
mod dns;
mod docker;
mod excuse;
pub mod explain;
mod facts;
mod hardware;
mod identity;
mod installation;
mod kernel;
mod neighbours;
mod ports;
pub mod report;
pub mod room;
pub mod rule;
pub mod server;
mod software;
mod storage;

pub use explain::find;
pub use facts::Facts;

use report::Report;
use rule::Rule;

/// The one table of checks, in the order in which they are shown.
pub fn table() -> impl Iterator<Item = &'static Rule> {
    [
        installation::RULES,
        server::RULES,
        clock::RULES,
        dns::RULES,
        identity::RULES,
        hardware::RULES,
        kernel::RULES,
        software::RULES,
        storage::RULES,
        room::RULES,
        docker::RULES,
        neighbours::RULES,
        ports::RULES,
    ]
    .into_iter()
    .flatten()
}

/// Judges everything.
pub fn judge(facts: &Facts<'_>, skip: &[(String, String)]) -> Report {
    Report::new(facts.role, table().map(|rule| rule.judge(facts)).collect(), skip)
}
