//! What of a command line goes on record: the first event of its run, and whether the node's
//! journal is told.

use super::{Command, Invocation};
use crate::dcos::event::Event;

impl Invocation {
    /// The subcommand; none for those that only print what is known beforehand.
    pub(super) fn name(&self) -> Option<&'static str> {
        match &self.command {
            Command::Install(..) => Some("install"),
            Command::Fetch(_) => Some("fetch"),
            Command::Preflight { .. } => Some("preflight"),
            Command::Uninstall(_) => Some("uninstall"),
            Command::Adopt => Some("adopt"),
            Command::Status(_) => Some("status"),
            Command::Verify(_) => Some("verify"),
            Command::Bundle(_) => Some("bundle"),
            Command::Recover(_) => Some("recover"),
            Command::Publish(_) => Some("publish"),
            Command::Serve(_) => Some("serve"),
            Command::Explain(_) | Command::List(_) | Command::Print(_) => None,
        }
    }

    /// The first event of the run; none for commands that only print what is known beforehand.
    pub fn started(&self) -> Option<Event> {
        let role = match &self.command {
            Command::Preflight { request, .. } => request.role,
            Command::Install(request, _) => Some(request.role),
            _ => None,
        };
        let command = self.name()?.to_owned();
        Some(Event::Started { command, role, version: env!("CARGO_PKG_VERSION").to_owned() })
    }

    /// Whether the node's journal is told: of what changes the node.
    pub fn is_for_the_journal(&self) -> bool {
        use Command::{Adopt, Fetch, Install, Recover, Uninstall, Verify};
        !self.must_not_write()
            && matches!(
                self.command,
                Install(..) | Fetch(_) | Uninstall(_) | Adopt | Recover(_) | Verify(_)
            )
    }
}
