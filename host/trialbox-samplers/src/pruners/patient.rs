//! Asks another pruner only once a trial has ceased to improve.

use super::{PrunerConfig, best, single_direction};
use crate::options::{Field, Options, as_count, as_number_to, count};
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::{History, Json, StudyDirection};

/// Options of [`PatientPruner`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PatientOptions {
    /// Which pruner is asked; with none, a trial that has ceased to improve is pruned.
    pub wrapped_pruner: Option<Box<PrunerConfig>>,
    /// How many reports a trial may take to improve; there is no default.
    pub patience: Option<usize>,
    /// By how much the best of the last reports may be worse than the best before, and still be no worse; >= 0.
    pub min_delta: f64,
}

/// Compares the best of the last `patience` + 1 reports with the best before; values that are NaN are left out,
/// and a trial is kept if nothing is left on one side.
pub struct PatientPruner {
    wrapped: Option<Box<dyn Pruner>>,
    patience: usize,
    min_delta: f64,
}

impl PatientPruner {
    /// Wraps a pruner; with none, a trial that has ceased to improve is pruned. See [`PatientOptions`].
    pub fn new(wrapped: Option<Box<dyn Pruner>>, patience: usize, min_delta: f64) -> Self {
        PatientPruner { wrapped, patience, min_delta }
    }

    fn has_ceased_to_improve(&self, history: &History, current: &RunningTrial) -> bool {
        let Some(direction) = single_direction(history) else { return false };
        let reports = current.intermediate_values;
        let n_last = self.patience.saturating_add(1);
        let Some(n_before) = reports.len().checked_sub(n_last) else { return false };
        let before = best(direction, reports.values().take(n_before));
        let last = best(direction, reports.values().skip(n_before));
        match direction {
            StudyDirection::Minimize => before + self.min_delta < last,
            StudyDirection::Maximize => before - self.min_delta > last,
        }
    }
}

impl Pruner for PatientPruner {
    fn uses_history(&self) -> bool {
        self.wrapped.as_ref().is_some_and(|wrapped| wrapped.uses_history())
    }

    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement {
        match &self.wrapped {
            _ if !self.has_ceased_to_improve(history, current) => Judgement::new(false),
            None => Judgement::new(true),
            Some(wrapped) => wrapped.judge(history, current),
        }
    }
}

impl PatientOptions {
    /// The name of the option that [`PrunerConfig::set`] reads, because what it can be refused for is a pruner's.
    pub(super) const WRAPPED: &'static str = "wrapped_pruner";
}

impl Options for PatientOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: Self::WRAPPED,
            get: |options| options.wrapped_pruner.as_ref().map_or(Json::Null, |it| it.to_json()),
            set: |_, _| Err("read as a pruner"),
        },
        Field {
            name: "patience",
            get: |options| options.patience.map_or(Json::Null, count),
            set: |options, value| as_count(value).map(|n| options.patience = Some(n)),
        },
        Field {
            name: "min_delta",
            get: |options| options.min_delta.into(),
            set: |options, value| {
                as_number_to(f64::INFINITY, value, "a number, 0 or more")
                    .map(|delta| options.min_delta = delta)
            },
        },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pruners::{ThresholdOptions, ThresholdPruner};
    use crate::testing::check_prune;
    use trialbox_core::StudyDirection::{Maximize, Minimize};

    const NAN: f64 = f64::NAN;

    #[test]
    fn a_trial_is_pruned_when_it_has_not_improved_for_longer_than_the_patience() {
        let pruner = PatientPruner::new(None, 1, 0.0);
        check_prune(&pruner, Minimize, &[], &[1.0, 2.0], false);
        check_prune(&pruner, Minimize, &[], &[1.0, 2.0, 3.0], true);
        check_prune(&pruner, Minimize, &[], &[1.0, 2.0, 1.0], false);
        check_prune(&pruner, Minimize, &[], &[1.0, 2.0, NAN], true);
        check_prune(&pruner, Minimize, &[], &[1.0, NAN, NAN], false);
        check_prune(&pruner, Minimize, &[], &[NAN, 1.0, 2.0], false);
        check_prune(&pruner, Maximize, &[], &[1.0, 2.0, 3.0], false);
        check_prune(&pruner, Maximize, &[], &[3.0, 2.0, 1.0], true);
    }

    #[test]
    fn a_loss_of_less_than_the_delta_is_none() {
        let pruner = PatientPruner::new(None, 0, 0.5);
        check_prune(&pruner, Minimize, &[], &[1.0, 1.5], false);
        check_prune(&pruner, Minimize, &[], &[1.0, 1.75], true);
        check_prune(&pruner, Maximize, &[], &[1.0, 0.5], false);
        check_prune(&pruner, Maximize, &[], &[1.0, 0.25], true);
    }

    #[test]
    fn the_wrapped_pruner_decides_once_the_patience_is_over() {
        let upper = ThresholdOptions { upper: Some(2.0), ..Default::default() };
        let wrapped = Box::new(ThresholdPruner::new(upper));
        let pruner = PatientPruner::new(Some(wrapped), 0, 0.0);
        check_prune(&pruner, Minimize, &[], &[5.0], false);
        check_prune(&pruner, Minimize, &[], &[5.0, 4.0], false);
        check_prune(&pruner, Minimize, &[], &[1.0, 2.0], false);
        check_prune(&pruner, Minimize, &[], &[1.0, 3.0], true);
    }
}
