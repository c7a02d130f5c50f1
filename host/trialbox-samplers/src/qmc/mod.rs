//! Quasi-random points, which fill the space more evenly than random ones do.

mod halton;
mod options;
pub(crate) mod sobol;

pub use options::{QmcOptions, QmcType};

use crate::RandomSampler;
use crate::config::Configured;
use trialbox_core::seam::rng::{TrialRng, seeded_rng, study_rng};
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::space::transform::{bounds, untransform};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, History, Sampler, TrialState};

/// Walks along a Sobol' or Halton sequence, a point for each trial. As Optuna's `QMCSampler`.
///
/// The first trial is random, because nothing is known yet of the parameters. From then on the parameters are
/// those of the lowest-numbered trial that is COMPLETE or PRUNED (or, while there is none, of the RUNNING
/// ones), a dimension each, in the order in which the objective asks for them. Other parameters, those beyond
/// 1,024 for Sobol', and trials beyond 2³⁰ are random.
///
/// Trial n takes point n − 1 of the sequence. That is what Optuna's workers arrive at when every trial takes a
/// point; they keep a counter in the study instead (`qmc:…`), which a trial with fixed parameters does not
/// advance. A number needs no counter, cannot be taken twice and survives a rerun. In a study shared with
/// Python both walk the same sequence from its beginning, each by its own count, so a point can come twice.
#[derive(Debug, Clone)]
pub struct QmcSampler {
    options: QmcOptions,
}

impl QmcSampler {
    /// Creates a sampler with these options.
    pub fn new(options: QmcOptions) -> Self {
        QmcSampler { options }
    }

    fn point(&self, index: u32, dimensions: usize, rng: &TrialRng) -> Vec<f64> {
        // All trials must see the same scrambling.
        let mut shared = match self.options.seed {
            Some(seed) => seeded_rng(seed),
            None => study_rng(rng),
        };
        match (self.options.qmc_type, self.options.scramble) {
            (QmcType::Sobol, false) => sobol::point(index, dimensions),
            (QmcType::Sobol, true) => sobol::scrambled_point(index, dimensions, &mut shared),
            (QmcType::Halton, false) => halton::point(index, dimensions),
            (QmcType::Halton, true) => halton::scrambled_point(index, dimensions, &mut shared),
        }
    }

    fn max_dimensions(&self) -> usize {
        match self.options.qmc_type {
            QmcType::Sobol => sobol::MAX_DIMENSIONS,
            QmcType::Halton => usize::MAX,
        }
    }
}

impl Configured<dyn Sampler> for QmcOptions {
    const NAME: &'static str = "qmc";
    const OPTUNA: &'static str = "QMCSampler";
    const SUMMARY: &'static str = "Sobol' or Halton points, more even than random ones";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(QmcSampler::new(self.clone()))
    }
}

impl Sampler for QmcSampler {
    fn learns_from_results(&self) -> bool {
        false
    }

    fn relative_search_space(&self, ask: &Ask) -> SearchSpace {
        let columns = columns(ask.history);
        columns.into_iter().map(|(name, found)| (name.to_owned(), found.clone())).collect()
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion {
        let Some(index) = ask.number.0.checked_sub(1) else { return Suggestion::default() };
        if index >= 1 << sobol::BITS {
            return Suggestion::default();
        }
        let mut columns = columns(ask.history);
        columns.retain(|(name, _)| space.get(name).is_some());
        columns.truncate(self.max_dimensions());
        let point = self.point(index, columns.len(), rng);
        let params = columns
            .iter()
            .zip(point)
            .map(|((name, distribution), x)| ((*name).to_owned(), at(distribution, x)));
        Suggestion { params: params.collect(), system_attrs: Vec::new() }
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

/// Returns the parameters that have a dimension each, in the order of the dimensions.
fn columns(history: &History) -> Vec<(&str, &Distribution)> {
    let mut columns: Vec<(&str, &Distribution)> = Vec::new();
    let trials = match history.evaluated().next() {
        Some(first) => vec![first],
        None => history.in_state(TrialState::Running).collect(),
    };
    for (name, param) in trials.iter().flat_map(|trial| &trial.params) {
        match columns.iter_mut().find(|(found, _)| found == name) {
            // Of trials that disagree on a range, the last one counts.
            Some(column) => column.1 = &param.distribution,
            None => columns.push((name, &param.distribution)),
        }
    }
    columns
}

/// Returns the value at `x` in [0, 1) of the parameter's range.
fn at(distribution: &Distribution, x: f64) -> f64 {
    match distribution {
        Distribution::Categorical(categorical) => (x * categorical.choices().len() as f64).floor(),
        Distribution::Float(_) | Distribution::Int(_) => {
            let Some((low, high)) = bounds(distribution) else { return f64::NAN };
            untransform(distribution, low + x * (high - low)).unwrap_or(f64::NAN)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, trial_with};
    use trialbox_core::seam::rng::trial_rng;
    use trialbox_core::{StudyDirection, TrialNumber};

    fn params() -> Vec<(&'static str, Distribution)> {
        let choices = ["p", "q", "r"].map(Into::into).to_vec();
        vec![
            ("z", Distribution::float(-1.0, 3.0, false, None)),
            ("a", Distribution::float(1e-4, 1.0, true, None)),
            ("s", Distribution::float(0.0, 1.0, false, Some(0.25))),
            ("i", Distribution::int(1, 9, false, 2)),
            ("l", Distribution::int(1, 100, true, 1)),
            ("c", Distribution::categorical(choices)),
        ]
        .into_iter()
        .map(|(name, distribution)| (name, distribution.expect("a distribution")))
        .collect()
    }

    fn history() -> History {
        let first = trial_with(0, TrialState::Complete, &params().map_values(|_| 1.0));
        History::new(vec![StudyDirection::Minimize], vec![first])
    }

    trait MapValues {
        fn map_values(self, value: impl Fn(usize) -> f64)
        -> Vec<(&'static str, Distribution, f64)>;
    }

    impl MapValues for Vec<(&'static str, Distribution)> {
        fn map_values(
            self,
            value: impl Fn(usize) -> f64,
        ) -> Vec<(&'static str, Distribution, f64)> {
            let numbered = self.into_iter().enumerate();
            numbered
                .map(|(index, (name, distribution))| (name, distribution, value(index)))
                .collect()
        }
    }

    fn draw(options: QmcOptions, history: &History, number: u32) -> Vec<f64> {
        let sampler = QmcSampler::new(options);
        let ask = Ask { number: TrialNumber(number), ..ask(history) };
        let space = sampler.relative_search_space(&ask);
        let mut rng = trial_rng(7, TrialNumber(number));
        let drawn = sampler.sample_relative(&ask, &space, &mut rng).params;
        params().iter().filter_map(|(name, _)| drawn.get(*name).copied()).collect()
    }

    #[track_caller]
    fn check(qmc_type: QmcType, want: &[[f64; 6]]) {
        for (index, want) in want.iter().enumerate() {
            let options = QmcOptions { qmc_type, ..QmcOptions::default() };
            let found = draw(options, &history(), index as u32 + 1);
            assert_eq!(found.len(), want.len());
            for (a, b) in found.iter().zip(want) {
                assert!((a - b).abs() <= 1e-9 * b.abs(), "{found:?}, {want:?}");
            }
        }
    }

    /// The values of trials 1, 2, … of a study with Optuna 5.0's `QMCSampler()` and SciPy 1.17.
    #[test]
    fn a_sequence_of_trials_has_the_values_of_optuna() {
        check(
            QmcType::Sobol,
            &[
                [-1.0, 0.0001, 0.0, 1.0, 1.0, 0.0],
                [1.0, 0.01, 0.5, 5.0, 7.0, 1.0],
                [2.0, 0.001, 0.25, 3.0, 27.0, 2.0],
                [0.0, 0.1, 0.75, 7.0, 2.0, 0.0],
                [0.5, 0.003162277660168382, 0.75, 9.0, 4.0, 0.0],
                [2.5, 0.3162277660168378, 0.0, 3.0, 52.0, 1.0],
                [1.5, 0.0003162277660168384, 1.0, 7.0, 14.0, 2.0],
                [-0.5, 0.0316227766016838, 0.25, 1.0, 1.0, 1.0],
            ],
        );
        check(
            QmcType::Halton,
            &[
                [-1.0, 0.0001, 0.0, 1.0, 1.0, 0.0],
                [1.0, 0.0021544346900318843, 0.0, 1.0, 1.0, 0.0],
                [0.0, 0.046415888336127774, 0.5, 3.0, 1.0, 0.0],
                [2.0, 0.0002782559402207129, 0.75, 5.0, 2.0, 0.0],
                [-0.5, 0.0059948425031894105, 1.0, 5.0, 3.0, 0.0],
                [1.5, 0.12915496650148833, 0.0, 7.0, 6.0, 1.0],
                [0.5, 0.0007742636826811274, 0.25, 9.0, 9.0, 1.0],
                [2.5, 0.0166810053720006, 0.5, 1.0, 15.0, 1.0],
            ],
        );
    }

    #[test]
    fn all_trials_of_a_study_share_one_scrambling_and_studies_differ() {
        for qmc_type in [QmcType::Sobol, QmcType::Halton] {
            let options = QmcOptions { qmc_type, scramble: true, seed: None };
            let sampler = QmcSampler::new(options);
            let point = |seed, number| sampler.point(5, 3, &trial_rng(seed, TrialNumber(number)));
            assert_eq!(point(1, 0), point(1, 9));
            assert_ne!(point(1, 0), point(2, 0));
            let fixed = QmcSampler::new(QmcOptions { seed: Some(3), ..sampler.options.clone() });
            let point = |seed| fixed.point(5, 3, &trial_rng(seed, TrialNumber(0)));
            assert_eq!(point(1), point(2));
        }
    }

    #[test]
    fn the_first_trial_has_no_point_and_running_trials_stand_in_for_an_ended_one() {
        let sampler = QmcSampler::new(QmcOptions::default());
        let nothing = History::new(vec![StudyDirection::Minimize], vec![]);
        assert!(sampler.relative_search_space(&ask(&nothing)).is_empty());
        assert_eq!(draw(QmcOptions::default(), &history(), 0), [0.0; 0]);
        let all = params().map_values(|_| 1.0);
        let running = vec![
            trial_with(0, TrialState::Running, &all[..2]),
            trial_with(1, TrialState::Running, &all[1..]),
            trial_with(2, TrialState::Fail, &all),
        ];
        let running = History::new(vec![StudyDirection::Minimize], running);
        assert_eq!(
            draw(QmcOptions::default(), &running, 2),
            draw(QmcOptions::default(), &history(), 2)
        );
    }
}
