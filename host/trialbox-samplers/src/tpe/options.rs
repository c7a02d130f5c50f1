//! The options of TPE: the arguments of Optuna's `TPESampler` that are values.

use crate::options::{Field, Options, as_bool, as_count, as_positive};
use trialbox_core::Json;

/// Options of [`super::TpeSampler`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, PartialEq)]
pub struct TpeOptions {
    /// How many trials must be COMPLETE or PRUNED before anything but random is drawn.
    pub n_startup_trials: usize,
    /// How many candidates a draw chooses from, at least 1.
    pub n_ei_candidates: usize,
    /// Whether parameters are drawn jointly; `None`: for one objective yes, for several no.
    pub multivariate: Option<bool>,
    /// Whether parameters that occur together are drawn jointly, each group by itself, so that conditional
    /// spaces are drawn jointly too.
    pub group: bool,
    /// Whether RUNNING trials count as bad ones, so that simultaneous trials keep apart.
    pub constant_liar: bool,
    /// The weight of the prior kernel, >= 0, that of a trial being at most 1.
    pub prior_weight: f64,
    /// Whether kernels have a smallest width, so that they cannot collapse.
    pub consider_magic_clip: bool,
    /// Whether the ends of a range count as neighbours of the outermost trials.
    pub consider_endpoints: bool,
}

impl Default for TpeOptions {
    fn default() -> Self {
        TpeOptions {
            n_startup_trials: 10,
            n_ei_candidates: 24,
            multivariate: None,
            group: false,
            constant_liar: true,
            prior_weight: 1.0,
            consider_magic_clip: true,
            consider_endpoints: false,
        }
    }
}

impl Options for TpeOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "n_startup_trials",
            get: |options| Json::from(options.n_startup_trials as u64),
            set: |options, value| as_count(value).map(|n| options.n_startup_trials = n),
        },
        Field {
            name: "n_ei_candidates",
            get: |options| Json::from(options.n_ei_candidates as u64),
            set: |options, value| as_positive(value).map(|n| options.n_ei_candidates = n),
        },
        Field {
            name: "multivariate",
            get: |options| options.multivariate.map_or(Json::Null, Json::from),
            set: |options, value| match value {
                Json::Null => {
                    options.multivariate = None;
                    Ok(())
                }
                _ => as_bool(value)
                    .map(|is| options.multivariate = Some(is))
                    .map_err(|_| "true, false or null"),
            },
        },
        Field {
            name: "group",
            get: |options| options.group.into(),
            set: |options, value| as_bool(value).map(|is| options.group = is),
        },
        Field {
            name: "constant_liar",
            get: |options| options.constant_liar.into(),
            set: |options, value| as_bool(value).map(|is| options.constant_liar = is),
        },
        Field {
            name: "prior_weight",
            get: |options| options.prior_weight.into(),
            set: |options, value| {
                let weight = value.as_f64().filter(|weight| *weight >= 0.0 && weight.is_finite());
                weight.map(|weight| options.prior_weight = weight).ok_or("a number, 0 or more")
            },
        },
        Field {
            name: "consider_magic_clip",
            get: |options| options.consider_magic_clip.into(),
            set: |options, value| as_bool(value).map(|is| options.consider_magic_clip = is),
        },
        Field {
            name: "consider_endpoints",
            get: |options| options.consider_endpoints.into(),
            set: |options, value| as_bool(value).map(|is| options.consider_endpoints = is),
        },
    ];
}
