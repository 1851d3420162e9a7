//! Writes what a reader gives as a zstd file.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::fault::{self, Effect};

/// Much smaller than gzip and some tenths larger than xz, at a speed that a bootstrap machine can
/// afford; decoding is as fast as at any level.
const LEVEL: i32 = 12;

/// Compresses all that comes into a new file with mode 0644, durably. What stands there is
/// replaced; what a failure leaves is the caller's.
///
/// # Errors
/// Those of the reader, and of the disk.
pub fn zstd(mut from: impl Read, to: &Path) -> io::Result<()> {
    fault::point(Effect::Open, to)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW)
        .open(to)?;
    fault::point(Effect::Attributes, to)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    fault::point(Effect::Write, to)?;
    let mut encoder = zstd::Encoder::new(io::BufWriter::new(file), LEVEL)?;
    // So that a cut or a flipped bit is noticed by every decoder.
    encoder.include_checksum(true)?;
    io::copy(&mut from, &mut encoder)?;
    let file: File = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    fault::point(Effect::Sync, to)?;
    file.sync_all()
}
