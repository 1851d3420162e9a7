//! Which records speak of the same thing on the node, and where that thing is.

use std::path::PathBuf;

use super::Object;
use crate::dcos::layout;

impl Object {
    /// A second begin of the same action sees its own work: what was there before is what the first
    /// one saw. Only a set that is built anew has another inode to switch to, a file that is placed
    /// again may get another content, and units may have been found besides.
    pub(in crate::dcos) fn begin_again(&mut self, again: Object) {
        match (self, again) {
            (Object::ActiveName { incoming, .. }, Object::ActiveName { incoming: now, .. }) => {
                *incoming = now.and(incoming.or(now))
            }
            (Object::File { sha256, .. }, Object::File { sha256: now, .. }) if !now.is_empty() => {
                *sha256 = now
            }
            (Object::Units { names }, Object::Units { names: now }) => names
                .extend(now.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>()),
            _ => {}
        }
    }

    /// Whether two records speak of one thing on the node.
    pub fn same_place(&self, other: &Object) -> bool {
        match (self, other) {
            (Object::Directory { path: a }, Object::Directory { path: b })
            | (Object::File { path: a, .. }, Object::File { path: b, .. })
            | (Object::Link { path: a, .. }, Object::Link { path: b, .. })
            | (Object::AccountFile { path: a, .. }, Object::AccountFile { path: b, .. })
            | (Object::StateDirectory { path: a, .. }, Object::StateDirectory { path: b, .. })
            | (Object::Scratch { path: a }, Object::Scratch { path: b }) => a == b,
            (Object::Aside { path: a, aside: x }, Object::Aside { path: b, aside: y }) => {
                a == b && x == y
            }
            (Object::Package { id: a }, Object::Package { id: b }) => a == b,
            (Object::ActiveName { name: a, .. }, Object::ActiveName { name: b, .. }) => a == b,
            (Object::Account { account: a, .. }, Object::Account { account: b, .. }) => {
                a.user == b.user
            }
            (Object::ResolvConf { .. }, Object::ResolvConf { .. })
            | (Object::Units { .. }, Object::Units { .. }) => true,
            (Object::Sysctl { name: a, .. }, Object::Sysctl { name: b, .. }) => a == b,
            (Object::Environment { name: a, .. }, Object::Environment { name: b, .. }) => a == b,
            // Those of the network have nothing beside what they are.
            (one, other) => one.is_of_machine() && one == other,
        }
    }

    /// The object's path as the node sees it; none for what is not a file, directory or link (of a
    /// mount, the directory is not the object).
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Object::Directory { path }
            | Object::File { path, .. }
            | Object::Link { path, .. }
            | Object::StateDirectory { path, .. }
            | Object::Aside { path, .. }
            | Object::Scratch { path } => Some(path.clone()),
            Object::Package { id } => Some(layout::package(id)),
            Object::ActiveName { name, .. } => Some(layout::active_name(name)),
            Object::AccountFile { path, .. } => Some(layout::account_backup(path)),
            Object::ResolvConf { .. } => Some(layout::RESOLV_CONF.into()),
            Object::Account { .. }
            | Object::Units { .. }
            | Object::Mount { .. }
            | Object::Interface { .. }
            | Object::Address { .. }
            | Object::RoutingRule { .. }
            | Object::Route { .. }
            | Object::IpvsService { .. }
            | Object::IpSet { .. }
            | Object::FirewallChain { .. }
            | Object::FirewallRule { .. }
            | Object::Sysctl { .. }
            | Object::Environment { .. } => None,
        }
    }
}
