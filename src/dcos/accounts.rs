//! The accounts of a node, as the text of `/etc/passwd` and `/etc/group` has them.

use std::collections::{BTreeMap, BTreeSet};

use super::layout;

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
    /// Reads `/etc/passwd` and `/etc/group` with the function given; one that does not exist has no
    /// accounts.
    ///
    /// # Errors
    /// Those of the function.
    pub fn load<E>(read: impl Fn(&str) -> Result<Option<String>, E>) -> Result<Accounts, E> {
        let text = |path| read(path).map(Option::unwrap_or_default);
        Ok(Accounts::parse(&text(layout::PASSWD)?, &text(layout::GROUP)?))
    }

    /// Parses both texts. As in the C library, an invalid line is skipped, and of two lines with
    /// one name the first counts.
    pub fn parse(passwd: &str, group: &str) -> Accounts {
        let mut accounts = Accounts::default();
        for fields in entries(passwd) {
            let [name, _, number, group, ..] = fields.as_slice() else { continue };
            let (Ok(number), Ok(group)) = (number.parse(), group.parse()) else { continue };
            let shell = fields.get(6).unwrap_or(&"").trim().to_owned();
            let user = User { number, group, shell };
            accounts.users.entry((*name).to_owned()).or_insert(user);
        }
        for fields in entries(group) {
            let [name, _, number, ..] = fields.as_slice() else { continue };
            let Ok(number) = number.parse() else { continue };
            let members = fields.get(3).unwrap_or(&"").split(',').filter(|m| !m.is_empty());
            let group = (number, members.map(str::to_owned).collect());
            accounts.groups.entry((*name).to_owned()).or_insert(group);
        }
        accounts
    }

    /// Users by name, with their numbers.
    pub fn users(&self) -> impl Iterator<Item = (&str, u32)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user.number))
    }

    /// Groups by name, with their numbers.
    pub fn groups(&self) -> impl Iterator<Item = (&str, u32)> {
        self.groups.iter().map(|(name, (number, _))| (name.as_str(), *number))
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
            (1..FIRST_OF_PEOPLE).contains(&user.number) && user.shell == layout::NO_LOGIN
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

/// The fields of each line.
fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
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

    #[test]
    fn accounts_first_line_of_a_name_counts() {
        let accounts = Accounts::parse(
            "root:x:0:0::/:/bin/sh\nann:x:7:8\nann:x:9:8\nbroken\n+::::::\nbad:x:-1:0\n",
            "wheel:x:10:ann\nwheel:x:11:\n",
        );
        assert_eq!(accounts.users().collect::<Vec<_>>(), [("ann", 7), ("root", 0)]);
        assert_eq!(accounts.groups().collect::<Vec<_>>(), [("wheel", 10)]);
    }
}
