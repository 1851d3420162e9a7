//! Decompresses the data of one journal object, up to a limit.
//!
//! journald compresses an object only if that makes it smaller, so these are single small frames,
//! and the limit bounds the input, too.

use std::io::Read;

use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

/// Enough for the 8 MiB dictionary of xz's default preset.
const XZ_MEMORY_MAX: u64 = 16 * 1024 * 1024;
/// As a power of two, in bytes; journald's level has 21.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// An LZ4 block is decoded whole or not at all; this is what the other two may hold in memory.
const LZ4_SIZE_MAX: usize = 8 * 1024 * 1024;

/// How the payload of an object is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Xz,
    Lz4,
    Zstd,
}

/// Flags of an object that mean nothing in the formats up to systemd 260: damage, or a compression
/// of a later format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownFlags(pub u8);

impl Compression {
    /// What the flags of an object say; `None` if its payload is not compressed.
    pub fn of(flags: u8) -> Result<Option<Self>, UnknownFlags> {
        match flags {
            0 => Ok(None),
            1 => Ok(Some(Self::Xz)),
            2 => Ok(Some(Self::Lz4)),
            4 => Ok(Some(Self::Zstd)),
            _ => Err(UnknownFlags(flags)),
        }
    }

    /// How much compressed data is enough to make `limit` bytes of: incompressible data grows a
    /// little, zstd needs whole blocks, and LZ4 needs everything.
    pub fn input_for(self, limit: usize) -> usize {
        const ZSTD_BLOCK: usize = 128 * 1024;
        let limit = if self == Self::Lz4 { LZ4_SIZE_MAX } else { limit };
        limit + limit / 255 + ZSTD_BLOCK + 1024
    }
}

/// The first `limit` bytes of what `input` was made of. Returns `None` if it is damaged before
/// that, and for LZ4 also if it is damaged after that or makes more than [`LZ4_SIZE_MAX`].
pub(super) fn decompress(compression: Compression, input: &[u8], limit: usize) -> Option<Vec<u8>> {
    match compression {
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY_MAX, 0).ok()?;
            read_up_to(XzDecoder::new_stream(input, stream), limit)
        }
        Compression::Lz4 => {
            let size =
                usize::try_from(lz4_size(input)?).ok().filter(|&size| size <= LZ4_SIZE_MAX)?;
            let mut output = vec![0; size];
            let made = lz4_flex::block::decompress_into(input.get(8..)?, &mut output).ok()?;
            output.truncate(limit);
            (made == size).then_some(output)
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).ok()?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).ok()?;
            read_up_to(decoder, limit)
        }
    }
}

/// The uncompressed size, which journald writes before an LZ4 block.
pub(super) fn lz4_size(input: &[u8]) -> Option<u64> {
    input.first_chunk().map(|size| u64::from_le_bytes(*size))
}

fn read_up_to(decoder: impl Read, limit: usize) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    decoder.take(limit as u64).read_to_end(&mut output).ok()?;
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `lz4_compress` makes it: five literals, a copy of 4 + 9 from five back, then the last
    /// five literals.
    const LZ4: &[u8] = b"\x17\0\0\0\0\0\0\0\x59hello\x05\0\x50WORLD";

    #[test]
    fn lz4_literals_and_overlapping_copies() {
        assert_eq!(decompress(Compression::Lz4, LZ4, 100).unwrap(), b"hellohellohellohelWORLD");
        assert_eq!(decompress(Compression::Lz4, LZ4, 7).unwrap(), b"hellohe");
        assert_eq!(decompress(Compression::Lz4, LZ4, 5).unwrap(), b"hello");
    }

    #[test]
    fn lz4_long_lengths() {
        // 15 + 255 + 0 literals, then a run of 15 + 255 + 10 + 4 zeroes.
        let mut input = (554u64 + 5).to_le_bytes().to_vec();
        input.extend_from_slice(b"\xff\xff\0");
        input.extend_from_slice(&[0; 270]);
        input.extend_from_slice(b"\x01\0\xff\x0a\x50=end=");
        let output = decompress(Compression::Lz4, &input, 1000).unwrap();
        assert_eq!((output.len(), &output[554..]), (559, &b"=end="[..]));
    }

    #[test]
    fn lz4_output_is_bounded() {
        // A run of zeroes that is as long as the size claims.
        let block = |size: usize| {
            let mut input = (size as u64).to_le_bytes().to_vec();
            input.extend_from_slice(b"\x1f\0\x01\0");
            let run = size - 1 - 4 - 15 - 5;
            input.extend(std::iter::repeat_n(255, run / 255));
            input.push((run % 255) as u8);
            input.extend_from_slice(b"\x50=end=");
            input
        };
        let largest = block(LZ4_SIZE_MAX);
        assert!(largest.len() <= Compression::Lz4.input_for(1));
        let output = decompress(Compression::Lz4, &largest, usize::MAX).unwrap();
        assert_eq!((output.len(), &output[LZ4_SIZE_MAX - 5..]), (LZ4_SIZE_MAX, &b"=end="[..]));
        assert_eq!(decompress(Compression::Lz4, &block(LZ4_SIZE_MAX + 1), 7), None);
        // Neither a size that is too large nor one that is too small is believed.
        for claimed in [u64::MAX, 1 << 40, LZ4_SIZE_MAX as u64 - 1] {
            let mut lying = largest.clone();
            lying[..8].copy_from_slice(&claimed.to_le_bytes());
            assert_eq!(decompress(Compression::Lz4, &lying, 7), None, "{claimed}");
        }
    }

    #[test]
    fn unknown_object_flags_are_an_error() {
        let known = |flags| Compression::of(flags).is_ok();
        assert_eq!((0..=u8::MAX).filter(|&flags| known(flags)).collect::<Vec<_>>(), [0, 1, 2, 4]);
    }

    #[test]
    fn damaged_compressed_data_gives_nothing() {
        for cut in 0..LZ4.len() {
            assert_eq!(decompress(Compression::Lz4, &LZ4[..cut], 100), None, "cut at {cut}");
        }
        // six back, where five have been written
        let far = b"\x17\0\0\0\0\0\0\0\x59hello\x06\0\x50WORLD";
        assert_eq!(decompress(Compression::Lz4, far, 100), None);
        for compression in [Compression::Xz, Compression::Zstd] {
            assert_eq!(decompress(compression, b"no such frame", 100), None);
        }
    }
}
