//! CMA-ES, as Optuna 5.0's `CmaEsSampler` and the package `cmaes` have it, and CatCMA with margin where there are
//! choices.
//!
//! The distribution is a function of the history ([`replay`]): the results of the trials that were drawn by it, in the
//! order in which they finished, in populations. A trial that comes first to a new generation stores it
//! ([`state`]), so that the next one continues there.

mod categorical;
mod cma;
mod coordinates;
mod eigen;
#[cfg(test)]
mod golden;
mod grid;
mod learning_rate;
mod margin;
mod mixed;
mod optimizer;
mod options;
mod replay;
mod sep;
mod state;
#[cfg(test)]
mod tests;
mod warm_start;
mod weights;

pub use options::{CmaEsOptions, SourceTrial};

use crate::RandomSampler;
use crate::config::Configured;
use crate::error::ConfigError;
use replay::{Replay, Variant};
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, History, Json, Sampler, TrialState};

/// Draws from a distribution that follows the better half of its draws; with several objectives at random.
#[derive(Debug, Clone, Default)]
pub struct CmaEsSampler {
    options: CmaEsOptions,
}

impl CmaEsSampler {
    /// Creates a sampler with these options.
    pub fn new(options: CmaEsOptions) -> Self {
        CmaEsSampler { options }
    }

    fn is_starting(&self, history: &History) -> bool {
        let n = self.options.n_startup_trials;
        let counts = |state: TrialState| match state {
            TrialState::Complete => true,
            TrialState::Pruned => self.options.consider_pruned_trials,
            _ => false,
        };
        history.trials().iter().filter(|trial| counts(trial.state)).take(n).count() < n
    }
}

impl Configured<dyn Sampler> for CmaEsOptions {
    const NAME: &'static str = "cmaes";
    const OPTUNA: &'static str = "CmaEsSampler";
    const SUMMARY: &'static str =
        "a normal distribution that follows the better half: for 300 trials and more";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(CmaEsSampler::new(self.clone()))
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        self.check().map_err(|conflict| options::conflict(Self::owner(), conflict))
    }
}

impl Sampler for CmaEsSampler {
    fn learns_from_results(&self) -> bool {
        true
    }

    fn relative_search_space(&self, ask: &Ask) -> SearchSpace {
        let history = ask.history;
        if history.directions().len() != 1 || self.is_starting(history) {
            return SearchSpace::default();
        }
        let space = SearchSpace::intersection(history.evaluated()).drawable();
        let is_drawn = |distribution: &Distribution| match distribution {
            Distribution::Categorical(_) => !self.options.is_numeric(),
            _ => true,
        };
        let drawn = space.iter().filter(|(_, distribution)| is_drawn(distribution));
        drawn.map(|(name, distribution)| (name.to_owned(), distribution.clone())).collect()
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion {
        let variant = Variant::of(&self.options, space);
        let replay = Replay::new(&self.options, variant, space);
        let Some(mut replayed) = replay.run(ask.history) else { return Suggestion::default() };
        let drawn = replayed.optimizer.sample(10 * space.len(), rng);
        let mut suggestion = Suggestion::default();
        for (name, value) in replay.coordinates.values(&drawn.numbers, &drawn.choices) {
            suggestion.params.insert(name.to_owned(), value);
        }
        let generation = i64::try_from(replayed.optimizer.generation()).unwrap_or(i64::MAX);
        suggestion.system_attrs.push((variant.generation_attr().to_owned(), Json::Int(generation)));
        if let Some(raw) = drawn.raw {
            let raw = raw.into_iter().map(Json::from).collect();
            suggestion.system_attrs.push((variant.raw_attr().to_owned(), Json::Array(raw)));
        }
        suggestion.system_attrs.extend(replayed.state_attrs());
        suggestion
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
