//! Writes a small archive: files from memory in a `.tar.gz`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};

use super::files;

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

/// Whether this is an archive as [`place`] makes them whose first file has this name.
pub fn begins_with(path: &Path, name: &str) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut archive = Archive::new(GzDecoder::new(file));
    let first = archive.entries().ok().and_then(|mut entries| entries.next()?.ok());
    first.is_some_and(|entry| entry.path().is_ok_and(|path| path == Path::new(name)))
}

/// Packs files, each a name and its content, with mode 0600, and puts the archive in place
/// atomically and durably, with mode 0600 too. Returns its length.
///
/// # Errors
/// The disk refuses; what stood there then still stands.
pub fn place(path: &Path, files: &[(String, Vec<u8>)], made: SystemTime) -> Result<u64, Error> {
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
    files::place(path, &bytes, 0o600, None)?;
    Ok(bytes.len() as u64)
}
