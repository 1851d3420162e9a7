//! The report: what was found, what was expected, why it matters, and the cure.

use serde::Serialize;

use crate::dcos::exit::Exit;
use crate::dcos::role::Role;

/// The schema of a report's JSON.
pub const SCHEMA: u32 = 1;

/// All checks of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The role that was checked for.
    pub role: Option<Role>,
    /// How the run was kept from changing the node.
    #[serde(flatten)]
    pub protection: Protection,
    /// How the detection scripts were confined, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scripts: Option<Scripts>,
    /// Every check.
    pub checks: Vec<Check>,
}

/// How a run was kept from changing the node; empty for one that is meant to change it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// By what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// Why it was not enforced, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_enforced_because: Option<String>,
}

/// How the detection scripts were confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scripts {
    /// What they saw of the file systems.
    pub view: ScriptView,
    /// What this kernel or container lacks of the confinement.
    pub missing: Vec<MissingPiece>,
}

/// What detection scripts saw of the file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptView {
    /// A copy-on-write view of the node, thrown away after each run.
    CopyOnWrite,
    /// A read-only view of the node with private `/tmp`, `/var/tmp` and `/var/cache`.
    ReadOnly,
    /// The node's own files; a private directory, named by `TMPDIR`, to write to.
    PrivateDirectory,
}

/// A piece of the confinement that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingPiece {
    /// Stable, for example `pid-namespace`.
    pub piece: &'static str,
    /// What the system said.
    pub because: String,
}

/// How the kernel kept a run from changing the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sealed {
    /// By private mounts, all read-only.
    MountNamespace,
    /// By Landlock.
    Landlock,
    /// It did not.
    NotEnforced,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Stable, for example `time.sync`.
    pub id: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do, if something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// Whether an operator may take responsibility for it.
    pub skippable: bool,
    /// The operator's reason, if it was skipped; the check was run all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_because: Option<String>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// It will work, with a drawback.
    Warn,
    /// It will not work.
    Fail,
    /// It does not apply here.
    Skipped,
    /// It could not be looked at.
    Unknown,
}

impl Report {
    pub(super) fn new(
        role: Option<Role>,
        mut checks: Vec<Check>,
        skip: &[(String, String)],
    ) -> Report {
        for check in checks.iter_mut().filter(|c| c.skippable) {
            check.skipped_because =
                skip.iter().find(|(id, _)| id == check.id).map(|(_, reason)| reason.clone());
        }
        Report { schema: SCHEMA, role, protection: Protection::default(), scripts: None, checks }
    }

    /// Takes responsibility, for this reason, for everything that can be skipped and is not as it
    /// should be.
    pub fn skip_what_failed(&mut self, reason: &str) {
        let failed = |c: &&mut Check| {
            c.skippable
                && c.skipped_because.is_none()
                && matches!(c.verdict, Verdict::Fail | Verdict::Warn)
        };
        for check in self.checks.iter_mut().filter(failed) {
            check.skipped_because = Some(reason.to_owned());
        }
    }

    /// Checks that stop an install.
    pub fn blocking(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|c| c.blocks())
    }

    /// Checks that do not stop an install, and are not as they should be; those that an operator
    /// skipped are not among them.
    pub fn warnings(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| {
            matches!(check.verdict, Verdict::Warn | Verdict::Unknown)
                && check.skipped_because.is_none()
                && !check.blocks()
        })
    }

    /// How many checks came out so; a skipped failure still counts as one.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|c| c.verdict == verdict).count()
    }

    /// What `preflight` exits with.
    pub fn exit(&self, strict: bool) -> Exit {
        if self.blocking().next().is_some() {
            Exit::Preflight
        } else if strict && self.warnings().next().is_some() {
            Exit::Warnings
        } else {
            Exit::Done
        }
    }
}

impl Check {
    /// Whether it stops an install: a failure that nobody took responsibility for, or an unknown
    /// that nobody may.
    pub fn blocks(&self) -> bool {
        match self.verdict {
            Verdict::Fail => self.skipped_because.is_none(),
            Verdict::Unknown => !self.skippable,
            Verdict::Pass | Verdict::Warn | Verdict::Skipped => false,
        }
    }
}

impl Verdict {
    /// The word for a table.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
            Verdict::Skipped => "skip",
            Verdict::Unknown => "unknown",
        }
    }
}
