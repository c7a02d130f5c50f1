//! Pruners: pure functions of the study's history and of what the running trial reported.
//!
//! Each decides as Optuna 5.0's of the same name. Optuna's objects keep what they once found out of the history,
//! such as a resource that is determined automatically; here, it follows from the history of each call.

mod hyperband;
mod median;
mod nop;
mod patient;
mod percentile;
mod reports;
mod successive_halving;
mod threshold;
mod wilcoxon;

pub use hyperband::{HyperbandOptions, HyperbandPruner};
pub use median::{MedianOptions, MedianPruner};
pub use patient::{PatientOptions, PatientPruner};
pub use percentile::{PercentileOptions, PercentilePruner};
pub use successive_halving::{SuccessiveHalvingOptions, SuccessiveHalvingPruner};
pub use threshold::{ThresholdOptions, ThresholdPruner};
pub use wilcoxon::{WilcoxonOptions, WilcoxonPruner};

use crate::config::{Config, Entry, Kind};
use trialbox_core::seam::pruner::Pruner;

/// A pruner with its options.
pub type PrunerConfig = Config<dyn Pruner>;

impl Kind for dyn Pruner {
    const WORD: &'static str = "pruner";
    const LIST: &'static [Entry<dyn Pruner>] = &[
        Entry::of::<MedianOptions>(),
        Entry::of::<PercentileOptions>(),
        Entry::of::<SuccessiveHalvingOptions>(),
        Entry::of::<HyperbandOptions>(),
        Entry::of::<ThresholdOptions>(),
        Entry::of::<PatientOptions>(),
        Entry::of::<WilcoxonOptions>(),
        Entry::of::<nop::NopOptions>(),
    ];
}
