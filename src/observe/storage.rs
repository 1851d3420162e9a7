//! The file systems that really hold what DC/OS writes.

use std::path::Path;

use crate::dcos::layout;
use crate::system::files::{self, FileKind};
use crate::system::mounts::{self, Mount};
use crate::system::root::Root;

/// A place that DC/OS writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path, as the node sees it; it may not be there yet.
    pub path: String,
    /// Where its file system is mounted.
    pub mounted_at: String,
    /// Number of the device that the file system is on.
    pub device: u64,
    /// The kind of the file system, for example `xfs`.
    pub kind: String,
    /// The options of the mount, for example `noexec`; `ro` also where the file system itself
    /// cannot be written.
    pub options: Vec<String>,
    /// Bytes that are left.
    pub free_bytes: u64,
    /// Inodes that are left; none where they are not counted.
    pub free_inodes: Option<u64>,
    /// Whether an XFS has `ftype=1`; none for another file system.
    pub file_types: Option<Result<bool, String>>,
}

/// Places by their path, each with the reason if it could not be looked at.
pub type Places = [(String, Result<Place, String>)];

/// Looks at every place; `docker` is where docker keeps its state. Each place with the reason if it
/// could not be looked at.
pub fn look(root: &Root, docker: &str) -> Vec<(String, Result<Place, String>)> {
    let running =
        [layout::MESOSPHERE, layout::STATE, layout::MESOS_WORK, docker, layout::VAR, layout::TMP];
    let installing = [
        layout::REPOSITORY,
        layout::ETC,
        layout::ETC_MESOSPHERE,
        layout::SYSTEM_UNITS,
        layout::OUR_STATE,
        layout::OUR_OPT,
    ];
    places(root, &root.resolved(layout::PROC), running.into_iter().chain(installing))
}

/// Looks at the places that packages are unpacked to, moved to and accounted for; those of a node
/// that is a directory lie on file systems of this machine.
pub fn look_for_packages(root: &Root) -> Vec<(String, Result<Place, String>)> {
    places(
        root,
        Path::new(layout::PROC),
        [layout::REPOSITORY, layout::OUR_STATE, layout::OUR_OPT].into_iter(),
    )
}

/// Bytes of this program, unless a file of that length is where an install puts it.
pub fn program_bytes(root: &Root) -> u64 {
    let length = |path: &Path| {
        let stat = files::lstat(path).ok().flatten();
        stat.filter(|stat| stat.kind == FileKind::File).map(|stat| stat.size)
    };
    let running = length(&mounts::nearest(Path::new(layout::OWN_PROGRAM)));
    running.filter(|_| running != length(&root.at(layout::OUR_BINARY))).unwrap_or_default()
}

fn places<'a>(
    root: &Root,
    proc: &Path,
    paths: impl Iterator<Item = &'a str>,
) -> Vec<(String, Result<Place, String>)> {
    let mounts = mounts::all(proc).map_err(|e| super::told(&e));
    let look = |path: &str| {
        let mounts = mounts.as_ref().map_err(Clone::clone)?;
        place(&mounts::nearest(&root.resolved(path)), path, mounts)
    };
    paths.map(|path| (path.to_owned(), look(path))).collect()
}

fn place(nearest: &Path, path: &str, all: &[Mount]) -> Result<Place, String> {
    let mount = mounts::holding(all, nearest).ok_or_else(|| {
        format!("the mount of {} is not in the kernel's table", nearest.display())
    })?;
    let left = mounts::left(nearest).map_err(|e| super::told(&e))?;
    let stat = files::lstat(nearest).map_err(|e| super::told(&e))?;
    let file_types = || mounts::xfs_has_file_types(nearest).map_err(|e| super::told(&e));
    Ok(Place {
        path: path.to_owned(),
        mounted_at: mount.point.display().to_string(),
        device: stat.map(|stat| stat.device).unwrap_or_default(),
        kind: mount.kind.clone(),
        options: options(mount),
        free_bytes: left.bytes,
        free_inodes: left.inodes,
        file_types: (mount.kind == "xfs").then(file_types),
    })
}

/// A file system that met an error becomes read-only with all its mounts as they were.
fn options(mount: &Mount) -> Vec<String> {
    let itself = mount.super_options.iter().filter(|option| *option == "ro" && !mount.has("ro"));
    mount.options.iter().chain(itself).cloned().collect()
}
