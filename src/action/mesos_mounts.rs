//! Unmounts what Mesos mounted for itself and leaves behind: to remove what is below it would fail.

use std::path::Path;

use super::Site;
use crate::dcos::layout;
use crate::system::mounts;

/// Unmounts everything at the path that hides nothing, or is a container's. What somebody else
/// mounted over it meanwhile stays.
pub(crate) fn unmount(site: &Site, path: &Path) -> anyhow::Result<()> {
    loop {
        let all = mounts::all(&site.root.at(layout::PROC))?;
        let is_of_container = layout::MESOS_CONTAINERS.iter().any(|place| path.starts_with(place));
        let last = all
            .iter()
            .rfind(|mount| mount.point == path)
            .filter(|mount| is_of_container || mount.hides_nothing(&all));
        let Some(last) = last else { return Ok(()) };
        mounts::unmount(&last.point)?;
    }
}
