//! The kernel clock, as `adjtimex(2)` tells it.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::kernel;

/// Where the state of the clock comes from: the kernel, or a test, since the real clock is the
/// whole machine's.
pub trait Clock {
    /// The state now.
    fn state(&self) -> io::Result<ClockState>;
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelClock;

impl Clock for KernelClock {
    fn state(&self) -> io::Result<ClockState> {
        ClockReading::now().map(ClockState::from)
    }
}

/// Processor time that this thread has used.
pub fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Now, in microseconds of the clock that nobody can set, from which systemd's timestamps come.
pub fn monotonic_micros() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .ok()
        .and_then(|now| {
            Some(
                u64::try_from(now.tv_sec()).ok()? * 1_000_000
                    + u64::try_from(now.tv_nsec()).ok()? / 1000,
            )
        })
        .unwrap_or_default()
}

/// How good the clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// The state is `TIME_ERROR`: the kernel takes the clock for bad. That is so with
    /// [`ClockState::unsynchronised`], and also after the loss of a pulse-per-second signal that a
    /// daemon counts on (`ntp_gettime(2)`).
    pub marked_bad: bool,
    /// `STA_UNSYNC` is set: no time daemon keeps the clock. The kernel sets it only when
    /// `max_error` has grown to 16 s: about nine hours after the daemon went away.
    pub unsynchronised: bool,
    /// How much the time daemon believes the clock to be wrong.
    pub estimated_error: Duration,
    /// The most that the clock can be wrong; grows by half a millisecond a second until the daemon
    /// sets it again.
    pub max_error: Duration,
    /// The size of the correction that is still under way.
    pub offset: Duration,
}

/// What `adjtimex(2)` reports, with its units made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ClockReading {
    /// The return value: 0 is a good clock, 1 to 4 are about leap seconds, 5 is `TIME_ERROR`.
    state: i32,
    /// `STA_*` bits, such as `STA_UNSYNC`.
    status: i32,
    /// What is still to be corrected, in nanoseconds; negative when the clock is ahead.
    offset_ns: i64,
    /// The most that the clock can be wrong, in microseconds; the kernel raises it by 500 a second
    /// until a daemon sets it.
    maxerror_us: i64,
    /// How much the time daemon believes the clock to be wrong, in microseconds.
    esterror_us: i64,
}

impl ClockReading {
    fn now() -> io::Result<Self> {
        let (state, timex) = kernel::adjtimex()?;
        // The fields are C longs, which are narrower than i64 on 32-bit targets only.
        #[allow(clippy::useless_conversion)]
        let (offset, maxerror_us, esterror_us) =
            (i64::from(timex.offset), i64::from(timex.maxerror), i64::from(timex.esterror));
        let offset_ns =
            if timex.status & libc::STA_NANO == 0 { offset.saturating_mul(1000) } else { offset };
        Ok(Self { state, status: timex.status, offset_ns, maxerror_us, esterror_us })
    }
}

impl From<ClockReading> for ClockState {
    fn from(reading: ClockReading) -> Self {
        // The kernel keeps these at zero or more; a negative value would mean nothing.
        let micros = |value: i64| Duration::from_micros(value.try_into().unwrap_or(0));
        Self {
            marked_bad: reading.state == libc::TIME_ERROR,
            unsynchronised: reading.status & libc::STA_UNSYNC != 0,
            estimated_error: micros(reading.esterror_us),
            max_error: micros(reading.maxerror_us),
            offset: Duration::from_nanos(reading.offset_ns.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNCHRONISED: ClockReading =
        ClockReading { state: 0, status: 0x2001, offset_ns: -1500, maxerror_us: 6, esterror_us: 2 };

    #[test]
    fn synchronised_clock_is_recognised() {
        let state = ClockState::from(SYNCHRONISED);
        assert!(!state.marked_bad && !state.unsynchronised);
        assert_eq!(state.offset, Duration::from_nanos(1500));
        assert_eq!(state.max_error, Duration::from_micros(6));
        assert_eq!(state.estimated_error, Duration::from_micros(2));
    }

    #[test]
    fn unsynchronised_clock_is_recognised() {
        let status = ClockState::from(ClockReading {
            status: libc::STA_UNSYNC,
            maxerror_us: 16_000_000,
            ..SYNCHRONISED
        });
        assert!(status.unsynchronised && !status.marked_bad);
        assert_eq!(status.max_error, Duration::from_secs(16));
        let state = ClockState::from(ClockReading { state: libc::TIME_ERROR, ..SYNCHRONISED });
        assert!(state.marked_bad && !state.unsynchronised);
    }

    #[test]
    fn a_leap_second_is_no_error() {
        assert!(
            (1..=4)
                .all(|state| !ClockState::from(ClockReading { state, ..SYNCHRONISED }).marked_bad)
        );
    }

    #[test]
    fn kernel_clock_state_can_be_read() {
        let reading = ClockReading::now().unwrap();
        assert!((0..=libc::TIME_ERROR).contains(&reading.state), "{reading:?}");
        assert!(reading.maxerror_us >= 0, "{reading:?}");
        KernelClock.state().unwrap();
    }
}
