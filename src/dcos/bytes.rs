//! Amounts of bytes for people: decimal units, as DC/OS' documents and disks count.

use std::fmt;

/// The units, largest first.
const UNITS: [(u64, &str); 4] =
    [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];

/// Bytes, shown as `512 bytes`, `2.4 kB`, `31 MB` or `33.5 GB`. What does not fit is cut off, so
/// that never more is shown than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| self.0 >= *unit) else {
            return write!(f, "{} {}", self.0, if self.0 == 1 { "byte" } else { "bytes" });
        };
        let tenths = self.0 / (unit / 10);
        // Whole numbers are exact enough for what is not a file system or a memory.
        if tenths.is_multiple_of(10) || (tenths >= 100 && unit < 1_000_000_000) {
            write!(f, "{} {name}", tenths / 10)
        } else {
            write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_decimal_units_and_are_cut_off() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1 kB"),
            (2450, "2.4 kB"),
            (65_536, "65 kB"),
            (999_999, "999 kB"),
            (3_145_728, "3.1 MB"),
            (512_000_000, "512 MB"),
            (33_550_000_000, "33.5 GB"),
            (1_000_000_000_000, "1 TB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
    }
}
