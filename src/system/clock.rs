//! The kernel clock, as `adjtimex(2)` tells it.

use std::io;
use std::time::Duration;

use super::kernel::{self, ClockReading};

/// Where the state of the clock comes from: the kernel, or a test, since the real clock is the whole machine's.
pub trait Clock {
    /// The state now.
    fn state(&self) -> io::Result<ClockState>;
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelClock;

impl Clock for KernelClock {
    fn state(&self) -> io::Result<ClockState> {
        kernel::clock_state().map(ClockState::from)
    }
}

/// How good the clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// Whether a time daemon keeps the clock. The kernel drops this only when `max_error` has grown to 16 s: about nine hours after the
    /// daemon went away.
    pub synchronised: bool,
    /// How much the time daemon believes the clock to be wrong.
    pub estimated_error: Duration,
    /// The most that the clock can be wrong; grows by half a millisecond a second until the daemon sets it again.
    pub max_error: Duration,
    /// The size of the correction that is still under way.
    pub offset: Duration,
}

impl From<ClockReading> for ClockState {
    fn from(reading: ClockReading) -> Self {
        // The kernel keeps these at zero or more; a negative value would mean nothing.
        let micros = |value: i64| Duration::from_micros(value.try_into().unwrap_or(0));
        Self {
            // Both, as ntp_gettime(2) has it: the state is also TIME_ERROR for a lost pulse-per-second signal.
            synchronised: reading.state != kernel::TIME_ERROR && reading.status & kernel::STA_UNSYNC == 0,
            estimated_error: micros(reading.esterror_us),
            max_error: micros(reading.maxerror_us),
            offset: Duration::from_nanos(reading.offset_ns.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNCHRONISED: ClockReading = ClockReading { state: 0, status: 0x2001, offset_ns: -1500, maxerror_us: 6, esterror_us: 2 };

    #[test]
    fn a_kept_clock() {
        let state = ClockState::from(SYNCHRONISED);
        assert!(state.synchronised);
        assert_eq!(state.offset, Duration::from_nanos(1500));
        assert_eq!(state.max_error, Duration::from_micros(6));
        assert_eq!(state.estimated_error, Duration::from_micros(2));
    }

    #[test]
    fn a_clock_that_nobody_keeps() {
        let status = ClockReading { status: kernel::STA_UNSYNC, maxerror_us: 16_000_000, ..SYNCHRONISED };
        assert!(!ClockState::from(status).synchronised);
        assert_eq!(ClockState::from(status).max_error, Duration::from_secs(16));
        assert!(!ClockState::from(ClockReading { state: kernel::TIME_ERROR, ..SYNCHRONISED }).synchronised);
    }

    #[test]
    fn the_kernel_answers() {
        KernelClock.state().unwrap();
    }
}
