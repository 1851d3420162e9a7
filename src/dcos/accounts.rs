//! The accounts of a node, as the text of `/etc/passwd` and `/etc/group` has them.

use std::collections::{BTreeMap, BTreeSet};

/// Users and groups by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, (u32, BTreeSet<String>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    number: u32,
    /// The number of the primary group.
    group: u32,
    shell: String,
}

/// Numbers below this are of system accounts (`SYS_UID_MAX` of `login.defs(5)` everywhere that
/// DC/OS runs).
const FIRST_OF_PEOPLE: u32 = 1000;

impl Accounts {
    /// Reads both texts; a line that is none is passed over, as the C library does.
    pub fn parse(passwd: &str, group: &str) -> Accounts {
        let user = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let (number, group) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
            Some((
                fields.first()?.to_string(),
                User { number, group, shell: fields.get(6).unwrap_or(&"").trim().to_owned() },
            ))
        };
        let group_of = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let members = fields
                .get(3)
                .unwrap_or(&"")
                .split(',')
                .filter(|m| !m.is_empty())
                .map(str::to_owned);
            Some((fields.first()?.to_string(), (fields.get(2)?.parse().ok()?, members.collect())))
        };
        Accounts {
            users: passwd.lines().filter_map(user).collect(),
            groups: group.lines().filter_map(group_of).collect(),
        }
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

    /// The group that has a number.
    pub fn group_of_number(&self, number: u32) -> Option<&str> {
        self.groups.iter().find(|(_, (n, _))| *n == number).map(|(name, _)| name.as_str())
    }

    /// What ails a group that was there before and went with its user, and the command that cures
    /// it.
    pub fn lost_group(&self, group: &str, number: u32) -> String {
        let lost =
            format!("its group was there before, with the number {number}, and went with the user");
        match self.group_of_number(number) {
            Some(other) => format!(
                "{lost}; the number is that of the group {other} now, so give it another one: \
                 groupadd {group}"
            ),
            None => format!("{lost}; to make it again: groupadd --gid {number} {group}"),
        }
    }

    /// Whether the user has this group as its primary group or is a member of it.
    pub fn is_in(&self, user: &str, group: &str) -> bool {
        let Some((number, members)) = self.groups.get(group) else { return false };
        members.contains(user) || self.users.get(user).is_some_and(|user| user.group == *number)
    }

    /// The names of all users and of all groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&str> =
            self.users.keys().chain(self.groups.keys()).map(String::as_str).collect();
        names.into_iter()
    }

    /// The number of a user.
    pub fn user_number(&self, user: &str) -> Option<u32> {
        self.users.get(user).map(|user| user.number)
    }

    /// Whether it is an account as `useradd --system --shell /sbin/nologin` makes it: not of a
    /// person, and nobody can log in to it.
    pub fn is_of_system(&self, user: &str) -> bool {
        let ours = |user: &User| {
            (1..FIRST_OF_PEOPLE).contains(&user.number) && user.shell == super::layout::NO_LOGIN
        };
        self.users.get(user).is_some_and(ours)
    }

    /// The name of a user's primary group.
    pub fn primary_group(&self, user: &str) -> Option<&str> {
        self.group_of_number(self.users.get(user)?.group)
    }

    /// Users that are in a group, as their primary one or as members.
    pub fn users_of(&self, group: &str) -> BTreeSet<&str> {
        let Some((number, members)) = self.groups.get(group) else { return BTreeSet::new() };
        let primary = self
            .users
            .iter()
            .filter(|(_, user)| user.group == *number)
            .map(|(name, _)| name.as_str());
        primary.chain(members.iter().map(String::as_str)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkgpanda_account_is_distinguished_from_a_personal_one() {
        let passwd = "dcos_a:x:990:980:DCOS System User:/opt/mesosphere:/sbin/nologin\n\
                      dcos_b:x:1001:980::/home/b:/bin/bash\n\
                      dcos_c:x:0:0::/:/sbin/nologin\n\
                      broken\n";
        let accounts = Accounts::parse(passwd, "dcos_a:x:980:ann\n");
        assert_eq!(
            ["dcos_a", "dcos_b", "dcos_c", "dcos_d"].map(|user| accounts.is_of_system(user)),
            [true, false, false, false]
        );
        assert_eq!(
            (accounts.primary_group("dcos_b"), accounts.user_number("dcos_a")),
            (Some("dcos_a"), Some(990))
        );
        assert!(
            accounts
                .lost_group("x", 980)
                .ends_with("of the group dcos_a now, so give it another one: groupadd x")
        );
        assert!(accounts.lost_group("x", 981).ends_with("groupadd --gid 981 x"));
        assert_eq!(
            accounts.users_of("dcos_a").into_iter().collect::<Vec<_>>(),
            ["ann", "dcos_a", "dcos_b"]
        );
    }
}
