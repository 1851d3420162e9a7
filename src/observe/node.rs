//! What of DC/OS stands on a node.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dcos::accounts::Accounts;
use crate::dcos::id::PackageId;
use crate::dcos::journal::{Intent, Story};
use crate::dcos::layout;
use crate::dcos::leftovers::{self, CLASSIC_UNITS, Inside};
use crate::dcos::receipt::{Object, Receipt};
use crate::dcos::role::Role;
use crate::dcos::settings::Version;
use crate::dcos::snapshot::Snapshot;
use crate::observe::pkgpanda_swap;
use crate::observe::records::{self, Damaged, Records};
use crate::system::files;
use crate::system::root::Root;

/// A node, looked at once.
#[derive(Clone, Debug)]
pub struct Node {
    /// Our journal.
    pub story: Story,
    /// Our receipt.
    pub receipt: Option<Receipt>,
    /// Packages that `active` links to; empty if there is no `active`.
    pub active: BTreeSet<PackageId>,
    /// Packages that an install need not fetch: they have their final names and our manifests. Empty for who cannot read those.
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
    /// Which DC/OS the active set is.
    pub version: Option<Version>,
    /// Accounts and groups.
    pub accounts: Accounts,
    /// Journal and receipt are there, but only root may read them.
    pub unreadable: bool,
    /// Which of them are there and are not what a dcos-node writes: then what stands counts, and the other one.
    pub damaged: Vec<Damaged>,
    /// Whether `dcos-setup.service` is ours, or is not there: the classic installer has another one of that name.
    pub setup_is_ours: bool,
    /// Whether accounts are the operator's (`/etc/mesosphere/manual_host_users`).
    pub manual_accounts: bool,
    /// What an earlier install kept of the node's identity.
    pub kept_identity: Vec<PathBuf>,
}

/// Something in our way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Foreign {
    /// As the node sees it.
    pub path: PathBuf,
    /// What it seems to be.
    pub what: String,
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
    /// Looks at the node below a root. Works without privileges as far as files can be read.
    ///
    /// # Errors
    /// Our own journal or receipt cannot be read, or is of a newer dcos-node; one that is damaged is told by the value.
    pub fn look(root: &Root) -> anyhow::Result<Node> {
        let unreadable = files::exists(&root.at(layout::OUR_STATE))
            && files::read(&root.at(layout::JOURNAL), 0).is_err_and(|e| e.source.kind() == std::io::ErrorKind::PermissionDenied);
        let Records { story, receipt, damaged } = if unreadable { Records::default() } else { records::look(root)? };
        let text = |path: &str| {
            files::read(&root.resolved(path), 16 << 20).ok().flatten().map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default()
        };
        let setup_is_ours = !files::exists(&root.at(layout::SETUP_UNIT)) && !files::exists(&root.at(layout::SETUP_LINK))
            || text(layout::SETUP_UNIT).contains(layout::OUR_BINARY);
        let ours = |path: &&&str| setup_is_ours || ![layout::SETUP_UNIT, layout::SETUP_LINK].contains(*path);
        let mut node = Node {
            active: pkgpanda_swap::packages(root, Path::new(layout::ACTIVE))?,
            whole: if unreadable { BTreeSet::new() } else { whole(root)? },
            active_names: layout::ACTIVE_NAMES
                .iter()
                .filter(|n| files::exists(&root.at(layout::active_name(n))))
                .map(|n| (*n).to_owned())
                .collect(),
            roles: names(root, layout::ROLES)?.iter().filter_map(|n| n.parse().ok()).collect(),
            wanted_units: names(root, layout::TARGET_WANTS)?,
            committed: files::exists(&root.at(layout::COMMIT_LINK)),
            traces: [layout::OUR_BINARY, layout::SETUP_UNIT, layout::SETUP_LINK, layout::OUR_STATE, layout::OUR_OPT]
                .iter()
                .filter(ours)
                .map(PathBuf::from)
                .filter(|p| files::exists(&root.at(p)))
                .collect(),
            foreign: Vec::new(),
            version: files::read(&root.resolved(layout::DCOS_VERSION), 1 << 20).ok().flatten().and_then(|t| Version::parse(&t)),
            accounts: Accounts::parse(&text(layout::PASSWD), &text(layout::GROUP)),
            unreadable,
            damaged,
            setup_is_ours,
            manual_accounts: files::exists(&root.at(layout::MANUAL_HOST_USERS)),
            kept_identity: layout::IDENTITY.iter().map(PathBuf::from).filter(|p| files::exists(&root.at(p))).collect(),
            story,
            receipt,
        };
        // Without our records nobody knows what of a whole node is not ours.
        let has_records = !node.unreadable && node.damaged.is_empty();
        node.foreign = if has_records || !node.is_whole() { foreign(root, &node)? } else { Vec::new() };
        Ok(node)
    }

    /// How it stands.
    pub fn state(&self) -> State {
        match (&self.story.intent, &self.receipt) {
            (Some(Intent::Install(intent)), _) if intent.placed_unprivileged && self.is_linked() => State::Prepared,
            (Some(Intent::Install(_)), _) => State::Installing,
            (Some(Intent::Uninstall { .. }), _) => State::Uninstalling,
            (None, Some(_)) => State::Installed,
            (None, None) if (self.unreadable || !self.damaged.is_empty()) && self.is_whole() => State::Installed,
            (None, None) if self.foreign.is_empty() => State::Clean,
            (None, None) => State::Foreign,
        }
    }

    /// The role: what stands on the node counts, then what was asked.
    pub fn role(&self) -> Option<Role> {
        self.roles.first().copied().or_else(|| self.receipt.as_ref().map(|r| r.role)).or(match &self.story.intent {
            Some(Intent::Install(intent)) => Some(intent.role),
            _ => None,
        })
    }

    /// Everything that we made or changed, in the order in which it was begun.
    pub fn inventory(&self) -> Vec<Object> {
        let mut objects =
            if self.story.intent.is_none() { self.receipt.as_ref().map(|r| r.objects.clone()).unwrap_or_default() } else { Vec::new() };
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
        if self.state() == State::Clean { self.inventory().into_iter().filter_map(package).collect() } else { Vec::new() }
    }

    /// The node before the install, if it was looked at.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.story.snapshot.as_deref().or(self.receipt.as_ref().and_then(|receipt| receipt.snapshot.as_deref()))
    }

    /// What of it says that the node is ours: an inventory whose wish to uninstall was never written counts for the packages in it only, as the
    /// classic installer made the rest.
    fn known(&self) -> Vec<Object> {
        let mut known = self.inventory();
        if self.story.intent.is_none() && self.receipt.is_none() {
            known.retain(|object| matches!(object, Object::Package { .. }));
        }
        known
    }

    /// Whether everything that makes an installed node is in its place: what pkgpanda and systemd would look for.
    pub fn is_whole(&self) -> bool {
        self.committed && self.is_linked()
    }

    fn is_linked(&self) -> bool {
        self.active_names.len() == layout::ACTIVE_NAMES.len() && !self.wanted_units.is_empty() && !self.active.is_empty()
    }
}

fn whole(root: &Root) -> anyhow::Result<BTreeSet<PackageId>> {
    let manifests = names(root, layout::MANIFESTS)?;
    let ids = manifests.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<PackageId>().ok());
    Ok(ids.filter(|id| root.resolved(layout::package(id)).is_dir()).collect())
}

fn names(root: &Root, path: &str) -> anyhow::Result<Vec<String>> {
    Ok(files::names(&root.resolved(path))?.unwrap_or_default().into_iter().map(|n| n.to_string_lossy().into_owned()).collect())
}

/// What stands where DC/OS belongs although no journal or receipt of ours knows of it.
fn foreign(root: &Root, node: &Node) -> anyhow::Result<Vec<Foreign>> {
    let inventory = node.known();
    let mut found = Vec::new();
    let mut add = |path: PathBuf, what: &str| found.push(Foreign { path, what: what.to_owned() });
    let knows_name = |name: &str| match leftovers::inside(name) {
        Inside::Active(name) => inventory.iter().any(|o| matches!(o, Object::ActiveName { name: ours, .. } if name == ours)),
        // On a node of ours, pkgpanda has set these aside.
        Inside::Scratch => node.receipt.is_some() || leftovers::is_staging(name),
        Inside::Known => node.receipt.is_some() || ["packages", "lost+found"].contains(&name),
        Inside::Unknown => false,
    };
    for name in names(root, layout::MESOSPHERE)?.into_iter().filter(|name| !knows_name(name)) {
        add(layout::active_name(&name), "not ours");
    }
    for name in names(root, layout::REPOSITORY)? {
        let id = name.parse::<PackageId>();
        // On a node of ours, pkgpanda has fetched the others.
        let is_ours = |id| node.receipt.is_some() || inventory.iter().any(|o| matches!(o, Object::Package { id: ours } if *ours == id));
        let staging = name.starts_with('.') && name.ends_with(".tmp");
        if !id.is_ok_and(is_ours) && !staging {
            add(PathBuf::from(layout::REPOSITORY).join(&name), "a package that is not ours");
        }
    }
    let knows_path = |path: &Path| {
        inventory
            .iter()
            .any(|o| matches!(o, Object::File { path: ours, .. } | Object::Link { path: ours, .. } | Object::Scratch { path: ours } if ours == path))
    };
    for role in names(root, layout::ROLES)? {
        let path = PathBuf::from(layout::ROLES).join(role);
        if !knows_path(&path) {
            add(path, "a role that is not ours");
        }
    }
    for unit in names(root, layout::TARGET_WANTS)? {
        if !knows_path(&layout::wants(&unit)) && inventory.iter().all(|o| !matches!(o, Object::Units { .. })) {
            add(layout::wants(&unit), "a unit that is not ours");
        }
    }
    let classic =
        CLASSIC_UNITS.iter().map(|u| layout::unit(u)).filter(|u| u != std::path::Path::new(layout::SETUP_UNIT) || !node.setup_is_ours);
    for unit in classic.filter(|u| files::exists(&root.at(u)) && !knows_path(u)) {
        add(unit, "of the classic installer");
    }
    Ok(found)
}
