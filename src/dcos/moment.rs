//! A moment in UTC, as receipts and journals write it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second that RFC 3339 can write, that of the year 9999.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Writes a time as RFC 3339 in UTC with seconds, for example `2026-11-22T16:03:59Z`. A clock that
/// is outside of 1970 to 9999 is shown as the nearer of the two.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_what_date_prints() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_363_439, "2026-11-22T16:03:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn moment_of_a_wrong_clock_is_the_nearest_that_can_be_written() {
        let second = Duration::from_secs(1);
        assert_eq!(rfc3339(UNIX_EPOCH - second), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(UNIX_EPOCH + LAST + second), "9999-12-31T23:59:59Z");
    }
}
