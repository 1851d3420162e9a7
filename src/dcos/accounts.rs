//! The accounts of a node, as the text of `/etc/passwd` and `/etc/group` has them.

use std::collections::{BTreeMap, BTreeSet};

/// Users and groups by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The number of each user's primary group.
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, (u32, BTreeSet<String>)>,
}

impl Accounts {
    /// Reads both texts; a line that is none is passed over, as the C library does.
    pub fn parse(passwd: &str, group: &str) -> Accounts {
        let user = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            Some((fields.first()?.to_string(), fields.get(3)?.parse().ok()?))
        };
        let group_of = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let members = fields.get(3).unwrap_or(&"").split(',').filter(|m| !m.is_empty()).map(str::to_owned);
            Some((fields.first()?.to_string(), (fields.get(2)?.parse().ok()?, members.collect())))
        };
        Accounts { users: passwd.lines().filter_map(user).collect(), groups: group.lines().filter_map(group_of).collect() }
    }

    /// Whether there is such a user.
    pub fn has_user(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// Whether there is such a group.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// The number of a group.
    pub fn group_number(&self, group: &str) -> Option<u32> {
        self.groups.get(group).map(|(number, _)| *number)
    }

    /// Whether the user has this group as its primary group or is a member of it.
    pub fn is_in(&self, user: &str, group: &str) -> bool {
        let Some((number, members)) = self.groups.get(group) else { return false };
        members.contains(user) || self.users.get(user) == Some(number)
    }
}
