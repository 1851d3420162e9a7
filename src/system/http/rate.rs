//! How fast bytes may come, and how slowly.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What may come at once after a pause, in time.
const BURST: Duration = Duration::from_millis(100);

/// A rate that all downloads of a process have together.
#[derive(Debug)]
pub(super) struct Limit {
    bytes_per_second: u64,
    /// Until when what came so far takes at this rate.
    paid_until: Mutex<Option<Instant>>,
}

impl Limit {
    /// So many bytes a second, at least one.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), paid_until: Mutex::new(None) }
    }

    /// Waits for so long as these bytes take. While a body is not asked for more, its server sends
    /// no more.
    pub async fn pay(&self, bytes: usize) {
        let pause = self.pause(bytes, Instant::now());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    fn pause(&self, bytes: usize, now: Instant) -> Duration {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid_until.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
        let until = from + takes;
        *paid_until = Some(until);
        until.saturating_duration_since(now)
    }
}

/// The least that a server may send: slower than this is as good as nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowest {
    /// So many bytes a second...
    pub bytes_per_second: u64,
    /// ...on average over so long. Only the time in which we wait for the server counts.
    pub over: Duration,
}

/// The slowest link that a node may have, in bytes a second.
const SLOWEST_LINK: u64 = 64_000;
/// Downloads do not share a link evenly: the least of one is this part of its even share.
const UNEVEN: u64 = 4;

impl Slowest {
    /// The least of one of so many downloads that share the slowest link, or an operator's limit
    /// if that is lower.
    pub fn of_share(limit: Option<u64>, downloads: usize) -> Slowest {
        let together = limit.unwrap_or(u64::MAX).min(SLOWEST_LINK);
        let downloads = u64::try_from(downloads).unwrap_or(u64::MAX).max(1);
        let bytes_per_second = (together / downloads / UNEVEN).max(1);
        Slowest { bytes_per_second, over: Duration::from_secs(60) }
    }
}

/// Watches one body.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Watch {
    waited: Duration,
    bytes: u64,
}

impl Watch {
    /// Adds what came after a wait. Once the time is over: whether it was fast enough.
    pub fn add(&mut self, waited: Duration, bytes: usize, slowest: Slowest) -> Option<bool> {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < slowest.over {
            return None;
        }
        let fast = self.bytes as f64 >= slowest.bytes_per_second as f64 * self.waited.as_secs_f64();
        *self = Self::default();
        Some(fast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limit_delays_bytes_and_a_pause_gives_little_credit() {
        let limit = Limit::new(1000);
        let start = Instant::now();
        assert_eq!(limit.pause(1000, start), Duration::from_secs(1));
        assert_eq!(limit.pause(500, start), Duration::from_millis(1500));
        assert_eq!(limit.pause(1000, start + Duration::from_secs(60)), Duration::from_millis(900));
    }

    #[test]
    fn minimum_rate_is_a_part_of_the_share_of_a_download() {
        for (limit, downloads, least) in [
            (None, 1, 16_000),
            (None, 8, 2000),
            (Some(1 << 30), 4, 4000),
            (Some(8000), 4, 500),
            (Some(10), 8, 1),
            (None, 0, 16_000),
        ] {
            let slowest = Slowest::of_share(limit, downloads);
            assert_eq!(slowest.bytes_per_second, least, "{limit:?} {downloads}");
        }
    }

    #[test]
    fn minimum_rate_is_judged_over_a_whole_span() {
        let slowest = Slowest { bytes_per_second: 100, over: Duration::from_secs(2) };
        let mut watch = Watch::default();
        assert_eq!(watch.add(Duration::from_secs(1), 0, slowest), None);
        assert_eq!(watch.add(Duration::from_secs(1), 199, slowest), Some(false));
        assert_eq!(watch.add(Duration::from_secs(2), 200, slowest), Some(true));
        assert_eq!(watch.add(Duration::from_millis(1999), 0, slowest), None);
    }
}
