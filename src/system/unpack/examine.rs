//! What [`unpack`](super::unpack) would make of a tar stream, with the digest of every file, and
//! nothing written: for who compares an archive with what is there.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::printable;
use super::members::{Member, Members, What};
use super::record::Record;
use super::{BUFFER, Entry, Error, Kind, Options, Owners, Unpacked, relative, zeros};

/// Reads `tar_stream` to its end. Owners are numbers of this node where it has the names; nothing
/// is given to them.
///
/// # Errors
/// What unpacking would end in, but for what only a disk can refuse.
pub fn read_through<R: Read>(tar_stream: R, options: &Options<'_>) -> Result<Unpacked, Error> {
    let strip = options.strip.clone().unwrap_or_default();
    let (Owners::Apply(names) | Owners::Record(names)) = options.owners;
    let mut members = Members::new(tar_stream);
    let (mut record, mut buffer) = (Record::default(), vec![0; BUFFER]);
    while let Some(member) = members.next()? {
        let full = relative(&member.path, &member.name())?;
        let Ok(path) = full.strip_prefix(&strip) else { continue };
        let is_top = path.as_os_str().is_empty();
        let path = if is_top { PathBuf::from(".") } else { path.to_owned() };
        if is_top && member.what != What::Directory {
            return Err(Error::hostile(&full, "it would replace the directory of the package"));
        }
        let entry = Entry {
            path: path.clone(),
            kind: Kind::Directory,
            mode: member.mode,
            uid: member.user.as_deref().and_then(|name| names.user(name)).unwrap_or(member.uid),
            gid: member.group.as_deref().and_then(|name| names.group(name)).unwrap_or(member.gid),
            owner: member.user.clone(),
            group: member.group.clone(),
        };
        imply_parents(&mut record, &path);
        let entry = match member.what {
            What::Directory => entry,
            What::File => {
                record
                    .count(member.size, options.max_bytes)
                    .map_err(|reason| Error::hostile(&path, reason))?;
                let sha256 = hash(&member, &mut members, &mut buffer)?;
                Entry { kind: Kind::File { size: member.size, sha256 }, ..entry }
            }
            What::Symlink => {
                let target = OsStr::from_bytes(&member.link).into();
                Entry { kind: Kind::Symlink { target }, mode: 0o777, ..entry }
            }
            What::Hardlink => {
                let to = relative(&member.link, &member.name())?;
                let origin = to.strip_prefix(&strip).ok().and_then(|to| record.origin(to));
                let Some(to) = origin else {
                    let reason = format!(
                        "it is a hard link to {}, which is no file before it",
                        printable(&member.link)
                    );
                    return Err(Error::hostile(&path, reason));
                };
                if to.path == path {
                    continue;
                }
                Entry { path: path.clone(), kind: Kind::Hardlink { to: to.path.clone() }, ..to }
            }
        };
        record.add(entry);
        record.limit(options.max_entries).map_err(|reason| Error::hostile(&path, reason))?;
    }
    Ok(record.finish())
}

/// Notes the directories above a path that no member has named.
fn imply_parents(record: &mut Record, path: &Path) {
    let parents = path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
    let missing: Vec<PathBuf> =
        parents.take_while(|parent| !record.has(parent)).map(Path::to_owned).collect();
    missing.into_iter().for_each(|parent| record.imply(parent));
}

/// The SHA-256 of a file, with the zeros of its holes.
fn hash<R: Read>(
    member: &Member,
    members: &mut Members<R>,
    buffer: &mut [u8],
) -> Result<[u8; 32], Error> {
    let mut hasher = Sha256::new();
    let Some(map) = &member.sparse else {
        loop {
            let piece = members.read(buffer, u64::MAX)?;
            if piece.is_empty() {
                return Ok(hasher.finalize().into());
            }
            hasher.update(piece);
        }
    };
    let mut at = 0;
    for segment in map {
        zeros(&mut hasher, segment.offset - at);
        let mut left = segment.length;
        while left > 0 {
            let piece = members.read(buffer, left)?;
            hasher.update(piece);
            left -= piece.len() as u64;
        }
        at = segment.offset + segment.length;
    }
    zeros(&mut hasher, member.size - at);
    Ok(hasher.finalize().into())
}
