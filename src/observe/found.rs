//! What a look for leftovers came to, and what stands at a path as an object of an inventory.

use std::path::{Path, PathBuf};

use super::node::Foreign;
use crate::dcos::layout;
use crate::dcos::receipt::{Before, Object};
use crate::system::files::{self, FileKind};
use crate::system::mount_points;
use crate::system::root::Root;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What an uninstall undoes, in an order whose reverse is that of undoing.
    pub objects: Vec<Object>,
    /// What looks like DC/OS' and stays, with the reason.
    pub foreign: Vec<Foreign>,
    /// Where files of users and groups that go were looked for.
    pub searched: Vec<PathBuf>,
    /// What could not be looked at, and why.
    pub unknown: Vec<String>,
    /// Those of the objects that only DC/OS makes.
    pub signs: Vec<Object>,
}

impl Found {
    /// Adds something that only DC/OS makes.
    pub(super) fn add(&mut self, object: Object) {
        self.signs.push(object.clone());
        self.objects.push(object);
    }

    /// Whether anything was found that only DC/OS makes.
    pub fn is_sure(&self) -> bool {
        !self.signs.is_empty()
    }

    /// Adds something that stays.
    pub(super) fn leave(&mut self, path: impl Into<PathBuf>, what: &str) {
        self.foreign.push(Foreign::new(path, what));
    }
}

/// Whether a directory can be removed once it is empty: a link to one, or a mount point, is the
/// operator's and stays, so that it is no sign of DC/OS.
pub(super) fn is_removable(root: &Root, path: &Path) -> anyhow::Result<bool> {
    if !matches!(files::file_kind(&root.at(path))?, Some(FileKind::Directory)) {
        return Ok(false);
    }
    let real = mount_points::real(&root.at(path));
    let points = mount_points::all_at_or_below(&root.at(path)).unwrap_or_default();
    Ok(!real.is_some_and(|real| points.contains(&real)))
}

/// What stands at a path as an object whose undoing removes it.
pub(super) fn object_at(root: &Root, path: impl AsRef<Path>) -> anyhow::Result<Option<Object>> {
    let path = path.as_ref().to_owned();
    let Some(stat) = files::lstat(&root.at(&path))? else { return Ok(None) };
    Ok(match stat.kind {
        // In a directory that everybody writes to, a name alone is no proof.
        FileKind::File if path.starts_with(layout::TMP) && stat.uid != 0 && root.is_live() => None,
        FileKind::File if path.starts_with(layout::RUN) => Some(Object::Scratch { path }),
        FileKind::File => {
            Some(Object::File { path, sha256: String::new(), before: Before::Absent })
        }
        _ if path.starts_with(layout::TMP) => None,
        FileKind::Link { target } => Some(Object::Link { path, target, before: Before::Absent }),
        FileKind::Directory | FileKind::Other => Some(Object::Scratch { path }),
    })
}
