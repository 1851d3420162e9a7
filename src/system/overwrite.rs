//! Files that cannot be replaced: mount points.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::fault::{self, Effect};
use super::files::Error;

/// Writes a file in place. In one write, padded with empty lines to the old length, so that a kill
/// leaves no rest of the old text.
///
/// # Errors
/// It is not there, or the disk refuses.
pub fn overwrite(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |operation| move |source| Error { operation, path: path.to_owned(), source };
    fault::point(Effect::Write, path).map_err(failed("write"))?;
    let mut file = OpenOptions::new()
        .write(true)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
        .map_err(failed("open"))?;
    let old = file.metadata().map_err(failed("look at"))?.len();
    let mut padded = content.to_vec();
    padded.resize(content.len().max(usize::try_from(old).unwrap_or_default()), b'\n');
    file.write_all(&padded)
        .and_then(|()| file.set_len(content.len() as u64))
        .map_err(failed("write"))?;
    fault::point(Effect::Sync, path).map_err(failed("make durable"))?;
    file.sync_all().map_err(failed("make durable"))
}
