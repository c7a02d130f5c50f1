//! The options of TPE: the arguments of Optuna's `TPESampler` that are values.

use crate::options::{Field, Options};

/// The largest number of candidates: all are held in memory at a time.
const MAX_EI_CANDIDATES: usize = 1_000_000;

/// Options of [`super::TpeSampler`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, PartialEq)]
pub struct TpeOptions {
    /// The number of COMPLETE or PRUNED trials before the first draw that is not random.
    pub n_startup_trials: usize,
    /// The number of candidates that a draw chooses from, at least 1.
    pub n_ei_candidates: usize,
    /// True if parameters are drawn jointly; `None` means yes for one objective and no for several.
    pub multivariate: Option<bool>,
    /// True if parameters that occur together are drawn jointly, each group by itself, so that conditional
    /// spaces are drawn jointly too.
    pub group: bool,
    /// True if RUNNING trials count as bad ones, so that simultaneous trials keep apart.
    pub constant_liar: bool,
    /// The weight of the prior kernel, >= 0, that of a trial being at most 1.
    pub prior_weight: f64,
    /// True if kernels have a smallest width, so that they cannot collapse.
    pub consider_magic_clip: bool,
    /// True if the ends of a range count as neighbours of the outermost trials.
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
        Field::count("n_startup_trials", 0, |it| &mut it.n_startup_trials),
        Field::count_in("n_ei_candidates", 1..=MAX_EI_CANDIDATES, |it| &mut it.n_ei_candidates),
        Field::flag_or_null("multivariate", |it| &mut it.multivariate),
        Field::flag("group", |it| &mut it.group),
        Field::flag("constant_liar", |it| &mut it.constant_liar),
        Field::float("prior_weight", 0.0..=f64::MAX, |it| &mut it.prior_weight),
        Field::flag("consider_magic_clip", |it| &mut it.consider_magic_clip),
        Field::flag("consider_endpoints", |it| &mut it.consider_endpoints),
    ];
}
