//! What the values of headers say.

/// `bytes FIRST-LAST/WHOLE`, where the whole may be a `*`.
pub(super) fn range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, whole) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let whole = if whole == "*" { None } else { Some(whole.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok().filter(|&last: &u64| last < u64::MAX)?, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range_has_first_last_and_total() {
        assert_eq!(range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, 9, None)));
        for text in
            ["", "bytes */10", "bytes 5-/10", "lines 5-9/10", "bytes 5-18446744073709551615/*"]
        {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
