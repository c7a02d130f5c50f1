//! Reads whole trials.

use crate::rows::{
    decode_datetime, decode_distribution, decode_final_value, decode_json, decode_param,
    decode_state, decode_value, unreadable,
};
use crate::sql::cell::{cell, text};
use crate::sql::studies::AttrScope;
use crate::sql::transaction::{Row, Transaction, TxError};
use rusqlite::params;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use trialbox_core::seam::storage::OWN_PREFIX;
use trialbox_core::study::trial::{JOINT_DRAW, SAMPLER_PREFIX, TrialId};
use trialbox_core::{Distribution, FrozenTrial, StudyId, TrialNumber};

/// A reader of whole trials, with one query for each table.
pub(crate) struct TrialReader<'a> {
    tx: &'a dyn Transaction,
    which: TrialFilter<'a>,
    /// True to read tables from their beginning to their end, and to leave out the rows of other studies.
    whole_tables: bool,
    /// By id.
    trials: Vec<FrozenTrial>,
    /// The index of the trial that the last row was of: most rows are of the same trial, or of the next.
    last: usize,
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
    /// Those that a search may depend on.
    OfSearch,
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
    if open.is_empty() {
        return format!("t.study_id = ?1 AND t.trial_id > {last}");
    }
    let open: Vec<String> = open.iter().map(i64::to_string).collect();
    format!("t.study_id = ?1 AND (t.trial_id > {last} OR t.trial_id IN ({}))", open.join(", "))
}

/// The part of all trials in the database from which on whole tables are read. A row that is read by its trial costs
/// three times as much as one that is passed over.
const MOST: f64 = 0.3;

/// Returns whether the study has the last of the known trials that were finished. SQLite gives the ids of deleted rows
/// out again; the time of the end tells a study from another that has its ids.
fn has_last_finished(
    tx: &dyn Transaction,
    study: StudyId,
    known: &[FrozenTrial],
) -> Result<bool, TxError> {
    let Some(last) = known.iter().rfind(|trial| trial.state.is_finished()) else {
        return Ok(true);
    };
    let sql = "SELECT number, datetime_complete FROM trials WHERE trial_id = ?1 AND study_id = ?2";
    let is_there = tx.first(sql, params![last.id.0, study.0], |row| {
        let what = || format!("trial {}", last.number);
        let number: Option<u32> = cell(row, 0, what)?;
        let complete = decode_datetime(cell(row, 1, what)?, what)?;
        Ok(number == Some(last.number.0) && complete == last.datetime_complete)
    })?;
    Ok(is_there.unwrap_or(false))
}

impl<'a> TrialReader<'a> {
    /// Reads trials with all that is stored of them.
    pub(crate) fn read(
        tx: &'a dyn Transaction,
        which: TrialFilter<'a>,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        let mut reader = TrialReader::of(tx, which)?;
        reader.read_values()?;
        reader.read_params()?;
        reader.read_attrs(AttrScope::User, AttrFilter::All)?;
        reader.read_attrs(AttrScope::System, AttrFilter::All)?;
        reader.read_intermediate_values()?;
        Ok(reader.into_trials())
    }

    /// Reads trials as samplers need them: without user attributes, without the system attributes on which no search
    /// depends, and without parameters that are not finite.
    pub(crate) fn read_history(
        tx: &'a dyn Transaction,
        which: TrialFilter<'a>,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        let mut reader = TrialReader::of(tx, which)?;
        reader.read_values()?;
        reader.read_params()?;
        reader.read_attrs(AttrScope::System, AttrFilter::OfSearch)?;
        reader.read_intermediate_values()?;
        let mut trials = reader.into_trials();
        for trial in &mut trials {
            // A row without a number tells a sampler nothing.
            trial.params.retain(|(_, param)| param.internal.is_finite());
        }
        Ok(trials)
    }

    /// Reads the trials that are new or were not finished, as [`Self::read_history`]; `None` if the known trials are
    /// not this study's.
    pub(crate) fn read_changed(
        tx: &'a dyn Transaction,
        study: StudyId,
        known: &'a [FrozenTrial],
    ) -> Result<Option<Vec<FrozenTrial>>, TxError> {
        if !has_last_finished(tx, study, known)? {
            return Ok(None);
        }
        let changed = TrialReader::read_history(tx, TrialFilter::Changed(study, known))?;
        let is_there = |open: &FrozenTrial| {
            let found = changed.binary_search_by_key(&open.number, |trial| trial.number);
            found.is_ok_and(|index| changed[index].id == open.id)
        };
        let mut open = known.iter().filter(|trial| !trial.state.is_finished());
        Ok(if open.all(is_there) { Some(changed) } else { None })
    }

    /// Reads only the states, times, values and system attributes of trials, these as [`Self::read_history`].
    pub(crate) fn read_outcomes(
        tx: &'a dyn Transaction,
        which: TrialFilter<'a>,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        let mut reader = TrialReader::of(tx, which)?;
        reader.read_values()?;
        reader.read_attrs(AttrScope::System, AttrFilter::OfSearch)?;
        Ok(reader.into_trials())
    }

    /// Reads only the states, parameters and system attributes of trials. Fixed parameters are system attributes.
    pub(crate) fn read_params_only(
        tx: &'a dyn Transaction,
        which: TrialFilter<'a>,
    ) -> Result<Vec<FrozenTrial>, TxError> {
        let mut reader = TrialReader::of(tx, which)?;
        reader.read_params()?;
        reader.read_attrs(AttrScope::System, AttrFilter::All)?;
        Ok(reader.into_trials())
    }

    /// Reads the rows of the trials themselves.
    fn of(tx: &'a dyn Transaction, which: TrialFilter<'a>) -> Result<Self, TxError> {
        let trials = read_trials(tx, which)?;
        let whole_tables = match which {
            TrialFilter::Study(_) if tx.dialect().order_of_table().is_some() => {
                let of_all: i64 = tx.one("SELECT count(*) FROM trials", &[], |row| row.get(0))?;
                trials.len() as f64 >= of_all as f64 * MOST
            }
            _ => false,
        };
        Ok(TrialReader { tx, which, whole_tables, trials, last: 0 })
    }

    fn into_trials(self) -> Vec<FrozenTrial> {
        let mut trials = self.trials;
        trials.sort_by_key(|trial| trial.number);
        trials
    }

    /// Hands the rows of a table with a column `trial_id` to `take`, each with the trial that it is of. `columns` are
    /// those of the alias `r`, from the second column of a row on; `only` is a further condition on `r` and `t`.
    ///
    /// Rows come in the order of the table where that is read as a whole, otherwise trial by trial: then a condition on
    /// the columns of an index is looked at before the row is.
    fn each_row(
        &mut self,
        table: &str,
        columns: &str,
        only: Option<&str>,
        mut take: impl FnMut(&mut FrozenTrial, Row<'_>) -> Result<(), TxError>,
    ) -> Result<(), TxError> {
        let tx = self.tx;
        let (condition, id) = self.which.condition();
        let whole = tx.dialect().order_of_table().filter(|_| self.whole_tables && only.is_none());
        let sql = match whole {
            Some(order) => format!("SELECT r.trial_id, {columns} FROM {table} r ORDER BY {order}"),
            // The order of the indexes: any other would be made by a sort.
            None => format!(
                "SELECT r.trial_id, {columns} FROM trials t {} {table} r ON r.trial_id = t.trial_id
                 WHERE {condition} AND {} ORDER BY t.trial_id",
                tx.dialect().join(),
                only.unwrap_or("true")
            ),
        };
        let arguments = params![id];
        tx.each_row(&sql, if whole.is_some() { &[] } else { arguments }, &mut |row| {
            // A row of no trial is for the doctor.
            if let Ok(trial_id) = row.get(0)
                && let Some(trial) = self.trial(trial_id)
            {
                take(trial, row)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Returns a trial by its id.
    fn trial(&mut self, id: i64) -> Option<&mut FrozenTrial> {
        let has_id = |index: usize| self.trials.get(index).is_some_and(|trial| trial.id.0 == id);
        self.last = if has_id(self.last) {
            self.last
        } else if has_id(self.last + 1) {
            self.last + 1
        } else {
            self.trials.binary_search_by_key(&id, |trial| trial.id.0).ok()?
        };
        self.trials.get_mut(self.last)
    }

    fn read_values(&mut self) -> Result<(), TxError> {
        // Where others wrote a trial's values in another order.
        let mut early = Vec::new();
        let columns = format!("r.objective, r.value, {}", self.tx.dialect().word("r.value_type"));
        self.each_row("trial_values", &columns, None, |trial, row| {
            let number = trial.number;
            let objective: i64 = cell(row, 1, || format!("a value of trial {number}"))?;
            let what = || format!("value {objective} of trial {number}");
            let kind = text(row, 3, what)?;
            let value = decode_final_value(cell(row, 2, what)?, kind, what)?;
            if objective == trial.values.len() as i64 {
                trial.values.push(value);
            } else {
                early.push((trial.id, objective, value));
            }
            Ok(())
        })?;
        early.sort_by_key(|(id, objective, _)| (id.0, *objective));
        for (id, objective, value) in early {
            let Some(trial) = self.trial(id.0) else { continue };
            let (number, n_values) = (trial.number, trial.values.len());
            if objective != n_values as i64 {
                return Err(unreadable(format!(
                    "value {objective} of trial {number}: value {n_values} is missing"
                ))
                .into());
            }
            trial.values.push(value);
        }
        Ok(())
    }

    /// Reads parameters in the order of their ids, which is that in which they were suggested.
    fn read_params(&mut self) -> Result<(), TxError> {
        let whole_tables = self.whole_tables;
        let (mut distributions, mut ids) = (Distributions::default(), Vec::new());
        let columns = "r.param_id, r.param_name, r.param_value, r.distribution_json";
        self.each_row("trial_params", columns, None, |trial, row| {
            let number = trial.number;
            let of_trial = || format!("a parameter of trial {number}");
            let (param_id, name): (i64, Option<String>) =
                (cell(row, 1, of_trial)?, cell(row, 2, of_trial)?);
            // Python's dictionaries have a key None; ours have no such key.
            let Some(name) = name else { return Ok(()) };
            let what = || format!("parameter `{name}` of trial {number}");
            let n_params = trial.params.len();
            let distribution = distributions.get(n_params, text(row, 4, what)?, what)?;
            let param = decode_param(cell(row, 3, what)?, distribution, what)?;
            if whole_tables {
                trial.params.push((name, param));
                return Ok(());
            }
            // Trial by trial, SQLite reads them in the order of their names.
            if n_params == 0 {
                ids.clear();
            }
            let place = ids.partition_point(|id| *id < param_id);
            ids.insert(place, param_id);
            trial.params.insert(place, (name, param));
            Ok(())
        })
    }

    fn read_attrs(&mut self, table: AttrScope, attrs: AttrFilter) -> Result<(), TxError> {
        let word = table.word();
        let table_name = format!("trial_{word}_attributes");
        let take = |trial: &mut FrozenTrial, row: Row<'_>| {
            let number = trial.number;
            let key: Option<String> = cell(row, 1, || format!("an attribute of trial {number}"))?;
            let Some(key) = key else { return Ok(()) };
            let what = || format!("attribute `{key}` of trial {number}");
            let value = decode_json(text(row, 2, what)?, what)?;
            match table {
                AttrScope::User => trial.user_attrs.insert(key, value),
                AttrScope::System => trial.system_attrs.insert(key, value),
            };
            Ok(())
        };
        let only = match attrs {
            AttrFilter::All => None,
            // As `is_of_search` has it. They are few among many.
            AttrFilter::OfSearch => Some(format!(
                "(substr(r.\"key\", 1, {}) <> '{OWN_PREFIX}' OR substr(r.\"key\", 1, {}) = '{SAMPLER_PREFIX}')
                 AND (t.state IN ('RUNNING', 'WAITING') OR {} = 0)",
                OWN_PREFIX.len(),
                SAMPLER_PREFIX.len(),
                self.tx.dialect().place("r.\"key\"", &format!("'{JOINT_DRAW}'")),
            )),
        };
        self.each_row(&table_name, "r.\"key\", r.value_json", only.as_deref(), take)
    }

    fn read_intermediate_values(&mut self) -> Result<(), TxError> {
        let kind = self.tx.dialect().word("r.intermediate_value_type");
        let columns = format!("r.step, r.intermediate_value, {kind}");
        self.each_row("trial_intermediate_values", &columns, None, |trial, row| {
            let number = trial.number;
            let step: i64 = cell(row, 1, || format!("a report of trial {number}"))?;
            let what = || format!("step {step} of trial {number}");
            let value = decode_value(cell(row, 2, what)?, text(row, 3, what)?, what)?;
            trial.intermediate_values.insert(step, value);
            Ok(())
        })
    }
}

/// The distributions that were read. Thousands of trials share a few, so each text is parsed only once.
#[derive(Default)]
struct Distributions {
    by_text: HashMap<String, Distribution>,
    /// The last text and distribution at each place in a trial: the next trial mostly has the same there.
    last: Vec<(String, Distribution)>,
}

impl Distributions {
    fn get(
        &mut self,
        place: usize,
        text: &str,
        what: impl Fn() -> String,
    ) -> Result<Distribution, TxError> {
        if let Some((_, found)) = self.last.get(place).filter(|(last, _)| last == text) {
            return Ok(found.clone());
        }
        let distribution = match self.by_text.get(text) {
            Some(found) => found.clone(),
            None => {
                let distribution = decode_distribution(text, what)?;
                self.by_text.insert(text.to_owned(), distribution.clone());
                distribution
            }
        };
        let last = (text.to_owned(), distribution.clone());
        match self.last.get_mut(place) {
            Some(before) => *before = last,
            None => self.last.push(last),
        }
        Ok(distribution)
    }
}

/// Reads the rows of trials, in the order of their ids.
fn read_trials(tx: &dyn Transaction, which: TrialFilter<'_>) -> Result<Vec<FrozenTrial>, TxError> {
    let (condition, id) = which.condition();
    let sql = format!(
        "SELECT trial_id, number, {}, datetime_start, datetime_complete FROM trials t
         WHERE {condition} ORDER BY trial_id",
        tx.dialect().word("state")
    );
    tx.all(&sql, &[&id], |row| {
        let id: i64 = row.get(0)?;
        let by_id = || format!("trial with id {id}");
        let number: Option<u32> = cell(row, 1, by_id)?;
        let Some(number) = number else {
            return Err(unreadable(format!("{}: its number is NULL", by_id())).into());
        };
        let what = || format!("trial {number}");
        Ok(FrozenTrial {
            id: TrialId(id),
            number: TrialNumber(number),
            state: decode_state(text(row, 2, what)?, what)?,
            values: Vec::new(),
            datetime_start: decode_datetime(cell(row, 3, what)?, what)?,
            datetime_complete: decode_datetime(cell(row, 4, what)?, what)?,
            params: Vec::new(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            intermediate_values: BTreeMap::new(),
        })
    })
}
