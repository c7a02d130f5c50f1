//! Asynchronous successive halving: of the trials that have reached a rung, the best part continues to the next.

use super::reports::{as_step, single_direction};
use crate::config::Configured;
use crate::error::{ConfigError, OptionsOf};
use crate::options::{Field, Options};
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::{History, Json, StudyDirection, TrialNumber};

/// Options of [`SuccessiveHalvingPruner`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessiveHalvingOptions {
    /// The step of the first rung, at least 1; `None`, which is `auto`: a hundredth of the largest step at which
    /// a COMPLETE trial reported, before which no trial is pruned.
    pub min_resource: Option<usize>,
    /// The number of trials of which one continues; at least 2.
    pub reduction_factor: usize,
    /// The number of rungs that are left out at the beginning.
    pub min_early_stopping_rate: usize,
    /// The number of trials that must have reached a rung before any continues; 0 where `min_resource` is `auto`.
    pub bootstrap_count: usize,
}

impl Default for SuccessiveHalvingOptions {
    fn default() -> Self {
        SuccessiveHalvingOptions {
            min_resource: None,
            reduction_factor: 4,
            min_early_stopping_rate: 0,
            bootstrap_count: 0,
        }
    }
}

/// Rung r is at step `min_resource` · `reduction_factor`^(`min_early_stopping_rate` + r). The value that a
/// trial has when it gets there is left in its system attribute `completed_rung_<r>`, and compared with those
/// of all trials, whatever their state.
///
/// Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht and Talwalkar 2020, "A System for Massively Parallel
/// Hyperparameter Tuning", algorithm 2, where no trial is suspended: as long as there are fewer trials on a rung
/// than the factor, the best of them goes on.
#[derive(Debug, Clone)]
pub struct SuccessiveHalvingPruner {
    options: SuccessiveHalvingOptions,
}

impl SuccessiveHalvingPruner {
    /// Creates the pruner with these options.
    pub fn new(options: SuccessiveHalvingOptions) -> Self {
        SuccessiveHalvingPruner { options }
    }

    /// Judges the trial among those whose numbers are accepted.
    pub(super) fn judge_among(
        &self,
        is_peer: impl Fn(TrialNumber) -> bool,
        history: &History,
        current: &RunningTrial,
    ) -> Judgement {
        let mut judgement = Judgement::new(false);
        let Some(direction) = single_direction(history) else { return judgement };
        let Some((step, value)) = current.intermediate_values.last_key_value() else {
            return judgement;
        };
        let Some(min_resource) = self.min_resource(history) else { return judgement };
        let mut rung = current_rung(current);
        while !judgement.should_prune && self.has_reached(rung, *step, min_resource) {
            if value.is_nan() {
                judgement.should_prune = true;
                break;
            }
            let key = rung_key(rung);
            let mut rivals = values_on_rung(&key, &is_peer, history, current);
            rivals.push(*value);
            judgement.should_prune = rivals.len() <= self.options.bootstrap_count
                || !self.is_promotable(direction, *value, rivals);
            judgement.system_attrs.push((key, Json::Float(*value)));
            rung += 1;
        }
        judgement
    }

    fn min_resource(&self, history: &History) -> Option<i64> {
        match self.options.min_resource {
            Some(steps) => Some(as_step(steps)),
            None => Some((history.last_complete_step()? / 100).max(1)),
        }
    }

    /// Returns whether a step is that of a rung or beyond. A rung beyond the last step is never reached.
    fn has_reached(&self, rung: usize, step: i64, min_resource: i64) -> bool {
        let exponent = u32::try_from(self.options.min_early_stopping_rate.saturating_add(rung));
        let factor = as_step(self.options.reduction_factor);
        let Some(power) = exponent.ok().and_then(|exponent| factor.checked_pow(exponent)) else {
            return false;
        };
        min_resource.checked_mul(power).is_some_and(|first| step >= first)
    }

    /// Returns whether the value is among the best part of `rivals`, which it is one of.
    fn is_promotable(&self, direction: StudyDirection, value: f64, mut rivals: Vec<f64>) -> bool {
        let n_promotable = (rivals.len() / self.options.reduction_factor).max(1);
        let (_, last, _) = rivals.select_nth_unstable_by(n_promotable - 1, |a, b| {
            direction.to_minimize(*a).total_cmp(&direction.to_minimize(*b))
        });
        direction.to_minimize(value) <= direction.to_minimize(*last)
    }
}

impl Pruner for SuccessiveHalvingPruner {
    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement {
        self.judge_among(|_| true, history, current)
    }
}

/// Returns the first rung that the trial has not reached.
fn current_rung(current: &RunningTrial) -> usize {
    let mut rung = 0;
    while current.system_attrs.contains_key(&rung_key(rung)) {
        rung += 1;
    }
    rung
}

fn rung_key(rung: usize) -> String {
    format!("completed_rung_{rung}")
}

/// Returns the values that other trials left on a rung, and this one if it was there before: a retry starts with the
/// attributes of the lost trial. NaN cannot be compared and is left out. O(trials).
fn values_on_rung(
    key: &str,
    is_peer: impl Fn(TrialNumber) -> bool,
    history: &History,
    current: &RunningTrial,
) -> Vec<f64> {
    let others = history.trials().iter().map(|trial| (trial.number, &trial.system_attrs));
    let all = others.chain([(current.number, current.system_attrs)]);
    all.filter_map(|(number, attrs)| Some((number, attrs.get(key)?.as_f64()?)))
        .filter(|(number, value)| !value.is_nan() && is_peer(*number))
        .map(|(_, value)| value)
        .collect()
}

impl Options for SuccessiveHalvingOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::count_or_auto("min_resource", 1, |it| &mut it.min_resource),
        Field::count("reduction_factor", 2, |it| &mut it.reduction_factor),
        Field::count("min_early_stopping_rate", 0, |it| &mut it.min_early_stopping_rate),
        Field::count("bootstrap_count", 0, |it| &mut it.bootstrap_count),
    ];
}

impl Configured<dyn Pruner> for SuccessiveHalvingOptions {
    const NAME: &'static str = "successive-halving";
    const ALIASES: &'static [&'static str] = &["asha"];
    const OPTUNA: &'static str = "SuccessiveHalvingPruner";
    const SUMMARY: &'static str = "of the trials on a rung, the best part continues";

    fn build(&self) -> Box<dyn Pruner> {
        Box::new(SuccessiveHalvingPruner::new(self.clone()))
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        check_bootstrap(Self::owner(), self.min_resource, self.bootstrap_count)
    }
}

/// Checks that a resource that follows from the history is not combined with waiting for trials on a rung: Optuna
/// refuses that too.
///
/// # Errors
/// Names the option.
pub(super) fn check_bootstrap(
    owner: OptionsOf,
    resource: Option<usize>,
    bootstrap_count: usize,
) -> Result<(), ConfigError> {
    if resource.is_some() || bootstrap_count == 0 {
        return Ok(());
    }
    Err(ConfigError::Value {
        owner,
        option: "bootstrap_count",
        expected: "0 where the resource is \"auto\"".to_owned(),
        found: bootstrap_count.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge, on_rungs, reporting};
    use trialbox_core::StudyDirection::{Maximize, Minimize};

    fn halving(min_resource: Option<usize>, bootstrap_count: usize) -> SuccessiveHalvingPruner {
        SuccessiveHalvingPruner::new(SuccessiveHalvingOptions {
            min_resource,
            reduction_factor: 2,
            bootstrap_count,
            ..Default::default()
        })
    }

    /// Checks what is left at the rungs, and whether the trial is pruned, for values at the steps 0, 1, ….
    #[track_caller]
    fn check(
        pruner: &SuccessiveHalvingPruner,
        direction: StudyDirection,
        rungs: &[&[f64]],
        values: &[f64],
        want: (bool, &[f64]),
    ) {
        let judgement = judge(pruner, direction, &on_rungs(rungs), values);
        let left = want.1.iter().enumerate();
        let left = left.map(|(rung, value)| (rung_key(rung), Json::Float(*value))).collect();
        assert_eq!((judgement.should_prune, judgement.system_attrs), (want.0, left));
    }

    #[test]
    fn the_better_half_of_those_on_a_rung_goes_on() {
        let rivals: &[&[f64]] = &[&[1.0], &[2.0], &[3.0]];
        check(&halving(Some(1), 0), Minimize, rivals, &[0.0], (false, &[]));
        check(&halving(Some(1), 0), Minimize, rivals, &[0.0, 2.0], (false, &[2.0]));
        check(&halving(Some(1), 0), Minimize, rivals, &[0.0, 2.5], (true, &[2.5]));
        check(&halving(Some(1), 0), Maximize, rivals, &[0.0, 2.0], (false, &[2.0]));
        check(&halving(Some(1), 0), Maximize, rivals, &[0.0, 1.5], (true, &[1.5]));
    }

    #[test]
    fn a_trial_takes_all_the_rungs_that_its_step_has_passed_until_it_loses() {
        let alone: &[&[f64]] = &[];
        check(&halving(Some(1), 0), Minimize, alone, &[0.5; 5], (false, &[0.5; 3]));
        let rivals: &[&[f64]] = &[&[0.5, 0.25]];
        check(&halving(Some(1), 0), Minimize, rivals, &[0.5; 5], (true, &[0.5; 2]));
    }

    #[test]
    fn nan_is_pruned_at_a_rung_and_leaves_nothing() {
        check(&halving(Some(1), 0), Minimize, &[], &[f64::NAN], (false, &[]));
        check(&halving(Some(1), 0), Minimize, &[], &[1.0, f64::NAN], (true, &[]));
    }

    #[test]
    fn no_trial_goes_on_before_enough_trials_are_on_the_rung() {
        check(&halving(Some(1), 2), Minimize, &[&[1.0]], &[0.0, 0.0], (true, &[0.0]));
        check(&halving(Some(1), 1), Minimize, &[&[1.0]], &[0.0, 0.0], (false, &[0.0]));
    }

    #[test]
    fn the_first_rung_is_at_a_hundredth_of_the_longest_complete_trial() {
        let long = vec![1.0; 301];
        let cases: [(&[&[f64]], usize, usize); 4] =
            [(&[], 100, 0), (&[&[1.0; 50]], 2, 1), (&[&long], 3, 0), (&[&long], 4, 1)];
        for (rivals, n_steps, n_rungs) in cases {
            let rivals = reporting(rivals);
            let judgement = judge(&halving(None, 0), Minimize, &rivals, &long[..n_steps]);
            assert_eq!(judgement.system_attrs.len(), n_rungs, "{n_steps}");
        }
    }

    #[test]
    fn rungs_beyond_all_steps_are_never_reached() {
        let pruner = SuccessiveHalvingPruner::new(SuccessiveHalvingOptions {
            min_resource: Some(3),
            min_early_stopping_rate: usize::MAX,
            ..Default::default()
        });
        check(&pruner, Minimize, &[&[0.0]], &[1.0; 9], (false, &[]));
    }
}
