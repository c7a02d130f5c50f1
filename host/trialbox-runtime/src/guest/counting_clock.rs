//! The clock of deterministic trials, the same in every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

/// The step of the clocks at each reading, so that a guest that waits for time to pass does not wait for ever. A guest
/// that sleeps finds that the time has passed, and has not slept.
const TICK: Duration = Duration::from_millis(1);

/// The start of the wall clock: 2000-01-01 00:00 UTC. Some programs take 1970 for a clock that is not set.
const EPOCH: Duration = Duration::from_secs(946_684_800);

/// A clock that counts its readings.
#[derive(Debug, Clone, Default)]
pub(crate) struct CountingClock(Arc<AtomicU64>);

impl CountingClock {
    /// Returns the time since the start of the trial, and moves the clock by one step.
    fn read(&self) -> Duration {
        Duration::from_nanos(self.0.fetch_add(TICK.as_nanos() as u64, Ordering::Relaxed))
    }

    /// Moves the clock by a time.
    pub(crate) fn advance(&self, nanos: u64) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            Some(now.saturating_add(nanos))
        });
    }

    /// Moves the clock to a time, if it has not passed.
    pub(crate) fn advance_to(&self, nanos: u64) {
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }
}

impl HostWallClock for CountingClock {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        EPOCH + self.read()
    }
}

impl HostMonotonicClock for CountingClock {
    fn resolution(&self) -> u64 {
        TICK.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.read().as_nanos() as u64
    }
}

/// Gives a guest clocks that are the same in every run.
pub(crate) fn fix_clocks(wasi: &mut WasiCtxBuilder, clock: &CountingClock) {
    wasi.wall_clock(clock.clone()).monotonic_clock(clock.clone());
}
