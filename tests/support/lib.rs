//! What the tests stand on: builds, real nodes, real and ill-behaved servers, and the comparison of
//! a node with a golden record.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the rules of src/; tests look from outside"
)]

pub mod ansible;
pub mod build;
pub mod classic;
pub mod faults;
pub mod http_server;
pub mod image;
pub mod node;
pub mod packing;
pub mod recorded;
pub mod refused_calls;
pub mod shape;
pub mod source;
pub mod tls;
pub mod tree;

use std::path::Path;

/// A detection script that tries every way out of its confinement that we know.
pub const HOSTILE_SCRIPT: &str = include_str!("hostile.sh");

/// The checkout that is tested.
pub fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// True as root. If not, says past the test runner that the test was not run, and fails it where
/// `CI` is set.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "this test needs root, and CI must have it");
    if !root {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("NOT RUN: {test} needs root\n").as_bytes(),
        );
    }
    root
}

/// Runs one part of a test that shares a node with others. What a failed test printed ends with the
/// name of the part that failed.
pub fn step<T>(name: &str, part: impl FnOnce() -> T) -> T {
    eprintln!("step: {name}");
    part()
}
