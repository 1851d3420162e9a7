//! What an install that restores missing files leaves as it stands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::id::PackageId;

/// What of an installed node is whole, or was changed on purpose; empty for a new install.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spared {
    /// Packages of which nothing is missing.
    pub packages: BTreeSet<PackageId>,
    /// Units, node files and links that are others than those that were installed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub paths: BTreeSet<PathBuf>,
    /// Whether the active names are whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub active_set: bool,
}

impl Spared {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        *self == Spared::default()
    }

    /// Whether a package is.
    pub fn has_package(&self, id: &PackageId) -> bool {
        self.packages.contains(id)
    }

    /// Whether a path is.
    pub fn has_path(&self, path: &Path) -> bool {
        self.paths.contains(path)
    }
}
