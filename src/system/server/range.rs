//! The `Range` header (RFC 9110, 14.2).

/// Which bytes of a file were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All; also what nobody needs to understand: other units, several ranges, nonsense.
    Whole,
    /// From the first to before the last.
    Part {
        /// The first byte.
        from: u64,
        /// One behind the last byte.
        to: u64,
    },
    /// None that there are.
    Outside,
}

impl Range {
    /// Reads the value of a header for a file of so many bytes.
    pub fn parse(text: &str, bytes: u64) -> Range {
        let Some((first, last)) =
            text.trim().strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
        else {
            return Range::Whole;
        };
        match (number(first), number(last)) {
            // The last so many bytes.
            (None, Some(0)) if first.is_empty() => Range::Outside,
            (None, Some(_)) if first.is_empty() && bytes == 0 => Range::Outside,
            (None, Some(count)) if first.is_empty() => {
                Range::Part { from: bytes.saturating_sub(count), to: bytes }
            }
            (Some(from), None) if last.is_empty() => Range::from_to(from, bytes, bytes),
            (Some(from), Some(last)) if last >= from => {
                Range::from_to(from, last.saturating_add(1).min(bytes), bytes)
            }
            _ => Range::Whole,
        }
    }

    fn from_to(from: u64, to: u64, bytes: u64) -> Range {
        if from < bytes { Range::Part { from, to } } else { Range::Outside }
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let part = |from, to| Range::Part { from, to };
        for (text, range) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=5-", part(5, 10)),
            ("bytes=5-7", part(5, 8)),
            ("bytes=5-99", part(5, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=18446744073709551615-18446744073709551615", Range::Outside),
            ("bytes=7-5", Range::Whole),
            ("bytes=1-2,4-5", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("bytes=-", Range::Whole),
            ("lines=1-2", Range::Whole),
            ("", Range::Whole),
        ] {
            assert_eq!(Range::parse(text, 10), range, "{text}");
        }
        assert_eq!(
            (Range::parse("bytes=-1", 0), Range::parse("bytes=0-", 0)),
            (Range::Outside, Range::Outside)
        );
    }
}
