//! Tests on real nodes, each with a systemd of its own. They mostly wait.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod classic_nodes;
mod crash_real;
mod dist;
mod fleet;
mod foreign_network;
mod half_accounts;
mod health;
mod images;
mod interrupted;
mod lifecycle;
mod matrix;
mod names_and_addresses;
mod node_library;
mod outside;
mod parity;
mod parting;
mod passwords;
mod preflight_machine;
mod publish_node;
mod ready;
mod releases;
mod scripts;
mod sealed;
mod strangers;
mod trust;
mod uninstall_network;
mod upgraded_node;
