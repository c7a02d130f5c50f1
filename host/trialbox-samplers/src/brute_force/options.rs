//! The options of an exhaustive search: the arguments of Optuna's `BruteForceSampler` that are values.

use crate::options::{Field, Options, as_bool};

/// Options of [`super::BruteForceSampler`], with the names and defaults of Optuna 5.0. Its `seed` is the
/// study's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BruteForceOptions {
    /// Whether what is RUNNING counts as untried, so that the search goes on until everything has ended. It
    /// costs trials that are run twice.
    pub avoid_premature_stop: bool,
}

impl Options for BruteForceOptions {
    const FIELDS: &'static [Field<Self>] = &[Field {
        name: "avoid_premature_stop",
        get: |options| options.avoid_premature_stop.into(),
        set: |options, value| as_bool(value).map(|is| options.avoid_premature_stop = is),
    }];
}
