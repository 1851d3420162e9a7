//! Files of an operator that an uninstall removes with the directory that they are in.

use std::path::{Path, PathBuf};

use super::node::Node;
use super::verify::{self, Depth};
use crate::dcos::difference::{Difference, Kind, Mark};
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// What units read of an operator beside their state, below [`layout::STATE`].
const OVERRIDES: [&str; 4] =
    ["mesos-slave-common", "marathon/environment", "metronome/environment", "docker-gc.env"];

/// Looks for files that neither DC/OS nor dcos-node made in directories of this inventory.
pub fn look(root: &Root, node: &Node, inventory: &[Object]) -> Vec<PathBuf> {
    let purges_state = inventory.iter().any(|object| {
        matches!(object, Object::StateDirectory { path, .. } if path == Path::new(layout::STATE))
    });
    let overrides = OVERRIDES.iter().filter(|_| purges_state);
    let mut found: Vec<PathBuf> =
        overrides.map(|name| Path::new(layout::STATE).join(name)).collect();
    if inventory.iter().any(|object| matches!(object, Object::ActiveName { .. })) {
        let differences = verify::look(root, node, Depth::Quick, &|| false).differences;
        found.extend(differences.into_iter().filter(is_extra).map(|difference| difference.what));
    }
    found.retain(|path| matches!(files::file_kind(&root.at(path)), Ok(Some(FileKind::File))));
    found
}

fn is_extra(Difference { what: path, kind, mark, .. }: &Difference) -> bool {
    *kind == Kind::Extra && *mark != Some(Mark::RunTime) && path.starts_with(layout::MESOSPHERE)
}
