//! Where actions work: the node's root, its systemd, and where packages come from.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::capacity::Capacity;
use crate::dcos::accounts::Accounts;
use crate::dcos::event::Events;
use crate::system::cancellation::Cancellation;
use crate::system::files;
use crate::system::label;
use crate::system::root::Root;
use crate::system::source::Mirrors;
use crate::system::systemd::Systemd;

/// How long the jobs of a start or stop are followed on a real node. DC/OS' units poll for minutes;
/// what has not ended by then goes on by itself.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Everything that an action needs of the outside. Cheap to clone.
#[derive(Clone)]
pub struct Site {
    /// The root directory of the node.
    pub root: Root,
    /// The node's systemd; none for a node that is a directory.
    pub systemd: Option<Arc<dyn Systemd>>,
    /// How long the jobs of a start or stop are followed.
    pub patience: Duration,
    /// Where packages come from; none when all are there.
    pub source: Option<Mirrors>,
    /// How much of it at once.
    pub capacity: Capacity,
    /// Whether owners and accounts can be set.
    pub privileged: bool,
    /// Where news goes.
    pub events: Events,
    /// Set by a signal; read between actions, and by every wait.
    pub cancellation: Cancellation,
}

impl Site {
    /// Runs file work on a thread that may block. The work is finished even if the caller goes
    /// away.
    pub(crate) async fn blocking<F>(&self, work: F) -> anyhow::Result<()>
    where
        F: FnOnce(&Site) -> anyhow::Result<()> + Send + 'static,
    {
        let site = self.clone();
        tokio::task::spawn_blocking(move || work(&site)).await?
    }

    /// The node's accounts and groups as its own files have them.
    pub(crate) fn accounts(&self) -> Result<Accounts, files::Error> {
        Accounts::load(|path| self.root.text(path))
    }

    /// The owner of files that belong to root; none where owners cannot be set.
    pub(crate) fn root_owner(&self) -> Option<(u32, u32)> {
        self.privileged.then_some((0, 0))
    }

    /// Gives a path, and nothing below it, the SELinux label that the policy has for it.
    pub(crate) fn label_itself(&self, path: &Path) {
        if let Err(why) = label::restore_itself(&self.root, path) {
            self.events.warn(format!("SELinux labels were not set: {why}"));
        }
    }

    /// Gives what was placed, and what is below it, the SELinux label that the policy has for its
    /// path.
    pub(crate) fn label(&self, paths: &[&Path]) {
        if let Err(why) = label::restore(&self.root, paths) {
            self.events.warn(format!("SELinux labels were not set: {why}"));
        }
    }
}
