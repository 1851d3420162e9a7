//! What the tests share.

pub mod build;
