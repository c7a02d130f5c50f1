//! The options of quasi-random sampling: the arguments of Optuna's `QMCSampler` that are values.

use crate::options::{Field, Options};
use trialbox_core::Json;

/// Options of [`super::QmcSampler`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QmcOptions {
    /// The sequence.
    pub qmc_type: QmcType,
    /// True if the points are moved at random, in the same way for all trials of a study.
    pub scramble: bool,
    /// The seed of scrambling; `None` takes the study's.
    pub seed: Option<u64>,
}

/// A sequence that fills the unit cube evenly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QmcType {
    /// Sobol's.
    #[default]
    Sobol,
    /// Halton's.
    Halton,
}

impl QmcType {
    /// Returns Optuna's word.
    pub fn as_str(self) -> &'static str {
        match self {
            QmcType::Sobol => "sobol",
            QmcType::Halton => "halton",
        }
    }
}

impl Options for QmcOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::custom(
            "qmc_type",
            |it| Json::from(it.qmc_type.as_str()),
            |it, value| {
                it.qmc_type = match value.as_str() {
                    Some("sobol") => QmcType::Sobol,
                    Some("halton") => QmcType::Halton,
                    _ => return Err("sobol or halton".into()),
                };
                Ok(())
            },
        ),
        Field::flag("scramble", |it| &mut it.scramble),
        Field::custom(
            "seed",
            |it| it.seed.map_or(Json::Null, Json::from),
            |it, value| {
                it.seed = match value {
                    Json::Null => None,
                    Json::Int(seed) if *seed >= 0 => Some(seed.unsigned_abs()),
                    _ => return Err("a whole number of at least 0, or null".into()),
                };
                Ok(())
            },
        ),
    ];
}
