//! Tests that want the machine for themselves: one uses every processor, one the kernel's clock.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod clock;
mod crash;
