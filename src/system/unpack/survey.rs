//! Reads a tar stream as [`unpack`](super::unpack) would, and writes nothing: what would be made,
//! or why it would be refused.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::error::printable;
use super::members::{Member, Members, What};
use super::{Error, MAX_TARGET, relative};

/// What would be made.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Surveyed {
    /// One entry a path, relative to the directory that it would be unpacked into.
    pub entries: BTreeMap<PathBuf, Seen>,
    /// Bytes of all files together, zeros of sparse files included and each hard linked file once.
    pub bytes: u64,
}

/// What a path would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A file of so many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A further name of a file or symlink.
    Hardlink,
}

/// Reads a tar stream to its end. `strip`, `max_bytes` and `max_entries` mean what they mean in
/// [`Options`](super::Options).
///
/// # Errors
/// What unpacking it would end in, but for what only a disk can refuse.
pub fn look_through<R: Read>(
    tar_stream: R,
    strip: &Path,
    max_bytes: u64,
    max_entries: u64,
) -> Result<Surveyed, Error> {
    let mut members = Members::new(tar_stream);
    let mut found = Surveyed::default();
    while let Some(member) = members.next()? {
        let full = relative(&member.path, &member.name())?;
        let Ok(path) = full.strip_prefix(strip) else { continue };
        if path.as_os_str().is_empty() {
            if member.what != What::Directory {
                return Err(Error::hostile(
                    &full,
                    "it would replace the directory that all is unpacked into",
                ));
            }
            found.entries.insert(PathBuf::from("."), Seen::Directory);
            continue;
        }
        found.add(path, &member, strip, max_bytes)?;
        if found.entries.len() as u64 > max_entries {
            return Err(Error::hostile(
                path,
                format!("the archive has more than {max_entries} files"),
            ));
        }
    }
    Ok(found)
}

impl Surveyed {
    fn add(
        &mut self,
        path: &Path,
        member: &Member,
        strip: &Path,
        max_bytes: u64,
    ) -> Result<(), Error> {
        self.make_parents(path)?;
        let seen = match member.what {
            What::Directory => Seen::Directory,
            What::File => {
                let bytes = self.bytes.checked_add(member.size).filter(|bytes| *bytes <= max_bytes);
                self.bytes = bytes.ok_or_else(|| {
                    Error::hostile(path, format!("the archive has more than {max_bytes} bytes"))
                })?;
                Seen::File(member.size)
            }
            What::Symlink => {
                if member.link.is_empty()
                    || member.link.contains(&0)
                    || member.link.len() > MAX_TARGET
                {
                    return Err(Error::hostile(
                        path,
                        "it is a symlink to nowhere, or to a name that is too long",
                    ));
                }
                Seen::Symlink
            }
            What::Hardlink => {
                let to = relative(&member.link, &member.name())?;
                let Ok(to) = to.strip_prefix(strip) else {
                    return Err(Error::hostile(
                        path,
                        format!("it is a hard link to outside, {}", printable(&member.link)),
                    ));
                };
                if !matches!(
                    self.entries.get(to),
                    Some(Seen::File(_) | Seen::Symlink | Seen::Hardlink)
                ) {
                    let reason = format!(
                        "it is a hard link to {}, which is no file before it",
                        printable(&member.link)
                    );
                    return Err(Error::hostile(path, reason));
                }
                if to == path {
                    return Ok(());
                }
                Seen::Hardlink
            }
        };
        let replaces_directory =
            seen != Seen::Directory && self.entries.get(path) == Some(&Seen::Directory);
        if replaces_directory && self.has_below(path) {
            return Err(Error::hostile(path, "it would replace a directory that is not empty"));
        }
        self.entries.insert(path.to_owned(), seen);
        Ok(())
    }

    /// Directories that no member describes are made; what is no directory is not gone through.
    fn make_parents(&mut self, path: &Path) -> Result<(), Error> {
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            match self.entries.get(parent) {
                Some(Seen::Directory) => break,
                Some(_) => {
                    let name = parent.file_name().unwrap_or_default();
                    return Err(Error::hostile(
                        path,
                        format!("it goes through {name:?}, which is no directory"),
                    ));
                }
                None => drop(self.entries.insert(parent.to_owned(), Seen::Directory)),
            }
        }
        Ok(())
    }

    fn has_below(&self, path: &Path) -> bool {
        // By components, so that what lies below a directory comes right after it.
        let after = (Bound::Excluded(path), Bound::Unbounded);
        self.entries.range::<Path, _>(after).next().is_some_and(|(next, _)| next.starts_with(path))
    }
}
