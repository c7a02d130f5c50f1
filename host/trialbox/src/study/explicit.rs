//! The settings that a command line gives explicitly, as the study takes them.

use std::time::Duration;
use trialbox_core::Json;
use trialbox_core::study::constraint::ConstraintFormat;
use trialbox_samplers::{PrunerConfig, SamplerConfig};

/// The explicit values of a command; `None` for a flag that was not given.
///
/// A bound is held as the study remembers it, because `none` is a value too: it lifts the bound and is stored as null.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExplicitSettings {
    pub(crate) seed: Option<u64>,
    pub(crate) sampler: Option<SamplerConfig>,
    pub(crate) pruner: Option<PrunerConfig>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) constraint_format: Option<ConstraintFormat>,
    pub(crate) max_trials: Option<Json>,
    pub(crate) stop_when_value: Option<Json>,
    pub(crate) patience: Option<Json>,
    /// The values about the sandbox, which `run` alone takes.
    pub(crate) sandbox: ExplicitSandbox,
}

/// The explicit values about the sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExplicitSandbox {
    pub(crate) max_memory_bytes: Option<u64>,
    pub(crate) trial_timeout: Option<Duration>,
    /// The limits by name, and the fuel.
    pub(crate) limits: Option<Json>,
    pub(crate) deterministic: bool,
}
