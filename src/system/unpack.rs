//! Writes the members of a tar stream below a directory handle.
//!
//! What comes out is what GNU tar run by root makes of the same archive (`tar -xf`): exact modes,
//! set-id and sticky bits included, owners by name where the name is known, times, hard links,
//! sparse files; extended attributes are dropped. Archives that ordinary packages never look like
//! are refused, and no member can write outside the directory or through a symlink.

mod copy;
mod entry;
mod error;
mod examine;
mod members;
mod names;
mod pax;
mod record;
mod sparse;
mod survey;
mod tree;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::fault::{self, Effect};

use error::printable;
use members::{Member, Members, What};
use record::Record;
use tree::{Attributes, Tree};

pub use copy::copy_tree;
pub use entry::{Entry, Kind, Unpacked};
pub use error::Error;
pub use examine::read_through;
pub use names::Names;
pub use survey::{Seen, Surveyed, look_through};

/// Directories in one another; deeper paths are no package, and each level costs an open handle.
const MAX_DEPTH: usize = 128;
/// What every file system of Linux takes as one name, and as the target of a symlink; longer ones
/// are the archive's fault, not the disk's.
const MAX_NAME: usize = 255;
const MAX_TARGET: usize = 4095;
/// What is copied at a time.
const BUFFER: usize = 128 * 1024;

/// How an archive is unpacked.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Who owns what is made.
    pub owners: Owners<'a>,
    /// Only members below this directory of the archive are written, without it; the others are
    /// passed over. It becomes the root itself.
    pub strip: Option<PathBuf>,
    /// The most bytes that all files together may have, zeros of sparse files included.
    pub max_bytes: u64,
    /// The most files, directories and links.
    pub max_entries: u64,
}

/// Who owns what is made. Either way an owner is found by name first, and by number if the name is
/// not known.
#[derive(Debug, Clone, Copy)]
pub enum Owners<'a> {
    /// Give it to the owner that the archive names; needs root.
    Apply(&'a Names),
    /// Leave it to who runs this, and only write down who it should be.
    Record(&'a Names),
}

/// Unpacks `tar_stream` below `into`, which should be empty, and reads it to its end: nothing but
/// zeros may follow the end marker.
///
/// `progress` is called with the number of bytes written since its last call. Nothing is forced to
/// disk here.
pub fn unpack<R: Read>(
    tar_stream: R,
    into: BorrowedFd<'_>,
    options: &Options<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Unpacked, Error> {
    let strip = options
        .strip
        .as_deref()
        .map(|prefix| relative(prefix.as_os_str().as_bytes(), "the prefix to strip"))
        .transpose()?;
    let strip = strip.as_deref().unwrap_or(Path::new(""));
    let (names, apply) = match options.owners {
        Owners::Apply(names) => (names, true),
        Owners::Record(names) => (names, false),
    };
    let mut members = Members::new(tar_stream);
    let mut writer = Writer {
        tree: Tree::new(into),
        record: Record::default(),
        buffer: vec![0; BUFFER],
        options,
    };
    // Times and modes of directories come last: what is made in them changes the times, and the
    // modes may forbid it.
    let mut directories: BTreeMap<PathBuf, Attributes> = BTreeMap::new();
    while let Some(member) = members.next()? {
        let full = relative(&member.path, &member.name())?;
        let Ok(path) = full.strip_prefix(strip) else { continue };
        let uid = member.user.as_deref().and_then(|name| names.user(name)).unwrap_or(member.uid);
        let gid = member.group.as_deref().and_then(|name| names.group(name)).unwrap_or(member.gid);
        let attributes = Attributes {
            owner: apply.then_some((uid, gid)),
            mode: member.mode,
            mtime: Some(member.mtime),
        };
        let entry = Entry {
            path: path.to_owned(),
            kind: Kind::Directory,
            mode: member.mode,
            uid,
            gid,
            owner: member.user.clone(),
            group: member.group.clone(),
        };
        if path.as_os_str().is_empty() {
            if member.what != What::Directory {
                return Err(Error::hostile(
                    &full,
                    "it would replace the directory that all is unpacked into",
                ));
            }
            let path = PathBuf::from(".");
            directories.insert(path.clone(), attributes);
            writer.record.add(Entry { path, ..entry });
            continue;
        }
        if member.what != What::Directory {
            directories.remove(path);
        }
        writer.write(&member, entry, attributes, strip, &mut members, progress)?;
        if member.what == What::Directory {
            directories.insert(path.to_owned(), attributes);
        }
        for path in writer.tree.take_implied() {
            writer.record.imply(path.clone());
            directories
                .insert(path, Attributes { owner: None, mode: record::IMPLIED_MODE, mtime: None });
        }
        writer.record.limit(options.max_entries).map_err(|reason| Error::hostile(path, reason))?;
    }
    // Deepest first: below a directory that gets no search permission nothing can be reached
    // afterwards. "." sorts before all others.
    for (path, attributes) in directories.into_iter().rev() {
        writer.tree.finish_directory(&path, attributes)?;
    }
    Ok(writer.record.finish())
}

/// Small files of an archive, by their names in it; what is not there, or is no file, is not in the
/// answer.
///
/// Of several members with one name the last counts. `limit_each` is in bytes; a longer file is
/// refused. The archive is read to its end.
pub fn select<R: Read>(
    tar_stream: R,
    wanted: &[&str],
    limit_each: u64,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let wanted = wanted
        .iter()
        .map(|name| Ok((relative(name.as_bytes(), name)?, *name)))
        .collect::<Result<BTreeMap<_, _>, Error>>()?;
    let mut found = BTreeMap::new();
    let mut members = Members::new(tar_stream);
    while let Some(member) = members.next()? {
        let Some(&name) = wanted.get(&relative(&member.path, &member.name())?) else { continue };
        found.remove(name);
        if member.what != What::File || member.sparse.is_some() {
            continue;
        }
        if member.size > limit_each {
            return Err(Error::Hostile {
                member: member.name(),
                reason: format!("it has {} bytes, more than {limit_each}", member.size),
            });
        }
        let (mut content, mut buffer) = (Vec::new(), vec![0; BUFFER]);
        while members.left() > 0 {
            content.extend_from_slice(members.read(&mut buffer, u64::MAX)?);
        }
        found.insert(name.to_owned(), content);
    }
    Ok(found)
}

/// The name of a member as a path that stays inside: without "." and double slashes.
fn relative(name: &[u8], shown: &str) -> Result<PathBuf, Error> {
    let refuse =
        |reason: &str| Err(Error::Hostile { member: shown.to_owned(), reason: reason.to_owned() });
    if name.is_empty() {
        return refuse("its name is empty");
    }
    if name.contains(&0) {
        return refuse("its name contains a NUL");
    }
    if name.starts_with(b"/") {
        return refuse("its name is absolute");
    }
    let parts: Vec<&[u8]> =
        name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return refuse("its name leads outside with \"..\"");
    }
    if parts.iter().any(|part| part.len() > MAX_NAME) {
        return refuse("its name is too long");
    }
    if parts.len() > MAX_DEPTH {
        return refuse("its name has too many directories");
    }
    Ok(parts.into_iter().map(OsStr::from_bytes).collect())
}

/// Writes members and notes them.
struct Writer<'a> {
    tree: Tree<'a>,
    record: Record,
    buffer: Vec<u8>,
    options: &'a Options<'a>,
}

impl Writer<'_> {
    fn write<R: Read>(
        &mut self,
        member: &Member,
        mut entry: Entry,
        attributes: Attributes,
        strip: &Path,
        members: &mut Members<R>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let path = entry.path.clone();
        if member.attributes {
            self.record.attributes_dropped();
        }
        match member.what {
            What::Directory => {
                self.tree.make_directory(&path)?;
            }
            What::File => {
                self.record
                    .count(member.size, self.options.max_bytes)
                    .map_err(|reason| Error::hostile(&path, reason))?;
                let mut file = self.tree.make_file(&path)?;
                let sha256 = self.copy(member, &path, &mut file, members, progress)?;
                Tree::finish_file(&path, &file, attributes)?;
                entry.kind = Kind::File { size: member.size, sha256 };
            }
            What::Symlink => {
                if member.link.is_empty() || member.link.contains(&0) {
                    return Err(Error::hostile(&path, "it is a symlink to nowhere"));
                }
                if member.link.len() > MAX_TARGET {
                    return Err(Error::hostile(
                        &path,
                        "it is a symlink to a name that is too long",
                    ));
                }
                let target = OsStr::from_bytes(&member.link);
                self.tree.make_symlink(&path, target, attributes)?;
                entry.mode = 0o777;
                entry.kind = Kind::Symlink { target: target.into() };
            }
            What::Hardlink => {
                let to = relative(&member.link, &member.name())?;
                let Ok(to) = to.strip_prefix(strip) else {
                    return Err(Error::hostile(
                        &path,
                        format!("it is a hard link to outside, {}", printable(&member.link)),
                    ));
                };
                let Some(to) = self.record.origin(to) else {
                    return Err(Error::hostile(
                        &path,
                        format!(
                            "it is a hard link to {}, which is no file before it",
                            printable(&member.link)
                        ),
                    ));
                };
                if to.path == path {
                    return Ok(());
                }
                self.tree.make_hardlink(&path, &to.path)?;
                entry = Entry { path, kind: Kind::Hardlink { to: to.path.clone() }, ..to };
            }
        }
        self.record.add(entry);
        Ok(())
    }

    /// Copies the data of a member into its file, and hashes it with the zeros of the holes.
    fn copy<R: Read>(
        &mut self,
        member: &Member,
        path: &Path,
        file: &mut File,
        members: &mut Members<R>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<[u8; 32], Error> {
        let failed =
            |operation| move |source| Error::Write { operation, path: path.to_owned(), source };
        let mut hasher = Sha256::new();
        fault::point(Effect::Write, path).map_err(failed("write"))?;
        let Some(map) = &member.sparse else {
            loop {
                let piece = members.read(&mut self.buffer, u64::MAX)?;
                if piece.is_empty() {
                    return Ok(hasher.finalize().into());
                }
                hasher.update(piece);
                file.write_all(piece).map_err(failed("write"))?;
                progress(piece.len() as u64);
            }
        };
        let mut at = 0;
        for segment in map {
            zeros(&mut hasher, segment.offset - at);
            progress(segment.offset - at);
            file.seek(SeekFrom::Start(segment.offset)).map_err(failed("seek in"))?;
            let mut left = segment.length;
            while left > 0 {
                let piece = members.read(&mut self.buffer, left)?;
                hasher.update(piece);
                file.write_all(piece).map_err(failed("write"))?;
                progress(piece.len() as u64);
                left -= piece.len() as u64;
            }
            at = segment.offset + segment.length;
        }
        zeros(&mut hasher, member.size - at);
        progress(member.size - at);
        fault::point(Effect::Write, path)
            .and_then(|()| file.set_len(member.size))
            .map_err(failed("set the length of"))?;
        Ok(hasher.finalize().into())
    }
}

fn zeros(hasher: &mut Sha256, mut count: u64) {
    const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];
    while count > 0 {
        let piece =
            usize::try_from(count).ok().and_then(|count| ZEROS.get(..count)).unwrap_or(&ZEROS);
        hasher.update(piece);
        count -= piece.len() as u64;
    }
}
