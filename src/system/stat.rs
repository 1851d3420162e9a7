//! All that one look at a path tells (`stat(2)`), the path itself not followed.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::kernel;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// When its content was written last.
    pub modified: SystemTime,
}

/// What a thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and where it points as it is written.
    Link(PathBuf),
    /// A socket, pipe or device.
    Other,
}

/// Looks; nothing there is none.
///
/// # Errors
/// Any reason but absence.
pub fn look(path: &Path) -> io::Result<Option<Stat>> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let kind = match () {
        () if about.is_symlink() => Kind::Link(fs::read_link(path)?),
        () if about.is_dir() => Kind::Directory,
        () if about.is_file() => Kind::File,
        () => Kind::Other,
    };
    let (mode, uid, gid) = (about.mode() & 0o7777, about.uid(), about.gid());
    Ok(Some(Stat { kind, size: about.len(), mode, uid, gid, modified: about.modified()? }))
}

/// Whether a file has capabilities of its own (`capabilities(7)`); where the file system knows
/// none, it has none.
pub fn has_capabilities(path: &Path) -> bool {
    kernel::attribute_length(path, c"security.capability").is_ok_and(|length| length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_is_not_followed_and_a_missing_path_is_absent() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere", directory.path().join("link")).unwrap();
        assert_eq!(
            look(&directory.path().join("link")).unwrap().unwrap().kind,
            Kind::Link("/nowhere".into())
        );
        assert_eq!(look(&directory.path().join("link/x")).unwrap(), None);
        assert_eq!(look(directory.path()).unwrap().unwrap().kind, Kind::Directory);
        assert!(!has_capabilities(directory.path()));
    }
}
