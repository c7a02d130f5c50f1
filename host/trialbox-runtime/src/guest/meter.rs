//! The limits that the guest process enforces, and the use of them by a trial.
//!
//! One account holds the memory of a store: its memories, its tables and the listings of its open directories. What the
//! process needs beyond that is bounded by the kernel, see `limit_memory` of the lockdown.

use crate::guest::link::Link;
use crate::wire::protocol::{FromGuest, GuestLimits};
use rustix::io::Errno;
use std::io;
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

/// Returns whether the system refused memory, because of a limit on the process or because the machine has no more.
pub(crate) fn is_out_of_memory(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<wasmtime::OutOfMemory>()
            || cause.downcast_ref() == Some(&Errno::NOMEM)
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.raw_os_error() == Some(libc::ENOMEM))
    })
}

/// The account of a store's memory. It refuses growth beyond the limits.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: GuestLimits,
    memory_bytes: u64,
    peak_memory_bytes: u64,
    /// The link for the peak, and the last peak that was sent. A guest that is killed cannot send it at its end.
    peak_link: Option<(Link, u64)>,
}

/// The memory of a table's element: a pointer, in a vector of wasmtime's that doubles when it is full.
const TABLE_ELEMENT_BYTES: u64 = 16;

/// The least growth of the peak that is sent: many allocators grow by one page at a time.
const MIN_PEAK_STEP: u64 = 1 << 20;

impl Meter {
    /// Creates an account. It sends the peak to `link`, if there is one.
    pub(crate) fn new(limits: GuestLimits, link: Option<Link>) -> Self {
        let peak_link = link.map(|link| (link, 0));
        Meter { limits, memory_bytes: 0, peak_memory_bytes: 0, peak_link }
    }

    /// Returns the largest memory so far, in bytes.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        self.peak_memory_bytes
    }

    /// Adds memory to the account.
    ///
    /// # Errors
    /// Fails beyond the limit.
    pub(crate) fn charge(&mut self, bytes: u64) -> wasmtime::Result<()> {
        let asked = self.memory_bytes.saturating_add(bytes);
        if asked > self.limits.memory_bytes {
            return Err(LimitReached::new(Limit::Memory, self.limits.memory_bytes, asked).into());
        }
        self.memory_bytes = asked;
        self.note_peak()
    }

    /// Takes memory that was given back off the account.
    pub(crate) fn give_back(&mut self, bytes: u64) {
        self.memory_bytes = self.memory_bytes.saturating_sub(bytes);
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
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.charge((desired.saturating_sub(current)) as u64)?;
        Ok(true)
    }

    /// Fails if the system refuses the memory. A guest that declares a maximum is told that it has reached it.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if is_out_of_memory(&error) { Err(error) } else { Ok(()) }
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let (allowed, asked) = (self.limits.table_elements, desired as u64);
        if asked > allowed {
            return Err(LimitReached::new(Limit::TableElements, allowed, asked).into());
        }
        let grown = (desired.saturating_sub(current)) as u64;
        self.charge(grown.saturating_mul(TABLE_ELEMENT_BYTES))?;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_grow_failed(error)
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
