//! The flags that say which trials stop early.

use crate::args::config::chosen;
use crate::error::CommandError;
use trialbox_samplers::PrunerConfig;

/// Which pruner, with which options.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PrunerArgs {
    /// What stops trials that are not worth going on with: median, percentile, successive-halving (or asha),
    /// hyperband, threshold, patient, wilcoxon or nop; remembered by the study [default: median]
    #[arg(long, value_name = "NAME", value_parser = PrunerConfig::parse)]
    pruner: Option<PrunerConfig>,

    /// An option of the pruner, named as in Optuna, such as n_startup_trials=3; can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pruner_opt: Vec<String>,
}

impl PrunerArgs {
    /// The pruner, if the flags say anything of it.
    pub(crate) fn config(&self) -> Result<Option<PrunerConfig>, CommandError> {
        chosen(
            self.pruner.as_ref(),
            &self.pruner_opt,
            PrunerConfig::set_option,
            PrunerConfig::check_complete,
            "--pruner-opt",
        )
    }
}
