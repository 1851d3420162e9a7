//! Files that a vendor or an operator changed on purpose: a fix for one program, a unit with
//! another limit. They are told from damage by what is in their place, and recorded as accepted.

use std::path::PathBuf;

use super::node::Node;
use crate::dcos::difference::{Difference, Kind};
use crate::dcos::layout;
use crate::dcos::receipt::{Accepted, Content};
use crate::dcos::run_time;
use crate::system::digest;
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// More files than this that changed after the activation were not changed one by one: the node was
/// restored from a backup, or labelled anew.
const MAX_CHANGED: usize = 100;

/// What is at a path, as a receipt records it; nothing for what cannot be accepted.
pub fn content(root: &Root, path: &std::path::Path) -> Option<Content> {
    match files::file_kind(&root.at(path)).ok()?? {
        FileKind::File => {
            let sha256 = digest::sha256_of_file(&root.at(path)).ok()?;
            Some(Content::File { sha256: digest::hex(&sha256) })
        }
        FileKind::Link { target } => Some(Content::Link { target }),
        FileKind::Directory | FileKind::Other => None,
    }
}

/// Whether a path is still what was accepted.
pub fn holds(root: &Root, accepted: &Accepted) -> bool {
    content(root, &accepted.path).as_ref() == Some(&accepted.content)
}

/// Whether something that can work is in the place of what was made.
pub fn is_modified(root: &Root, difference: &Difference) -> bool {
    difference.kind == Kind::Changed
        && difference.object.path().is_some_and(|path| has_content(root, path))
}

/// Whether there is a file with content, or a link to one. Which packages are active is no matter
/// of single files.
fn has_content(root: &Root, path: &std::path::Path) -> bool {
    let end = files::lstat(&root.resolved(path));
    !path.starts_with(layout::ACTIVE)
        && matches!(end, Ok(Some(stat)) if stat.kind == FileKind::File && stat.size > 0)
}

/// Files of active packages that changed after the activation, of packages without a manifest.
///
/// # Errors
/// A directory cannot be listed.
pub fn changed_since_activation(root: &Root, node: &Node) -> anyhow::Result<Vec<PathBuf>> {
    let activation = layout::active_name("active.buildinfo.full.json");
    let Some(activation) = files::lstat(&root.at(activation))? else { return Ok(Vec::new()) };
    let mut open: Vec<PathBuf> = node.active.difference(&node.whole).map(layout::package).collect();
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for path in root.names(&directory)?.into_iter().map(|name| directory.join(name)) {
            let Some(stat) = files::lstat(&root.at(&path))? else { continue };
            let is_newer = stat.changed > activation.changed;
            match stat.kind {
                FileKind::Directory => open.push(path),
                FileKind::File if is_newer && stat.size > 0 && !is_written_by_dcos(&path) => {
                    found.push(path)
                }
                _ => {}
            }
            if found.len() > MAX_CHANGED {
                return Ok(Vec::new());
            }
        }
    }
    Ok(found)
}

fn is_written_by_dcos(path: &std::path::Path) -> bool {
    run_time::change_of(&Difference::extra(path, "")).is_some()
}
