//! Tests without nodes: temporary roots, loopback servers, a systemd in memory.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod ansible_role;
mod architecture;
mod archives;
mod boot;
mod bootstrap_server;
mod bundle;
mod clock_jumps;
mod damaged_records;
mod dead_ends;
mod dist;
mod docs;
mod errors;
mod events;
mod exit_codes;
mod failing_systemd;
mod faults;
mod fetching;
mod fixture_build;
mod fuzz;
mod good_clock;
mod half_accounts;
mod hostile_files;
mod http;
mod inputs;
mod interrupted;
mod kept_packages;
mod leaks;
mod leftovers;
mod manual;
mod names_and_addresses;
mod neighbours;
mod node_files;
mod offline;
mod old_systems;
mod operators;
mod others_files;
mod pkgpanda_swap;
mod preflight_machine;
mod preflight_text;
mod process_limits;
mod publish;
mod records;
mod refusals;
mod releases;
mod room;
mod scale;
mod schemas;
mod scripts;
mod serve;
mod shapes;
mod skips;
mod static_binary;
mod status_text;
mod tree_comparison;
mod trees;
mod trust;
mod unusual_file_systems;
mod verify;
