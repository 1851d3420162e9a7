//! What Mesos' agent mounts for itself and leaves mounted: its work directory and the one for
//! containers' networks on themselves (`filesystem/linux`, `network/cni`), and a namespace for each
//! container.

use std::path::{Path, PathBuf};

use crate::dcos::layout;
use crate::system::mount_points;
use crate::system::mounts::Mount;

/// Where such mounts can be.
const PLACES: [&str; 2] = [layout::MESOS_WORK, layout::MESOS_RUN];

/// Mesos' own mounts, which hide nothing.
pub fn own(all: &[Mount]) -> Vec<&Mount> {
    let there = PLACES.iter().flat_map(|place| mount_points::among(all, Path::new(place)));
    there.filter(|mount| mount.hides_nothing(all)).collect()
}

/// The points of Mesos' own mounts and of those that it made for containers, outer ones first.
pub fn points(all: &[Mount]) -> Vec<PathBuf> {
    let of_containers = layout::MESOS_CONTAINERS
        .iter()
        .flat_map(|place| mount_points::among(all, Path::new(place)));
    let mut points: Vec<PathBuf> =
        own(all).into_iter().chain(of_containers).map(|mount| mount.point.clone()).collect();
    points.sort();
    points.dedup();
    points
}

/// Whether tasks of an agent can have mounted something there.
pub fn is_place_of_tasks(point: &Path) -> bool {
    PLACES.iter().any(|place| point.starts_with(place))
}
