//! How much memory the decoder of an archive needs, as its first bytes tell.

use super::format::Format;

/// What a decoder needs besides its dictionary.
const BESIDES: u64 = 1 << 20;
/// For headers that do not tell: the dictionary of `xz -6` and of `zstd -19`.
const USUAL: u64 = (8 << 20) + BESIDES;
/// The filter of xz that has the dictionary.
const LZMA2: u64 = 0x21;
/// gzip's window has 32 KiB, and plain tar has none.
const SMALL: u64 = 256 << 10;

/// Bytes that the decoder needs for what begins so; the first block or frame counts, which later
/// ones rarely exceed.
pub(super) fn memory_needed(format: Format, first: &[u8]) -> u64 {
    match format {
        Format::Xz => xz_dictionary(first).map_or(USUAL, |bytes| bytes + BESIDES),
        // The limit of a zstd decoder is a power of two.
        Format::Zstd => zstd_window(first).map_or(USUAL, |bytes| {
            bytes.checked_next_power_of_two().unwrap_or(u64::MAX).max(BESIDES)
        }),
        Format::Gzip | Format::Tar => SMALL,
    }
}

/// The size of the dictionary in the header of the first block: after the stream header of 12 bytes
/// its length, flags, perhaps two lengths, and its filters (section 3.1 of the xz file format).
fn xz_dictionary(first: &[u8]) -> Option<u64> {
    let mut bytes = first.get(13..)?.iter().copied();
    let flags = bytes.next()?;
    for told in [flags & 0x40, flags & 0x80] {
        if told != 0 {
            number(&mut bytes)?;
        }
    }
    for _ in 0..=(flags & 3) {
        let (filter, length) = (number(&mut bytes)?, number(&mut bytes)?);
        if filter == LZMA2 {
            return match u32::from(bytes.next()? & 0x3f) {
                40 => Some(u64::from(u32::MAX)),
                bits @ 0..40 => Some(u64::from(2 | bits & 1) << (bits / 2 + 11)),
                _ => None,
            };
        }
        for _ in 0..length.min(64) {
            bytes.next()?;
        }
    }
    None
}

/// Seven bits a byte, the lowest first.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The window in the header of the first frame (RFC 8878, section 3.1.1.1).
fn zstd_window(first: &[u8]) -> Option<u64> {
    let (magic, rest) = first.split_at_checked(4)?;
    if magic != [0x28, 0xb5, 0x2f, 0xfd] {
        return None;
    }
    let flags = *rest.first()?;
    if flags & 0x20 == 0 {
        let window = *rest.get(1)?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A single segment: the window is the whole content, whose length follows the number of a
    // dictionary.
    let at = match flags & 3 {
        3 => 5,
        few => 1 + usize::from(few),
    };
    let length = 1_usize << (flags >> 6);
    let content = rest
        .get(at..at + length)?
        .iter()
        .rev()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    Some(if length == 2 { content + 256 } else { content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_headers_give_the_dictionary_size() {
        // The beginnings of what `xz -6`, `xz -9` and `zstd -19` write.
        let xz = |bits: u8| {
            [&b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01"[..], &[bits, 0, 0, 0]].concat()
        };
        for (bits, mebibytes) in [(0x16, 8), (0x1c, 64), (0x17, 12)] {
            assert_eq!(memory_needed(Format::Xz, &xz(bits)), (mebibytes << 20) + BESIDES);
        }
        assert_eq!(memory_needed(Format::Xz, &xz(40)), u64::from(u32::MAX) + BESIDES);
        let zstd =
            |rest: &[u8]| memory_needed(Format::Zstd, &[&b"\x28\xb5\x2f\xfd"[..], rest].concat());
        assert_eq!(zstd(&[0x04, 13 << 3]), 8 << 20);
        assert_eq!(zstd(&[0x04, 17 << 3 | 1]), 256 << 20);
        assert_eq!(zstd(&[0xa0, 0, 0, 0x40, 0]), 4 << 20);
        assert_eq!(zstd(&[0xe0, 255, 255, 255, 255, 255, 255, 255, 255]), u64::MAX);
    }

    #[test]
    fn short_or_unknown_header_gives_the_default_window() {
        for first in [&b""[..], b"\xfd7zXZ\0", &[0xff; 512], &[0; 512]] {
            assert_eq!(
                (memory_needed(Format::Xz, first), memory_needed(Format::Zstd, first)),
                (USUAL, USUAL)
            );
        }
    }
}
