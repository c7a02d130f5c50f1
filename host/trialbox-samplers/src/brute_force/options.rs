//! The options of an exhaustive search: the arguments of Optuna's `BruteForceSampler` that are values.

use crate::options::{Field, Options};

/// Options of [`super::BruteForceSampler`], with the names and defaults of Optuna 5.0. Its `seed` is the
/// study's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BruteForceOptions {
    /// Whether what is RUNNING counts as untried, so that the search goes on until everything has ended. It
    /// costs trials that are run twice.
    pub avoid_premature_stop: bool,
}

impl Options for BruteForceOptions {
    const FIELDS: &'static [Field<Self>] =
        &[Field::flag("avoid_premature_stop", |it| &mut it.avoid_premature_stop)];
}
