//! No pruning: [`NopPruner`] is part of the seam, so that a trial outside of a study needs no pruner.

use crate::config::Configured;
use crate::options::{Field, Options};
use trialbox_core::seam::pruner::{NopPruner, Pruner};

/// No options.
#[derive(Debug, Clone, Default)]
pub(super) struct NopOptions;

impl Options for NopOptions {
    const FIELDS: &'static [Field<Self>] = &[];
}

impl Configured<dyn Pruner> for NopOptions {
    const NAME: &'static str = "nop";
    const ALIASES: &'static [&'static str] = &["none"];
    const OPTUNA: &'static str = "NopPruner";
    const SUMMARY: &'static str = "stops nothing";

    fn build(&self) -> Box<dyn Pruner> {
        Box::new(NopPruner)
    }
}
