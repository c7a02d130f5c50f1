//! A trial that was asked for, while it runs elsewhere: its reports, and the pruner's advice.

use crate::run::ask_tell::{TellError, claim_of_running};
use crate::seam::guarded::guarded;
use crate::seam::pruner::{Judgement, Pruner, RunningTrial};
use crate::seam::storage::{Storage, TrialBatch};
use crate::study::history::History;
use crate::study::record::StudyRecord;
use crate::study::trial::TrialNumber;

/// Records an intermediate value of a RUNNING trial. Returns false if the step has a value already, which stays, as in
/// Optuna. With `owner` only that attempt can report, as for [`crate::run::ask_tell::Tell::owner`].
///
/// # Errors
/// As [`crate::run::ask_tell::tell`].
pub fn report(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    number: TrialNumber,
    owner: Option<&str>,
    (step, value): (i64, f64),
) -> Result<bool, TellError> {
    let trial = storage.trial(study.id, number)?;
    let claim = claim_of_running(&trial, owner)?;
    if trial.intermediate_values.contains_key(&step) {
        return Ok(false);
    }
    let batch = TrialBatch { intermediate_values: vec![(step, value)], ..TrialBatch::default() };
    storage.record(&claim, &batch)?;
    Ok(true)
}

/// Returns whether the pruner advises to stop a RUNNING trial, by the values that were reported for it. With several
/// objectives no trial is pruned.
///
/// # Errors
/// As [`crate::run::ask_tell::tell`], and if the pruner panics.
pub fn should_prune(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    number: TrialNumber,
    owner: Option<&str>,
    pruner: &dyn Pruner,
) -> Result<bool, TellError> {
    let trial = storage.trial(study.id, number)?;
    let claim = claim_of_running(&trial, owner)?;
    if study.directions.len() > 1 {
        return Ok(false);
    }
    let trials = match pruner.uses_history() {
        true => storage.history(study.id)?,
        false => vec![],
    };
    let history = History::new(study.directions.clone(), trials);
    let current = RunningTrial {
        study_name: &study.name,
        number,
        intermediate_values: &trial.intermediate_values,
        system_attrs: &trial.system_attrs,
    };
    let Judgement { should_prune, system_attrs } =
        guarded("pruner", || pruner.judge(&history, &current))?;
    if !system_attrs.is_empty() {
        storage.record(&claim, &TrialBatch { system_attrs, ..TrialBatch::default() })?;
    }
    Ok(should_prune)
}
