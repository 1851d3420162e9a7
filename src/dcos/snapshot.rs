//! What of a node an install could change, as it was before: taken before the first action, kept in
//! the journal and the receipt, and what an uninstall is judged by.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::network::Network;

/// A node as far as DC/OS changes it. What is new in a later dcos-node has a default, so that older
/// snapshots stay readable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Whether the machine was looked at too. Of a node that is a directory there are only files,
    /// units, users and groups.
    pub live: bool,
    /// Paths of `layout::WATCHED` that stand.
    pub paths: Vec<PathBuf>,
    /// Those of `paths` with data, in a place whose name others use too, that an earlier DC/OS
    /// left.
    pub left: Vec<PathBuf>,
    /// Those of `paths` that are places for data and empty: what came into them is new.
    pub empty: Vec<PathBuf>,
    /// Units of DC/OS by their names, in `/etc/systemd/system`.
    pub units: Vec<String>,
    /// Those that `multi-user.target` or `dcos.target` wants.
    pub enabled: Vec<String>,
    /// Users with names of DC/OS.
    pub users: Vec<String>,
    /// Groups with names of DC/OS.
    pub groups: Vec<String>,
    /// The network.
    pub network: Network,
    /// Settings of the kernel that DC/OS' units set, by name.
    pub sysctls: BTreeMap<String, String>,
    /// Variables of DC/OS in systemd's environment, as `NAME=value`.
    pub environment: Vec<String>,
    /// Where something is mounted at or below what DC/OS uses.
    pub mounts: Vec<PathBuf>,
    /// What Mesos' agent mounted for itself and for containers. In `mounts` they are not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mesos_mounts: Vec<PathBuf>,
    /// Modules of `network::MODULES` that are loaded.
    pub modules: Vec<String>,
    /// What could not be looked at, and why.
    pub unknown: Vec<String>,
}
