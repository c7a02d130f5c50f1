//! Every combination that the objective can ask for, once.

mod options;
mod tree;
mod values;

pub use options::BruteForceOptions;

use crate::RandomSampler;
use crate::config::Configured;
use tree::Node;
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::Ask;
use trialbox_core::{Distribution, FrozenTrial, History, Sampler, TrialState};

/// Searches the whole space of an objective, conditions included, which it learns from the trials: each says
/// how the prefixes of its values go on. As Optuna's `BruteForceSampler`, and together with it.
///
/// A trial gets values that no trial has tried or, if there are none, values at which a RUNNING trial stands.
/// The search is exhausted when every prefix is known to its end. A float without a step is random and
/// never exhausted; Optuna fails such a trial.
///
/// O(trials · parameters) a parameter, whatever the sizes of the ranges.
#[derive(Debug, Clone, Default)]
pub struct BruteForceSampler {
    options: BruteForceOptions,
}

impl BruteForceSampler {
    /// Creates a sampler with these options.
    pub fn new(options: BruteForceOptions) -> Self {
        BruteForceSampler { options }
    }
}

impl Configured<dyn Sampler> for BruteForceOptions {
    const NAME: &'static str = "brute-force";
    const OPTUNA: &'static str = "BruteForceSampler";
    const SUMMARY: &'static str = "every combination that the objective can ask for";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(BruteForceSampler::new(self.clone()))
    }
}

impl Sampler for BruteForceSampler {
    fn learns_from_results(&self) -> bool {
        false
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        let mut tree = Node::with_next(name, distribution);
        for trial in begun(ask.history).filter(|trial| trial.has_values_of(ask.params)) {
            let params = trial.params.iter();
            let new = params.filter(|(name, _)| ask.params.iter().all(|(known, _)| known != name));
            tree.add(new, trial.state);
        }
        let drawn = tree.draw(self.options.avoid_premature_stop, rng);
        drawn.unwrap_or_else(|| RandomSampler.sample_independent(ask, name, distribution, rng))
    }

    fn excludes_seen_points(&self) -> bool {
        true
    }

    fn is_finite(&self) -> bool {
        true
    }

    fn is_exhausted(&self, history: &History) -> bool {
        tree_of(history).n_open(self.options.avoid_premature_stop) == 0.0
    }

    fn is_taken(&self, history: &History) -> bool {
        tree_of(history).n_open(false) == 0.0
    }
}

/// Returns the values that the trials of a study have.
fn tree_of(history: &History) -> Node {
    let mut tree = Node::default();
    // A trial that has only begun says nothing, not even that the objective has parameters. Optuna takes it for the
    // whole search and stops.
    for trial in begun(history) {
        if trial.state.is_finished() || !trial.params.is_empty() {
            tree.add(trial.params.iter(), trial.state);
        }
    }
    tree
}

fn begun(history: &History) -> impl Iterator<Item = &FrozenTrial> {
    history.trials().iter().filter(|trial| trial.state != TrialState::Waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, trial_with};
    use std::collections::BTreeSet;
    use trialbox_core::seam::rng::trial_rng;
    use trialbox_core::{Param, StudyDirection, TrialNumber};

    fn int(high: i64) -> Distribution {
        Distribution::int(0, high, false, 1).expect("a range")
    }

    fn stepped() -> Distribution {
        Distribution::float(0.0, 0.3, false, Some(0.1)).expect("a range")
    }

    /// `a` in 0..=2; with a = 0 a float in {0, 0.1, 0.2, 0.3}, with a = 1 nothing, with a = 2 `b` in 0..=1 and
    /// `c` in 0..=b: eight leaves.
    fn next(params: &[(String, Param)]) -> Option<(&'static str, Distribution)> {
        let values: Vec<f64> = params.iter().map(|(_, param)| param.internal).collect();
        match values[..] {
            [] => Some(("a", int(2))),
            [0.0] => Some(("x", stepped())),
            [2.0] => Some(("b", int(1))),
            [2.0, b] => Some(("c", int(b as i64))),
            _ => None,
        }
    }
    const N_LEAVES: usize = 8;

    fn history(trials: &[FrozenTrial]) -> History {
        History::new(vec![StudyDirection::Minimize], trials.to_vec())
    }

    fn run_one(sampler: &BruteForceSampler, trials: &[FrozenTrial], seed: u64) -> FrozenTrial {
        let number = trials.len() as u32;
        let mut rng = trial_rng(seed, TrialNumber(number));
        let mut found = trial_with(number, TrialState::Running, &[]);
        while let Some((name, distribution)) = next(&found.params) {
            let history = history(trials);
            let ask = Ask { params: &found.params, ..ask(&history) };
            let internal = match distribution.single() {
                Some(value) => value,
                None => sampler.sample_independent(&ask, name, &distribution, &mut rng),
            };
            found.params.push((name.to_owned(), Param { distribution, internal }));
        }
        found
    }

    fn values(trial: &FrozenTrial) -> Vec<u64> {
        trial.params.iter().map(|(_, param)| param.internal.to_bits()).collect()
    }

    #[test]
    fn a_conditional_space_is_searched_in_as_many_trials_as_it_has_leaves() {
        for seed in 0..20 {
            let sampler = BruteForceSampler::default();
            let mut trials: Vec<FrozenTrial> = Vec::new();
            while !sampler.is_exhausted(&history(&trials)) {
                let mut next = run_one(&sampler, &trials, seed);
                next.state =
                    [TrialState::Complete, TrialState::Pruned, TrialState::Fail][trials.len() % 3];
                trials.push(next);
                assert!(trials.len() <= N_LEAVES, "a leaf was tried twice");
            }
            let different: BTreeSet<Vec<u64>> = trials.iter().map(values).collect();
            assert_eq!(different.len(), N_LEAVES);
        }
    }

    #[test]
    fn simultaneous_trials_try_different_leaves_and_are_waited_for_if_wanted() {
        let (loose, strict) = (
            BruteForceSampler::default(),
            BruteForceSampler::new(BruteForceOptions { avoid_premature_stop: true }),
        );
        let mut trials: Vec<FrozenTrial> = Vec::new();
        while !loose.is_exhausted(&history(&trials)) {
            trials.push(run_one(&loose, &trials, 3));
        }
        let different: BTreeSet<Vec<u64>> = trials.iter().map(values).collect();
        assert_eq!((trials.len(), different.len()), (N_LEAVES, N_LEAVES));
        assert!(!strict.is_exhausted(&history(&trials)));
        trials.iter_mut().for_each(|trial| trial.state = TrialState::Complete);
        assert!(strict.is_exhausted(&history(&trials)));
    }

    #[test]
    fn a_trial_that_has_only_begun_ends_no_search() {
        let begun = trial_with(0, TrialState::Running, &[]);
        let sampler = BruteForceSampler::default();
        assert!(!sampler.is_exhausted(&history(std::slice::from_ref(&begun))));
        // An objective without parameters has one trial.
        let ended = FrozenTrial { state: TrialState::Complete, ..begun };
        assert!(sampler.is_exhausted(&history(&[ended])));
    }

    #[test]
    fn a_trial_that_broke_early_hides_nothing_that_others_found() {
        let broke = trial_with(0, TrialState::Fail, &[("a", int(1), 0.0)]);
        let further =
            trial_with(1, TrialState::Complete, &[("a", int(1), 0.0), ("b", int(1), 0.0)]);
        let other = trial_with(2, TrialState::Complete, &[("a", int(1), 1.0)]);
        let last = trial_with(3, TrialState::Complete, &[("a", int(1), 0.0), ("b", int(1), 1.0)]);
        let sampler = BruteForceSampler::default();
        let trials = [broke, further, other, last];
        assert!(!sampler.is_exhausted(&history(&trials[..3])));
        assert!(sampler.is_exhausted(&history(&trials)));
        // In whatever order they are met.
        let reversed: Vec<FrozenTrial> = (0..4u32)
            .map(|number| FrozenTrial {
                number: TrialNumber(3 - number),
                ..trials[number as usize].clone()
            })
            .collect();
        assert!(sampler.is_exhausted(&history(&reversed)));
    }

    #[test]
    fn a_trial_that_contradicts_the_others_or_is_off_the_grid_is_left_out() {
        let off_grid = trial_with(0, TrialState::Complete, &[("x", stepped(), 0.05)]);
        let other_range = trial_with(1, TrialState::Complete, &[("x", int(1), 0.0)]);
        let sampler = BruteForceSampler::default();
        assert!(!sampler.is_exhausted(&history(&[off_grid, other_range])));
    }

    #[test]
    fn huge_ranges_are_not_written_down_and_continuous_ones_never_end() {
        let sampler = BruteForceSampler::default();
        let huge = Distribution::int(-(1 << 53), 1 << 53, false, 1).expect("a range");
        let continuous = Distribution::float(0.0, 1.0, false, None).expect("a range");
        for distribution in [huge, continuous] {
            let tried = trial_with(0, TrialState::Complete, &[("x", distribution.clone(), 0.0)]);
            let history = history(&[tried]);
            let mut rng = trial_rng(1, TrialNumber(1));
            let value = sampler.sample_independent(&ask(&history), "x", &distribution, &mut rng);
            assert!(distribution.contains(value) && value != 0.0);
            assert!(!sampler.is_exhausted(&history));
        }
    }
}
