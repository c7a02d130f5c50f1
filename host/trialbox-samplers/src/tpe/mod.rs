//! The tree-structured Parzen estimator, as Optuna 5.0's `TPESampler` has it.

mod options;

pub use options::TpeOptions;

use crate::RandomSampler;
use trialbox_core::distribution::Distribution;
use trialbox_core::rng::TrialRng;
use trialbox_core::sampler::{Ask, Sampler, Suggestion};
use trialbox_core::search_space::SearchSpace;

/// Draws near the good trials and away from the others.
#[derive(Debug, Clone)]
pub struct TpeSampler {
    #[expect(dead_code, reason = "the draw itself follows in the next commit")]
    options: TpeOptions,
}

impl TpeSampler {
    /// A sampler with these options.
    pub fn new(options: TpeOptions) -> Self {
        TpeSampler { options }
    }
}

impl Sampler for TpeSampler {
    fn relative_search_space(&self, _ask: &Ask) -> SearchSpace {
        SearchSpace::default()
    }

    fn sample_relative(&self, _ask: &Ask, _space: &SearchSpace, _rng: &mut TrialRng) -> Suggestion {
        Suggestion::default()
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        RandomSampler.sample_independent(ask, name, distribution, rng)
    }
}
