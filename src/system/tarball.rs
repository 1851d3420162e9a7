//! Writes a small archive: files from memory in a `.tar.gz`.

use std::io::{self, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::files::{self, Held};

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name or a text does not fit into an archive.
    #[error("cannot make the archive")]
    Make(#[from] io::Error),
    /// The file system refuses.
    #[error(transparent)]
    Place(#[from] files::Error),
}

/// Whether this is a file of this user, and an archive as [`place`] makes them whose first file has
/// this name. No more than the header of that file is read.
pub fn begins_with(held: &Held, name: &str) -> bool {
    let Ok(Some(file)) = held.own_file() else { return false };
    let mut header = Header::new_gnu();
    let read = GzDecoder::new(file).read_exact(header.as_mut_bytes());
    read.is_ok() && header.path().is_ok_and(|path| path == Path::new(name))
}

/// Packs files, each a name and its content, with mode 0600, and puts the archive in place
/// atomically and durably, with mode 0600 too. Returns its length.
///
/// # Errors
/// The disk refuses; what stood there then still stands.
pub fn place(held: &Held, files: &[(String, Vec<u8>)], made: SystemTime) -> Result<u64, Error> {
    let seconds = made.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, name, content.as_slice())?;
    }
    let bytes = archive.into_inner()?.finish()?;
    held.place(&bytes, 0o600)?;
    Ok(bytes.len() as u64)
}
