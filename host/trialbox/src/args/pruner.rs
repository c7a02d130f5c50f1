//! The flags that choose the pruner.

use crate::args::config::{chosen, help};
use crate::error::CommandError;
use trialbox_core::seam::pruner::Pruner;
use trialbox_samplers::PrunerConfig;

/// A pruner, with options.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PrunerArgs {
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PrunerConfig::parse,
        help = "Pruner, which stops unpromising trials",
        long_help = help::<dyn Pruner>("Pruner, which stops unpromising trials")
    )]
    pruner: Option<PrunerConfig>,

    /// Option of the pruner, such as n_startup_trials=3
    ///
    /// Named as in Optuna. May be repeated. [default: as in Optuna]
    #[arg(long, value_name = "NAME=VALUE")]
    pruner_opt: Vec<String>,
}

impl PrunerArgs {
    /// Returns the pruner that the flags choose, or `None` without such flags.
    pub(crate) fn config(&self) -> Result<Option<PrunerConfig>, CommandError> {
        chosen(self.pruner.as_ref(), &self.pruner_opt)
    }
}
