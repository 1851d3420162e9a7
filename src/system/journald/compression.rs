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

/// How the payload of an object is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Xz,
    Lz4,
    Zstd,
}

impl Compression {
    /// As the flags of an object tell it.
    pub fn of(flags: u8) -> Option<Self> {
        match flags & 7 {
            0 => None,
            1 => Some(Self::Xz),
            2 => Some(Self::Lz4),
            _ => Some(Self::Zstd),
        }
    }

    /// How much compressed data is enough to make `limit` bytes of: incompressible data grows a
    /// little, and zstd wants whole blocks.
    pub fn input_for(self, limit: usize) -> usize {
        const ZSTD_BLOCK: usize = 128 * 1024;
        limit + limit / 255 + ZSTD_BLOCK + 1024
    }
}

/// The first `limit` bytes of what `input` was made of; nothing if it is damaged before that.
pub(super) fn decompress(compression: Compression, input: &[u8], limit: usize) -> Option<Vec<u8>> {
    match compression {
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY_MAX, 0).ok()?;
            read_up_to(XzDecoder::new_stream(input, stream), limit)
        }
        Compression::Lz4 => {
            let (size, block) = input.split_first_chunk()?;
            let size = usize::try_from(u64::from_le_bytes(*size)).ok()?.min(limit);
            lz4(block, size).filter(|output| output.len() == size)
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).ok()?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).ok()?;
            read_up_to(decoder, limit)
        }
    }
}

fn read_up_to(decoder: impl Read, limit: usize) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    decoder.take(limit as u64).read_to_end(&mut output).ok()?;
    Some(output)
}

/// Decodes an [LZ4 block](https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md): runs of
/// literal bytes and copies of earlier output.
fn lz4(mut block: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    loop {
        let token = usize::from(*block.split_off_first()?);
        let literals = lz4_length(token >> 4, &mut block)?;
        // What is cut off of the input is not wanted either.
        output.extend_from_slice(block.get(..literals.min(block.len()).min(limit - output.len()))?);
        if output.len() == limit || block.len() <= literals {
            return (output.len() == limit || block.len() == literals).then_some(output);
        }
        block = block.get(literals..)?;
        let distance =
            usize::from(u16::from_le_bytes([*block.split_off_first()?, *block.split_off_first()?]));
        let length = lz4_length(token & 15, &mut block)?.checked_add(4)?.min(limit - output.len());
        let start = output.len().checked_sub(distance).filter(|_| distance > 0)?;
        // Byte by byte, because a copy may overlap what it makes: that is how LZ4 writes
        // repetitions.
        for index in start..start + length {
            output.push(*output.get(index)?);
        }
    }
}

/// A length is four bits of the token; all ones mean that bytes follow which are added, up to one
/// that is not 255.
fn lz4_length(bits: usize, block: &mut &[u8]) -> Option<usize> {
    let mut length = bits;
    if bits == 15 {
        loop {
            let byte = *block.split_off_first()?;
            length = length.checked_add(usize::from(byte))?;
            if byte != 255 {
                break;
            }
        }
    }
    Some(length)
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
