//! The options of an exhaustive search: the arguments of Optuna's `BruteForceSampler` that are values.

use crate::options::{Field, Options};

/// Options of [`super::BruteForceSampler`], with the names and defaults of Optuna 5.0. Its `seed` is the
/// study's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BruteForceOptions {
    /// True if what is RUNNING counts as untried, so that the search continues until every trial has finished.
    /// The price is trials that run twice.
    pub avoid_premature_stop: bool,
}

impl Options for BruteForceOptions {
    const FIELDS: &'static [Field<Self>] =
        &[Field::flag("avoid_premature_stop", |it| &mut it.avoid_premature_stop)];
}
