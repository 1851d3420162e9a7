//! Refuses to remove what is mounted or in use, before anything is touched.

use std::path::{Path, PathBuf};

use super::{Failure, World};
use crate::dcos::exit::Exit;
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::holders::{self, Holder};
use crate::system::mount_points;

/// Refuses if a file system is mounted in what these objects remove.
pub(super) fn refuse_mounts(world: &World, inventory: &[Object]) -> Result<(), Failure> {
    for tree in &trees(world, inventory) {
        let point = mount_points::at_or_below(tree).map_err(|e| Failure::from(anyhow::Error::from(e)).leaving("nothing was changed"))?;
        if let Some(point) = point {
            let text = format!("a file system is mounted at {}, which would be removed", point.display());
            return Err(Failure::new(Exit::Conflict, anyhow::anyhow!(text))
                .leaving("nothing was changed")
                .cured_by(format!("umount {}, then run the same command again", point.display())));
        }
    }
    Ok(())
}

/// Refuses if a process uses what these objects remove and is not of the units that are stopped first.
pub(super) fn refuse_holders(world: &World, inventory: &[Object], stopped: &[String], drained: bool) -> Result<(), Failure> {
    let is_stopped = |holder: &Holder| holder.unit.as_ref().is_some_and(|unit| stopped.contains(unit));
    let found = holders::holders(Path::new(layout::PROC), &trees(world, inventory));
    let Some(holder) = found.iter().find(|holder| !is_stopped(holder)) else { return Ok(()) };
    let text = format!("process {} ({}) {} {}, which would be removed", holder.pid, holder.command, holder.how, holder.path.display());
    Err(Failure::new(Exit::Conflict, anyhow::anyhow!(text))
        .leaving(if drained { "the agent has left its cluster; nothing was stopped or removed" } else { "nothing was changed" })
        .cured_by("end that process, then run the same command again; --drain ends the tasks of an agent"))
}

fn trees(world: &World, inventory: &[Object]) -> Vec<PathBuf> {
    inventory.iter().filter_map(tree).map(|path| world.root.at(path)).collect()
}

/// What an object removes as a whole tree. What lies in /run goes with its units.
fn tree(object: &Object) -> Option<PathBuf> {
    match object {
        Object::Package { id } => Some(layout::package(id)),
        Object::ActiveName { name, .. } => Some(layout::active_name(name)),
        Object::Scratch { path } if !path.starts_with(layout::RUN) => Some(path.clone()),
        Object::StateDirectory { path, made: true } if path.parent() != Some(Path::new(layout::STATE)) => Some(path.clone()),
        _ => None,
    }
}
