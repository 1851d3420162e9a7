//! What of a command line goes on record: the first event of its run, and whether the node's
//! journal is told.

use super::{Command, Invocation};
use crate::dcos::event::Event;

impl Invocation {
    /// The first event of the run; none for commands that only print what is known beforehand.
    pub fn started(&self) -> Option<Event> {
        let words = self.words();
        let mut words = words.split(' ').skip(1);
        let command = words.next()?.to_owned();
        let role = match &self.command {
            Command::Preflight { request, .. } => request.role,
            _ => words.next().and_then(|word| word.parse().ok()),
        };
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
