//! Looks, never touches: the machine, what of DC/OS stands on it, what a server offers, and how units are.

pub mod build;
pub mod classic;
pub mod data;
pub mod dns;
pub mod docker;
mod found;
pub mod host;
pub mod ip_detect;
mod left_accounts;
mod left_units;
pub mod leftovers;
pub mod machine;
pub mod neighbours;
pub mod node;
pub mod packages;
pub mod ports;
pub mod programs;
pub mod server;
pub mod services;
pub mod storage;
pub mod time;

/// An error of a file operation with its cause, in one line.
fn told(error: &crate::system::files::Error) -> String {
    format!("{error}: {}", error.source)
}
