//! What a guest may use, and the accounting of its memory.

use std::time::Duration;

/// What one trial, and getting it ready, may use. The defaults are meant never to be met by honest code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most memory that all memories of the guest may have together.
    pub max_memory_bytes: u64,
    /// How long one call of the objective may take; `None` for as long as it likes.
    pub trial_timeout: Option<Duration>,
    /// How long loading and compiling may take.
    pub compile_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_memory_bytes: 4 << 30,
            trial_timeout: None,
            compile_timeout: Duration::from_secs(300),
        }
    }
}

/// Counts the memory of a store over all its memories, and refuses what is too much.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    max_bytes: u64,
    used_bytes: u64,
    peak_bytes: u64,
}

/// A guest asked for more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("the guest asked for {asked} of memory in all; --max-memory allows {allowed}", asked = Bytes(*asked_bytes), allowed = Bytes(*max_bytes))]
pub(crate) struct MemoryLimitReached {
    asked_bytes: u64,
    max_bytes: u64,
}

/// A number of bytes as people read it.
struct Bytes(u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            bytes if bytes >= 10 << 20 => write!(f, "{} MiB", bytes.div_ceil(1 << 20)),
            bytes => write!(f, "{} KiB", bytes.div_ceil(1 << 10)),
        }
    }
}

/// Tables hold pointers for indirect calls; real programs have thousands of entries.
const MAX_TABLE_ELEMENTS: usize = 1 << 20;

impl MemoryMeter {
    pub(crate) fn new(max_bytes: u64) -> Self {
        MemoryMeter { max_bytes, used_bytes: 0, peak_bytes: 0 }
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }
}

impl wasmtime::ResourceLimiter for MemoryMeter {
    /// An error and not `false`: allocators abort with a poor message when growing fails.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let asked_bytes = self.used_bytes + (desired.saturating_sub(current)) as u64;
        if asked_bytes > self.max_bytes {
            return Err(MemoryLimitReached { asked_bytes, max_bytes: self.max_bytes }.into());
        }
        self.used_bytes = asked_bytes;
        self.peak_bytes = self.peak_bytes.max(asked_bytes);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}
