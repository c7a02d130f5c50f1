//! The limits that the guest process enforces, and the use of them by a trial.

use crate::guest::link::Link;
use crate::wire::protocol::{FromGuest, GuestLimits};
use trialbox_core::study::limits::{Limit, LimitHit};

/// The error of a guest that reached a limit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LimitReached(pub(crate) LimitHit);

impl LimitReached {
    pub(crate) fn new(limit: Limit, allowed: u64, used: u64) -> Self {
        LimitReached(LimitHit { limit, allowed, used: Some(used) })
    }
}

/// A counter for the memory of a store over all its memories. It refuses growth beyond the limits.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: GuestLimits,
    memory_bytes: u64,
    peak_memory_bytes: u64,
    /// The link for the peak, and the last peak that was sent. A guest that is killed cannot send it at its end.
    peak_link: Option<(Link, u64)>,
}

/// The least growth of the peak that is sent: many allocators grow by one page at a time.
const MIN_PEAK_STEP: u64 = 1 << 20;

impl Meter {
    /// Creates a counter. It sends the peak to `link`, if there is one.
    pub(crate) fn new(limits: GuestLimits, link: Option<Link>) -> Self {
        let peak_link = link.map(|link| (link, 0));
        Meter { limits, memory_bytes: 0, peak_memory_bytes: 0, peak_link }
    }

    /// Returns the largest memory so far, in bytes.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        self.peak_memory_bytes
    }

    fn note_peak(&mut self) -> wasmtime::Result<()> {
        self.peak_memory_bytes = self.peak_memory_bytes.max(self.memory_bytes);
        let peak_memory_bytes = self.peak_memory_bytes;
        match &mut self.peak_link {
            Some((link, sent)) if peak_memory_bytes > *sent + (*sent / 8).max(MIN_PEAK_STEP) => {
                *sent = peak_memory_bytes;
                link.send_soon(&FromGuest::PeakMemory { peak_memory_bytes })
            }
            _ => Ok(()),
        }
    }
}

impl wasmtime::ResourceLimiter for Meter {
    /// Fails beyond the limit. With `Ok(false)`, allocators would abort with a poor message.
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
