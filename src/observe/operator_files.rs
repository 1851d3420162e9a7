//! Files of an operator, or edited by one, that an uninstall removes with the directory that they
//! are in.

use std::path::{Path, PathBuf};

use super::node::{Foreign, Node};
use super::verify::{self, Depth};
use super::{accepted, classic};
use crate::dcos::difference::{Difference, Kind, Mark};
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// Why such a file is named.
const EXTRA: &str = "was not made by DC/OS";
const EDITED: &str = "was changed since the install";

/// What units read of an operator beside their state, below [`layout::STATE`].
const OVERRIDES: [&str; 4] =
    ["mesos-slave-common", "marathon/environment", "metronome/environment", "docker-gc.env"];

/// Looks for files in directories of this inventory that neither DC/OS nor dcos-node made, and for
/// those of packages that somebody edited.
pub fn look(root: &Root, node: &Node, inventory: &[Object]) -> Vec<Foreign> {
    let purges_state = inventory.iter().any(|object| {
        matches!(object, Object::StateDirectory { path, .. } if path == Path::new(layout::STATE))
    });
    let overrides = OVERRIDES.iter().filter(|_| purges_state);
    let mut found: Vec<(PathBuf, &str)> =
        overrides.map(|name| (Path::new(layout::STATE).join(name), EXTRA)).collect();
    let is_there = |path: &Path| match files::file_kind(&root.at(path)) {
        Ok(Some(FileKind::File)) => true,
        // A link into a package is of an activation.
        Ok(Some(FileKind::Link { target })) => !target.starts_with(layout::MESOSPHERE),
        Ok(Some(FileKind::Directory)) => root.names(path).is_ok_and(|names| !names.is_empty()),
        Ok(Some(FileKind::Other) | None) | Err(_) => false,
    };
    if inventory.iter().any(|object| matches!(object, Object::ActiveName { .. })) {
        let differences = verify::look(root, node, Depth::Quick, &|| false).differences;
        found.extend(differences.into_iter().filter_map(|difference| {
            let why = match () {
                () if is_extra(&difference) => EXTRA,
                () if is_edited(root, &difference) => EDITED,
                () => return None,
            };
            Some((difference.object.into_path()?, why))
        }));
        // Packages of another installer have no manifests; of a whole node the activation tells.
        if node.receipt.is_none() {
            let judged = classic::judge(root, node).unwrap_or_default();
            found.extend(judged.modified.into_iter().map(|path| (path, EDITED)));
        }
    }
    found.retain(|(path, _)| is_there(path));
    found.sort();
    found.dedup_by(|one, other| one.0 == other.0);
    found.into_iter().map(|(path, why)| Foreign::new(path, why)).collect()
}

fn is_extra(Difference { object, kind, mark, .. }: &Difference) -> bool {
    *kind == Kind::Extra && *mark != Some(Mark::RunTime) && object.is_below(layout::MESOSPHERE)
}

/// Whether a file has another content than it was installed with; what DC/OS changed, and what a
/// power cut emptied, is no edit.
fn is_edited(root: &Root, difference: &Difference) -> bool {
    let Difference { object, mark, .. } = difference;
    difference.is_of_content()
        && accepted::is_modified(root, difference)
        && *mark != Some(Mark::RunTime)
        && object.is_below(layout::MESOSPHERE)
}
