//! The options of the Gaussian process sampler.

use crate::options::{Field, Options};

/// Options of [`super::GpSampler`], with the names of Optuna's `GPSampler` where it has them.
#[derive(Debug, Clone, PartialEq)]
pub struct GpOptions {
    /// The number of COMPLETE or PRUNED trials before the first model.
    pub n_startup_trials: usize,
}

impl Default for GpOptions {
    fn default() -> Self {
        GpOptions { n_startup_trials: 10 }
    }
}

impl Options for GpOptions {
    const FIELDS: &'static [Field<Self>] =
        &[Field::count("n_startup_trials", 1, |it| &mut it.n_startup_trials)];
}
