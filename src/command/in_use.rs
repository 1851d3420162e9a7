//! Refuses to remove what is mounted or in use, before anything is touched.

use std::path::{Path, PathBuf};

use super::{Failure, World};
use crate::dcos::exit::Exit;
use crate::dcos::receipt::Object;
use crate::dcos::{data, layout, units};
use crate::observe::mesos_mounts;
use crate::plan::uninstall;
use crate::system::holders::{self, Holder};
use crate::system::mount_points;
use crate::system::mounts::{self, Mount};

/// What is removed, and how far its node is with that.
pub(super) struct Removal<'a> {
    /// Everything that goes.
    pub(super) inventory: &'a [Object],
    /// Units that are stopped first.
    pub(super) stopped: &'a [String],
    /// Whether the agent has left its cluster, and is stopped.
    pub(super) drained: bool,
}

impl Removal<'_> {
    fn state(&self) -> &'static str {
        if self.drained {
            "the agent has left its cluster and is stopped; nothing was removed"
        } else {
            "nothing was changed"
        }
    }

    /// Tasks of an agent end with it.
    fn ends_tasks(&self) -> bool {
        units::AGENTS.iter().any(|agent| self.stopped.iter().any(|unit| unit == agent))
    }

    fn trees(&self, world: &World) -> Vec<PathBuf> {
        self.inventory.iter().filter_map(tree).map(|path| world.root.at(path)).collect()
    }
}

/// Refuses if a file system is mounted in what is removed. Mesos' own mounts hide nothing, and go
/// after the stop. While tasks may still end, what they can have mounted does not count: it goes
/// with them.
pub(super) fn refuse_mounts(
    world: &World,
    removal: &Removal<'_>,
    tasks_may_end: bool,
) -> Result<(), Failure> {
    let all = mounts::of_this_machine()
        .map_err(|e| Failure::from(anyhow::Error::from(e)).leaving(removal.state()))?;
    // What the units made is removed where they run.
    let of_units = uninstall::made_by_units(removal.inventory)
        .filter(|made| world.is_live() && made.starts_with(layout::RUN));
    let of_units = of_units.map(|made| world.root.at(made));
    // A place of data that is a file system of its own loses its content, and the mount point
    // stays.
    let emptied: Vec<PathBuf> = data::PLACES
        .iter()
        .filter_map(|place| mount_points::real(&world.root.at(place.path)))
        .collect();
    let is_data = |object: &Object| matches!(object, Object::StateDirectory { .. });
    let of_objects = removal
        .inventory
        .iter()
        .filter_map(|object| Some((world.root.at(tree(object)?), is_data(object))));
    let trees: Vec<(PathBuf, bool)> =
        of_objects.chain(of_units.map(|made| (made, false))).collect();
    let in_them = trees.iter().flat_map(|(tree, is_data)| {
        mount_points::among(&all, tree)
            .into_iter()
            .filter(|mount| !(*is_data && emptied.contains(&mount.point)))
    });
    let in_them: Vec<&Mount> = in_them.collect();
    let own = if world.root.is_live() { mesos_mounts::own(&all) } else { Vec::new() };
    let goes = |mount: &Mount| {
        own.contains(&mount) || (tasks_may_end && mesos_mounts::is_place_of_tasks(&mount.point))
    };
    let Some(point) = in_them.into_iter().find(|mount| !goes(mount)).map(|mount| &mount.point)
    else {
        return Ok(());
    };
    let by_task =
        removal.ends_tasks() && !removal.drained && mesos_mounts::is_place_of_tasks(point);
    let cure = if by_task {
        "dcos-node uninstall --drain, if a task of the agent mounted it: it goes with the task; \
         else "
    } else {
        ""
    };
    Err(Failure::new(
        Exit::Conflict,
        anyhow::anyhow!("a file system is mounted at {}, which would be removed", point.display()),
    )
    .leaving(removal.state())
    .cured_by(format!(
        "{cure}umount {}, then run the same command again; what is on that file system stays on it",
        point.display()
    )))
}

/// Refuses if a process uses what is removed and is not of the units that are stopped first, nor of
/// a task that ends with its agent.
pub(super) fn refuse_holders(world: &World, removal: &Removal<'_>) -> Result<(), Failure> {
    let is_stopped =
        |holder: &Holder| holder.unit.as_ref().is_some_and(|unit| removal.stopped.contains(unit));
    let is_task = |holder: &Holder| removal.ends_tasks() && units::is_of_task(&holder.group);
    let found = holders::holders(Path::new(layout::PROC), &removal.trees(world));
    let Some(holder) = found.iter().find(|holder| !is_stopped(holder) && !is_task(holder)) else {
        return Ok(());
    };
    let text = format!(
        "process {} ({}) {} {}, which would be removed",
        holder.pid,
        holder.command,
        holder.how,
        holder.path.display()
    );
    Err(Failure::new(Exit::Conflict, anyhow::anyhow!(text)).leaving(removal.state()).cured_by(
        "end that process, then run the same command again; --drain ends the tasks of an agent",
    ))
}

/// What an object removes as a whole tree. What lies in /run goes with its units.
fn tree(object: &Object) -> Option<PathBuf> {
    match object {
        Object::Package { id } => Some(layout::package(id)),
        Object::ActiveName { name, .. } => Some(layout::active_name(name)),
        Object::Scratch { path } if !path.starts_with(layout::RUN) => Some(path.clone()),
        Object::StateDirectory { path, .. }
            if data::whole().any(|place| path == Path::new(place.path)) =>
        {
            Some(path.clone())
        }
        _ => None,
    }
}
