//! Amounts as they are typed.

use std::time::Duration;

/// The longest wait that can be typed, so that a slip of the finger does not wait for a year.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A duration such as `30s`, `15m` or `1h 30m`, at most a day.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| "it takes a number and a unit, for example 30s, 15m or 1h".to_owned())?;
    if duration > LONGEST {
        return Err("it takes a number and a unit, at most 24h".into());
    }
    Ok(duration)
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
    fn durations_have_units_and_a_bound() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs());
        assert_eq!(
            ["30s", "15m", "1h 30m", "24h"].map(seconds),
            [Ok(30), Ok(900), Ok(5400), Ok(86_400)]
        );
        for text in ["", "5", "m", "-5m", "25h", "2days", "18446744073709551615h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

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
