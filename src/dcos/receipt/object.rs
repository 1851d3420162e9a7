//! What an install makes or changes, thing by thing, and what was there before.

mod identity;
mod text;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dcos::active_set::Account;
use crate::dcos::id::PackageId;

/// One thing on the node that we made or changed. Undoing objects from the last to the first
/// restores the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "object", rename_all = "kebab-case")]
pub enum Object {
    /// A directory that was not there; removed when it is empty.
    Directory {
        /// As the node sees it.
        path: PathBuf,
    },
    /// A file with our content.
    File {
        /// As the node sees it.
        path: PathBuf,
        /// SHA-256 of our content, hexadecimal; empty for a file that another made.
        sha256: String,
        /// What it replaced.
        before: Before,
    },
    /// A symbolic link of ours; removed only while it still points there.
    Link {
        /// As the node sees it.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
        /// What it replaced.
        before: Before,
    },
    /// A package in the repository, with its manifest.
    Package {
        /// Its id.
        id: PackageId,
    },
    /// One name of the active set, live or not yet.
    ActiveName {
        /// One of `layout::ACTIVE_NAMES`.
        name: String,
        /// The inode that is to become live, once its switch has begun: tells after a kill whether
        /// the names were exchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incoming: Option<u64>,
    },
    /// A system account.
    Account {
        /// The account.
        account: Account,
        /// Whether the user was made by us.
        user_made: bool,
        /// Whether the group of the same name came with it.
        group_made: bool,
        /// The number of a group of that name that was there before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group_before: Option<u32>,
    },
    /// A file with accounts, of which the programs for accounts keep a backup.
    AccountFile {
        /// As the node sees it.
        path: PathBuf,
        /// SHA-256 of what it held before our accounts, hexadecimal.
        sha256: String,
        /// Whether there was a backup; a copy of it is beside the journal.
        had_backup: bool,
    },
    /// A state directory: data, kept unless it is purged.
    StateDirectory {
        /// As the node sees it.
        path: PathBuf,
        /// Whether it was made by us; an older one is adopted.
        made: bool,
    },
    /// What exists for a while only: made by units while they run, or by us while we work.
    Scratch {
        /// As the node sees it.
        path: PathBuf,
    },
    /// Something that was set aside; put back only while nothing stands in its place.
    Aside {
        /// Where it stood, as the node sees it.
        path: PathBuf,
        /// Where it is now.
        aside: PathBuf,
    },
    /// The resolver configuration as it was before DC/OS took it over.
    ResolvConf {
        /// What stood there.
        before: Before,
    },
    /// Units that were handed to systemd: reloaded when they go.
    Units {
        /// Their names.
        names: Vec<String>,
    },
    /// What Mesos mounted: a directory on itself, which hides nothing, or something for a
    /// container, whose task has ended.
    Mount {
        /// Where, as the node sees it.
        path: PathBuf,
    },
    /// A network interface that DC/OS made.
    Interface {
        /// Its name.
        name: String,
    },
    /// An address that DC/OS gave to an interface which is not its own.
    Address {
        /// The name of the interface.
        interface: String,
        /// The address with the length of its prefix.
        address: String,
    },
    /// A routing rule of DC/OS.
    RoutingRule {
        /// The rule in words, as it is found again.
        rule: String,
    },
    /// A route in DC/OS' table.
    Route {
        /// The route in words, as it is found again.
        route: String,
    },
    /// A virtual service of DC/OS' load balancer.
    IpvsService {
        /// The service in words, as it is found again.
        service: String,
    },
    /// A set of addresses of DC/OS' load balancer or overlays.
    IpSet {
        /// Its name.
        name: String,
    },
    /// A chain of the packet filter, with its rules.
    FirewallChain {
        /// `iptables` or `ip6tables`, or either by its name for a flavour: `iptables-legacy`.
        program: String,
        /// Its table.
        table: String,
        /// Its name.
        chain: String,
    },
    /// A rule of the packet filter.
    FirewallRule {
        /// `iptables` or `ip6tables`, or either by its name for a flavour: `iptables-legacy`.
        program: String,
        /// Its table.
        table: String,
        /// The line that `-S` prints for it.
        rule: String,
    },
    /// A setting of the kernel; put back only while it has DC/OS' value.
    Sysctl {
        /// Its name, with slashes between its parts.
        name: String,
        /// What it was.
        before: String,
    },
    /// A variable in the environment that systemd gives to all services.
    Environment {
        /// Its name.
        name: String,
        /// Its value before the install; none if it was not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
}

/// Adds objects to an inventory that does not know of them yet; units are added to those that it
/// knows.
pub fn merge(objects: &mut Vec<Object>, more: impl IntoIterator<Item = Object>) {
    for object in more {
        match (objects.iter_mut().find(|known| known.same_place(&object)), object) {
            (Some(Object::Units { names }), Object::Units { names: more }) => {
                let new: Vec<String> =
                    more.into_iter().filter(|name| !names.contains(name)).collect();
                names.extend(new);
            }
            (Some(_), _) => {}
            (None, object) => objects.push(object),
        }
    }
}

/// What stood at a path before us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum Before {
    /// Nothing.
    Absent,
    /// A file.
    File {
        /// Permission bits.
        mode: u32,
        /// Owner by number.
        uid: u32,
        /// Group by number.
        gid: u32,
        /// What it held.
        content: Blob,
    },
    /// A symbolic link.
    Link {
        /// Where it pointed.
        target: PathBuf,
        /// What stood at its end, if that was a file: for `/etc/resolv.conf` the resolvers that
        /// were in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolved: Option<Blob>,
    },
}

/// Bytes that are mostly text: JSON holds the text itself where it is valid, else hexadecimal
/// digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blob {
    /// Valid UTF-8.
    Text(String),
    /// Anything else.
    Hex(String),
}

impl Object {
    /// What kind of thing it is, in the word that receipts have for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Object::Directory { .. } => "directory",
            Object::File { .. } => "file",
            Object::Link { .. } => "link",
            Object::Package { .. } => "package",
            Object::ActiveName { .. } => "active-name",
            Object::Account { .. } => "account",
            Object::AccountFile { .. } => "account-file",
            Object::StateDirectory { .. } => "state-directory",
            Object::Scratch { .. } => "scratch",
            Object::Aside { .. } => "aside",
            Object::ResolvConf { .. } => "resolv-conf",
            Object::Units { .. } => "units",
            Object::Mount { .. } => "mount",
            Object::Interface { .. } => "interface",
            Object::Address { .. } => "address",
            Object::RoutingRule { .. } => "routing-rule",
            Object::Route { .. } => "route",
            Object::IpvsService { .. } => "ipvs-service",
            Object::IpSet { .. } => "ip-set",
            Object::FirewallChain { .. } => "firewall-chain",
            Object::FirewallRule { .. } => "firewall-rule",
            Object::Sysctl { .. } => "sysctl",
            Object::Environment { .. } => "environment",
        }
    }

    /// Whether it is of the running kernel or packet filter, and no file.
    pub fn is_of_machine(&self) -> bool {
        matches!(
            self,
            Object::Mount { .. }
                | Object::Interface { .. }
                | Object::Address { .. }
                | Object::RoutingRule { .. }
                | Object::Route { .. }
                | Object::IpvsService { .. }
                | Object::IpSet { .. }
                | Object::FirewallChain { .. }
                | Object::FirewallRule { .. }
                | Object::Sysctl { .. }
        )
    }
}

impl Blob {
    /// Wraps bytes.
    pub fn new(bytes: Vec<u8>) -> Blob {
        String::from_utf8(bytes).map_or_else(
            |e| Blob::Hex(e.as_bytes().iter().map(|b| format!("{b:02x}")).collect()),
            Blob::Text,
        )
    }

    /// The bytes again; digits that are none count as zero, since only [`Blob::new`] writes them.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Blob::Text(text) => text.clone().into_bytes(),
            Blob::Hex(digits) => digits
                .as_bytes()
                .chunks(2)
                .map(|pair| {
                    std::str::from_utf8(pair)
                        .ok()
                        .and_then(|p| u8::from_str_radix(p, 16).ok())
                        .unwrap_or(0)
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_receipt() {
        for bytes in [b"nameserver 192.0.2.1\n".to_vec(), vec![0xff, 0x00, b'\n']] {
            let text = serde_json::to_string(&Blob::new(bytes.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Blob>(&text).unwrap().bytes(), bytes);
        }
    }

    #[test]
    fn object_kind_is_written_with_the_word_of_receipts() {
        for object in [
            Object::IpSet { name: "x".into() },
            Object::ResolvConf { before: Before::Absent },
            Object::IpvsService { service: "x".into() },
            Object::FirewallChain { program: "x".into(), table: "x".into(), chain: "x".into() },
            Object::ActiveName { name: "bin".into(), incoming: None },
        ] {
            assert_eq!(serde_json::to_value(&object).unwrap()["object"], object.kind());
        }
    }
}
