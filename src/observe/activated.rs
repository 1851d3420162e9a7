//! What pkgpanda activated behind our receipt: which packages came and which went, and what of our
//! inventory still counts.

use std::collections::BTreeMap;
use std::path::Path;

use super::node::Node;
use super::packages;
use crate::dcos::active_set::ActiveSet;
use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::leftovers::CLASSIC_UNITS;
use crate::dcos::receipt::{Before, Object};
use crate::dcos::role::Role;
use crate::system::digest;
use crate::system::files;
use crate::system::root::Root;

/// Packages that an activation behind our receipt brought and took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// They are active and not in the receipt.
    pub came: Vec<PackageId>,
    /// They are in the receipt and not active any more.
    pub went: Vec<PackageId>,
}

impl Since {
    /// Whether nothing was activated since.
    pub fn is_nothing(&self) -> bool {
        self.came.is_empty() && self.went.is_empty()
    }
}

/// Compares the active set with the receipt; nothing where there is none, or an install or
/// uninstall is under way. A set that is gone is none.
pub fn since(node: &Node) -> Since {
    let Some(receipt) =
        node.receipt.as_ref().filter(|_| node.story.intent.is_none() && !node.active.is_empty())
    else {
        return Since::default();
    };
    let recorded = receipt.build.active();
    Since {
        came: node.active.difference(&recorded).cloned().collect(),
        went: recorded.difference(&node.active).cloned().collect(),
    }
}

/// The inventory of a node, brought up to the active set if that is another one than the receipt's.
pub fn inventory(root: &Root, node: &Node) -> Vec<Object> {
    let mut objects = node.inventory();
    if let (false, Some(role)) = (since(node).is_nothing(), node.role()) {
        let recorded = objects.clone();
        // A package that cannot be read is told where packages are.
        if bring_up(root, node, role, &mut objects).is_err() {
            return recorded;
        }
    }
    objects
}

/// Brings an inventory up to the active set: a unit of the set is a copy of the package's own, and
/// one that the set has not is nothing of ours any more, if pkgpanda took it away and nothing was
/// there before us. A package that is not active need not be there.
///
/// # Errors
/// A package cannot be read.
pub fn bring_up(
    root: &Root,
    node: &Node,
    role: Role,
    objects: &mut Vec<Object>,
) -> anyhow::Result<()> {
    let Ok(set) = ActiveSet::new(packages::packages(root, &node.active)?, role) else {
        return Ok(());
    };
    let mut units = BTreeMap::new();
    for (name, source) in set.units() {
        let (_, sha256) = digest::of_file(&root.resolved(source))?;
        units.insert(name, digest::hex(&sha256));
    }
    // Those that the installer itself writes are in no package.
    let packaged = |path: &Path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let is_one = (path == layout::unit(&name) || path == layout::wants(&name))
            && !CLASSIC_UNITS.contains(&name.as_str());
        is_one.then_some(name)
    };
    objects.retain_mut(|object| match object {
        Object::File { path, sha256, before: Before::Absent } => {
            match packaged(path).map(|name| units.get(&name)) {
                Some(Some(digest)) => {
                    sha256.clone_from(digest);
                    true
                }
                Some(None) => files::exists(&root.at(path)),
                None => true,
            }
        }
        Object::Link { path, before: Before::Absent, .. } => {
            packaged(path).is_none_or(|name| units.contains_key(&name))
                || files::exists(&root.at(path))
        }
        Object::Package { id } => {
            node.active.contains(id) || files::exists(&root.at(layout::package(id)))
        }
        _ => true,
    });
    Ok(())
}
