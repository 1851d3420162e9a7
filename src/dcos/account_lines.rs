//! Lines of the four account files, added and removed as `useradd` and `userdel` would do it.
//!
//! Those programs rename their files one after another, so that a power cut leaves half an
//! account. What they did not get to is done here. Texts are bytes: a name of a person may have any
//! encoding.

use super::accounts::Accounts;
use super::layout;

/// The four files; none where a file does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountLines {
    passwd: Option<Vec<u8>>,
    shadow: Option<Vec<u8>>,
    group: Option<Vec<u8>>,
    gshadow: Option<Vec<u8>>,
}

/// Fields with lists of users in `/etc/group`, and in `/etc/gshadow`, which has administrators too.
const MEMBERS: &[usize] = &[3];
const SHADOW_MEMBERS: &[usize] = &[2, 3];

impl AccountLines {
    /// Reads the files with the function given.
    ///
    /// # Errors
    /// Those of the function.
    pub fn load<E>(read: impl Fn(&str) -> Result<Option<Vec<u8>>, E>) -> Result<AccountLines, E> {
        Ok(AccountLines {
            passwd: read(layout::PASSWD)?,
            shadow: read(layout::SHADOW)?,
            group: read(layout::GROUP)?,
            gshadow: read(layout::GSHADOW)?,
        })
    }

    /// The accounts in these files.
    pub fn accounts(&self) -> Accounts {
        let text = |file: &Option<Vec<u8>>| {
            file.as_deref().map(|text| String::from_utf8_lossy(text).into_owned())
        };
        let (passwd, group) = (text(&self.passwd), text(&self.group));
        Accounts::parse(&passwd.unwrap_or_default(), &group.unwrap_or_default())
            .with_shadow(text(&self.shadow).as_deref(), text(&self.gshadow).as_deref())
    }

    /// The files with every line that a user of `/etc/passwd` lacks: nobody can log in with it. A
    /// group of the user's name that has another number stays as it is.
    pub fn completed(mut self, user: &str) -> AccountLines {
        let missing = self.accounts().missing_lines(user);
        if missing.contains(&layout::SHADOW) {
            add(&mut self.shadow, &format!("{user}:!:::::::"));
        }
        let number = self.accounts().primary_group_number(user);
        if let Some(number) = number
            && missing.contains(&layout::GROUP)
            && !self.accounts().has_group(user)
        {
            let password = if self.gshadow.is_some() { "x" } else { "!" };
            add(&mut self.group, &format!("{user}:{password}:{number}:"));
        }
        if self.accounts().missing_lines(user).contains(&layout::GSHADOW) {
            add(&mut self.gshadow, &format!("{user}:!::"));
        }
        self
    }

    /// The files without the lines of a user that `/etc/passwd` does not have, and without its name
    /// in groups.
    pub fn without_user(mut self, user: &str) -> AccountLines {
        if !self.accounts().has_user(user) {
            remove(&mut self.shadow, user);
            remove_member(&mut self.group, user, MEMBERS);
            remove_member(&mut self.gshadow, user, SHADOW_MEMBERS);
        }
        self
    }

    /// The files without the line of a group that `/etc/group` does not have.
    pub fn without_group(mut self, group: &str) -> AccountLines {
        if !self.accounts().has_group(group) {
            remove(&mut self.gshadow, group);
        }
        self
    }

    /// The files that differ from an earlier state, each with its text.
    pub fn changed_since(&self, before: &AccountLines) -> Vec<(&'static str, &[u8])> {
        let files = [
            (layout::SHADOW, &self.shadow, &before.shadow),
            (layout::GROUP, &self.group, &before.group),
            (layout::GSHADOW, &self.gshadow, &before.gshadow),
        ];
        let changed = files.into_iter().filter(|(_, now, was)| now != was);
        changed.filter_map(|(path, now, _)| Some((path, now.as_deref()?))).collect()
    }
}

/// Adds a line, before those that refer to NIS (`+name`), which end a file.
fn add(file: &mut Option<Vec<u8>>, line: &str) {
    let text = file.take().unwrap_or_default();
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let at = lines.iter().position(|line| line.starts_with(b"+")).unwrap_or(lines.len());
    let torn = at > 0 && !lines.get(at - 1).is_some_and(|line| line.ends_with(b"\n"));
    let new = format!("{}{line}\n", if torn { "\n" } else { "" });
    lines.insert(at, new.as_bytes());
    *file = Some(lines.concat());
}

/// Removes the lines of a name.
fn remove(file: &mut Option<Vec<u8>>, name: &str) {
    let is_of_name =
        |line: &&[u8]| line.split(|byte| *byte == b':').next() == Some(name.as_bytes());
    if let Some(text) = file {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        *text = lines.filter(|line| !is_of_name(line)).collect::<Vec<_>>().concat();
    }
}

/// Removes a user from lists of users.
fn remove_member(file: &mut Option<Vec<u8>>, user: &str, fields: &[usize]) {
    let is_user = |name: &[u8]| name == user.as_bytes();
    let Some(text) = file else { return };
    let lines = text.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let (line, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |line| (line, b"\n"));
        let changed: Vec<Vec<u8>> = line
            .split(|byte| *byte == b':')
            .enumerate()
            .map(|(at, field)| {
                let mut names: Vec<&[u8]> = field.split(|byte| *byte == b',').collect();
                if fields.contains(&at) && names.iter().any(|name| is_user(name)) {
                    names.retain(|name| !is_user(name));
                }
                names.join(&b',')
            })
            .collect();
        [changed.join(&b':').as_slice(), end].concat()
    });
    *text = lines.collect::<Vec<_>>().concat();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files with an account in the first `stage` of them, in the order in which `useradd`
    /// renames them.
    fn files(stage: usize, members: &str) -> AccountLines {
        let own = |at: usize, line: &str| if at < stage { line.to_owned() } else { String::new() };
        let text = |before: &str, own: String| Some((before.to_owned() + &own).into_bytes());
        AccountLines {
            passwd: text(
                "r\u{e9}:x:0:0::/:/bin/sh\n",
                own(0, "dcos_a:x:990:980::/:/sbin/nologin\n"),
            ),
            shadow: text("r\u{e9}:*:1::::::\n", own(1, "dcos_a:!:::::::\n")),
            group: text(&format!("root:x:0:{members}\n"), own(2, "dcos_a:x:980:\n")),
            gshadow: text(&format!("root:*::{members}\n"), own(3, "dcos_a:!::\n")),
        }
    }

    #[test]
    fn account_cut_at_each_file_is_completed() {
        for stage in 1..=4 {
            assert_eq!(files(stage, "ann").completed("dcos_a"), files(4, "ann"), "{stage}");
        }
        assert_eq!(files(0, "").completed("dcos_a"), files(0, ""), "no user, nothing to complete");
    }

    #[test]
    fn account_half_removed_at_each_file_is_removed() {
        for stage in 1..=4 {
            // `userdel` renames them in the same order.
            let half = AccountLines { passwd: files(0, "").passwd, ..files(4, "ann,dcos_a,bob") };
            let half = match stage {
                1 => half,
                2 => AccountLines { shadow: files(0, "").shadow, ..half },
                3 => AccountLines {
                    shadow: files(0, "").shadow,
                    group: files(0, "ann,bob").group,
                    ..half
                },
                _ => files(0, "ann,bob"),
            };
            let mut rest = half.without_user("dcos_a");
            // `groupdel` removes the group.
            remove(&mut rest.group, "dcos_a");
            assert_eq!(rest.without_group("dcos_a"), files(0, "ann,bob"), "{stage}");
        }
        let whole = files(4, "dcos_a");
        let kept = whole.clone().without_user("dcos_a").without_group("dcos_a");
        assert_eq!(kept.changed_since(&whole), [], "an account that exists");
    }

    #[test]
    fn system_without_shadow_files_gets_none() {
        let half = AccountLines { shadow: None, gshadow: None, ..files(1, "") };
        let AccountLines { shadow, group, gshadow, .. } = half.completed("dcos_a");
        assert_eq!((shadow, gshadow), (None, None));
        assert_eq!(group.as_deref(), Some(&b"root:x:0:\ndcos_a:!:980:\n"[..]));
    }

    #[test]
    fn line_is_added_before_those_of_nis() {
        let mut file = Some(b"root:x:0:\n+:::\n".to_vec());
        add(&mut file, "a:x:1:");
        assert_eq!(file.as_deref(), Some(&b"root:x:0:\na:x:1:\n+:::\n"[..]));
        let mut torn = Some(b"root:x:0:".to_vec());
        add(&mut torn, "a:x:1:");
        assert_eq!(torn.as_deref(), Some(&b"root:x:0:\na:x:1:\n"[..]));
    }
}
