//! Judges facts: will this node work? Pure; every problem is reported, never only the first.

mod checks;
pub mod report;

use crate::dcos::role::Role;
use crate::dcos::settings::Settings;
use crate::observe::host::Host;
use crate::observe::node::Node;
use report::{Check, Report};

/// What is judged, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The machine.
    pub host: &'a Host,
    /// What of DC/OS stands on it.
    pub node: &'a Node,
    /// What the build says about the cluster.
    pub settings: &'a Settings,
    /// The role that the node will have; none checks what all roles need.
    pub role: Option<Role>,
    /// Whether the node is this machine, and not a directory that will be one.
    pub live: bool,
}

/// All checks, in the order in which they are shown.
pub fn judge(facts: &Facts<'_>, skip: &[(String, String)]) -> Report {
    let judged: Vec<Check> = checks::ALL.iter().map(|check| check(facts)).collect();
    Report::new(facts.role, judged, skip)
}

pub use checks::CHECKS;
