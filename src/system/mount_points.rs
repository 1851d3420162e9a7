//! Where file systems are mounted: what a deletion must know before it begins. A bind mount shows in the kernel's table only, not in the number of
//! the device.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The first mount point at or below a path of this machine; none if nothing is there. Links on the way to the path are followed, the path itself not.
///
/// # Errors
/// The kernel's table cannot be read.
pub fn at_or_below(path: &Path) -> io::Result<Option<PathBuf>> {
    let Some(real) = real(path) else { return Ok(None) };
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(table.split(|b| *b == b'\n').filter_map(point).find(|point| point.starts_with(&real)))
}

/// The path with the links on its way resolved; none if its directory is not there.
fn real(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = fs::canonicalize(parent).ok()?;
    Some(path.file_name().map_or_else(|| parent.clone(), |name| parent.join(name)))
}

/// The fifth field of a line of `mountinfo` (`proc(5)`).
fn point(line: &[u8]) -> Option<PathBuf> {
    Some(PathBuf::from(OsString::from_vec(unescaped(line.split(|b| *b == b' ').nth(4)?))))
}

/// Blanks and backslashes are written as three octal digits.
pub(super) fn unescaped(field: &[u8]) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_below_a_path_is_found_and_one_beside_it_is_not() {
        assert_eq!(at_or_below(Path::new("/proc")).unwrap().as_deref(), Some(Path::new("/proc")));
        assert_eq!(point(b"24 22 0:21 / /mnt/with\\040blank rw - nfs4 server:/export rw").unwrap(), Path::new("/mnt/with blank"));
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(at_or_below(directory.path()).unwrap(), None);
        assert_eq!(at_or_below(&directory.path().join("not/there")).unwrap(), None);
    }
}
