//! Objects as text for people. Nothing is decided on it: [`Object::path`] has the path.

use std::fmt;

use super::Object;
use crate::dcos::layout;

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Directory { path }
            | Object::File { path, .. }
            | Object::Link { path, .. }
            | Object::StateDirectory { path, .. }
            | Object::Aside { path, .. }
            | Object::Scratch { path } => write!(f, "{}", path.display()),
            Object::Package { id } => write!(f, "{id}"),
            Object::ActiveName { name, .. } => {
                write!(f, "{}", layout::active_name(name).display())
            }
            Object::Account { account, .. } => f.write_str(&account.user),
            Object::AccountFile { path, .. } => {
                write!(f, "{}", layout::account_backup(path).display())
            }
            Object::ResolvConf { .. } => f.write_str(layout::RESOLV_CONF),
            Object::Units { .. } => f.write_str("units"),
            Object::Mount { path } => write!(f, "the mount at {}", path.display()),
            Object::Interface { name } => write!(f, "the interface {name}"),
            Object::Address { interface, address } => {
                write!(f, "the address {address} of {interface}")
            }
            Object::RoutingRule { rule } => write!(f, "the routing rule {rule}"),
            Object::Route { route } => write!(f, "the route {route}"),
            Object::IpvsService { service } => write!(f, "the IPVS service {service}"),
            Object::IpSet { name } => write!(f, "the ipset {name}"),
            Object::FirewallChain { program, table, chain } => {
                write!(f, "the chain {chain} ({program} -t {table})")
            }
            Object::FirewallRule { program, table, rule } => {
                write!(f, "the rule {rule} ({program} -t {table})")
            }
            Object::Sysctl { name, .. } => write!(f, "the setting {name}"),
            Object::Environment { name, .. } => write!(f, "{name} in systemd's environment"),
        }
    }
}

impl Object {
    /// Describes how the object is undone, beginning with a verb.
    pub fn describe_undo(&self) -> String {
        match self {
            Object::Directory { path } => format!("remove {} if it is empty", path.display()),
            Object::Aside { path, .. } => {
                format!("put {} back if nothing took its place", path.display())
            }
            Object::ResolvConf { .. } => "restore /etc/resolv.conf if DC/OS wrote it".into(),
            Object::Account { account, user_made: true, .. } => {
                format!("remove the user {}", account.user)
            }
            Object::Account { account, group_made: true, .. } => {
                format!("remove the group {}", account.user)
            }
            Object::Account { account, .. } => {
                format!("keep the user {}, which was there before", account.user)
            }
            Object::AccountFile { .. } => format!("make {self} as it was"),
            Object::StateDirectory { path, .. } => format!("purge {}", path.display()),
            Object::Units { names } => format!("forget the state of {} units", names.len()),
            Object::Sysctl { name, before } => format!("set {name} back to {before}"),
            Object::Mount { path } => format!("unmount {}", path.display()),
            other => format!("remove {other}"),
        }
    }
}
