//! A trial stops when its values at the steps of the best trial are significantly worse than those.

use super::reports::single_direction;
use crate::config::Configured;
use crate::options::{Field, Options};
use crate::tpe::normal_cdf;
use std::collections::BTreeMap;
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::{History, StudyDirection};

/// Options of [`WilcoxonPruner`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, PartialEq)]
pub struct WilcoxonOptions {
    /// The largest p-value, from 0 to 1, at which a trial is pruned: the probability of such a difference among equals.
    pub p_threshold: f64,
    /// The number of steps that must be in common; less than 2 counts as 2.
    pub n_startup_steps: usize,
}

impl Default for WilcoxonOptions {
    fn default() -> Self {
        WilcoxonOptions { p_threshold: 0.1, n_startup_steps: 2 }
    }
}

/// Compares a trial with the best one, step by step, by the signed-rank test: for objectives that report the
/// values of many instances, such as the folds of a cross-validation, and return their mean.
///
/// A trial is kept whose mean is at least as good as the best trial's, and where a value of either is not finite.
///
/// Wilcoxon 1945, "Individual Comparisons by Ranking Methods".
#[derive(Debug, Clone)]
pub struct WilcoxonPruner {
    options: WilcoxonOptions,
}

impl WilcoxonPruner {
    /// Creates the pruner with these options.
    pub fn new(options: WilcoxonOptions) -> Self {
        WilcoxonPruner { options }
    }

    fn should_prune(&self, history: &History, current: &RunningTrial) -> Option<bool> {
        let direction = single_direction(history)?;
        let reports = current.intermediate_values;
        if reports.is_empty() || !reports.values().all(|value| value.is_finite()) {
            return None;
        }
        let best = &history.best_trial()?.intermediate_values;
        if best.is_empty() || !best.values().all(|value| value.is_finite()) {
            return None;
        }
        let in_common = reports.iter().filter_map(|(step, value)| Some(value - best.get(step)?));
        let differences: Vec<f64> = in_common.collect();
        if differences.len() < self.options.n_startup_steps.max(2) {
            return None;
        }
        // What is improbable is a sum of ranks so large if small is good, and so small if large is.
        let (sign, is_good_on_average) = match direction {
            StudyDirection::Minimize => (1.0, mean(reports) <= mean(best)),
            StudyDirection::Maximize => (-1.0, mean(reports) >= mean(best)),
        };
        let p = p_greater(&differences, sign);
        Some(p < self.options.p_threshold && !is_good_on_average)
    }
}

impl Pruner for WilcoxonPruner {
    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement {
        Judgement::new(self.should_prune(history, current).unwrap_or(false))
    }
}

/// Returns the mean over all steps. Not of the steps in common: what a trial returns is the mean of all.
fn mean(values: &BTreeMap<i64, f64>) -> f64 {
    values.values().sum::<f64>() / values.len() as f64
}

/// Returns the p-value of the one-sided signed-rank test that `sign` times the differences are not greater than 0.
///
/// Zeros count half on either side. As SciPy's `wilcoxon` with `zsplit` and the method `auto`: exact for at most
/// 50 differences if no two of them are equal in size and none is 0, and for at most 13 in any case; else by the
/// normal approximation without a correction for continuity.
fn p_greater(differences: &[f64], sign: f64) -> f64 {
    let mut signed: Vec<f64> = differences.iter().map(|difference| sign * difference).collect();
    signed.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let Ranks { doubled, has_ties, tie_term } = Ranks::new(&signed);
    let is_plain = !has_ties && signed[0] != 0.0;
    let ranks = || signed.iter().zip(&doubled);
    let positive: usize =
        ranks().filter(|(value, _)| **value > 0.0).map(|(_, doubled)| doubled).sum();
    if signed.len() <= if is_plain { 50 } else { 13 } {
        let others = ranks().filter(|(value, _)| **value != 0.0).map(|(_, doubled)| *doubled);
        return p_of_sum(&others.collect::<Vec<_>>(), positive);
    }
    let zeros: usize =
        ranks().filter(|(value, _)| **value == 0.0).map(|(_, doubled)| doubled).sum();
    let (n, sum) = (signed.len() as f64, 0.5 * positive as f64 + 0.25 * zeros as f64);
    let variance = (n * (n + 1.0) * (2.0 * n + 1.0) - tie_term / 2.0) / 24.0;
    normal_cdf(-(sum - n * (n + 1.0) * 0.25) / variance.sqrt())
}

/// Ranks by size from 1 on, equal ones having their mean.
struct Ranks {
    /// Twice the ranks, which are whole or half.
    doubled: Vec<usize>,
    has_ties: bool,
    /// The sum of t³ − t over groups of t equal ones.
    tie_term: f64,
}

impl Ranks {
    /// Ranks values that are sorted by size.
    fn new(sorted: &[f64]) -> Self {
        let mut ranks =
            Ranks { doubled: Vec::with_capacity(sorted.len()), has_ties: false, tie_term: 0.0 };
        for group in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
            let n = group.len();
            let doubled = 2 * ranks.doubled.len() + n + 1;
            ranks.doubled.extend(std::iter::repeat_n(doubled, n));
            ranks.has_ties |= n > 1;
            ranks.tie_term += (n as f64).powi(3) - n as f64;
        }
        ranks
    }
}

/// Returns the probability that a sum over `ranks`, each taken or not with equal chances, is at least `least`.
///
/// Exact for at most 52 ranks, because every probability is then a multiple of 2⁻⁵². O(n · sum of the ranks).
fn p_of_sum(ranks: &[usize], least: usize) -> f64 {
    let mut distribution = vec![0.0; ranks.iter().sum::<usize>() + 1];
    distribution[0] = 1.0;
    let mut top = 0;
    for rank in ranks {
        top += rank;
        for sum in (0..=top).rev() {
            let with = sum.checked_sub(*rank).map_or(0.0, |without| distribution[without]);
            distribution[sum] = 0.5 * (distribution[sum] + with);
        }
    }
    distribution[least..].iter().sum()
}

impl Options for WilcoxonOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::float("p_threshold", 0.0..=1.0, |it| &mut it.p_threshold),
        Field::count("n_startup_steps", 0, |it| &mut it.n_startup_steps),
    ];
}

impl Configured<dyn Pruner> for WilcoxonOptions {
    const NAME: &'static str = "wilcoxon";
    const OPTUNA: &'static str = "WilcoxonPruner";
    const SUMMARY: &'static str =
        "stops what is significantly worse than the best trial, step by step";

    fn build(&self) -> Box<dyn Pruner> {
        Box::new(WilcoxonPruner::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_prune, reporting};
    use trialbox_core::StudyDirection::{Maximize, Minimize};

    #[track_caller]
    fn check_p(differences: &[f64], sign: f64, want: f64) {
        let found = p_greater(differences, sign);
        assert!((found / want - 1.0).abs() < 1e-13, "{found} instead of {want}");
    }

    /// By SciPy 1.17: `wilcoxon(d, zero_method="zsplit", alternative="greater" or "less")`.
    #[test]
    fn p_values_are_scipys() {
        check_p(&[0.1, 0.2, 0.3], 1.0, 0.125);
        check_p(&[0.1, -0.2, 0.3, 0.0], 1.0, 0.375);
        check_p(&[0.1; 12], -1.0, 1.0);
        check_p(&[0.5, -0.1, 0.2, 0.2, 0.0, 0.0, -0.3], -1.0, 0.75);
        let sixty: Vec<f64> = (0..60).map(|i| -0.5 + 1.5 * f64::from(i) / 59.0).collect();
        check_p(&sixty, 1.0, 0.000_134_220_108_178_766_32);
    }

    /// By SciPy 1.17, on both sides of the numbers up to which it is exact.
    #[test]
    fn the_exact_test_gives_way_to_the_approximation_where_scipys_does() {
        let ties = [0.5, -0.25, 0.75, 0.25, 1.0, -0.5, 0.0, 1.25, 0.5, 0.75, -1.0, 1.5, 0.25, 0.0];
        check_p(&ties[..13], 1.0, 0.038_818_359_375);
        check_p(&ties[..13], -1.0, 0.966_064_453_125);
        check_p(&ties, 1.0, 0.036_406_829_910_581_38);
        check_p(&ties, -1.0, 0.963_593_170_089_418_6);
        let sign = |i: usize| if (i / 3).is_multiple_of(2) { 1.0 } else { -1.0 };
        let mut plain: Vec<f64> = (0..50).map(|i| sign(i) * (i + 1) as f64 / 10.0 + 0.3).collect();
        check_p(&plain, 1.0, 0.207_596_004_426_237_7);
        plain.push(9.05);
        check_p(&plain, 1.0, 0.149_064_321_453_098_23);
    }

    #[test]
    fn equal_trials_have_a_p_value_above_a_half() {
        assert_eq!(p_greater(&[0.0; 5], 1.0), 1.0);
        assert_eq!(p_greater(&[0.0; 60], 1.0), 0.5);
    }

    #[test]
    fn a_trial_worse_at_enough_steps_is_pruned() {
        let best: &[f64] = &[1.0; 10];
        let pruner = WilcoxonPruner::new(WilcoxonOptions::default());
        check_prune(&pruner, Minimize, &reporting(&[best]), &[1.1, 1.2, 1.3], false);
        check_prune(&pruner, Minimize, &reporting(&[best]), &[1.1, 1.2, 1.3, 1.4], true);
        check_prune(&pruner, Maximize, &reporting(&[best]), &[1.1, 1.2, 1.3, 1.4], false);
        check_prune(&pruner, Maximize, &reporting(&[best]), &[0.9, 0.8, 0.7, 0.6], true);
        let late = WilcoxonOptions { n_startup_steps: 5, ..Default::default() };
        let late = WilcoxonPruner::new(late);
        check_prune(&late, Minimize, &reporting(&[best]), &[1.1, 1.2, 1.3, 1.4], false);
    }

    #[test]
    fn a_trial_with_the_better_mean_is_kept() {
        let best: &[f64] = &[1.0, 1.0, 1.0, 1.0, 9.0];
        let pruner = WilcoxonPruner::new(WilcoxonOptions::default());
        check_prune(&pruner, Minimize, &reporting(&[best]), &[1.1, 1.2, 1.3, 1.4], false);
        check_prune(&pruner, Minimize, &reporting(&[best]), &[1.1, 1.2, 1.3, 19.0], true);
    }

    #[test]
    fn values_that_are_not_finite_and_a_best_trial_without_values_prune_nobody() {
        let pruner = WilcoxonPruner::new(WilcoxonOptions::default());
        let worse = [2.0, 2.1, 2.2, 2.3];
        check_prune(&pruner, Minimize, &reporting(&[&[1.0; 4]]), &worse, true);
        check_prune(
            &pruner,
            Minimize,
            &reporting(&[&[1.0; 4]]),
            &[2.0, 2.1, 2.2, 2.3, f64::NAN],
            false,
        );
        check_prune(
            &pruner,
            Minimize,
            &reporting(&[&[1.0, 1.0, 1.0, 1.0, -f64::INFINITY]]),
            &worse,
            false,
        );
        check_prune(&pruner, Minimize, &reporting(&[&[]]), &worse, false);
        check_prune(&pruner, Minimize, &[], &worse, false);
    }
}
