//! The three roles a node can have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a node is in the cluster; also the suffix of role directories in packages (`etc_master`)
/// and the name of the role file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs ZooKeeper, the Mesos master and the cluster's services.
    Master,
    /// A private agent.
    Slave,
    /// An agent that takes traffic from outside the cluster.
    SlavePublic,
}

impl Role {
    /// All roles, in the order in which DC/OS documents them.
    pub const ALL: [Role; 3] = [Role::Master, Role::Slave, Role::SlavePublic];

    /// The word that DC/OS uses in file and directory names.
    pub fn word(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Slave => "slave",
            Role::SlavePublic => "slave_public",
        }
    }

    /// The unit that is the heart of this role; the node is of no use without it.
    pub fn heart(self) -> &'static str {
        match self {
            Role::Master => "dcos-mesos-master.service",
            Role::Slave => "dcos-mesos-slave.service",
            Role::SlavePublic => "dcos-mesos-slave-public.service",
        }
    }
}

/// The word is none of the three roles.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a role; the roles are master, slave and slave_public")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|r| r.word() == word).ok_or_else(|| UnknownRole(word.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
