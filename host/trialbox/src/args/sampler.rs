//! The flags that choose the sampler.

use crate::args::config::{chosen, help};
use crate::error::CommandError;
use trialbox_core::Sampler;
use trialbox_samplers::SamplerConfig;

/// A sampler, with options.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SamplerArgs {
    #[arg(
        long,
        value_name = "NAME",
        value_parser = SamplerConfig::parse,
        help = "Sampler, which suggests parameters",
        long_help = help::<dyn Sampler>("Sampler")
    )]
    sampler: Option<SamplerConfig>,

    /// Option of the sampler, such as n_startup_trials=20
    ///
    /// Named as in Optuna. May be repeated. [default: as in Optuna]
    #[arg(long, value_name = "NAME=VALUE")]
    sampler_opt: Vec<String>,
}

impl SamplerArgs {
    /// Returns the sampler that the flags choose, or `None` without such flags.
    pub(crate) fn config(&self) -> Result<Option<SamplerConfig>, CommandError> {
        chosen(self.sampler.as_ref(), &self.sampler_opt)
    }
}
