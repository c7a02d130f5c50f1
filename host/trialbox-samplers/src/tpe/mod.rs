//! The tree-structured Parzen estimator, as Optuna 5.0's `TPESampler` has it.
//!
//! Trials are divided into the good tenth and the rest ([`split`](split())); each side becomes a mixture of
//! kernels, one a trial (`parzen`); of some candidates drawn from the good side, the one is proposed where
//! the good side is most likely compared with the rest.
//!
//! Bergstra, Bardenet, Bengio and Kégl 2011, "Algorithms for Hyper-Parameter Optimization"; jointly over the
//! parameters as Falkner, Klein and Hutter 2018 (BOHB); several objectives as Ozaki et al. 2022.

#[cfg(test)]
mod golden;
mod groups;
mod kernels;
mod mixture;
pub(crate) mod normal;
mod observations;
mod options;
mod parzen;
pub(crate) mod split;

pub use options::TpeOptions;
pub use split::{default_weights, n_below, split};

pub(crate) use normal::{cdf as normal_cdf, quantile as normal_quantile};
pub(crate) use split::order;

use crate::RandomSampler;
use crate::config::Configured;
use crate::relative_params;
use observations::{RELATIVE_PARAMS, observe};
use parzen::ParzenEstimator;
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial, History, Sampler, TrialState};

/// Draws where good trials are dense and the others are not; at random until there are enough.
#[derive(Debug, Clone, Default)]
pub struct TpeSampler {
    options: TpeOptions,
}

impl TpeSampler {
    /// Creates a sampler with these options.
    pub fn new(options: TpeOptions) -> Self {
        TpeSampler { options }
    }

    fn is_multivariate(&self, history: &History) -> bool {
        let default = self.options.group || history.directions().len() == 1;
        self.options.multivariate.unwrap_or(default)
    }

    fn is_starting(&self, history: &History) -> bool {
        history.evaluated().take(self.options.n_startup_trials).count()
            < self.options.n_startup_trials
    }

    /// Returns whether trials in this state count as observations.
    fn uses(&self, state: TrialState) -> bool {
        match state {
            TrialState::Complete | TrialState::Pruned => true,
            TrialState::Running => self.options.constant_liar,
            TrialState::Fail | TrialState::Waiting => false,
        }
    }

    /// Proposes internal values for the parameters of a space that is not empty, in its order.
    fn propose(&self, history: &History, space: &SearchSpace, rng: &mut TrialRng) -> Vec<f64> {
        let trials: Vec<&FrozenTrial> =
            history.trials().iter().filter(|trial| self.uses(trial.state)).collect();
        let n_finished = trials.iter().filter(|it| it.state != TrialState::Running).count();
        let n_below = n_below(n_finished, history.directions().len());
        let (below, above) = split(&trials, history.directions(), n_below);
        let below = self.estimator(history, space, &below, true);
        let above = self.estimator(history, space, &above, false);
        let candidates = below.sample(rng, self.options.n_ei_candidates);
        let best = best_candidate(&below.log_pdf(&candidates), &above.log_pdf(&candidates));
        candidates.iter().map(|column| column[best]).collect()
    }

    fn estimator(
        &self,
        history: &History,
        space: &SearchSpace,
        trials: &[&FrozenTrial],
        is_below: bool,
    ) -> ParzenEstimator {
        let observed = observe(history, trials, space, self.is_multivariate(history));
        let n = observed.first().map_or(0, Vec::len);
        // Good trials of several objectives count alike: their order says nothing about their worth.
        let are_even = is_below && history.directions().len() > 1;
        let weights = if are_even { vec![1.0; n] } else { default_weights(n) };
        let distributions: Vec<&Distribution> = space.iter().map(|(_, it)| it).collect();
        ParzenEstimator::new(&distributions, observed, weights, &self.options)
    }
}

impl Configured<dyn Sampler> for TpeOptions {
    const NAME: &'static str = "tpe";
    const OPTUNA: &'static str = "TPESampler";
    const SUMMARY: &'static str =
        "the default: values that are likelier among good trials than among bad ones";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(TpeSampler::new(self.clone()))
    }
}

/// Returns the parameters of `group` that are in `space` too.
fn common_part(group: &SearchSpace, space: &SearchSpace) -> SearchSpace {
    let common = group.iter().filter(|(name, _)| space.get(name).is_some());
    common.map(|(name, distribution)| (name.to_owned(), distribution.clone())).collect()
}

impl Sampler for TpeSampler {
    fn learns_from_results(&self) -> bool {
        true
    }

    fn relative_search_space(&self, ask: &Ask) -> SearchSpace {
        let history = ask.history;
        if !self.is_multivariate(history) || self.is_starting(history) {
            return SearchSpace::default();
        }
        if !self.options.group {
            return SearchSpace::intersection(one_of_each_schema(history));
        }
        let groups = groups::groups(one_of_each_schema(history));
        let all = groups.iter().flat_map(SearchSpace::iter);
        all.map(|(name, distribution)| (name.to_owned(), distribution.clone())).collect()
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion {
        let history = ask.history;
        if space.is_empty() || self.is_starting(history) {
            return Suggestion::default();
        }
        let groups = if self.options.group {
            let groups = groups::groups(one_of_each_schema(history));
            groups.into_iter().map(|group| common_part(&group, space)).collect()
        } else {
            vec![space.clone()]
        };
        let mut suggestion = Suggestion::default();
        for group in groups.iter().filter(|group| !group.is_empty()) {
            let values = self.propose(history, group, rng);
            let names = group.iter().map(|(name, _)| name.to_owned());
            suggestion.params.extend(names.zip(values));
        }
        if self.options.constant_liar && !suggestion.params.is_empty() {
            suggestion.system_attrs =
                relative_params::to_attrs(RELATIVE_PARAMS, space, &suggestion.params);
        }
        suggestion
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        if let Some(value) = distribution.single() {
            return value;
        }
        if self.is_starting(ask.history) {
            return RandomSampler.sample_independent(ask, name, distribution, rng);
        }
        let space = SearchSpace::from_iter([(name.to_owned(), distribution.clone())]);
        self.propose(ask.history, &space, rng)[0]
    }
}

/// Returns the first evaluated trial of each schema: what there is to know of the evaluated trials' parameters.
fn one_of_each_schema(history: &History) -> impl Iterator<Item = &FrozenTrial> {
    let mut is_seen = vec![false; history.n_schemas()];
    history
        .evaluated()
        .filter(move |trial| !std::mem::replace(&mut is_seen[history.row(trial).0], true))
}

/// Returns the first candidate with the largest ratio of the densities, given by their logarithms.
fn best_candidate(below: &[f64], above: &[f64]) -> usize {
    let (mut best, mut largest) = (0, f64::NEG_INFINITY);
    for (index, (below, above)) in below.iter().zip(above).enumerate() {
        if below - above > largest {
            (best, largest) = (index, below - above);
        }
    }
    best
}
