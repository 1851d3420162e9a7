//! What is judged.

use std::collections::BTreeMap;

use crate::dcos::build::Build;
use crate::dcos::id::PackageId;
use crate::dcos::role::Role;
use crate::dcos::settings::Settings;
use crate::observe::host::Host;
use crate::observe::node::Node;

/// What is judged, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The machine.
    pub host: &'a Host,
    /// What of DC/OS stands on it.
    pub node: &'a Node,
    /// What the build says about the cluster.
    pub settings: &'a Settings,
    /// The build that is offered; none if there is none or it cannot be read.
    pub build: Option<&'a Build>,
    /// Packages of the build that are on the node and came from archives that its index names, and
    /// the directory that each is in.
    pub kept: &'a BTreeMap<PackageId, &'static str>,
    /// The role that the node will have; none checks what all roles need.
    pub role: Option<Role>,
    /// Whether the node is this machine, and not a directory that will be one.
    pub live: bool,
    /// Whether what an earlier install kept of the node's identity is set aside.
    pub reset_identity: bool,
}

impl Facts<'_> {
    /// Which DC/OS the build is, as (major, minor); none if the build does not say.
    pub fn version(&self) -> Option<(u32, u32)> {
        let version = &self.settings.version.as_ref()?.version;
        let mut numbers =
            version.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    }
}
