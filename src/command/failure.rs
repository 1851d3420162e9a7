//! How a command ends when it does not do what was asked.

use serde::Serialize;

use crate::dcos::exit::Exit;
use crate::preflight::report::Report;
use crate::system::cancellation::Cancelled;

/// What, in which state the node is left, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong, with its causes.
    pub error: anyhow::Error,
    /// How the node stands now.
    pub state: Option<String>,
    /// The command or deed that cures it: every failure has one.
    pub cure: String,
    /// The last journal lines of the unit at fault.
    pub log: Vec<String>,
    /// Whether anything was changed, where that was done before what failed.
    pub changed: Option<bool>,
    /// The report, if checks stopped the command.
    pub report: Option<Box<Report>>,
}

impl Failure {
    /// A failure with this exit code, and its usual cure.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure {
            exit,
            error: error.into(),
            state: None,
            cure: exit.usual_cure().to_owned(),
            log: Vec::new(),
            changed: None,
            report: None,
        }
    }

    /// How the node stands now.
    pub fn leaving(self, state: impl Into<String>) -> Failure {
        Failure { state: Some(state.into()), ..self }
    }

    /// What the unit at fault said last.
    pub fn quoting(self, log: Vec<String>) -> Failure {
        Failure { log, ..self }
    }

    /// What was to be changed was changed before, or stood already.
    pub fn having_changed(self, changed: bool) -> Failure {
        Failure { changed: Some(changed), ..self }
    }

    /// The command or deed that cures it.
    pub fn cured_by(self, cure: impl Into<String>) -> Failure {
        Failure { cure: cure.into(), ..self }
    }
}

/// A wait that a signal ended is exit code 10, every other failure that was not foreseen is 1.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        let is_cancelled = error.chain().any(|cause| cause.is::<Cancelled>());
        Failure::new(if is_cancelled { Exit::Interrupted } else { Exit::Failed }, error)
    }
}

/// The JSON form of a failure.
#[derive(Clone, Debug, Serialize)]
pub struct FailureReport<'a> {
    /// What went wrong.
    pub error: String,
    /// Its causes, outermost first.
    pub causes: Vec<String>,
    /// The word for the exit code.
    pub exit: Exit,
    /// The exit code.
    pub code: u8,
    /// How the node stands now.
    pub state: Option<&'a str>,
    /// What to do.
    pub cure: &'a str,
    /// The command that collects what support needs; none where that could tell nothing.
    pub help: Option<&'a str>,
    /// The last journal lines of the unit at fault.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub log: &'a [String],
    /// Whether anything was changed, where that was done before what failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
    /// The report, if checks stopped the command.
    pub preflight: Option<&'a Report>,
}

impl Failure {
    /// The JSON form; `help` is the command that collects what support needs, where it is offered.
    pub fn report<'a>(&'a self, help: Option<&'a str>) -> FailureReport<'a> {
        FailureReport {
            error: self.error.to_string(),
            causes: self.error.chain().skip(1).map(ToString::to_string).collect(),
            exit: self.exit,
            code: self.exit.code(),
            state: self.state.as_deref(),
            cure: &self.cure,
            help,
            log: &self.log,
            changed: self.changed,
            preflight: self.report.as_deref(),
        }
    }
}
