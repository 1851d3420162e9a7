//! What is mounted where (`/proc/PID/mountinfo`, `proc(5)`), and what a file system has left.

use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::sys::statvfs::statvfs;

use super::fault::{self, Effect};
pub use super::mountinfo::Mount;
use super::{files, kernel, mountinfo, seal};

/// What a file system has left for root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Bytes.
    pub bytes: u64,
    /// Inodes; none where the file system does not count them.
    pub inodes: Option<u64>,
}

/// All mounts that this process sees, or saw before it was sealed, in the order in which they were
/// made.
///
/// # Errors
/// The table cannot be read.
pub fn all(proc: &Path) -> Result<Vec<Mount>, files::Error> {
    let path = proc.join("self/mountinfo");
    let failed = |source| files::Error { operation: "read", path: path.clone(), source };
    fault::point(Effect::Mounts, &path).map_err(failed)?;
    // All that a sealed process sees is read-only and its own, which tells nothing of the machine.
    let before = seal::mounts_before()
        .filter(|_| proc == Path::new("/proc"))
        .map(|text| text.as_bytes().to_vec());
    match before.map_or_else(|| files::read(&path, 64 << 20), |text| Ok(Some(text)))? {
        Some(text) => Ok(mountinfo::parse(&text).collect()),
        None => Err(failed(io::ErrorKind::NotFound.into())),
    }
}

/// All mounts of this machine, whatever node it works on.
///
/// # Errors
/// The table cannot be read.
pub fn of_this_machine() -> Result<Vec<Mount>, files::Error> {
    all(Path::new("/proc"))
}

/// Unmounts what is mounted at a path last, and follows no link to get there.
///
/// # Errors
/// It is in use, or nothing is mounted there.
pub fn unmount(point: &Path) -> Result<(), files::Error> {
    let unmounted = fault::point(Effect::Mounts, point)
        .and_then(|()| Ok(umount2(point, MntFlags::UMOUNT_NOFOLLOW)?));
    unmounted.map_err(|source| files::Error {
        operation: "unmount",
        path: point.to_owned(),
        source,
    })
}

/// The mount that holds an existing path whose links are resolved: of those at the longest prefix,
/// the one that was made last.
pub fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

/// The path itself with its links resolved, or the nearest directory above it that exists.
pub fn nearest(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|above| std::fs::canonicalize(above).ok());
    existing.unwrap_or_else(|| PathBuf::from("/"))
}

/// Whether two paths lie on one file system, or will once they are made. Only a rename finds out
/// whether they lie on different mounts of it.
pub fn share_file_system(one: &Path, other: &Path) -> bool {
    let device = |path| files::lstat(&nearest(path)).ok().flatten().map(|stat| stat.device);
    device(one).is_some() && device(one) == device(other)
}

/// What the file system of an existing path has left.
///
/// # Errors
/// The file system does not say.
pub fn left(path: &Path) -> Result<Left, files::Error> {
    let status = fault::point(Effect::Mounts, path).and_then(|()| Ok(statvfs(path)?));
    let status = status.map_err(|source| files::Error {
        operation: "ask the file system of",
        path: path.to_owned(),
        source,
    })?;
    let inodes = (status.files() > 0).then_some(status.files_free());
    Ok(Left { bytes: status.blocks_free().saturating_mul(status.fragment_size()), inodes })
}

/// The word of the geometry that has the file system's features.
const XFS_FEATURES: usize = 23;
/// `XFS_FSOP_GEOM_FLAGS_FTYPE`.
const XFS_HAS_FILE_TYPES: u32 = 1 << 16;

/// Whether an XFS keeps the types of files in its directories (`ftype=1`), which overlayfs needs.
///
/// # Errors
/// It is not an XFS, or it cannot be opened.
pub fn xfs_has_file_types(path: &Path) -> Result<bool, files::Error> {
    let named =
        |source| files::Error { operation: "ask the XFS of", path: path.to_owned(), source };
    let geometry = std::fs::File::open(path).and_then(kernel::xfs_geometry).map_err(named)?;
    Ok(geometry.get(XFS_FEATURES).is_some_and(|features| features & XFS_HAS_FILE_TYPES != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 253:0 / / rw,relatime shared:1 - xfs /dev/vda1 rw,attr2\n\
                           23 22 0:20 / /opt rw,noexec master:1 shared:2 - tmpfs tmpfs \
                           rw,size=16k\n\
                           24 22 0:21 / /mnt/with\\040blank rw - nfs4 server:/export rw\n\
                           25 22 0:22 / /opt rw - ext4 /dev/vdb rw\n";

    #[test]
    fn nearest_and_last_mount_holds_a_path() {
        let mounts: Vec<Mount> = mountinfo::parse(TABLE).collect();
        let kind = |path: &str| holding(&mounts, Path::new(path)).map(|m| m.kind.as_str());
        assert_eq!(
            (kind("/opt/mesosphere"), kind("/opty"), kind("/mnt/with blank/x")),
            (Some("ext4"), Some("xfs"), Some("nfs4"))
        );
    }

    #[test]
    fn real_file_system_reports_its_free_space() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("not/there");
        assert_eq!(nearest(&missing), std::fs::canonicalize(directory.path()).unwrap());
        assert!(left(directory.path()).unwrap().bytes > 0);
        assert!(holding(&all(Path::new("/proc")).unwrap(), &nearest(&missing)).is_some());
        assert!(left(&missing).unwrap_err().to_string().contains("not/there"));
    }
}
