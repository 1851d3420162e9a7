//! Where file systems are mounted: what a deletion must know before it begins. A bind mount shows
//! in the kernel's table only, not in the number of the device.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fault::{self, Effect};
use super::mountinfo::{self, Mount};

/// The first mount point at or below a path of this machine; none if nothing is there. Links on the
/// way to the path are followed, the path itself not.
///
/// # Errors
/// The kernel's table cannot be read.
pub fn at_or_below(path: &Path) -> io::Result<Option<PathBuf>> {
    all_at_or_below(path).map(|points| points.into_iter().next())
}

/// All of them.
///
/// # Errors
/// The kernel's table cannot be read.
pub fn all_at_or_below(path: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(real) = real(path) else { return Ok(Vec::new()) };
    fault::point(Effect::Mounts, "/proc/self/mountinfo")?;
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(mountinfo::parse(&table)
        .map(|mount| mount.point)
        .filter(|point| point.starts_with(&real))
        .collect())
}

/// Those of these mounts that are at or below a path of this machine, as [`at_or_below`] takes it.
pub fn among<'a>(mounts: &'a [Mount], path: &Path) -> Vec<&'a Mount> {
    let Some(real) = real(path) else { return Vec::new() };
    mounts.iter().filter(|mount| mount.point.starts_with(&real)).collect()
}

/// The path with the links on its way resolved; none if its directory is not there.
pub fn real(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = fs::canonicalize(parent).ok()?;
    Some(path.file_name().map_or_else(|| parent.clone(), |name| parent.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_point_below_a_path_is_found_but_not_a_sibling() {
        assert_eq!(at_or_below(Path::new("/proc")).unwrap().as_deref(), Some(Path::new("/proc")));
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(at_or_below(directory.path()).unwrap(), None);
        assert_eq!(at_or_below(&directory.path().join("not/there")).unwrap(), None);
    }
}
