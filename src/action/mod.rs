//! Verbs: what can be done to a node, one a file, each sized as the unit of redo and undo. Applying
//! an action again is always safe.

pub mod account;
pub mod account_files;
pub mod active_set;
pub mod aside;
pub mod capacity;
pub mod edited;
pub mod executors;
pub mod fetch;
pub mod firewall;
pub mod journal;
pub mod kept_index;
pub mod mesos_mounts;
pub mod network;
pub mod network_files;
pub mod ourselves;
pub mod owners;
pub mod pkgpanda_swap;
pub mod place;
pub mod repository;
pub mod resolv_conf;
pub mod run;
pub mod services;
pub mod site;
pub mod state_directory;
pub mod switch;
pub mod sysctl;
pub mod undo;
pub mod units;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::dcos::action_key::ActionKey;
use crate::dcos::active_set::{Account, ActiveSet, StateDirectory};
use crate::dcos::build::Build;
use crate::dcos::id::PackageId;
use crate::dcos::index::Artifact;
use crate::dcos::layout;
use crate::dcos::preview::Preview;
use crate::dcos::receipt::{Object, Receipt};
use crate::dcos::store;
use crate::dcos::units::UnitForm;

pub use site::Site;

/// One step of a plan. Plain data: the same value is shown, run and recorded.
#[derive(Clone, Debug)]
pub enum Action {
    /// Puts our own binary where it recovers from.
    PlaceBinary,
    /// Puts a file in place.
    PlaceFile {
        /// As the node sees it.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// What it holds.
        content: Vec<u8>,
    },
    /// Puts a symbolic link in place.
    PlaceLink {
        /// As the node sees it.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// Records the resolver configuration.
    KeepResolvConf,
    /// Sets aside what an earlier install kept.
    SetAside {
        /// Where it stands, as the node sees it.
        path: PathBuf,
        /// Where it goes, in the same directory.
        aside: PathBuf,
    },
    /// Fetches the bootstrap archive and unpacks the packages in it.
    FetchBootstrap {
        /// The archive's id.
        id: String,
        /// Packages that must be in it.
        expected: Vec<PackageId>,
        /// What the build index says of it.
        artifact: Option<Artifact>,
        /// Packages in it that stay as they stand.
        spared: BTreeSet<PackageId>,
    },
    /// Fetches and unpacks one package.
    FetchPackage {
        /// Its id.
        id: PackageId,
        /// What the build index says of its archive.
        artifact: Option<Artifact>,
    },
    /// Moves fetched packages from their store into the repository.
    PlacePackages {
        /// Those of the build.
        ids: Vec<PackageId>,
    },
    /// Moves a package from the repository back into a store.
    KeepPackage {
        /// Its id.
        id: PackageId,
    },
    /// Gives what an unprivileged run placed to the owners it should have.
    SetOwners,
    /// Keeps what the programs for accounts overwrite.
    KeepAccountFiles,
    /// Makes one account.
    AddAccount {
        /// The account.
        account: Account,
    },
    /// Makes one state directory.
    MakeStateDirectory {
        /// The directory.
        directory: StateDirectory,
    },
    /// Builds all active names beside the live ones.
    BuildActiveSet {
        /// What they hold.
        set: ActiveSet,
    },
    /// Makes one active name live.
    SwitchName {
        /// One of `layout::ACTIVE_NAMES`.
        name: String,
    },
    /// Copies or links the units of the role and makes the target want them.
    PlaceUnits {
        /// Name, and file in the repository.
        units: Vec<(String, PathBuf)>,
        /// As pkgpanda of the release does.
        form: UnitForm,
    },
    /// Makes systemd read its unit files again.
    Reload,
    /// Restarts a service whose configuration we placed.
    Restart {
        /// Name of the unit.
        unit: String,
        /// Whether to wait until its job has ended.
        wait: bool,
    },
    /// Starts a unit and follows the jobs.
    Start {
        /// Name of the unit.
        unit: String,
        /// Whether to wait until its jobs have ended.
        wait: bool,
    },
    /// Stops units, sockets and timers first.
    Stop {
        /// Names of the units.
        units: Vec<String>,
    },
    /// Makes the receipt durable: the node is installed.
    WriteReceipt {
        /// The receipt, whose objects and snapshot are filled in from the journal.
        receipt: Box<Receipt>,
    },
    /// Removes an object, or makes it as it was before.
    Undo {
        /// The object.
        object: Object,
    },
    /// Removes receipt, journal, unit, link and binary, in this order.
    RemoveOurselves {
        /// Directories that we made for them, outermost first; removed if they are empty then.
        directories: Vec<PathBuf>,
    },
}

/// Why an action failed, sorted by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was fetched is damaged or hostile.
    #[error("{what}")]
    Integrity {
        /// The action's object.
        what: String,
        /// Why.
        source: anyhow::Error,
    },
    /// Everything else.
    #[error("{what}")]
    Failed {
        /// The action in words.
        what: String,
        /// Why.
        source: anyhow::Error,
    },
    /// A signal asked to stop; what is done stays done.
    #[error("interrupted")]
    Interrupted,
}

/// The result of the room's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Action {
    /// The name of the action: the same in every run of the same plan, so that a journal can be
    /// followed.
    pub fn key(&self) -> ActionKey {
        let shown = |path: &Path| path.display().to_string();
        match self {
            Action::PlaceBinary => ActionKey::Binary,
            Action::PlaceFile { path, .. } => ActionKey::file(path),
            Action::PlaceLink { path, .. } => ActionKey::Link(shown(path)),
            Action::KeepResolvConf => ActionKey::ResolvConf,
            Action::SetAside { path, .. } => ActionKey::Aside(shown(path)),
            Action::FetchBootstrap { id, .. } => ActionKey::Bootstrap(id.clone()),
            Action::FetchPackage { id, .. } => ActionKey::Package(id.clone()),
            Action::PlacePackages { .. } => ActionKey::Packages,
            Action::KeepPackage { id } => ActionKey::Keep(id.clone()),
            Action::SetOwners => ActionKey::Owners,
            Action::KeepAccountFiles => ActionKey::AccountFiles,
            Action::AddAccount { account } => ActionKey::Account(account.user.clone()),
            Action::MakeStateDirectory { directory } => ActionKey::State(shown(&directory.path)),
            Action::BuildActiveSet { .. } => ActionKey::ActiveSet,
            Action::SwitchName { name } => ActionKey::Switch(name.clone()),
            Action::PlaceUnits { .. } => ActionKey::Units,
            Action::Reload => ActionKey::Reload,
            Action::Restart { unit, .. } => ActionKey::Restart(unit.clone()),
            Action::Start { unit, .. } => ActionKey::Start(unit.clone()),
            Action::Stop { .. } => ActionKey::Stop,
            Action::WriteReceipt { .. } => ActionKey::Receipt,
            Action::Undo { object } => ActionKey::Undo(object.to_string()),
            Action::RemoveOurselves { .. } => ActionKey::Ourselves,
        }
    }

    /// The action in words, beginning with a verb.
    pub fn words(&self) -> String {
        match self {
            Action::PlaceBinary => format!("place {}", layout::OUR_BINARY),
            Action::PlaceFile { path, mode, .. } => {
                format!("place {} (mode {mode:04o})", path.display())
            }
            Action::PlaceLink { path, target } => {
                format!("link {} -> {}", path.display(), target.display())
            }
            Action::KeepResolvConf => "record /etc/resolv.conf".into(),
            Action::SetAside { path, aside } => {
                format!("set {} aside as {}", path.display(), aside.display())
            }
            Action::FetchBootstrap { id, .. } => {
                format!("fetch and unpack {}", Build::bootstrap_archive(id))
            }
            Action::FetchPackage { id, .. } => format!("fetch and unpack {id}"),
            Action::PlacePackages { ids } => {
                format!("move {} packages into {}", ids.len(), layout::REPOSITORY)
            }
            Action::KeepPackage { id } => format!("keep {id} for the next try"),
            Action::SetOwners => "set the owners of what was placed".into(),
            Action::KeepAccountFiles => "keep the backups of the files with accounts".into(),
            Action::AddAccount { account } => match &account.group {
                Some(group) => format!("add the user {} in the group {group}", account.user),
                None => format!("add the user {} with a group of its own", account.user),
            },
            Action::MakeStateDirectory { directory } => match &directory.owner {
                Some(owner) => format!("make {} for {owner}", directory.path.display()),
                None => format!("make {}", directory.path.display()),
            },
            Action::BuildActiveSet { set } => {
                format!(
                    "link {} packages ({} paths) for the role {}",
                    set.packages.len(),
                    set.farm.entries.len(),
                    set.role
                )
            }
            Action::SwitchName { name } => format!("make /opt/mesosphere/{name} live"),
            Action::PlaceUnits { units, .. } => {
                format!("place {} units and let dcos.target want them", units.len())
            }
            Action::Reload => "let systemd read its unit files again".into(),
            Action::Restart { unit, .. } => format!("restart {unit}"),
            Action::Start { unit, wait: true } => format!("start {unit} and follow its jobs"),
            Action::Start { unit, wait: false } => format!("start {unit}"),
            Action::Stop { units } => format!("stop {} units", units.len()),
            Action::WriteReceipt { .. } => "write the receipt".into(),
            Action::Undo { object } => object.describe_undo(),
            Action::RemoveOurselves { .. } => {
                "remove /var/lib/dcos-node, dcos-setup.service and /opt/dcos-node".into()
            }
        }
    }

    /// Key and words, for a plan that is shown.
    pub fn preview(&self) -> Preview {
        Preview { key: self.key(), text: self.words() }
    }

    /// What the action will make or change, and what stands there now. Touches nothing.
    pub(crate) fn objects(&self, site: &Site) -> anyhow::Result<Vec<Object>> {
        match self {
            Action::PlaceBinary => place::binary_objects(site),
            Action::PlaceFile { path, content, .. } => place::file_objects(site, path, content),
            Action::PlaceLink { path, target } => place::link_objects(site, path, target),
            Action::KeepResolvConf => resolv_conf::objects(site),
            Action::SetAside { path, aside } => Ok(aside::objects(site, path, aside)),
            Action::FetchBootstrap { id, expected, .. } => {
                let path = store::bootstrap_staging(fetch::store_of(site), id);
                let scratch = Object::Scratch { path };
                Ok(fetch::objects(site, expected)?.into_iter().chain([scratch]).collect())
            }
            Action::PlacePackages { ids } => Ok(repository::objects(site, ids)),
            Action::KeepPackage { .. } => Ok(repository::keep_objects(site)),
            Action::FetchPackage { id, .. } => fetch::objects(site, std::slice::from_ref(id)),
            Action::KeepAccountFiles => account_files::objects(site),
            Action::AddAccount { account } => account::objects(site, account),
            Action::MakeStateDirectory { directory } => state_directory::objects(site, directory),
            Action::BuildActiveSet { .. } => Ok(active_set::objects()),
            Action::PlaceUnits { units, form } => units::objects(site, units, *form),
            Action::SwitchName { name } => switch::objects(site, name),
            _ => Ok(Vec::new()),
        }
    }

    /// Does it. What it changed is durable when this returns.
    pub(crate) async fn apply(
        &self,
        site: &Site,
        journal: &journal::Journal,
    ) -> anyhow::Result<()> {
        let key = self.key();
        match self.clone() {
            Action::PlaceBinary => site.blocking(place::binary).await,
            Action::PlaceFile { path, mode, content } => {
                site.blocking(move |s| place::file(s, &path, mode, &content)).await
            }
            Action::PlaceLink { path, target } => {
                site.blocking(move |s| place::link(s, &path, &target)).await
            }
            Action::KeepResolvConf => Ok(()),
            Action::SetAside { path, aside } => {
                site.blocking(move |s| aside::set(s, &path, &aside)).await
            }
            Action::FetchBootstrap { id, expected, artifact, spared } => {
                let wanted = fetch::InBootstrap { expected: &expected, spared: &spared };
                fetch::bootstrap(site, journal, &key, &id, wanted, artifact.as_ref()).await
            }
            Action::FetchPackage { id, artifact } => {
                fetch::package(site, &key, &id, artifact.as_ref()).await
            }
            Action::PlacePackages { ids } => {
                let begun = journal.story().objects;
                site.blocking(move |s| repository::place(s, &ids, &begun)).await
            }
            Action::KeepPackage { id } => repository::keep(site, journal, &id).await,
            Action::SetOwners => {
                let objects = journal.story().objects;
                site.blocking(move |s| owners::set(s, &objects)).await
            }
            Action::KeepAccountFiles => site.blocking(account_files::keep).await,
            Action::AddAccount { account } => account::add(site, &account).await,
            Action::MakeStateDirectory { directory } => {
                site.blocking(move |s| state_directory::make(s, &directory)).await
            }
            Action::BuildActiveSet { set } => {
                site.blocking(move |s| active_set::build(s, &set)).await
            }
            Action::SwitchName { name } => {
                let story = journal.story();
                site.blocking(move |s| switch::name(s, &name, &story)).await
            }
            Action::PlaceUnits { units, form } => units::place(site, units, form).await,
            Action::Reload => services::reload(site).await,
            Action::Restart { unit, wait } => services::restart(site, &unit, wait).await,
            Action::Start { unit, wait } => services::start(site, &unit, wait).await,
            Action::Stop { units } => services::stop(site, &units).await,
            Action::WriteReceipt { receipt } => {
                let story = journal.story();
                let receipt =
                    Receipt { objects: story.objects, snapshot: story.snapshot, ..*receipt };
                site.blocking(move |s| ourselves::write_receipt(s, &receipt)).await
            }
            Action::Undo { object } => undo::undo(site, &object).await,
            Action::RemoveOurselves { directories } => {
                ourselves::remove(site, journal, directories).await
            }
        }
    }
}
