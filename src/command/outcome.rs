//! What every command comes to, as far as the end of the process depends on it.

use super::{adopt, bundle, explain, fetch, install, publish, recover, serve, status, uninstall};
use super::{preflight, verify};
use crate::dcos::exit::Exit;

/// The result of a command.
pub trait Outcome {
    /// How to exit with it.
    fn exit(&self) -> Exit {
        Exit::Done
    }

    /// Whether support could be asked about it: also where units failed although all was done.
    fn is_for_support(&self) -> bool {
        self.exit().is_for_support()
    }
}

impl Outcome for bundle::Outcome {}
impl Outcome for explain::List {}
impl Outcome for explain::Outcome {}
impl Outcome for fetch::Outcome {}
impl Outcome for publish::Outcome {}
impl Outcome for serve::Outcome {}
/// Help, completions and manuals.
impl Outcome for String {}

impl Outcome for adopt::Outcome {
    fn exit(&self) -> Exit {
        if self.unhealthy.is_empty() { Exit::Done } else { Exit::Unhealthy }
    }
}

impl Outcome for install::Outcome {
    fn exit(&self) -> Exit {
        if self.unhealthy.is_empty() { Exit::Done } else { Exit::Unhealthy }
    }

    fn is_for_support(&self) -> bool {
        self.degraded || !self.unhealthy.is_empty()
    }
}

impl Outcome for preflight::Outcome {
    fn exit(&self) -> Exit {
        self.report.exit(self.strict)
    }
}

impl Outcome for recover::Outcome {
    fn is_for_support(&self) -> bool {
        matches!(self, recover::Outcome::Installed(outcome) if outcome.degraded)
    }
}

impl Outcome for status::Outcome {
    fn exit(&self) -> Exit {
        self.exit()
    }

    fn is_for_support(&self) -> bool {
        self.is_for_support()
    }
}

impl Outcome for uninstall::Outcome {
    fn exit(&self) -> Exit {
        self.exit()
    }
}

impl Outcome for verify::Outcome {
    fn exit(&self) -> Exit {
        self.exit()
    }
}
