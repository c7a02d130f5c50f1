//! Some parameters at values of the user's, the others as another sampler has them.

use trialbox_core::distribution::Distribution;
use trialbox_core::history::History;
use trialbox_core::json::Json;
use trialbox_core::rng::TrialRng;
use trialbox_core::sampler::{Ask, Sampler, Suggestion};
use trialbox_core::search_space::SearchSpace;

/// Holds parameters at fixed values and lets another sampler draw the rest, the joint draw without them. As
/// Optuna's `PartialFixedSampler`.
///
/// A number outside of the parameter's range is used all the same, with a warning, as in Optuna: the only
/// values that a sampler gives outside of a range, because the user asked for them. What the parameter cannot
/// take at all, such as a text for a number, is left to the other sampler, with a warning too, because a
/// sampler cannot fail.
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
}

impl Sampler for PartialFixedSampler {
    fn uses_history(&self) -> bool {
        self.base.uses_history()
    }

    fn before_trial(&self, ask: &Ask, rng: &mut TrialRng) -> Vec<(String, Json)> {
        self.base.before_trial(ask, rng)
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
            return self.base.sample_independent(ask, name, distribution, rng);
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
                self.base.sample_independent(ask, name, distribution, rng)
            }
        }
    }

    fn is_finite(&self) -> bool {
        self.base.is_finite()
    }

    fn is_exhausted(&self, history: &History) -> bool {
        self.base.is_exhausted(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, trial_with};
    use crate::{MidpointSampler, QmcOptions, QmcSampler};
    use trialbox_core::rng::trial_rng;
    use trialbox_core::study::StudyDirection;
    use trialbox_core::trial::{TrialNumber, TrialState};

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
}
