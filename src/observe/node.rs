//! What of DC/OS stands on a node.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::dcos::accounts::Accounts;
use crate::dcos::id::PackageId;
use crate::dcos::journal::{Intent, Story};
use crate::dcos::layout;
use crate::dcos::receipt::{Object, Receipt};
use crate::dcos::role::Role;
use crate::dcos::settings::Version;
use crate::dcos::snapshot::Snapshot;
use crate::observe::records::Damaged;

mod look;

/// A node, looked at once.
#[derive(Clone, Debug)]
pub struct Node {
    /// Our journal.
    pub story: Story,
    /// Our receipt.
    pub receipt: Option<Receipt>,
    /// Packages that `active` links to; empty if there is no `active`.
    pub active: BTreeSet<PackageId>,
    /// Packages that an install need not fetch: they have their final names and our manifests.
    /// Empty for who cannot read those.
    pub whole: BTreeSet<PackageId>,
    /// Which of the eight active names are there.
    pub active_names: Vec<String>,
    /// Roles in `/etc/mesosphere/roles`.
    pub roles: Vec<Role>,
    /// Units that `dcos.target` wants.
    pub wanted_units: Vec<String>,
    /// Whether `dcos.target` starts at boot: the commit point.
    pub committed: bool,
    /// Our own traces outside `/opt/mesosphere`: binary, unit, link.
    pub traces: Vec<PathBuf>,
    /// What stands where DC/OS belongs and is not ours.
    pub foreign: Vec<Foreign>,
    /// Whether something stands that only DC/OS makes and that is not ours, accounts left out: what
    /// an uninstall would remove.
    pub has_dcos: bool,
    /// Which DC/OS the active set is.
    pub version: Option<Version>,
    /// Accounts and groups.
    pub accounts: Accounts,
    /// Journal and receipt are there, but only root may read them.
    pub unreadable: bool,
    /// Which of them are there and are not what a dcos-node writes: then what stands counts, and
    /// the other one.
    pub damaged: Vec<Damaged>,
    /// Whether `dcos-setup.service` is ours, or is not there: the classic installer has another one
    /// of that name.
    pub setup_is_ours: bool,
    /// Whether accounts are the operator's (`/etc/mesosphere/manual_host_users`).
    pub manual_accounts: bool,
    /// Units of DC/OS that an operator masked.
    pub masked_units: Vec<String>,
    /// What an earlier install kept of the node's identity.
    pub kept_identity: Vec<PathBuf>,
}

/// Something in our way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// As the node sees it.
    pub path: PathBuf,
    /// What it seems to be; none if all that is known is that it is not ours.
    pub what: Option<String>,
}

impl Foreign {
    /// Something that seems to be `what`.
    pub fn new(path: impl Into<PathBuf>, what: impl Into<String>) -> Foreign {
        Foreign { path: path.into(), what: Some(what.into()) }
    }

    /// Why it is in our way, in words.
    pub fn reason(&self) -> &str {
        self.what.as_deref().unwrap_or("not ours")
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.reason())
    }
}

impl Serialize for Foreign {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Foreign", 2)?;
        fields.serialize_field("path", &self.path)?;
        fields.serialize_field("what", self.reason())?;
        fields.end()
    }
}

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No DC/OS; perhaps packages that a failed install kept.
    Clean,
    /// Whole, by our receipt.
    Installed,
    /// A directory that was filled without privileges: the first boot of the image finishes it.
    Prepared,
    /// An install was interrupted and goes on.
    Installing,
    /// An uninstall was interrupted and goes on.
    Uninstalling,
    /// DC/OS or a part of it that we did not install.
    Foreign,
}

impl Node {
    /// How it stands.
    pub fn state(&self) -> State {
        match (&self.story.intent, &self.receipt) {
            (Some(Intent::Install(intent)), _)
                if intent.placed_unprivileged && self.is_linked() =>
            {
                State::Prepared
            }
            (Some(Intent::Install(_)), _) => State::Installing,
            (Some(Intent::Uninstall { .. }), _) => State::Uninstalling,
            (None, Some(_)) => State::Installed,
            (None, None) if (self.unreadable || !self.damaged.is_empty()) && self.is_whole() => {
                State::Installed
            }
            (None, None) if !self.has_dcos => State::Clean,
            (None, None) => State::Foreign,
        }
    }

    /// The role: what stands on the node counts, then what was asked.
    pub fn role(&self) -> Option<Role> {
        self.roles.first().copied().or_else(|| self.receipt.as_ref().map(|r| r.role)).or(
            match &self.story.intent {
                Some(Intent::Install(intent)) => Some(intent.role),
                _ => None,
            },
        )
    }

    /// Everything that we made or changed, in the order in which it was begun.
    pub fn inventory(&self) -> Vec<Object> {
        let mut objects = if self.story.intent.is_none() {
            self.receipt.as_ref().map(|r| r.objects.clone()).unwrap_or_default()
        } else {
            Vec::new()
        };
        for object in &self.story.objects {
            if !objects.iter().any(|known| known.same_place(object)) {
                objects.push(object.clone());
            }
        }
        objects
    }

    /// Packages of ours on a node on which nothing is installed or begun.
    pub fn fetched(&self) -> Vec<PackageId> {
        let package = |object: Object| match object {
            Object::Package { id } => Some(id),
            _ => None,
        };
        if self.state() == State::Clean {
            self.inventory().into_iter().filter_map(package).collect()
        } else {
            Vec::new()
        }
    }

    /// The node before the install, if it was looked at.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.story
            .snapshot
            .as_deref()
            .or(self.receipt.as_ref().and_then(|receipt| receipt.snapshot.as_deref()))
    }

    /// What of it says that the node is ours: an inventory whose wish to uninstall was never
    /// written counts for the packages in it only, as the classic installer made the rest.
    fn known(&self) -> Vec<Object> {
        let mut known = self.inventory();
        if self.story.intent.is_none() && self.receipt.is_none() {
            known.retain(|object| matches!(object, Object::Package { .. }));
        }
        known
    }

    /// Whether everything that makes an installed node is in its place: what pkgpanda and systemd
    /// would look for.
    pub fn is_whole(&self) -> bool {
        self.committed && self.is_linked()
    }

    /// What to do about a DC/OS that is not ours. A whole node may serve, and so may one that looks
    /// like a part: only where nothing of DC/OS runs an uninstall is advised.
    pub fn fix_of_another_dcos(&self) -> &'static str {
        if self.is_whole() {
            "dcos-node adopt takes the node over, as it runs"
        } else {
            "dcos-node adopt names what the node lacks; if nothing of DC/OS runs on it any more, \
             dcos-node uninstall removes what is left"
        }
    }

    fn is_linked(&self) -> bool {
        self.active_names.len() == layout::ACTIVE_NAMES.len()
            && !self.wanted_units.is_empty()
            && !self.active.is_empty()
    }
}
