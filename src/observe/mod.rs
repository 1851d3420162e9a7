//! Looks, never touches: the machine, what of DC/OS stands on it, what a server offers, and how
//! units are.

pub mod accepted;
pub mod account_files;
pub mod activated;
pub mod addresses;
pub mod agent;
pub mod archive;
pub mod build;
pub mod cause;
pub mod chain;
pub mod checks;
pub mod classic;
pub mod cluster;
pub mod data;
pub mod dns;
pub mod docker;
pub mod excuse;
mod found;
pub mod health;
pub mod host;
pub mod ip_detect;
pub mod kept_packages;
pub mod last_words;
mod left_accounts;
mod left_downloads;
mod left_units;
pub mod leftovers;
mod listener;
pub mod lives;
pub mod log_line;
pub mod machine;
pub mod masters;
pub mod mesos_mounts;
mod modules;
pub mod neighbours;
pub mod network;
pub mod node;
pub mod operator_files;
mod others;
pub mod packages;
pub mod pkgpanda_swap;
pub mod ports;
pub mod programs;
pub mod readiness;
pub mod records;
pub mod residue;
pub mod server;
pub mod services;
pub mod snapshot;
pub mod storage;
pub mod time;
pub mod verify;

/// An error of a file operation with its cause, in one line.
fn told(error: &crate::system::files::Error) -> String {
    format!("{error}: {}", error.source)
}
