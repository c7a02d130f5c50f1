//! Some parameters at values of the user's, the others as another sampler has them.

use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial, History, Json, Param, Sampler};

/// Holds parameters at fixed values and lets another sampler draw the rest, the joint draw without them. As
/// Optuna's `PartialFixedSampler`.
///
/// A number outside of the parameter's range is used all the same, with a warning, as in Optuna: the only
/// values that a sampler gives outside of a range, because the user asked for them. What the parameter cannot
/// take at all, such as a text for a number, is left to the other sampler, with a warning too, because a
/// sampler cannot fail.
///
/// A search that can end is shown only the trials with these values, and without these parameters: it ends when
/// it has tried everything that is left free.
pub struct PartialFixedSampler {
    fixed: Vec<(String, Json)>,
    base: Box<dyn Sampler>,
}

impl PartialFixedSampler {
    /// Fixes parameters to external values, by name; a parameter given twice has its last value.
    pub fn new(fixed: Vec<(String, Json)>, base: Box<dyn Sampler>) -> Self {
        PartialFixedSampler { fixed, base }
    }

    fn fixed_value(&self, name: &str) -> Option<&Json> {
        self.fixed.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Returns the history of what is left free; a trial that has no such parameter, or not yet, is part of it.
    fn free_history(&self, history: &History) -> History {
        let mut trials = Vec::new();
        for trial in history.trials() {
            if trial.params.iter().all(|(name, param)| self.allows(name, param)) {
                let params = self.free_params(&trial.params);
                trials.push(FrozenTrial { params, ..trial.clone() });
            }
        }
        History::new(history.directions().to_vec(), trials)
    }

    /// Returns whether a parameter is free or has its fixed value.
    fn allows(&self, name: &str, param: &Param) -> bool {
        let Some(value) = self.fixed_value(name) else { return true };
        param.distribution.to_internal(value).is_ok_and(|fixed| fixed == param.internal)
    }

    fn free_params(&self, params: &[(String, Param)]) -> Vec<(String, Param)> {
        params.iter().filter(|(name, _)| self.fixed_value(name).is_none()).cloned().collect()
    }

    /// Lets the other sampler draw one parameter.
    fn draw(&self, ask: &Ask, name: &str, distribution: &Distribution, rng: &mut TrialRng) -> f64 {
        if !self.base.is_finite() {
            return self.base.sample_independent(ask, name, distribution, rng);
        }
        let (history, params) = (self.free_history(ask.history), self.free_params(ask.params));
        let ask = Ask { history: &history, params: &params, ..*ask };
        self.base.sample_independent(&ask, name, distribution, rng)
    }
}

impl Sampler for PartialFixedSampler {
    fn learns_from_results(&self) -> bool {
        self.base.learns_from_results()
    }

    fn uses_history(&self) -> bool {
        self.base.uses_history()
    }

    fn reads_study_attrs(&self) -> bool {
        self.base.reads_study_attrs()
    }

    fn marks_fixed_trials(&self) -> bool {
        self.base.marks_fixed_trials()
    }

    fn before_trial(&self, ask: &Ask, rng: &mut TrialRng) -> Vec<(String, Json)> {
        if !self.base.is_finite() {
            return self.base.before_trial(ask, rng);
        }
        let history = self.free_history(ask.history);
        self.base.before_trial(&Ask { history: &history, ..*ask }, rng)
    }

    fn relative_search_space(&self, ask: &Ask) -> SearchSpace {
        let space = self.base.relative_search_space(ask);
        let free = space.iter().filter(|(name, _)| self.fixed_value(name).is_none());
        free.map(|(name, distribution)| (name.to_owned(), distribution.clone())).collect()
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion {
        self.base.sample_relative(ask, space, rng)
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        let Some(value) = self.fixed_value(name) else {
            return self.draw(ask, name, distribution, rng);
        };
        match distribution.to_internal(value) {
            Ok(internal) => {
                if !distribution.contains(internal) {
                    tracing::warn!(name, %value, range = %distribution, "the fixed value is outside of the range");
                }
                internal
            }
            Err(error) => {
                tracing::warn!(name, %error, "the parameter cannot be fixed, so it is drawn");
                self.draw(ask, name, distribution, rng)
            }
        }
    }

    fn excludes_seen_points(&self) -> bool {
        self.base.excludes_seen_points()
    }

    fn is_finite(&self) -> bool {
        self.base.is_finite()
    }

    fn is_exhausted(&self, history: &History) -> bool {
        self.base.is_exhausted(&self.free_history(history))
    }

    fn is_taken(&self, history: &History) -> bool {
        self.base.is_taken(&self.free_history(history))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BruteForceSampler;
    use crate::testing::{ask, trial_with};
    use crate::{MidpointSampler, QmcOptions, QmcSampler};
    use trialbox_core::seam::rng::trial_rng;
    use trialbox_core::{StudyDirection, TrialNumber, TrialState};

    fn float(low: f64, high: f64) -> Distribution {
        Distribution::float(low, high, false, None).expect("a range")
    }

    #[track_caller]
    fn check(value: impl Into<Json>, distribution: &Distribution, want: f64) {
        let fixed = vec![("lr".to_owned(), value.into())];
        let sampler = PartialFixedSampler::new(fixed, Box::new(MidpointSampler));
        let history = History::new(vec![StudyDirection::Minimize], vec![]);
        let mut rng = trial_rng(1, TrialNumber(0));
        assert_eq!(sampler.sample_independent(&ask(&history), "lr", distribution, &mut rng), want);
        let free = sampler.sample_independent(&ask(&history), "free", &float(0.0, 1.0), &mut rng);
        assert_eq!(free, 0.5);
    }

    #[test]
    fn a_fixed_value_is_used_even_outside_of_the_range_and_else_the_other_sampler_draws() {
        check(0.1, &float(0.0, 1.0), 0.1);
        check(7.0, &float(0.0, 1.0), 7.0);
        check("no number", &float(0.0, 1.0), 0.5);
        let choices = Distribution::categorical(vec!["a".into(), "b".into()]).expect("choices");
        check("b", &choices, 1.0);
        check("c", &choices, 0.0);
    }

    #[test]
    fn a_joint_draw_is_of_the_other_parameters() {
        let params = [("lr", float(0.0, 1.0), 0.5), ("x", float(0.0, 4.0), 0.5)];
        let first = trial_with(0, TrialState::Complete, &params);
        let history = History::new(vec![StudyDirection::Minimize], vec![first]);
        let base = Box::new(QmcSampler::new(QmcOptions::default()));
        let sampler = PartialFixedSampler::new(vec![("lr".to_owned(), 0.1.into())], base);
        let ask = Ask { number: TrialNumber(2), ..ask(&history) };
        let space = sampler.relative_search_space(&ask);
        assert_eq!(space.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["x"]);
        let drawn = sampler.sample_relative(&ask, &space, &mut trial_rng(1, TrialNumber(2)));
        assert_eq!(drawn.params.into_iter().collect::<Vec<_>>(), [("x".to_owned(), 2.0)]);
    }

    /// `x` is continuous, which alone would never end, and was asked for after `y` in one of the trials.
    #[test]
    fn a_search_ends_when_what_is_left_free_is_tried_with_the_fixed_values() {
        let fixed = vec![("x".to_owned(), 0.5.into())];
        let sampler = PartialFixedSampler::new(fixed, Box::new(BruteForceSampler::default()));
        let bit = Distribution::int(0, 1, false, 1).expect("a range");
        let (y, x) = (|value| ("y", bit.clone(), value), |value| ("x", float(0.0, 1.0), value));
        let mut trials = vec![
            trial_with(0, TrialState::Complete, &[x(0.5), y(0.0)]),
            trial_with(1, TrialState::Complete, &[x(0.25), y(1.0)]),
        ];
        let history =
            |trials: &[FrozenTrial]| History::new(vec![StudyDirection::Minimize], trials.to_vec());
        assert!(sampler.is_finite() && !sampler.is_exhausted(&history(&trials)));
        for seed in 0..20 {
            let (history, mut rng) = (history(&trials), trial_rng(seed, TrialNumber(2)));
            let value = sampler.sample_independent(&ask(&history), "y", &bit, &mut rng);
            assert_eq!(value, 1.0);
        }
        trials.push(trial_with(2, TrialState::Complete, &[y(1.0), x(0.5)]));
        assert!(sampler.is_exhausted(&history(&trials)));
    }
}
