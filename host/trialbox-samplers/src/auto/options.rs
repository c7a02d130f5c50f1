//! The options of the sampler that chooses.

use crate::options::{Field, Options};

/// Options of [`super::AutoSampler`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AutoOptions {
    /// The number of trials that the study is going to have; `None` if that is not known. A fifth of them at most are
    /// spent on even points.
    pub n_trials: Option<usize>,
}

impl Options for AutoOptions {
    const FIELDS: &'static [Field<Self>] =
        &[Field::count_or_auto("n_trials", 1, |it| &mut it.n_trials)];
}
