//! The name of an action, the same in every run, so that a journal can be followed.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::PackageId;

/// Names an action in events, plans and journals, where it is the text of its `Display`.
///
/// Paths, names and objects are texts here: what was written is compared with what was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKey {
    /// Places our own binary.
    Binary,
    /// Places the file at a path, or removes one of an operator.
    File(String),
    /// Places the link at a path.
    Link(String),
    /// Records the resolver configuration.
    ResolvConf,
    /// Sets a path aside.
    Aside(String),
    /// Fetches the bootstrap archive with an id.
    Bootstrap(String),
    /// Fetches a package.
    Package(PackageId),
    /// Reads an archive of a build: its path below the serve directory.
    Archive(String),
    /// Moves packages into the repository.
    Packages,
    /// Keeps a package for the next install.
    Keep(PackageId),
    /// Sets owners.
    Owners,
    /// Keeps the backups of the files with accounts.
    AccountFiles,
    /// Adds the account of a user.
    Account(String),
    /// Makes the state directory at a path.
    State(String),
    /// Builds the active names.
    ActiveSet,
    /// Makes one active name live.
    Switch(String),
    /// Places units.
    Units,
    /// Has systemd read its unit files.
    Reload,
    /// Restarts a unit.
    Restart(String),
    /// Starts a unit.
    Start(String),
    /// Stops units.
    Stop,
    /// Writes the receipt.
    Receipt,
    /// Removes an object, or restores it.
    Undo(String),
    /// Removes receipt, journal, unit, link and binary.
    Ourselves,
    /// Lets an agent leave its cluster.
    Drain,
    /// Everything after the fetch, in a plan whose packages are not known yet.
    Activation,
    /// Begins a journal with the directories that were made for it.
    Journal,
    /// Records what is known to be installed, before an uninstall or a repair.
    Inventory,
    /// Adds networks that were found to the inventory of an uninstall.
    Network,
    /// Adds residue that was found to the inventory of an uninstall.
    Residue,
    /// Begins the journal of a node that keeps packages.
    Kept,
    /// A name of another version. Only reading makes it: other names have a variant.
    Other(String),
}

impl ActionKey {
    /// The key of [`ActionKey::File`].
    pub fn file(path: &Path) -> ActionKey {
        ActionKey::File(path.display().to_string())
    }

    /// Whether the action downloads or reads an archive, and reports its bytes.
    pub fn is_transfer(&self) -> bool {
        matches!(self, ActionKey::Package(_) | ActionKey::Bootstrap(_) | ActionKey::Archive(_))
    }

    /// Whether the action can take longer than a few seconds.
    pub fn is_long(&self) -> bool {
        use ActionKey::{ActiveSet, Restart, Start, Stop, Units};
        self.is_transfer() || matches!(self, ActiveSet | Units | Start(_) | Stop | Restart(_))
    }
}

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActionKey::Binary => f.write_str("binary"),
            ActionKey::File(path) => write!(f, "file {path}"),
            ActionKey::Link(path) => write!(f, "link {path}"),
            ActionKey::ResolvConf => f.write_str("resolv.conf"),
            ActionKey::Aside(path) => write!(f, "aside {path}"),
            ActionKey::Bootstrap(id) => write!(f, "bootstrap {id}"),
            ActionKey::Package(id) => write!(f, "package {id}"),
            ActionKey::Archive(path) => write!(f, "archive {path}"),
            ActionKey::Packages => f.write_str("packages"),
            ActionKey::Keep(id) => write!(f, "keep {id}"),
            ActionKey::Owners => f.write_str("owners"),
            ActionKey::AccountFiles => f.write_str("account files"),
            ActionKey::Account(user) => write!(f, "account {user}"),
            ActionKey::State(path) => write!(f, "state {path}"),
            ActionKey::ActiveSet => f.write_str("active set"),
            ActionKey::Switch(name) => write!(f, "switch {name}"),
            ActionKey::Units => f.write_str("units"),
            ActionKey::Reload => f.write_str("reload"),
            ActionKey::Restart(unit) => write!(f, "restart {unit}"),
            ActionKey::Start(unit) => write!(f, "start {unit}"),
            ActionKey::Stop => f.write_str("stop"),
            ActionKey::Receipt => f.write_str("receipt"),
            ActionKey::Undo(object) => write!(f, "undo {object}"),
            ActionKey::Ourselves => f.write_str("ourselves"),
            ActionKey::Drain => f.write_str("drain"),
            ActionKey::Activation => f.write_str("activation"),
            ActionKey::Journal => f.write_str("journal"),
            ActionKey::Inventory => f.write_str("inventory"),
            ActionKey::Network => f.write_str("network"),
            ActionKey::Residue => f.write_str("residue"),
            ActionKey::Kept => f.write_str("kept"),
            ActionKey::Other(text) => f.write_str(text),
        }
    }
}

/// The one place that reads a key back; no text is refused.
impl From<&str> for ActionKey {
    fn from(text: &str) -> ActionKey {
        match text {
            "binary" => ActionKey::Binary,
            "resolv.conf" => ActionKey::ResolvConf,
            "packages" => ActionKey::Packages,
            "owners" => ActionKey::Owners,
            "account files" => ActionKey::AccountFiles,
            "active set" => ActionKey::ActiveSet,
            "units" => ActionKey::Units,
            "reload" => ActionKey::Reload,
            "stop" => ActionKey::Stop,
            "receipt" => ActionKey::Receipt,
            "ourselves" => ActionKey::Ourselves,
            "drain" => ActionKey::Drain,
            "activation" => ActionKey::Activation,
            "journal" => ActionKey::Journal,
            "inventory" => ActionKey::Inventory,
            "network" => ActionKey::Network,
            "residue" => ActionKey::Residue,
            "kept" => ActionKey::Kept,
            _ => with_object(text).unwrap_or_else(|| ActionKey::Other(text.to_owned())),
        }
    }
}

/// A key of a word and what the action is about.
fn with_object(text: &str) -> Option<ActionKey> {
    let (word, object) = text.split_once(' ')?;
    let owned = || object.to_owned();
    Some(match word {
        "file" => ActionKey::File(owned()),
        "link" => ActionKey::Link(owned()),
        "aside" => ActionKey::Aside(owned()),
        "bootstrap" => ActionKey::Bootstrap(owned()),
        "package" => ActionKey::Package(object.parse().ok()?),
        "archive" => ActionKey::Archive(owned()),
        "keep" => ActionKey::Keep(object.parse().ok()?),
        "account" => ActionKey::Account(owned()),
        "state" => ActionKey::State(owned()),
        "switch" => ActionKey::Switch(owned()),
        "restart" => ActionKey::Restart(owned()),
        "start" => ActionKey::Start(owned()),
        "undo" => ActionKey::Undo(owned()),
        _ => return None,
    })
}

impl Serialize for ActionKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ActionKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| ActionKey::from(text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_key_is_read_back_as_it_was_written() {
        let id: PackageId = "mesos--0a1b".parse().unwrap();
        let all = [
            (ActionKey::Binary, "binary"),
            (ActionKey::file(Path::new("/etc/a b")), "file /etc/a b"),
            (ActionKey::Link("/etc/l".into()), "link /etc/l"),
            (ActionKey::ResolvConf, "resolv.conf"),
            (ActionKey::Aside("/var/lib/x".into()), "aside /var/lib/x"),
            (ActionKey::Bootstrap("0a1b".into()), "bootstrap 0a1b"),
            (ActionKey::Package(id.clone()), "package mesos--0a1b"),
            (ActionKey::Archive("packages/a.tar.xz".into()), "archive packages/a.tar.xz"),
            (ActionKey::Packages, "packages"),
            (ActionKey::Keep(id), "keep mesos--0a1b"),
            (ActionKey::Owners, "owners"),
            (ActionKey::AccountFiles, "account files"),
            (ActionKey::Account("dcos_x".into()), "account dcos_x"),
            (ActionKey::State("/var/lib/dcos".into()), "state /var/lib/dcos"),
            (ActionKey::ActiveSet, "active set"),
            (ActionKey::Switch("bin".into()), "switch bin"),
            (ActionKey::Units, "units"),
            (ActionKey::Reload, "reload"),
            (ActionKey::Restart("docker.service".into()), "restart docker.service"),
            (ActionKey::Start("dcos.target".into()), "start dcos.target"),
            (ActionKey::Stop, "stop"),
            (ActionKey::Receipt, "receipt"),
            (ActionKey::Undo("the file /etc/x".into()), "undo the file /etc/x"),
            (ActionKey::Ourselves, "ourselves"),
            (ActionKey::Drain, "drain"),
            (ActionKey::Activation, "activation"),
            (ActionKey::Journal, "journal"),
            (ActionKey::Inventory, "inventory"),
            (ActionKey::Network, "network"),
            (ActionKey::Residue, "residue"),
            (ActionKey::Kept, "kept"),
        ];
        for (key, text) in all {
            assert_eq!(serde_json::to_value(&key).unwrap(), text);
            assert_eq!(ActionKey::from(text), key);
        }
    }

    #[test]
    fn unknown_action_key_keeps_its_text() {
        for text in ["", " ", "begun", "package", "package x", "start", "stop now", "units ", "a b"]
        {
            let key = ActionKey::from(text);
            assert_eq!(key, ActionKey::Other(text.to_owned()));
            assert_eq!(key.to_string(), text);
        }
    }
}
