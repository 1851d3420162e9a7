//! The accounts of a node, as its four files have them (`passwd(5)`, `shadow(5)`, `group(5)`,
//! `gshadow(5)`).

use std::collections::{BTreeMap, BTreeSet};

use super::layout;

/// Users and groups by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, Group>,
    /// Users with a line in `/etc/shadow`; none where the file does not exist or cannot be read.
    shadow: Option<BTreeSet<String>>,
    /// Groups with a line in `/etc/gshadow`, as above.
    gshadow: Option<BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    number: u32,
    /// The number of the primary group.
    group: u32,
    shell: String,
    /// Whether the password is in `/etc/shadow`.
    shadowed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    number: u32,
    members: BTreeSet<String>,
    /// Whether the password is in `/etc/gshadow`.
    shadowed: bool,
}

/// A password field that refers to a shadow file.
const SHADOWED: &str = "x";

/// Numbers below this are of system accounts (`SYS_UID_MAX` of `login.defs(5)` everywhere that
/// DC/OS runs).
const FIRST_OF_PEOPLE: u32 = 1000;

impl Accounts {
    /// Reads the four files with the function given; one that does not exist has no accounts.
    ///
    /// # Errors
    /// Those of the function for `/etc/passwd` and `/etc/group`; only root may read the others.
    pub fn load<E>(read: impl Fn(&str) -> Result<Option<String>, E>) -> Result<Accounts, E> {
        let text = |path| read(path).map(Option::unwrap_or_default);
        let shadow = |path| read(path).ok().flatten();
        let accounts = Accounts::parse(&text(layout::PASSWD)?, &text(layout::GROUP)?);
        Ok(accounts
            .with_shadow(shadow(layout::SHADOW).as_deref(), shadow(layout::GSHADOW).as_deref()))
    }

    /// The same accounts with the names that both shadow files have.
    pub fn with_shadow(self, shadow: Option<&str>, gshadow: Option<&str>) -> Accounts {
        let names = |text: &str| {
            entries(text).filter_map(|fields| Some((*fields.first()?).to_owned())).collect()
        };
        Accounts { shadow: shadow.map(names), gshadow: gshadow.map(names), ..self }
    }

    /// Parses both texts. As in the C library, an invalid line is skipped, and of two lines with
    /// one name the first counts.
    pub fn parse(passwd: &str, group: &str) -> Accounts {
        let mut accounts = Accounts::default();
        for fields in entries(passwd) {
            let [name, password, number, group, ..] = fields.as_slice() else { continue };
            let (Ok(number), Ok(group)) = (number.parse(), group.parse()) else { continue };
            let shell = fields.get(6).unwrap_or(&"").trim().to_owned();
            let user = User { number, group, shell, shadowed: *password == SHADOWED };
            accounts.users.entry((*name).to_owned()).or_insert(user);
        }
        for fields in entries(group) {
            let [name, password, number, ..] = fields.as_slice() else { continue };
            let Ok(number) = number.parse() else { continue };
            let members = fields.get(3).unwrap_or(&"").split(',').filter(|m| !m.is_empty());
            let members = members.map(str::to_owned).collect();
            let group = Group { number, members, shadowed: *password == SHADOWED };
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
        self.groups.iter().map(|(name, group)| (name.as_str(), group.number))
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
        self.groups.get(group).map(|group| group.number)
    }

    /// The group that has a number.
    pub fn group_of_number(&self, number: u32) -> Option<&str> {
        self.groups.iter().find(|(_, group)| group.number == number).map(|(name, _)| name.as_str())
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
        let Some(Group { number, members, .. }) = self.groups.get(group) else { return false };
        members.contains(user) || self.users.get(user).is_some_and(|user| user.group == *number)
    }

    /// The names of all users and of all groups, those that only a shadow file has as well.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let shadows = self.shadow.iter().chain(&self.gshadow).flatten();
        let names: BTreeSet<&str> = self
            .users
            .keys()
            .chain(self.groups.keys())
            .chain(shadows)
            .map(String::as_str)
            .collect();
        names.into_iter()
    }

    /// Files that lack a line of this user, or of its own group, although another file refers to
    /// it: `useradd` renames its files one after another, and was cut in between.
    pub fn missing_lines(&self, user: &str) -> Vec<&'static str> {
        let Some(User { group, shadowed, .. }) = self.users.get(user) else { return Vec::new() };
        let lacks = |names: &Option<BTreeSet<String>>| {
            names.as_ref().is_some_and(|names| !names.contains(user))
        };
        let mut missing = Vec::new();
        if *shadowed && lacks(&self.shadow) {
            missing.push(layout::SHADOW);
        }
        match self.group_of_number(*group) {
            None => missing.push(layout::GROUP),
            Some(own) if own == user => {
                let shadowed = self.groups.get(own).is_some_and(|group| group.shadowed);
                missing.extend((shadowed && lacks(&self.gshadow)).then_some(layout::GSHADOW));
            }
            Some(_) => {}
        }
        missing
    }

    /// Shadow files with a line of a user or group of this name that does not exist: `userdel` was
    /// cut in between.
    pub fn leftover_lines(&self, name: &str) -> Vec<&'static str> {
        let has = |names: &Option<BTreeSet<String>>| {
            names.as_ref().is_some_and(|names| names.contains(name))
        };
        let user = (!self.has_user(name) && has(&self.shadow)).then_some(layout::SHADOW);
        let group = (!self.has_group(name) && has(&self.gshadow)).then_some(layout::GSHADOW);
        user.into_iter().chain(group).collect()
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

    /// Whether it is a group as `useradd --system` makes it: not of a person.
    pub fn is_group_of_system(&self, group: &str) -> bool {
        self.group_number(group).is_some_and(|number| (1..FIRST_OF_PEOPLE).contains(&number))
    }

    /// The number of a user's primary group.
    pub fn primary_group_number(&self, user: &str) -> Option<u32> {
        self.users.get(user).map(|user| user.group)
    }

    /// The name of a user's primary group.
    pub fn primary_group(&self, user: &str) -> Option<&str> {
        self.group_of_number(self.users.get(user)?.group)
    }

    /// Users that are in a group, as their primary one or as members.
    pub fn users_of(&self, group: &str) -> BTreeSet<&str> {
        let Some(Group { number, members, .. }) = self.groups.get(group) else {
            return BTreeSet::new();
        };
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
    fn account_is_judged_by_all_four_files() {
        let passwd = "dcos_a:x:990:980::/:/sbin/nologin\ndcos_b:*:991:100::/:/sbin/nologin\n";
        let group = "users:x:100:\n";
        let own = "users:x:100:\ndcos_a:x:980:\n";
        let lines = |group: &str, shadow: Option<&str>, gshadow: Option<&str>| {
            let accounts = Accounts::parse(passwd, group).with_shadow(shadow, gshadow);
            assert_eq!(accounts.missing_lines("dcos_b"), [""; 0], "its password is not shadowed");
            (accounts.missing_lines("dcos_a"), accounts.leftover_lines("dcos_c"))
        };
        let (shadow, gshadow) = ("dcos_a:!:1::::::\n", "dcos_a:!::\n");
        assert_eq!(lines(own, Some(shadow), Some(gshadow)), (vec![], vec![]));
        assert_eq!(lines(own, None, None), (vec![], vec![]), "a node without shadow files");
        assert_eq!(lines(group, Some(shadow), None).0, [layout::GROUP]);
        assert_eq!(lines(own, Some("root:*:\n"), Some(gshadow)).0, [layout::SHADOW]);
        assert_eq!(lines(own, Some(shadow), Some("")).0, [layout::GSHADOW]);
        let left = lines(own, Some("dcos_a:!:\ndcos_c:!:\n"), Some("dcos_a:!::\ndcos_c:!::\n")).1;
        assert_eq!(left, [layout::SHADOW, layout::GSHADOW]);
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
