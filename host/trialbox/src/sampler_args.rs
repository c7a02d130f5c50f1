//! The flags that say what proposes parameters.

use crate::error::CommandError;
use trialbox_samplers::SamplerConfig;

/// Which sampler, with which options.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SamplerArgs {
    /// What proposes parameters; remembered by the study [default: tpe]
    #[arg(long, value_name = "NAME", value_parser = SamplerConfig::parse)]
    sampler: Option<SamplerConfig>,

    /// An option of the sampler, named as in Optuna, such as n_startup_trials=20; can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    sampler_opt: Vec<String>,
}

impl SamplerArgs {
    /// The sampler, if the flags say anything of it. Options alone are those of the default one.
    pub(crate) fn config(&self) -> Result<Option<SamplerConfig>, CommandError> {
        if self.sampler_opt.is_empty() {
            return Ok(self.sampler.clone());
        }
        let mut config = self.sampler.clone().unwrap_or_default();
        for option in &self.sampler_opt {
            config.set_option(option).map_err(|error| {
                CommandError::usage(error.to_string(), "give it as --sampler-opt NAME=VALUE")
            })?;
        }
        Ok(Some(config))
    }
}
