//! Asks another pruner only once a trial has ceased to improve.

use super::reports::{best, single_direction};
use crate::config::{Config, Configured};
use crate::error::ConfigError;
use crate::options::{Field, Options, Refusal};
use trialbox_core::seam::pruner::{Judgement, NopPruner, Pruner, RunningTrial};
use trialbox_core::{History, Json, StudyDirection};

/// Options of [`PatientPruner`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PatientOptions {
    /// The pruner that is asked; without one, a trial that has ceased to improve is pruned.
    pub wrapped_pruner: Option<Config<dyn Pruner>>,
    /// The number of reports that a trial may take to improve; without a default.
    pub patience: Option<usize>,
    /// The difference by which the best of the last reports may be worse than the best before without counting as
    /// worse; >= 0.
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
    fn wrapped_json(&self) -> Json {
        self.wrapped_pruner.as_ref().map_or(Json::Null, Config::to_json)
    }
}

impl Options for PatientOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::custom("wrapped_pruner", PatientOptions::wrapped_json, |it, value| {
            it.wrapped_pruner = parse_wrapped(value)?;
            Ok(())
        }),
        Field::required_count("patience", 0, |it| &mut it.patience),
        Field::float("min_delta", 0.0..=f64::INFINITY, |it| &mut it.min_delta),
    ];
}

impl Configured<dyn Pruner> for PatientOptions {
    const NAME: &'static str = "patient";
    const OPTUNA: &'static str = "PatientPruner";
    const SUMMARY: &'static str =
        "asks its `wrapped_pruner` when a trial has not improved for `patience` reports";

    fn build(&self) -> Box<dyn Pruner> {
        let Some(patience) = self.patience else { return Box::new(NopPruner) };
        let wrapped = self.wrapped_pruner.as_ref().map(Config::build);
        Box::new(PatientPruner::new(wrapped, patience, self.min_delta))
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        if self.patience.is_some() {
            return Ok(());
        }
        let (option, example) = ("`patience`", "patience=3");
        Err(ConfigError::Missing { owner: Self::owner(), option, example })
    }
}

/// Reads the pruner that a patient one wraps, which must be complete.
fn parse_wrapped(value: &Json) -> Result<Option<Config<dyn Pruner>>, Refusal> {
    let wrapped = match value {
        Json::Null => return Ok(None),
        Json::String(name) => Config::parse(name)?,
        Json::Object(_) => Config::from_json(value)?,
        _ => return Err(EXPECTED_PRUNER.into()),
    };
    wrapped.check_complete()?;
    Ok(Some(wrapped))
}

const EXPECTED_PRUNER: &str = "a pruner's name, {\"name\": NAME, \"options\": {…}}, or null";

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
