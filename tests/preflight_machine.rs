//! What preflight says about a machine: each check on recorded facts, good and bad, and some on a
//! real node.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod support;

#[path = "preflight_machine/docker.rs"]
mod docker;
#[path = "preflight_machine/equipped.rs"]
mod equipped;
#[path = "preflight_machine/facts.rs"]
mod facts;
#[path = "preflight_machine/installation.rs"]
mod installation;
#[path = "preflight_machine/names.rs"]
mod names;
#[path = "preflight_machine/ports.rs"]
mod ports;
#[path = "preflight_machine/real.rs"]
mod real;
#[path = "preflight_machine/recorded.rs"]
mod recorded;
#[path = "preflight_machine/storage.rs"]
mod storage;
