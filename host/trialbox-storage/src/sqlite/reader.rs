//! Reads whole trials.

use crate::rows::{
    decode_datetime, decode_distribution, decode_final_value, decode_json, decode_param,
    decode_state, decode_value, unreadable,
};
use crate::sqlite::cell::cell;
use crate::sqlite::errors::TxError;
use crate::sqlite::studies::AttrScope;
use crate::sqlite::trials::in_order_suggested;
use rusqlite::Connection;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use trialbox_core::seam::storage::OWN_PREFIX;
use trialbox_core::study::trial::TrialId;
use trialbox_core::{Distribution, FrozenTrial, Param, StudyId, TrialNumber};

/// A reader of whole trials, with one query for each table.
pub(crate) struct TrialReader {
    trials: Vec<FrozenTrial>,
    index: HashMap<i64, usize>,
}

/// The trials to read.
#[derive(Clone, Copy)]
pub(crate) enum TrialFilter<'a> {
    /// All trials of a study.
    Study(StudyId),
    /// A single trial.
    Trial(TrialId),
    /// The trials of a study that are not among these, or were not finished.
    Changed(StudyId, &'a [FrozenTrial]),
}

/// The attributes to read.
#[derive(Clone, Copy)]
enum AttrFilter {
    All,
    /// All attributes except trialbox's own.
    NotOurs,
}

impl TrialFilter<'_> {
    /// Returns the condition on `trials t` and its one argument.
    fn condition(self) -> (Cow<'static, str>, i64) {
        match self {
            TrialFilter::Study(id) => ("t.study_id = ?1".into(), id.0),
            TrialFilter::Trial(id) => ("t.trial_id = ?1".into(), id.0),
            TrialFilter::Changed(id, known) => (changed(known).into(), id.0),
        }
    }
}

/// The number of trials that a statement lists by their ids. SQLite limits the length of a statement.
pub(crate) const MAX_LISTED_IDS: usize = 1000;

/// Returns the condition for trials that are new or were not finished. New trials have higher ids than all known ones.
/// Of more than a thousand open trials, all after the first are read again.
fn changed(known: &[FrozenTrial]) -> String {
    let mut last = i64::MIN;
    let mut open = Vec::new();
    for trial in known {
        last = last.max(trial.id.0);
        if !trial.state.is_finished() {
            open.push(trial.id.0);
        }
    }
    if open.len() > MAX_LISTED_IDS {
        let first = open.iter().min().copied().unwrap_or(last);
        return format!("t.study_id = ?1 AND t.trial_id >= {first}");
    }
    let open: Vec<String> = open.iter().map(i64::to_string).collect();
    format!("t.study_id = ?1 AND (t.trial_id > {last} OR t.trial_id IN ({}))", open.join(", "))
}

impl TrialReader {
    /// Reads trials with all that is stored of them.
    pub(crate) fn read(
        tx: &Connection,
        which: TrialFilter<'_>,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        TrialReader::read_with_attrs(tx, which, AttrFilter::All)
    }

    /// Reads trials as samplers need them: without the system attributes that are trialbox's own, and without
    /// parameters that are not finite.
    pub(crate) fn read_history(
        tx: &Connection,
        which: TrialFilter<'_>,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        let mut trials = TrialReader::read_with_attrs(tx, which, AttrFilter::NotOurs)?;
        for trial in &mut trials {
            // A row without a number tells a sampler nothing.
            trial.params.retain(|(_, param)| param.internal.is_finite());
        }
        Ok(trials)
    }

    fn read_with_attrs(
        tx: &Connection,
        which: TrialFilter<'_>,
        system_attrs: AttrFilter,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        let mut reader = TrialReader { trials: Vec::new(), index: HashMap::new() };
        reader.read_trials(tx, which)?;
        reader.read_values(tx, which)?;
        reader.read_params(tx, which)?;
        reader.read_attrs(tx, AttrScope::User, which, AttrFilter::All)?;
        reader.read_attrs(tx, AttrScope::System, which, system_attrs)?;
        reader.read_intermediate_values(tx, which)?;
        reader.trials.sort_by_key(|trial| trial.number);
        Ok(reader.trials)
    }

    /// Reads only the states, values and system attributes of trials.
    pub(crate) fn read_outcomes(
        tx: &Connection,
        which: TrialFilter<'_>,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        let mut reader = TrialReader { trials: Vec::new(), index: HashMap::new() };
        reader.read_trials(tx, which)?;
        reader.read_values(tx, which)?;
        reader.read_attrs(tx, AttrScope::System, which, AttrFilter::All)?;
        reader.trials.sort_by_key(|trial| trial.number);
        Ok(reader.trials)
    }

    /// Reads only the states, parameters and system attributes of trials. Fixed parameters are system attributes.
    pub(crate) fn read_params_only(
        tx: &Connection,
        which: TrialFilter<'_>,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        let mut reader = TrialReader { trials: Vec::new(), index: HashMap::new() };
        reader.read_trials(tx, which)?;
        reader.read_params(tx, which)?;
        reader.read_attrs(tx, AttrScope::System, which, AttrFilter::All)?;
        Ok(reader.trials)
    }

    fn read_trials(&mut self, tx: &Connection, which: TrialFilter<'_>) -> Result<(), TxError> {
        let (condition, id) = which.condition();
        let mut statement = tx.prepare(&format!(
            "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials t
             WHERE {condition} ORDER BY trial_id"
        ))?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let by_id = || format!("trial with id {id}");
            let number: Option<u32> = cell(row, 1, by_id)?;
            let Some(number) = number else {
                return Err(unreadable(format!("{}: its number is NULL", by_id())).into());
            };
            let what = || format!("trial {number}");
            let state: String = cell(row, 2, what)?;
            self.index.insert(id, self.trials.len());
            self.trials.push(FrozenTrial {
                id: TrialId(id),
                number: TrialNumber(number),
                state: decode_state(&state, what)?,
                values: Vec::new(),
                datetime_start: decode_datetime(cell(row, 3, what)?, what)?,
                datetime_complete: decode_datetime(cell(row, 4, what)?, what)?,
                params: Vec::new(),
                user_attrs: BTreeMap::new(),
                system_attrs: BTreeMap::new(),
                intermediate_values: BTreeMap::new(),
            });
        }
        Ok(())
    }

    fn read_values(&mut self, tx: &Connection, which: TrialFilter<'_>) -> Result<(), TxError> {
        let (condition, id) = which.condition();
        let mut statement = tx.prepare(&format!(
            "SELECT t.trial_id, v.objective, v.value, v.value_type FROM trials t
             JOIN trial_values v ON v.trial_id = t.trial_id
             WHERE {condition} ORDER BY t.trial_id, v.objective"
        ))?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let Some(trial) = self.trial(row.get(0)?) else { continue };
            let (number, n_values) = (trial.number, trial.values.len());
            let objective: i64 = cell(row, 1, || format!("a value of trial {number}"))?;
            if objective != n_values as i64 {
                return Err(unreadable(format!(
                    "value {objective} of trial {number}: value {n_values} is missing"
                ))
                .into());
            }
            let what = || format!("value {objective} of trial {number}");
            let kind: String = cell(row, 3, what)?;
            let value = decode_final_value(cell(row, 2, what)?, &kind, what)?;
            trial.values.push(value);
        }
        Ok(())
    }

    fn read_params(&mut self, tx: &Connection, which: TrialFilter<'_>) -> Result<(), TxError> {
        let (condition, id) = which.condition();
        let mut statement = tx.prepare(&format!(
            "SELECT t.trial_id, p.param_id, p.param_name, p.param_value, p.distribution_json
             FROM trials t CROSS JOIN trial_params p ON p.trial_id = t.trial_id
             WHERE {condition} ORDER BY t.trial_id"
        ))?;
        // Thousands of trials share a few distributions, so each text is parsed only once.
        let mut known: HashMap<String, Distribution> = HashMap::new();
        let (mut current, mut found) = (0, Vec::new());
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let trial_id: i64 = row.get(0)?;
            if trial_id != current {
                self.set_params(current, std::mem::take(&mut found));
                current = trial_id;
            }
            let Some(trial) = self.trial(trial_id) else { continue };
            let number = trial.number;
            let of_trial = || format!("a parameter of trial {number}");
            let (param_id, name): (i64, Option<String>) =
                (cell(row, 1, of_trial)?, cell(row, 2, of_trial)?);
            // Python's dictionaries have a key None; ours have no such key.
            let Some(name) = name else { continue };
            let what = || format!("parameter `{name}` of trial {number}");
            let text: String = cell(row, 4, what)?;
            let distribution = match known.get(&text) {
                Some(distribution) => distribution.clone(),
                None => {
                    let distribution = decode_distribution(&text, what)?;
                    known.insert(text, distribution.clone());
                    distribution
                }
            };
            found.push((
                param_id,
                name.clone(),
                decode_param(cell(row, 3, what)?, distribution, what)?,
            ));
        }
        self.set_params(current, found);
        Ok(())
    }

    fn set_params(&mut self, trial_id: i64, found: Vec<(i64, String, Param)>) {
        if let Some(trial) = self.trial(trial_id) {
            trial.params = in_order_suggested(found);
        }
    }

    fn read_attrs(
        &mut self,
        tx: &Connection,
        table: AttrScope,
        which: TrialFilter<'_>,
        attrs: AttrFilter,
    ) -> Result<(), TxError> {
        let (condition, id) = which.condition();
        let not_own = match attrs {
            AttrFilter::All => String::new(),
            AttrFilter::NotOurs => {
                format!("AND substr(a.\"key\", 1, {}) <> '{OWN_PREFIX}'", OWN_PREFIX.len())
            }
        };
        let mut statement = tx.prepare(&format!(
            "SELECT t.trial_id, a.\"key\", a.value_json FROM trials t
             JOIN trial_{}_attributes a ON a.trial_id = t.trial_id WHERE {condition} {not_own}",
            table.word()
        ))?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let Some(trial) = self.trial(row.get(0)?) else { continue };
            let number = trial.number;
            let key: Option<String> = cell(row, 1, || format!("an attribute of trial {number}"))?;
            let Some(key) = key else { continue };
            let what = || format!("attribute `{key}` of trial {number}");
            let value = decode_json(&cell::<String>(row, 2, what)?, what)?;
            match table {
                AttrScope::User => trial.user_attrs.insert(key, value),
                AttrScope::System => trial.system_attrs.insert(key, value),
            };
        }
        Ok(())
    }

    fn read_intermediate_values(
        &mut self,
        tx: &Connection,
        which: TrialFilter<'_>,
    ) -> Result<(), TxError> {
        let (condition, id) = which.condition();
        let mut statement = tx.prepare(&format!(
            "SELECT t.trial_id, i.step, i.intermediate_value, i.intermediate_value_type FROM trials t
             JOIN trial_intermediate_values i ON i.trial_id = t.trial_id WHERE {condition}"
        ))?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let Some(trial) = self.trial(row.get(0)?) else { continue };
            let number = trial.number;
            let step: i64 = cell(row, 1, || format!("a report of trial {number}"))?;
            let what = || format!("step {step} of trial {number}");
            let kind: String = cell(row, 3, what)?;
            let value = decode_value(cell(row, 2, what)?, &kind, what)?;
            trial.intermediate_values.insert(step, value);
        }
        Ok(())
    }

    fn trial(&mut self, id: i64) -> Option<&mut FrozenTrial> {
        self.trials.get_mut(*self.index.get(&id)?)
    }
}
