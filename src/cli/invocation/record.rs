//! What of a command line goes on record: the first event of its run, where its events go, and
//! whether the node's journal is told.

use super::{Command, Invocation};
use crate::cli::global::Printing;
use crate::command::recover;
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

    /// Where events go, as it was typed. The log of a server has no end, so that with `--json` it
    /// is lines too.
    pub fn events(&self) -> Option<&str> {
        let Printing { json, events, .. } = &self.printing;
        let is_log = matches!(self.command, Command::Serve(_)) && *json;
        events.as_deref().or(is_log.then_some("-"))
    }

    /// The command that collects what support needs of this node. The bootstrap server has nothing
    /// to collect, and what keeps a bundle from being written keeps the next one too.
    pub fn bundle_command(&self, is_live: bool) -> Option<String> {
        use Command::{Bundle, Explain, List, Print, Publish, Serve};
        let is_on_a_node = !matches!(
            self.command,
            Publish(_) | Serve(_) | Bundle(_) | Explain(_) | List(_) | Print(_)
        );
        let root = if is_live { String::new() } else { format!(" --root {}", self.root.display()) };
        is_on_a_node.then(|| format!("dcos-node bundle{root}"))
    }

    /// Whether this is a boot: it must not fail over what the next boot, or an operator, can
    /// finish.
    pub fn is_at_boot(&self) -> bool {
        matches!(self.command, Command::Recover(recover::Request { at_boot: true, .. }))
    }
}
