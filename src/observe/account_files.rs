//! Account files that no program can replace: each change gives them a new file by its name.

use std::path::Path;

use crate::dcos::layout;
use crate::system::root::Root;
use crate::system::{files, immutable, mount_points};

/// Why a file cannot be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// `chattr +i`.
    Immutable,
    /// A file of another place is mounted there.
    MountPoint,
}

/// Looks at the four files. What cannot be looked at is no obstacle.
pub fn look(root: &Root) -> Vec<(&'static str, Obstacle)> {
    layout::ACCOUNT_FILES
        .into_iter()
        .filter_map(|path| Some((path, obstacle(&root.resolved(path))?)))
        .collect()
}

fn obstacle(path: &Path) -> Option<Obstacle> {
    if !files::exists(path) {
        return None;
    }
    if mount_points::at_or_below(path).ok().flatten().is_some() {
        return Some(Obstacle::MountPoint);
    }
    immutable::is_set(path).ok()?.then_some(Obstacle::Immutable)
}
