//! User and group names and their numbers.

use std::collections::HashMap;

/// The numbers of the users and groups of a node.
///
/// The C library's name service is not asked: a static binary cannot load it safely.
#[derive(Debug, Clone, Default)]
pub struct Names {
    users: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

impl Names {
    /// Names with their numbers.
    pub fn new<'a>(
        users: impl Iterator<Item = (&'a str, u32)>,
        groups: impl Iterator<Item = (&'a str, u32)>,
    ) -> Self {
        let owned = |(name, number): (&str, u32)| (name.to_owned(), number);
        Self { users: users.map(owned).collect(), groups: groups.map(owned).collect() }
    }

    /// The number of a user.
    pub fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied()
    }

    /// The number of a group.
    pub fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }
}
