//! The map of a sparse file: which parts of it are in the archive.

use tar::GnuSparseHeader;

/// More parts than this are no file but an attack on our memory.
pub(super) const MAX_SEGMENTS: usize = 100_000;

/// A part that is in the archive; what lies between the parts is zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Where in the file it goes.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
}

/// The map with its empty parts left out, if it describes a file of `size` bytes of which `stored`
/// are in the archive.
pub(super) fn check(map: &[Segment], size: u64, stored: u64) -> Result<Vec<Segment>, &'static str> {
    if map.len() > MAX_SEGMENTS {
        return Err("its map of a sparse file has too many parts");
    }
    let (mut end, mut sum) = (0_u64, 0_u64);
    for segment in map.iter().filter(|segment| segment.length > 0) {
        if segment.offset < end || !sum.is_multiple_of(512) {
            return Err(
                "the parts of a sparse file overlap, are not in order or not in whole blocks",
            );
        }
        end = segment
            .offset
            .checked_add(segment.length)
            .ok_or("a part of a sparse file lies beyond its end")?;
        sum += segment.length;
    }
    if end > size || map.iter().any(|segment| segment.offset > size) {
        return Err("a part of a sparse file lies beyond its end");
    }
    if sum != stored {
        return Err("the parts of a sparse file and its size in the archive differ");
    }
    Ok(map.iter().copied().filter(|segment| segment.length > 0).collect())
}

/// The parts that a block of an old GNU archive names.
pub(super) fn of_headers(headers: &[GnuSparseHeader]) -> std::io::Result<Vec<Segment>> {
    headers
        .iter()
        .filter(|header| !header.is_empty())
        .map(|header| Ok(Segment { offset: header.offset()?, length: header.length()? }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inconsistent_sparse_map_is_refused() {
        let map = |parts: &[(u64, u64)]| {
            parts.iter().map(|&(offset, length)| Segment { offset, length }).collect::<Vec<_>>()
        };
        assert_eq!(
            check(&map(&[(0, 512), (1024, 3), (2000, 0)]), 2000, 515).unwrap(),
            map(&[(0, 512), (1024, 3)])
        );
        for (parts, size, stored) in [
            (&[(512, 512), (0, 512)][..], 2000, 1024),
            (&[(0, 512), (100, 512)], 2000, 1024),
            (&[(0, 100), (512, 512)], 2000, 612),
            (&[(1900, 512)], 2000, 512),
            (&[(u64::MAX, 512)], 2000, 512),
            (&[(0, 512)], 2000, 1024),
        ] {
            assert!(check(&map(parts), size, stored).is_err(), "{parts:?}");
        }
    }
}
