//! Amounts as they are typed.

use std::time::Duration;

/// A number and `s`, `m` or `h`; up to a day, so that a slip of the finger does not wait for a
/// year.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("it takes a number and a unit, for example 30s, 15m or 1h".into()),
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .filter(|seconds| *seconds <= 24 * 3600);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "it takes a number and a unit, at most 24h".into())
}

/// Bytes, or with a `k` or `M` after it thousands or millions of them.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return Err("it takes bytes a second, for example 500k or 10M".into()),
    };
    let rate =
        number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|rate| *rate >= 1000);
    rate.ok_or_else(|| "it takes bytes a second, at least 1000, for example 500k or 10M".into())
}

/// How many of something at once.
pub(super) fn number(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=64).contains(n))
        .ok_or_else(|| "it takes a number from 1 to 64".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_suffix_and_numbers_a_bound() {
        assert_eq!(
            ["1000", "500k", "10M", "1G"].map(rate),
            [Ok(1000), Ok(500_000), Ok(10_000_000), Ok(1_000_000_000)]
        );
        for text in ["", "k", "999", "1m", "10MB", "-5k", "18446744073709551615k"] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert!(number("0").is_err() && number("65").is_err() && number("3") == Ok(3));
    }
}
