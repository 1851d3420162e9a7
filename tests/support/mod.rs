//! What the tests stand on: real nodes, a real bootstrap server, and the comparison of a node with a golden record.
#![allow(dead_code, reason = "every test binary compiles this tree and uses the part that it needs")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

pub mod node;
