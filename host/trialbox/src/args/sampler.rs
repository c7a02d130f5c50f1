//! The flags that say what proposes parameters.

use crate::args::config::chosen;
use crate::error::CommandError;
use trialbox_samplers::SamplerConfig;

/// Which sampler, with which options.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SamplerArgs {
    /// What proposes parameters: tpe, random, qmc, grid or brute-force; remembered by the study [default: tpe]
    #[arg(long, value_name = "NAME", value_parser = SamplerConfig::parse)]
    sampler: Option<SamplerConfig>,

    /// An option of the sampler, named as in Optuna, such as n_startup_trials=20; can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    sampler_opt: Vec<String>,
}

impl SamplerArgs {
    /// The sampler, if the flags say anything of it.
    pub(crate) fn config(&self) -> Result<Option<SamplerConfig>, CommandError> {
        chosen(
            self.sampler.as_ref(),
            &self.sampler_opt,
            SamplerConfig::set_option,
            SamplerConfig::check_complete,
            "--sampler-opt",
        )
    }
}
