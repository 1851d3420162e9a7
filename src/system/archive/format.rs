//! What the first bytes of an archive say it is.

use std::fmt;

/// One block of a tar archive: as much as is needed to tell any format.
pub(super) const BLOCK: usize = 512;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// xz, one stream or several one after another (`pxz` writes those).
    Xz,
    /// gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
    /// A tar archive that is not compressed.
    Tar,
}

impl Format {
    /// What an archive with these first bytes is; 512 of them are enough, fewer if there are no
    /// more.
    pub fn of(first: &[u8]) -> Option<Self> {
        match first {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // The second is a skippable frame, with which parallel compressors start.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ if is_tar(first) => Some(Self::Tar),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xz => "xz",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Tar => "tar",
        })
    }
}

/// Old archives have no magic, so it is the check sum that counts; an archive without members
/// starts with zeros.
fn is_tar(first: &[u8]) -> bool {
    let Some(block) = first.get(..BLOCK) else { return false };
    if block.iter().all(|&byte| byte == 0) {
        return true;
    }
    let header = tar::Header::from_byte_slice(block);
    header.cksum().is_ok_and(|told| told == check_sum(block))
}

/// The sum over a header, in which its own eight bytes count as spaces.
pub fn check_sum(block: &[u8]) -> u32 {
    block
        .iter()
        .enumerate()
        .map(|(at, &byte)| u32::from(if (148..156).contains(&at) { b' ' } else { byte }))
        .sum()
}
