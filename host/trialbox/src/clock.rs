//! The system's clocks: the only place that reads them for trials.

use std::time::{Duration, Instant};
use trialbox_core::{Clock, UtcDateTime};

/// The clocks of this machine.
#[derive(Debug)]
pub(crate) struct SystemClock {
    started: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> Self {
        SystemClock { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn utc_now(&self) -> UtcDateTime {
        let now = jiff::Timestamp::now();
        jiff::tz::Offset::UTC.to_datetime(now)
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
