//! The flags that say what proposes parameters.

use crate::error::CommandError;
use trialbox_samplers::{ConfigError, SamplerConfig};

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
        if self.sampler.is_none() && self.sampler_opt.is_empty() {
            return Ok(None);
        }
        let usage = |error: ConfigError| {
            CommandError::usage(error.to_string(), "give options as --sampler-opt NAME=VALUE")
        };
        let mut config = self.sampler.clone().unwrap_or_default();
        self.sampler_opt.iter().try_for_each(|option| config.set_option(option)).map_err(usage)?;
        config.check_complete().map_err(usage)?;
        Ok(Some(config))
    }
}
