use super::*;

#[test]
fn node_is_overdue_counting_from_install_and_boot() {
    let (begun, minutes) =
        (Some("2026-11-22T16:03:59Z"), |minutes: u64| Duration::from_secs(minutes * 60));
    assert!(
        is_overdue(begun, "2026-11-22T16:04:00Z", minutes(21))
            && is_overdue(None, "2026-11-22T16:04:00Z", minutes(21))
    );
    assert!(
        !is_overdue(begun, "2026-11-22T16:03:58Z", minutes(21))
            && !is_overdue(begun, "2026-11-22T16:04:00Z", minutes(19))
    );
}
