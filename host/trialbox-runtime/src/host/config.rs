//! The settings of a sandbox.

use crate::host::interrupt::Cancellation;
use crate::host::isolation::Isolation;
use crate::wire::protocol::{EngineSettings, Grant};
use std::path::PathBuf;
use trialbox_core::study::limits::{Limit, Limits};

/// How to run an objective.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The program that becomes the guest process when it is called with `__guest`: this one.
    pub program: PathBuf,
    /// Whether there is a guest process.
    pub isolation: Isolation,
    /// The directories for compiled code, the preferred one first; empty to save none.
    pub cache_dirs: Vec<PathBuf>,
    /// Directories that the guest may see.
    pub grants: Vec<Grant>,
    /// Environment variables that the guest gets.
    pub env: Vec<(String, String)>,
    /// Whether the same trial must give the same bits on every machine: fixed clocks, sorted directories, one NaN.
    pub deterministic: bool,
    /// What it may use.
    pub limits: Limits,
    /// What ends a trial early.
    pub stops: Cancellation,
}

impl SandboxConfig {
    pub(crate) fn engine(&self) -> EngineSettings {
        EngineSettings {
            deterministic: self.deterministic,
            metered: self.limits.get(Limit::Fuel).is_some(),
            interruptible: self.isolation == Isolation::Thread,
            stack_bytes: self.limits.get(Limit::Stack).unwrap_or(u64::MAX),
        }
    }
}
