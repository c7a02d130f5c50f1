//! A clock for `--deterministic`, the same in every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

/// How far the clocks go with each look at one: a guest that waits for time to pass does not wait for ever. Who sleeps
/// finds that as much time has passed, and has not slept.
const TICK: Duration = Duration::from_millis(1);

/// What the wall clock begins with: 2000-01-01 00:00 UTC. Programs that take their clock for unset refuse 1970.
const EPOCH: Duration = Duration::from_secs(946_684_800);

/// A clock that counts the looks at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CountingClock(Arc<AtomicU64>);

impl CountingClock {
    /// The time since the trial began, and goes on.
    fn look(&self) -> Duration {
        Duration::from_nanos(self.0.fetch_add(TICK.as_nanos() as u64, Ordering::Relaxed))
    }

    pub(crate) fn advance(&self, nanos: u64) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            Some(now.saturating_add(nanos))
        });
    }

    pub(crate) fn advance_to(&self, nanos: u64) {
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }
}

impl HostWallClock for CountingClock {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        EPOCH + self.look()
    }
}

impl HostMonotonicClock for CountingClock {
    fn resolution(&self) -> u64 {
        TICK.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.look().as_nanos() as u64
    }
}

/// Gives a guest clocks that are the same in every run.
pub(crate) fn fix_clocks(wasi: &mut WasiCtxBuilder, clock: &CountingClock) {
    wasi.wall_clock(clock.clone()).monotonic_clock(clock.clone());
}
