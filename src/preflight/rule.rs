//! A row of the table of checks, and what a check can find.

use super::Facts;
use super::report::{Check, Verdict};
use crate::dcos::role::Role;

/// A row of the table: everything about a check that does not depend on the node.
#[derive(Debug)]
pub struct Rule {
    /// Stable, for example `time.sync`.
    pub id: &'static str,
    /// Whether an operator may take responsibility for it; an install cannot work without the
    /// others.
    pub skippable: bool,
    /// How bad a bad finding is.
    pub severity: Severity,
    /// For these roles and versions it is worse, or not as bad; the first row that fits counts.
    pub except: &'static [Except],
    /// What a good node has.
    pub expected: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// Where DC/OS, its classic script or its documentation says so.
    pub source: &'static str,
    /// What an operator can do, for `explain`; a finding may name something more specific.
    pub cure: &'static str,
    /// Looks at the facts.
    pub look: fn(&Facts<'_>) -> Finding,
}

/// How bad a bad finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// DC/OS provably does not start, or the classic script refuses.
    Fail,
    /// Only the documentation asks for it, or it works with a drawback.
    Warn,
    /// It does not matter here.
    Ignore,
}

/// A severity for some roles and versions.
#[derive(Clone, Copy, Debug)]
pub struct Except {
    /// For these roles; none given means all.
    pub roles: &'static [Role],
    /// From this version on, as (major, minor).
    pub from: (u32, u32),
    /// Up to and including this version.
    pub to: (u32, u32),
    /// How bad it is there.
    pub severity: Severity,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Good(String),
    /// Not as it should be; how bad that is says the table.
    Bad {
        /// What was found.
        found: String,
        /// What to do about just that.
        cure: Option<String>,
    },
    /// It will work, with a drawback, whatever the table says.
    Doubtful {
        /// What was found.
        found: String,
        /// What to do about just that.
        cure: Option<String>,
    },
    /// It could not be looked at.
    Unknown(String),
    /// It could not be looked at, and here is another way to.
    Unclear {
        /// Why.
        why: String,
        /// What to do about just that.
        cure: String,
    },
    /// It does not apply here.
    NotHere(String),
}

impl Finding {
    /// As it should be.
    pub fn good(found: impl Into<String>) -> Finding {
        Finding::Good(found.into())
    }

    /// Not as it should be.
    pub fn bad(found: impl Into<String>) -> Finding {
        Finding::Bad { found: found.into(), cure: None }
    }

    /// It will work, with a drawback.
    pub fn doubtful(found: impl Into<String>) -> Finding {
        Finding::Doubtful { found: found.into(), cure: None }
    }

    /// It could not be looked at.
    pub fn unknown(why: impl Into<String>) -> Finding {
        Finding::Unknown(why.into())
    }

    /// It does not apply here.
    pub fn not_here(why: impl Into<String>) -> Finding {
        Finding::NotHere(why.into())
    }

    /// With a cure for just this finding, instead of the table's.
    pub fn cured_by(self, text: impl Into<String>) -> Finding {
        match self {
            Finding::Bad { found, .. } => Finding::Bad { found, cure: Some(text.into()) },
            Finding::Doubtful { found, .. } => Finding::Doubtful { found, cure: Some(text.into()) },
            other => other,
        }
    }
}

impl Rule {
    /// How bad a bad finding is for this role and this version of DC/OS, as (major, minor).
    pub fn severity_for(&self, role: Option<Role>, version: Option<(u32, u32)>) -> Severity {
        let fits = |e: &&Except| {
            let role_fits = e.roles.is_empty() || role.is_some_and(|r| e.roles.contains(&r));
            role_fits
                && (e.is_for_every_version()
                    || version.is_some_and(|v| (e.from..=e.to).contains(&v)))
        };
        self.except.iter().find(fits).map_or(self.severity, |e| e.severity)
    }

    pub(super) fn judge(&self, facts: &Facts<'_>) -> Check {
        let (verdict, found, cure) = match (self.look)(facts) {
            Finding::Good(found) => (Verdict::Pass, found, None),
            Finding::Bad { found, cure } => match self.severity_for(facts.role, facts.version()) {
                Severity::Fail => (Verdict::Fail, found, cure.or_else(|| self.usual_cure())),
                Severity::Warn => (Verdict::Warn, found, cure.or_else(|| self.usual_cure())),
                Severity::Ignore => (
                    Verdict::Skipped,
                    format!("{found}; that does not matter for this role and version"),
                    None,
                ),
            },
            Finding::Doubtful { found, cure } => {
                (Verdict::Warn, found, cure.or_else(|| self.usual_cure()))
            }
            Finding::Unknown(why) => (Verdict::Unknown, why, self.usual_cure()),
            Finding::Unclear { why, cure } => (Verdict::Unknown, why, Some(cure)),
            Finding::NotHere(why) => (Verdict::Skipped, why, None),
        };
        let Rule { id, expected, why, skippable, .. } = *self;
        Check { id, verdict, found, expected, why, cure, skippable, skipped_because: None }
    }

    fn usual_cure(&self) -> Option<String> {
        (!self.cure.is_empty()).then(|| self.cure.to_owned())
    }
}

impl Except {
    /// Whether it counts whatever the version of DC/OS is.
    pub(super) fn is_for_every_version(&self) -> bool {
        self.from == (0, 0) && self.to == (u32::MAX, u32::MAX)
    }

    /// Describes it, with its roles or without.
    pub(super) fn describe(&self, with_roles: bool) -> String {
        let roles: Vec<&str> =
            self.roles.iter().filter(|_| with_roles).map(|role| role.word()).collect();
        let roles =
            if roles.is_empty() { String::new() } else { format!(" for {}", roles.join(" and ")) };
        let version = |(major, minor): (u32, u32)| format!("{major}.{minor}");
        let versions = match (self.from, self.to) {
            _ if self.is_for_every_version() => String::new(),
            ((0, 0), to) => format!(" up to DC/OS {}", version(to)),
            (from, (u32::MAX, _)) => format!(" from DC/OS {} on", version(from)),
            (from, to) if from == to => format!(" in DC/OS {}", version(from)),
            (from, to) => format!(" from DC/OS {} to {}", version(from), version(to)),
        };
        format!("{}{roles}{versions}", self.severity.as_str())
    }
}

impl Severity {
    /// Its name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Fail => "fail",
            Severity::Warn => "warn",
            Severity::Ignore => "ignored",
        }
    }
}
