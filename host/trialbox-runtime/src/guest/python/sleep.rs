//! Sleeping in deterministic trials: the clock moves, and nothing waits.
//!
//! The layouts are those of WASI 0.1 (`typenames.witx`, `subscription` and `event`).

use crate::guest::python::state::{PythonState, memory_of};
use wasmtime::{Caller, Linker, Result};

const SUBSCRIPTION_BYTES: usize = 48;
const EVENT_BYTES: usize = 32;

/// The kind of a subscription that waits for a clock.
const CLOCK: u8 = 0;

/// The flag of a point in time, in place of a duration.
const IS_ABSOLUTE: u8 = 1;

/// `EINVAL` of WASI 0.1.
const INVALID: u32 = 28;

/// Replaces `poll_oneoff`, whose duration differs from run to run. The linker must already hold the functions of WASI.
pub(super) fn fix_sleep(linker: &mut Linker<PythonState>) -> Result<()> {
    linker.allow_shadowing(true);
    linker.func_wrap("wasi_snapshot_preview1", "poll_oneoff", poll)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Reports each subscription as ready. A clock moves to the time that was waited for.
fn poll(
    mut caller: Caller<'_, PythonState>,
    subscriptions: u32,
    events: u32,
    count: u32,
    n_events: u32,
) -> Result<u32> {
    let memory = memory_of(&mut caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let (mut from, mut to) = (subscriptions as usize, events as usize);
    let fits = |at: usize, each: usize| {
        at.checked_add(each.saturating_mul(count as usize)).is_some_and(|end| end <= bytes.len())
    };
    if count == 0 || !fits(from, SUBSCRIPTION_BYTES) || !fits(to, EVENT_BYTES) {
        return Ok(INVALID);
    }
    for _ in 0..count {
        let mut event = [0; EVENT_BYTES];
        let subscription = &bytes[from..from + SUBSCRIPTION_BYTES];
        event[..8].copy_from_slice(&subscription[..8]);
        let kind = subscription[8];
        event[10] = kind;
        if kind == CLOCK {
            let nanos =
                subscription[24..32].iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
            match subscription[40] & IS_ABSOLUTE {
                0 => state.clock.advance(nanos),
                _ => state.clock.advance_to(nanos),
            }
        }
        bytes[to..to + EVENT_BYTES].copy_from_slice(&event);
        (from, to) = (from + SUBSCRIPTION_BYTES, to + EVENT_BYTES);
    }
    memory.write(&mut caller, n_events as usize, &count.to_le_bytes())?;
    Ok(0)
}
