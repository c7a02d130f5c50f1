//! The state of one instance of the interpreter.

use crate::guest::counting_clock::{CountingClock, fix_clocks};
use crate::guest::host_state::Rights;
use crate::guest::link::Link;
use crate::guest::meter::Meter;
use crate::wire::protocol::{GuestEnd, GuestLimits, TrialRequest};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trialbox_core::Json;
use wasmtime::{Caller, Error, Extern, Memory, Result};
use wasmtime_wasi::clocks::HostMonotonicClock;
use wasmtime_wasi::p1::WasiP1Ctx;

/// The path by which the interpreter finds its library.
const PROGRAM: &str = "/usr/local/bin/python.wasm";

/// The monotonic clock's reading when an instance starts: later than any that a snapshot holds, so that no time that
/// passes is negative.
const CLOCK_START: Duration = Duration::from_secs(1 << 20);

/// The bytes that one function of WASI may copy. Python reads a file in one call, with a buffer of the file's size.
pub(crate) const WASI_COPY_BYTES: usize = 1 << 30;

/// The objective's file.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path in the guest.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The state of one instance.
pub(crate) struct PythonState {
    pub(crate) link: Link,
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) clock: CountingClock,
    pub(crate) meter: Meter,
    /// The running trial; `None` while the objective is described or a snapshot is made.
    pub(crate) trial: Option<TrialRequest>,
    pub(crate) limits: GuestLimits,
    pub(crate) source: Arc<Source>,
    /// The result of the trial, once the objective has sent it.
    pub(crate) end: Option<GuestEnd>,
    /// The description, once the interpreter has sent it.
    pub(crate) described: Option<Json>,
}

impl PythonState {
    pub(crate) fn new(
        link: &Link,
        trial: Option<TrialRequest>,
        source: &Arc<Source>,
        rights: &Rights,
    ) -> Result<Self> {
        // Snapshots and descriptions have a seed too, so that they are the same everywhere.
        let mut wasi = rights.wasi(link, Some(trial.map_or(0, |trial| trial.seed)))?;
        wasi.arg(PROGRAM);
        let clock = CountingClock::default();
        if rights.deterministic {
            if trial.is_some() {
                clock.advance(CLOCK_START.as_nanos() as u64);
            }
            fix_clocks(&mut wasi, &clock);
        } else {
            wasi.monotonic_clock(LateClock(Instant::now()));
        }
        Ok(PythonState {
            link: link.clone(),
            wasi: wasi.build_p1(),
            clock,
            meter: Meter::new(rights.limits, trial.map(|_| link.clone())),
            trial,
            limits: rights.limits,
            source: Arc::clone(source),
            end: None,
            described: None,
        })
    }
}

/// Returns the memory of the instance that calls a function of the host.
///
/// # Errors
/// Fails if the module exports none under its usual name.
pub(crate) fn memory_of(caller: &mut Caller<'_, PythonState>) -> Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(Error::msg("expected an export `memory`, found none")),
    }
}

/// The machine's clock, from a late start.
struct LateClock(Instant);

impl HostMonotonicClock for LateClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from((CLOCK_START + self.0.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}
