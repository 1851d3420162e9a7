//! The clock of tests that are not about clocks.

use std::io;
use std::time::Duration;

use dcos_node::system::clock::{Clock, ClockState};

/// A clock that is kept by a time daemon, whatever that of this machine is.
pub(crate) struct GoodClock;

impl Clock for GoodClock {
    fn state(&self) -> io::Result<ClockState> {
        let exact = Duration::from_millis(1);
        Ok(ClockState {
            marked_bad: false,
            unsynchronised: false,
            estimated_error: exact,
            max_error: exact,
            offset: exact,
        })
    }
}
