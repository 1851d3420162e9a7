//! Refuses to remove what is mounted or in use, before anything is touched.

use std::path::{Path, PathBuf};

use super::{Failure, World};
use crate::dcos::exit::Exit;
use crate::dcos::receipt::Object;
use crate::dcos::{data, layout};
use crate::system::holders::{self, Holder};
use crate::system::mount_points;

/// Refuses if a file system is mounted in what these objects remove. A place of data that is one loses its content, and the mount point stays.
pub(super) fn refuse_mounts(world: &World, inventory: &[Object]) -> Result<(), Failure> {
    let emptied: Vec<PathBuf> = data::PLACES.iter().filter_map(|place| mount_points::real(&world.root.at(place.path))).collect();
    for object in inventory {
        let Some(tree) = tree(object).map(|path| world.root.at(path)) else { continue };
        let points = mount_points::all_at_or_below(&tree);
        let points = points.map_err(|e| Failure::from(anyhow::Error::from(e)).leaving("nothing was changed"))?;
        let is_data = matches!(object, Object::StateDirectory { .. });
        if let Some(point) = points.into_iter().find(|point| !(is_data && emptied.contains(point))) {
            let text = format!("a file system is mounted at {}, which would be removed", point.display());
            let cure = format!("umount {}, then run the same command again; what is on that file system stays on it", point.display());
            return Err(Failure::new(Exit::Conflict, anyhow::anyhow!(text)).leaving("nothing was changed").cured_by(cure));
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
        Object::StateDirectory { path, .. } if data::whole().any(|place| path == Path::new(place.path)) => Some(path.clone()),
        _ => None,
    }
}
