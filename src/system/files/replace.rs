//! Replaces a tree by another one.

use std::path::Path;

use super::error::Error;
use super::removal::remove_tree;
use super::stat::exists;
use super::{exchange, rename};

/// Gives a tree the name of another one in one step where the kernel can, and leaves the other one,
/// if there is any, under the first name.
///
/// # Errors
/// The kernel refuses.
pub fn replace_tree(from: &Path, to: &Path) -> Result<(), Error> {
    if exists(to) {
        if exchange(from, to)? {
            return Ok(());
        }
        remove_tree(to)?;
    }
    rename(from, to)
}
