//! What is mounted where (`/proc/PID/mountinfo`, `proc(5)`), and what a file system has left.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::fault::{self, Effect};
use super::{files, kernel, seal};

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Its kind, for example `xfs`.
    pub kind: String,
    /// The device or server that it comes from.
    pub source: String,
    /// Options of this mount, such as `noexec`.
    pub options: Vec<String>,
    /// Options of the file system itself.
    pub super_options: Vec<String>,
}

/// What a file system has left for root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Bytes.
    pub bytes: u64,
    /// Inodes; none where the file system does not count them.
    pub inodes: Option<u64>,
}

/// All mounts that this process sees, or saw before it was sealed, in the order in which they were made.
///
/// # Errors
/// The table cannot be read.
pub fn all(proc: &Path) -> Result<Vec<Mount>, files::Error> {
    let path = proc.join("self/mountinfo");
    let failed = |source| files::Error { operation: "read", path: path.clone(), source };
    fault::point(Effect::Mounts, &path).map_err(failed)?;
    // All that a sealed process sees is read-only and its own, which tells nothing of the machine.
    let before = seal::mounts_before().filter(|_| proc == Path::new("/proc")).map(|text| text.as_bytes().to_vec());
    match before.map_or_else(|| files::read(&path, 64 << 20), |text| Ok(Some(text)))? {
        Some(text) => Ok(text.split(|b| *b == b'\n').filter_map(mount).collect()),
        None => Err(failed(io::ErrorKind::NotFound.into())),
    }
}

/// One line: id, parent, device, root, point, options, optional fields, a dash, kind, source, options of the file system.
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
    let text = |at: usize| Some(String::from_utf8_lossy(fields.get(at)?).into_owned());
    let list = |at: usize| Some(text(at)?.split(',').map(str::to_owned).collect());
    Some(Mount {
        point: PathBuf::from(std::ffi::OsString::from_vec(unescaped(fields.get(4)?))),
        kind: text(dash + 1)?,
        source: text(dash + 2)?,
        options: list(5)?,
        super_options: list(dash + 3)?,
    })
}

/// Blanks and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        match (first, digits) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

/// The mount that holds an existing path whose links are resolved: of those at the longest prefix, the one that was made last.
pub fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

/// The path itself with its links resolved, or the nearest directory above it that exists.
pub fn nearest(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|above| std::fs::canonicalize(above).ok());
    existing.unwrap_or_else(|| PathBuf::from("/"))
}

/// What the file system of an existing path has left.
///
/// # Errors
/// The file system does not say.
pub fn left(path: &Path) -> Result<Left, files::Error> {
    let status = fault::point(Effect::Mounts, path).and_then(|()| Ok(statvfs(path)?));
    let status = status.map_err(|source| files::Error { operation: "ask the file system of", path: path.to_owned(), source })?;
    let inodes = (status.files() > 0).then_some(status.files_free());
    Ok(Left { bytes: status.blocks_free().saturating_mul(status.fragment_size()), inodes })
}

/// Whether an XFS keeps the types of files in its directories (`ftype=1`), which overlayfs needs.
///
/// # Errors
/// It is no XFS, or it cannot be opened.
pub fn xfs_has_file_types(path: &Path) -> Result<bool, files::Error> {
    let named = |source| files::Error { operation: "ask the XFS of", path: path.to_owned(), source };
    kernel::xfs_has_file_types(std::fs::File::open(path).map_err(named)?).map_err(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 253:0 / / rw,relatime shared:1 - xfs /dev/vda1 rw,attr2\n\
        23 22 0:20 / /opt rw,noexec master:1 shared:2 - tmpfs tmpfs rw,size=16k\n\
        24 22 0:21 / /mnt/with\\040blank rw - nfs4 server:/export rw\n\
        25 22 0:22 / /opt rw - ext4 /dev/vdb rw\n\
        short line\n";

    #[test]
    fn a_path_is_held_by_the_nearest_mount_and_the_last_of_those_at_one_point() {
        let mounts: Vec<Mount> = TABLE.split(|b| *b == b'\n').filter_map(mount).collect();
        assert_eq!(mounts.len(), 4);
        assert_eq!(mounts[2].point, Path::new("/mnt/with blank"));
        assert_eq!(mounts[1].options, ["rw", "noexec"]);
        let kind = |path: &str| holding(&mounts, Path::new(path)).map(|m| m.kind.as_str());
        assert_eq!((kind("/opt/mesosphere"), kind("/opty"), kind("/mnt/with blank/x")), (Some("ext4"), Some("xfs"), Some("nfs4")));
    }

    #[test]
    fn a_real_file_system_tells_what_it_has_left() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("not/there");
        assert_eq!(nearest(&missing), std::fs::canonicalize(directory.path()).unwrap());
        assert!(left(directory.path()).unwrap().bytes > 0);
        assert!(holding(&all(Path::new("/proc")).unwrap(), &nearest(&missing)).is_some());
        assert!(left(&missing).unwrap_err().to_string().contains("not/there"));
    }
}
