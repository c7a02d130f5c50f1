//! The reports of a running trial, as several pruners look at them.

use std::collections::BTreeMap;
use trialbox_core::{History, StudyDirection};

/// Returns the direction of a study that trials can be pruned in: one with a single objective.
pub(super) fn single_direction(history: &History) -> Option<StudyDirection> {
    if let [direction] = history.directions() { Some(*direction) } else { None }
}

/// Returns the last step and its value, if a pruner looks now that warms up for so many steps and then looks at
/// intervals: at the first report of each interval.
pub(super) fn due_report(
    intermediate_values: &BTreeMap<i64, f64>,
    n_warmup_steps: usize,
    interval_steps: usize,
) -> Option<(i64, f64)> {
    let mut reports = intermediate_values.iter().rev();
    let (step, value) = reports.next()?;
    let (warmup, interval) = (as_step(n_warmup_steps), as_step(interval_steps));
    if *step < warmup {
        return None;
    }
    let begin = (step - warmup) / interval * interval + warmup;
    // As Optuna has it: without an earlier report it is as if there were one at -1.
    let before = reports.next().map_or(-1, |(before, _)| (*before).max(-1));
    (before < begin).then_some((*step, *value))
}

/// Returns a number as a step; what is beyond all steps is the last one.
pub(super) fn as_step(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Returns the best of the values, NaN left out; NaN if nothing is left.
pub(super) fn best<'a>(direction: StudyDirection, values: impl Iterator<Item = &'a f64>) -> f64 {
    values.fold(f64::NAN, |best, value| match direction {
        StudyDirection::Minimize => best.min(*value),
        StudyDirection::Maximize => best.max(*value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_due(steps: &[i64], n_warmup_steps: usize, interval_steps: usize, want: Option<i64>) {
        let values = steps.iter().map(|step| (*step, 0.5)).collect();
        let due = due_report(&values, n_warmup_steps, interval_steps);
        assert_eq!(due, want.map(|step| (step, 0.5)), "{steps:?}");
    }

    #[test]
    fn the_first_report_of_each_interval_is_due() {
        check_due(&[], 0, 1, None);
        check_due(&[0], 0, 1, Some(0));
        check_due(&[-3], 0, 1, None);
        check_due(&[4], 5, 3, None);
        check_due(&[4, 5], 5, 3, Some(5));
        check_due(&[5, 6], 5, 3, None);
        check_due(&[5, 7], 5, 3, None);
        check_due(&[5, 10], 5, 3, Some(10));
        check_due(&[8, 10], 5, 3, None);
        check_due(&[7], usize::MAX, usize::MAX, None);
    }

    #[test]
    fn the_best_value_is_none_of_nan() {
        let values = [f64::NAN, 2.0, f64::NEG_INFINITY, 1.0];
        assert_eq!(best(StudyDirection::Minimize, values.iter()), f64::NEG_INFINITY);
        assert_eq!(best(StudyDirection::Maximize, values.iter()), 2.0);
        assert!(best(StudyDirection::Maximize, [f64::NAN].iter()).is_nan());
    }
}
