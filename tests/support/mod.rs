//! What the tests stand on: builds, real nodes, real and ill-behaved servers, and the comparison of a node with a golden record.
#![allow(dead_code, unused_imports, reason = "every test binary compiles this tree and uses the part that it needs")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::print_stderr, reason = "the rules of src/; tests look from outside")]

pub mod build;
pub mod http_server;
pub mod node;
pub mod tls;
pub mod tree;
