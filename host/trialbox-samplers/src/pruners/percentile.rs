//! A trial stops whose best is worse than a percentile of the others at its step.

use super::reports::{best, due_report, single_direction};
use crate::config::Configured;
use crate::error::ConfigError;
use crate::options::{Field, Options};
use trialbox_core::seam::pruner::{Judgement, NopPruner, Pruner, RunningTrial};
use trialbox_core::{History, StudyDirection};

/// The trials and steps at which a trial is compared with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The number of COMPLETE trials before any trial is pruned.
    pub n_startup_trials: usize,
    /// The first step at which trials are pruned.
    pub n_warmup_steps: usize,
    /// From there on, only the first report of each interval of so many steps is judged; at least 1.
    pub interval_steps: usize,
    /// The number of COMPLETE trials that must have reported at the step, at least 1.
    pub n_min_trials: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule { n_startup_trials: 5, n_warmup_steps: 0, interval_steps: 1, n_min_trials: 1 }
    }
}

/// Options of [`PercentilePruner`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PercentileOptions {
    /// The share of trials that is kept, in percent, from 0 to 100; without a default.
    pub percentile: Option<f64>,
    /// The trials and steps that are judged.
    pub when: Schedule,
}

/// Compares the best value of the running trial, over all its steps, with the percentile of what COMPLETE
/// trials reported at exactly its last step.
///
/// The percentile is linearly interpolated, values that are NaN left out. A trial that reported only NaN is
/// pruned, and one that equals the percentile is not.
#[derive(Debug, Clone)]
pub struct PercentilePruner {
    percentile: f64,
    when: Schedule,
}

impl PercentilePruner {
    /// Keeps the best `percentile` percent, a number from 0 to 100.
    pub fn new(percentile: f64, when: Schedule) -> Self {
        PercentilePruner { percentile, when }
    }

    fn should_prune(&self, history: &History, current: &RunningTrial) -> Option<bool> {
        let direction = single_direction(history)?;
        if history.n_complete() < self.when.n_startup_trials.max(1) {
            return None;
        }
        let reports = current.intermediate_values;
        let Schedule { n_warmup_steps, interval_steps, n_min_trials, .. } = self.when;
        let (step, _) = due_report(reports, n_warmup_steps, interval_steps)?;
        let best = best(direction, reports.values());
        if best.is_nan() {
            return Some(true);
        }
        let rivals = history.complete_values_at(step);
        if rivals.len() < n_min_trials {
            return None;
        }
        let rivals = &rivals[..rivals.partition_point(|value| !value.is_nan())];
        // Where no percentile can be told, it is NaN, and both comparisons are false.
        Some(match direction {
            StudyDirection::Minimize => best > percentile(rivals, self.percentile),
            StudyDirection::Maximize => best < percentile(rivals, 100.0 - self.percentile),
        })
    }
}

impl Pruner for PercentilePruner {
    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement {
        Judgement::new(self.should_prune(history, current).unwrap_or(false))
    }
}

/// Returns the percentile of ascending values, linearly interpolated: to the bit NumPy's `percentile`, also where an
/// infinite neighbour makes it NaN. NaN if there are no values.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = last as f64 * (percent / 100.0);
    let below = place.floor();
    let index = below as usize;
    let (low, high, t) = (sorted[index.min(last)], sorted[(index + 1).min(last)], place - below);
    let rise = high - low;
    if t >= 0.5 { high - rise * (1.0 - t) } else { low + rise * t }
}

impl Options for PercentileOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::required_float("percentile", 0.0..=100.0, |it| &mut it.percentile),
        Field::count("n_startup_trials", 0, |it| &mut it.when.n_startup_trials),
        Field::count("n_warmup_steps", 0, |it| &mut it.when.n_warmup_steps),
        Field::count("interval_steps", 1, |it| &mut it.when.interval_steps),
        Field::count("n_min_trials", 1, |it| &mut it.when.n_min_trials),
    ];
}

impl Configured<dyn Pruner> for PercentileOptions {
    const NAME: &'static str = "percentile";
    const OPTUNA: &'static str = "PercentilePruner";
    const SUMMARY: &'static str = "the same with another share: `percentile=25` keeps a quarter";

    fn build(&self) -> Box<dyn Pruner> {
        match self.percentile {
            Some(percentile) => Box::new(PercentilePruner::new(percentile, self.when.clone())),
            None => Box::new(NopPruner),
        }
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        if self.percentile.is_some() {
            return Ok(());
        }
        let (option, example) = ("`percentile`", "percentile=25");
        Err(ConfigError::Missing { owner: Self::owner(), option, example })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_prune, reporting};
    use trialbox_core::StudyDirection::{Maximize, Minimize};

    #[test]
    fn percentiles_are_interpolated() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (percent, want) in [(0.0, 1.0), (25.0, 2.0), (30.0, 2.4), (90.0, 12.8), (100.0, 16.0)] {
            assert_eq!(percentile(&values, percent), want, "{percent}");
        }
        assert_eq!(percentile(&[3.0], 70.0), 3.0);
        assert!(percentile(&[], 50.0).is_nan());
    }

    /// As `numpy.percentile`: an infinite neighbour counts even where the place falls on a finite value.
    #[test]
    fn an_infinite_neighbour_makes_a_percentile_unknown() {
        let values = [1.0, 2.0, f64::INFINITY];
        assert!(percentile(&values, 50.0).is_nan());
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&values, 40.0), 1.8);
        assert!(percentile(&values, 100.0).is_nan());
    }

    #[test]
    fn the_best_percent_are_kept_in_either_direction() {
        let rivals = reporting(&[&[1.0], &[2.0], &[3.0], &[4.0], &[5.0]]);
        let when = Schedule::default();
        let quarter = PercentilePruner::new(25.0, when);
        check_prune(&quarter, Minimize, &rivals, &[2.0], false);
        check_prune(&quarter, Minimize, &rivals, &[2.5], true);
        check_prune(&quarter, Maximize, &rivals, &[4.0], false);
        check_prune(&quarter, Maximize, &rivals, &[3.5], true);
    }
}
