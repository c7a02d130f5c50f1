//! The options of quasi-random sampling: the arguments of Optuna's `QMCSampler` that are values.

use crate::options::{Field, Options, as_bool};
use trialbox_core::Json;

/// Options of [`super::QmcSampler`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QmcOptions {
    /// Which sequence.
    pub qmc_type: QmcType,
    /// Whether the points are moved about at random, the same way for all trials of a study.
    pub scramble: bool,
    /// What scrambling is derived from; `None`: from the study's seed.
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
    /// Optuna's word.
    pub fn as_str(self) -> &'static str {
        match self {
            QmcType::Sobol => "sobol",
            QmcType::Halton => "halton",
        }
    }
}

impl Options for QmcOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "qmc_type",
            get: |options| options.qmc_type.as_str().into(),
            set: |options, value| {
                let known = [QmcType::Sobol, QmcType::Halton];
                let found = known.into_iter().find(|known| value.as_str() == Some(known.as_str()));
                found.map(|found| options.qmc_type = found).ok_or("sobol or halton")
            },
        },
        Field {
            name: "scramble",
            get: |options| options.scramble.into(),
            set: |options, value| as_bool(value).map(|is| options.scramble = is),
        },
        Field {
            name: "seed",
            get: |options| options.seed.map_or(Json::Null, Json::from),
            set: |options, value| {
                options.seed = match value {
                    Json::Null => None,
                    Json::Int(seed) => Some(u64::try_from(*seed).map_err(|_| WANTED_SEED)?),
                    _ => return Err(WANTED_SEED),
                };
                Ok(())
            },
        },
    ];
}

const WANTED_SEED: &str = "a whole number, 0 or more, or null";
