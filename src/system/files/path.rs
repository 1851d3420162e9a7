//! Names beside and above a path.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name under which `place` writes: hidden, beside the file, the same every time so that a
/// killed run leaves at most one.
pub(super) fn staging_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or(OsStr::new("root"));
    let mut staging = Vec::from(&b"."[..]);
    staging.extend_from_slice(name.as_bytes());
    staging.extend_from_slice(b".dcos-node.tmp");
    path.with_file_name(OsStr::from_bytes(&staging))
}

/// The directory that holds a path.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
