//! dcos-node installs DC/OS on a node, checks it, and removes it again.
//!
//! Data flows one way through the rooms; values and events come back up; one room prints:
//!
//! ```text
//! argv -> cli -> command -> observe -> preflight -> plan -> action -> system
//!                           (look)     (judge)     (decide) (do)     (hands)
//! ```
//!
//! `dcos` and `system` are the ground floor: the words of DC/OS without any I/O, and the hands that
//! know nothing of DC/OS.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod action;
pub mod cli;
pub mod command;
pub mod dcos;
#[doc(hidden)]
pub mod fuzz;
pub mod observe;
pub mod output;
pub mod plan;
pub mod preflight;
pub mod system;
