//! The table of checks in words, for people who ask what a check means.

use serde::Serialize;

use super::rule::{Except, Rule};
use super::table;
use crate::dcos::role::Role;

/// A row of the table, for all roles and versions or for one role.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Stable, for example `time.sync`.
    pub id: &'static str,
    /// How bad a bad finding is, unless an exception says otherwise.
    pub severity: &'static str,
    /// For which roles and versions it is worse, or not as bad; the first that fits counts.
    pub exceptions: Vec<String>,
    /// Whether an operator may take responsibility for it.
    pub skippable: bool,
    /// What a good node has.
    pub expected: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// Where DC/OS, its classic script or its documentation says so.
    pub source: &'static str,
    /// What to do, as far as that can be said without having looked.
    pub cure: &'static str,
}

/// The row with this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    table().find(|rule| rule.id == id)
}

/// The ids that are most like a word, best first, three at most.
pub fn closest(word: &str) -> Vec<&'static str> {
    let area = |id: &str| id.split('.').next().map(str::to_owned);
    let mut ids: Vec<_> = table()
        .map(|rule| (area(rule.id) != area(word), strsim::levenshtein(rule.id, word), rule.id))
        .collect();
    ids.retain(|(elsewhere, distance, id)| {
        !elsewhere || *distance <= id.len() / 2 || id.split(['.', '-']).any(|part| part == word)
    });
    ids.sort_by_key(|(_, distance, _)| *distance);
    ids.into_iter().map(|(_, _, id)| id).take(3).collect()
}

impl Explanation {
    /// Explains a check; with a role, only what matters for it.
    pub fn of(rule: &Rule, role: Option<Role>) -> Explanation {
        let matters =
            |e: &&Except| role.is_none_or(|role| e.roles.is_empty() || e.roles.contains(&role));
        let mut severity = rule.severity;
        let mut exceptions = Vec::new();
        for except in rule.except.iter().filter(matters) {
            if except.is_for_every_version() && (role.is_some() || except.roles.is_empty()) {
                // Nothing after it can count.
                severity = except.severity;
                break;
            }
            exceptions.push(except.describe(role.is_none()));
        }
        let Rule { id, skippable, expected, why, source, cure, .. } = *rule;
        Explanation {
            id,
            severity: severity.as_str(),
            exceptions,
            skippable,
            expected,
            why,
            source,
            cure,
        }
    }

    /// The severity with its exceptions, in one line.
    pub fn severity_in_words(&self) -> String {
        std::iter::once(self.severity)
            .chain(self.exceptions.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::rule::Severity;

    const RULE: Rule = Rule {
        id: "test.only",
        skippable: true,
        severity: Severity::Fail,
        except: &[
            Except {
                roles: &[Role::Slave, Role::SlavePublic],
                from: (1, 10),
                to: (1, 12),
                severity: Severity::Warn,
            },
            Except {
                roles: &[Role::SlavePublic],
                from: (0, 0),
                to: (u32::MAX, u32::MAX),
                severity: Severity::Ignore,
            },
            Except { roles: &[], from: (2, 0), to: (u32::MAX, u32::MAX), severity: Severity::Warn },
        ],
        expected: "",
        why: "",
        source: "",
        cure: "",
        look: |_| super::super::rule::Finding::good(""),
    };

    #[test]
    fn explanation_shows_severity_by_role_and_version() {
        let words = |role| Explanation::of(&RULE, role).severity_in_words();
        let all = "fail; warn for slave and slave_public from DC/OS 1.10 to 1.12; ignored for \
                   slave_public; warn from DC/OS 2.0 on";
        assert_eq!(words(None), all);
        assert_eq!(words(Some(Role::Master)), "fail; warn from DC/OS 2.0 on");
        assert_eq!(words(Some(Role::SlavePublic)), "ignored; warn from DC/OS 1.10 to 1.12");
    }

    #[test]
    fn explained_severity_is_the_applied_severity() {
        assert_eq!(RULE.severity_for(Some(Role::SlavePublic), Some((1, 11))), Severity::Warn);
        assert_eq!(RULE.severity_for(Some(Role::SlavePublic), Some((2, 1))), Severity::Ignore);
        assert_eq!(RULE.severity_for(Some(Role::Master), Some((2, 1))), Severity::Warn);
        assert_eq!(RULE.severity_for(Some(Role::Master), Some((1, 11))), Severity::Fail);
    }

    #[test]
    fn misspelt_check_gets_a_suggestion() {
        assert_eq!(closest("tme.sync").first(), Some(&"time.sync"));
        assert_eq!(closest("time").first(), Some(&"time.sync"));
        assert_eq!(closest("sync").first(), Some(&"time.sync"));
        assert_eq!(closest("zzzzzzzzzzzzzzzzzzzzzz"), Vec::<&str>::new());
    }

    #[test]
    fn every_check_has_a_unique_id_and_a_full_explanation() {
        let mut ids = std::collections::BTreeSet::new();
        for rule in table() {
            assert!(ids.insert(rule.id), "{} twice", rule.id);
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
            assert!(rule.id.contains('.') && rule.id.chars().all(plain), "{}", rule.id);
            for text in [rule.expected, rule.why, rule.source, rule.cure] {
                assert!(!text.is_empty(), "{}", rule.id);
            }
        }
    }

    #[test]
    fn no_check_is_named_all() {
        assert!(table().all(|rule| rule.id != "all"));
    }
}
