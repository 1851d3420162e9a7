use super::text::LONGEST_TEXT;
use super::*;

#[test]
fn foreign_text_is_cut_to_one_short_line() {
    assert_eq!(brief("a\u{1b}[31m\nb"), "a [31m b");
    assert_eq!(brief(&"x".repeat(1 << 20)).len(), LONGEST_TEXT + 3);
}

#[test]
fn a_clock_is_ahead_or_behind() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    assert_eq!(
        [990, 1000, 1007].map(|s| skew(SystemTime::UNIX_EPOCH + Duration::from_secs(s), now)),
        [-10, 0, 7]
    );
}
