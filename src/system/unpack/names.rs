//! User and group names and their numbers.

use std::collections::HashMap;

/// The numbers of user and group names, as the texts of `/etc/passwd` and `/etc/group` give them.
///
/// The C library's name service is not asked: a static binary cannot load it safely.
#[derive(Debug, Clone, Default)]
pub struct Names {
    users: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

impl Names {
    /// Reads the two texts. Lines that are none are passed over, and of two lines with one name the
    /// first counts, as in the C library.
    pub fn parse(passwd: &str, group: &str) -> Self {
        Self { users: numbers(passwd), groups: numbers(group) }
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

/// In both files the name is the first and the number the third field.
fn numbers(text: &str) -> HashMap<String, u32> {
    let mut numbers = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(number))) = (fields.next(), fields.nth(1).map(str::parse)) {
            numbers.entry(name.to_owned()).or_insert(number);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_of_an_account_counts_and_broken_ones_do_not() {
        let names = Names::parse(
            "root:x:0:0::/:/bin/sh\nann:x:7:8\nann:x:9:8\nbroken\n+::::::\nbad:x:-1:0\n",
            "wheel:x:10:ann\n",
        );
        assert_eq!(
            (names.user("root"), names.user("ann"), names.user("broken"), names.user("bad")),
            (Some(0), Some(7), None, None)
        );
        assert_eq!((names.group("wheel"), names.group("ann")), (Some(10), None));
    }
}
