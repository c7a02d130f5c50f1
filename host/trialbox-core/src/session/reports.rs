//! The reports of an objective, thinned.
//!
//! A study's database should not hold a million points of one learning curve, nor only its beginning. The first half of
//! the rows goes to the first reports. After that the gaps between the reports that are kept grow in proportion to the
//! curve. Every trial keeps the same reports, counted, so that trials can be compared step by step. The last report is
//! always kept.

use std::collections::BTreeMap;

/// The intermediate values of one trial.
#[derive(Debug)]
pub(crate) struct Reports {
    max_kept: usize,
    /// The reports that are kept, and the last one.
    values: BTreeMap<i64, f64>,
    /// The step of the last report, if it is in `values` only until the next one comes.
    passing: Option<i64>,
    n_kept: usize,
    n_made: u64,
    /// The number of reports before the next one that is kept.
    next_kept: u64,
    has_repeated: bool,
}

/// The fate of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportKept {
    /// The report is to be stored.
    Kept,
    /// The report is to be stored only if it is the last one.
    Passing,
    /// The step already has a value.
    Repeated {
        /// True the first time that this happens in the trial.
        is_first: bool,
    },
}

impl Reports {
    /// Creates an empty collection of at most `max_kept` values, which is at least 1.
    pub(crate) fn new(max_kept: usize) -> Self {
        Reports {
            max_kept,
            values: BTreeMap::new(),
            passing: None,
            n_kept: 0,
            n_made: 0,
            next_kept: 0,
            has_repeated: false,
        }
    }

    /// Takes a report. Of several for one step the first stays, as in Optuna. A step whose report was not kept can be
    /// reported again: it is no longer known.
    pub(crate) fn add(&mut self, step: i64, value: f64) -> ReportKept {
        // A repeated report counts too: `n_made` is the number of calls.
        let n_before = self.n_made;
        self.n_made += 1;
        if self.values.contains_key(&step) {
            let is_first = !std::mem::replace(&mut self.has_repeated, true);
            return ReportKept::Repeated { is_first };
        }
        if let Some(passed) = self.passing.take() {
            self.values.remove(&passed);
        }
        self.values.insert(step, value);
        // One row is left for the last report.
        if n_before >= self.next_kept && self.n_kept + 1 < self.max_kept {
            self.n_kept += 1;
            self.next_kept = n_before + self.gap(n_before);
            ReportKept::Kept
        } else {
            self.passing = Some(step);
            ReportKept::Passing
        }
    }

    /// Returns the distance to the next report that is kept: 1 in the first half of the rows, and then 1 more for each
    /// seventeenth of that half. With x reports after the first half there are half · ln(1 + 17 x / half) / 17 more
    /// rows, so that the other half is enough for half · e¹⁷ / 17 of them: with 10,000 rows for 7·10⁹, more steps than
    /// a guest can count.
    fn gap(&self, n_before: u64) -> u64 {
        let half = (self.max_kept / 2).max(1) as u64;
        1 + (n_before.saturating_sub(half) * 17).div_ceil(half)
    }

    /// Returns the values by step: those kept, and the last.
    pub(crate) fn values(&self) -> &BTreeMap<i64, f64> {
        &self.values
    }

    /// Returns the last report, if it is not among those kept.
    pub(crate) fn last_passing(&self) -> Option<(i64, f64)> {
        let step = self.passing?;
        Some((step, self.values[&step]))
    }

    /// Returns the number of reports that the objective made.
    pub(crate) fn n_made(&self) -> u64 {
        self.n_made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps that are stored of so many reports.
    fn stored(max_kept: usize, n_made: i64) -> Vec<i64> {
        let mut reports = Reports::new(max_kept);
        let mut stored: Vec<i64> = (0..n_made)
            .filter(|step| reports.add(*step, *step as f64) == ReportKept::Kept)
            .collect();
        stored.extend(reports.last_passing().map(|(step, _)| step));
        assert!(reports.values().keys().eq(&stored));
        stored
    }

    #[test]
    fn few_reports_are_all_kept_and_of_many_the_beginning_the_last_and_a_thinning_curve() {
        assert_eq!(stored(10_000, 5_000), (0..5_000).collect::<Vec<_>>());
        let million = stored(10_000, 1_000_000);
        assert!(million.len() <= 10_000);
        assert!(million.len() > 6_000);
        assert!(million[..5_000].iter().copied().eq(0..5_000));
        assert_eq!(million.last(), Some(&999_999));
        // In the other half no gap is wider than 0.35 % of the curve before it.
        let widest =
            million[4_999..].windows(2).map(|pair| (pair[1] - pair[0]) as f64 / pair[1] as f64);
        assert!(widest.fold(0.0, f64::max) < 0.0035);
    }

    #[test]
    fn the_bound_holds_however_small_it_is_and_however_many_reports_there_are() {
        assert_eq!(stored(1, 100), [99]);
        assert_eq!(stored(2, 100), [0, 99]);
        for max_kept in [3, 10, 100, 1_000] {
            assert!(stored(max_kept, 3_000_000).len() <= max_kept, "{max_kept}");
        }
    }

    #[test]
    fn trials_of_different_lengths_keep_the_same_steps() {
        let (short, long) = (stored(100, 1_000), stored(100, 100_000));
        let common = short.len() - 1;
        assert_eq!(short[..common], long[..common]);
    }

    #[test]
    fn the_first_value_of_a_step_stays_and_steps_may_go_backwards() {
        let mut reports = Reports::new(4);
        assert_eq!(reports.add(5, 0.5), ReportKept::Kept);
        assert_eq!(reports.add(5, 0.6), ReportKept::Repeated { is_first: true });
        assert_eq!(reports.add(5, 0.6), ReportKept::Repeated { is_first: false });
        assert_eq!(reports.add(3, f64::NAN), ReportKept::Kept);
        assert_eq!(reports.values()[&5], 0.5);
        assert_eq!(reports.n_made(), 4);
        assert!(reports.values()[&3].is_nan());
    }
}
