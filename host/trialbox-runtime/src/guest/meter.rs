//! The limits that the guest process enforces itself, and what a trial has used of them.

use crate::guest::link::Link;
use crate::wire::protocol::{FromGuest, GuestLimits};
use trialbox_core::study::limits::{Limit, LimitHit};

/// A guest met a limit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LimitReached(pub(crate) LimitHit);

impl LimitReached {
    pub(crate) fn new(limit: Limit, allowed: u64, used: u64) -> Self {
        LimitReached(LimitHit { limit, allowed, used: Some(used) })
    }
}

/// Counts the memory of a store over all its memories, and refuses what is too much.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: GuestLimits,
    memory_bytes: u64,
    peak_memory_bytes: u64,
    /// Whom to tell of the peak, and what was told last: a guest that is killed cannot say it any more.
    teller: Option<(Link, u64)>,
}

/// A peak is told when it is this much above the last that was: many allocators grow by a page at a time.
const TELLING_BYTES: u64 = 1 << 20;

impl Meter {
    /// `link` leads to whoever keeps the peak, if somebody does.
    pub(crate) fn new(limits: GuestLimits, link: Option<Link>) -> Self {
        let teller = link.map(|link| (link, 0));
        Meter { limits, memory_bytes: 0, peak_memory_bytes: 0, teller }
    }

    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        self.peak_memory_bytes
    }

    fn note_peak(&mut self) -> wasmtime::Result<()> {
        self.peak_memory_bytes = self.peak_memory_bytes.max(self.memory_bytes);
        let peak_memory_bytes = self.peak_memory_bytes;
        match &mut self.teller {
            Some((link, told)) if peak_memory_bytes > *told + (*told / 8).max(TELLING_BYTES) => {
                *told = peak_memory_bytes;
                link.send_soon(&FromGuest::PeakMemory { peak_memory_bytes })
            }
            _ => Ok(()),
        }
    }
}

impl wasmtime::ResourceLimiter for Meter {
    /// An error and not `false`: allocators abort with a poor message when growing fails.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let asked = self.memory_bytes + (desired.saturating_sub(current)) as u64;
        if asked > self.limits.memory_bytes {
            return Err(LimitReached::new(Limit::Memory, self.limits.memory_bytes, asked).into());
        }
        self.memory_bytes = asked;
        self.note_peak()?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let (allowed, asked) = (self.limits.table_elements, desired as u64);
        if asked > allowed {
            return Err(LimitReached::new(Limit::TableElements, allowed, asked).into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        usize::try_from(self.limits.instances).unwrap_or(usize::MAX)
    }

    fn tables(&self) -> usize {
        self.instances()
    }

    fn memories(&self) -> usize {
        usize::try_from(self.limits.memories).unwrap_or(usize::MAX)
    }
}
