//! The SQL for studies; every function runs inside a transaction.

use crate::rows::{decode_datetime, decode_json, decode_state, unreadable};
use crate::sql::cell::cell;
use crate::sql::transaction::{Transaction, TxError};
use rusqlite::params;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use trialbox_core::seam::storage::check_name;
use trialbox_core::study::record::{NewStudy, StudySummary};
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::{Json, StorageError, StudyDirection, StudyId, StudyRecord, TrialState};

/// The number of studies that an error lists.
const MAX_LISTED_STUDIES: i64 = 10;

/// The scope of attributes: each scope has tables of its own.
#[derive(Clone, Copy)]
pub(crate) enum AttrScope {
    User,
    System,
}

impl AttrScope {
    /// Returns the word in the names of the scope's tables.
    pub(crate) fn word(self) -> &'static str {
        match self {
            AttrScope::User => "user",
            AttrScope::System => "system",
        }
    }
}

pub(crate) fn find_study(tx: &dyn Transaction, name: &str) -> Result<Option<StudyId>, TxError> {
    let sql = "SELECT study_id FROM studies WHERE study_name = ?1";
    tx.first(sql, &[&name], |row| row.get(0).map(StudyId))
}

/// Returns the study's name, and fails if the study was deleted since it was opened.
pub(crate) fn require_study(tx: &dyn Transaction, study: StudyId) -> Result<String, TxError> {
    let sql = "SELECT study_name FROM studies WHERE study_id = ?1";
    let name = tx.first(sql, &[&study.0], |row| row.get(0))?;
    match name {
        Some(name) => Ok(name),
        None => {
            let name = format!("(id {}, deleted)", study.0);
            Err(StorageError::NoSuchStudy { name, known: vec![] }.into())
        }
    }
}

pub(crate) fn read_study(tx: &dyn Transaction, id: StudyId) -> Result<StudyRecord, TxError> {
    let name = require_study(tx, id)?;
    let sql = format!(
        "SELECT {} FROM study_directions WHERE study_id = ?1 ORDER BY objective",
        tx.dialect().word("direction")
    );
    let directions: Vec<String> = tx.all(&sql, &[&id.0], |row| row.get(0))?;
    let directions =
        directions.iter().map(|text| decode_direction(text, &name)).collect::<Result<_, _>>()?;
    let user_attrs = read_study_attrs(tx, AttrScope::User, id)?;
    let system_attrs = read_study_attrs(tx, AttrScope::System, id)?;
    Ok(StudyRecord { id, name, directions, user_attrs, system_attrs })
}

fn decode_direction(text: &str, study: &str) -> Result<StudyDirection, StorageError> {
    match StudyDirection::parse(text) {
        Some(direction) => Ok(direction),
        None => Err(unreadable(format!("study `{study}`: unknown direction `{text}`"))),
    }
}

pub(crate) fn read_study_attrs(
    tx: &dyn Transaction,
    table: AttrScope,
    id: StudyId,
) -> Result<BTreeMap<String, Json>, TxError> {
    let sql = format!(
        "SELECT \"key\", value_json FROM study_{}_attributes WHERE study_id = ?1",
        table.word()
    );
    let mut attrs = BTreeMap::new();
    tx.each_row(&sql, &[&id.0], &mut |row| {
        let key: Option<String> = cell(row, 0, || format!("an attribute of study {}", id.0))?;
        let Some(key) = key else { return Ok(ControlFlow::Continue(())) };
        let what = || format!("attribute `{key}` of study {}", id.0);
        let value = decode_json(&cell::<String>(row, 1, what)?, what)?;
        attrs.insert(key, value);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(attrs)
}

/// Reads the stop of the study, if it is stopped now.
pub(crate) fn read_stop(tx: &dyn Transaction, id: StudyId) -> Result<Option<StudyStop>, TxError> {
    let text: Option<String> = tx.first(
        "SELECT value_json FROM study_user_attributes WHERE study_id = ?1 AND \"key\" = ?2",
        params![id.0, STOP_ATTR],
        |row| row.get(0),
    )?;
    let Some(text) = text else { return Ok(None) };
    let json = decode_json(&text, || format!("attribute `{STOP_ATTR}` of study {}", id.0))?;
    Ok(StudyStop::from_json(&json))
}

pub(crate) fn read_summary(tx: &dyn Transaction, id: StudyId) -> Result<StudySummary, TxError> {
    let study = read_study(tx, id)?;
    let n_trials = count_states(tx, &study)?;
    let sql = "SELECT min(datetime_start) FROM trials WHERE study_id = ?1";
    let start: Option<String> = tx.one(sql, &[&id.0], |row| row.get(0))?;
    let datetime_start = decode_datetime(start, || format!("study `{}`", study.name))?;
    Ok(StudySummary { study, n_trials, datetime_start })
}

/// Counts the trials of a study by state. Rows are counted here, because SQLite would sort them to group them.
fn count_states(
    tx: &dyn Transaction,
    study: &StudyRecord,
) -> Result<BTreeMap<TrialState, u64>, TxError> {
    let sql = format!("SELECT {} FROM trials WHERE study_id = ?1", tx.dialect().word("state"));
    let mut n_trials = BTreeMap::new();
    tx.each_row(&sql, &[&study.id.0], &mut |row| {
        let what = || format!("a trial of study `{}`", study.name);
        let state = decode_state(row.value(0)?.as_str().unwrap_or_default(), what)?;
        *n_trials.entry(state).or_default() += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(n_trials)
}

pub(crate) fn upsert_study_attrs(
    tx: &dyn Transaction,
    table: AttrScope,
    id: StudyId,
    attrs: &[(String, Json)],
) -> Result<(), TxError> {
    let sql = format!(
        "INSERT INTO study_{}_attributes (study_id, \"key\", value_json) VALUES (?1, ?2, ?3)
         ON CONFLICT (study_id, \"key\") DO UPDATE SET value_json = excluded.value_json",
        table.word()
    );
    for (key, value) in attrs {
        check_name("attribute key", key)?;
        tx.write_one(&sql, params![id.0, key, value.to_string()], "1 attribute")?;
    }
    Ok(())
}

/// Inserts the directions of a study that has none.
pub(crate) fn insert_directions(
    tx: &dyn Transaction,
    id: StudyId,
    directions: &[StudyDirection],
) -> Result<(), TxError> {
    // Rows are inserted in the order of the objectives, because some of Optuna's readers do not sort them.
    let sql = "INSERT INTO study_directions (direction, study_id, objective) VALUES (?1, ?2, ?3)";
    for (objective, direction) in (0i64..).zip(directions) {
        tx.write_one(sql, params![direction.as_str(), id.0, objective], "1 direction")?;
    }
    Ok(())
}

/// Returns whether a trial of the study has a value or an intermediate value.
pub(crate) fn has_values(tx: &dyn Transaction, id: StudyId) -> Result<bool, TxError> {
    for table in ["trial_values", "trial_intermediate_values"] {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM trials JOIN {table} USING (trial_id) WHERE study_id = ?1)"
        );
        if tx.one(&sql, &[&id.0], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn insert_study(tx: &dyn Transaction, study: &NewStudy) -> Result<StudyId, TxError> {
    check_name("study name", &study.name)?;
    if find_study(tx, &study.name)?.is_some() {
        return Err(StorageError::DuplicateStudy { name: study.name.clone() }.into());
    }
    let sql = "INSERT INTO studies (study_name) VALUES (?1) RETURNING study_id";
    let Some(id) = tx.first(sql, &[&study.name], |row| row.get(0).map(StudyId))? else {
        return Err(TxError::Rows { what: "1 study", found: 0 });
    };
    insert_directions(tx, id, &study.directions)?;
    upsert_study_attrs(tx, AttrScope::User, id, &study.user_attrs)?;
    upsert_study_attrs(tx, AttrScope::System, id, &study.system_attrs)?;
    Ok(id)
}

pub(crate) fn rename_study(tx: &dyn Transaction, id: StudyId, name: &str) -> Result<(), TxError> {
    check_name("study name", name)?;
    require_study(tx, id)?;
    if let Some(other) = find_study(tx, name)?
        && other != id
    {
        return Err(StorageError::DuplicateStudy { name: name.to_owned() }.into());
    }
    let sql = "UPDATE studies SET study_name = ?2 WHERE study_id = ?1";
    tx.write_one(sql, params![id.0, name], "1 study")
}

/// Deletes a study and all rows that refer to it: the schema has no cascades.
pub(crate) fn delete_study(tx: &dyn Transaction, id: StudyId) -> Result<(), TxError> {
    require_study(tx, id)?;
    for table in [
        "trial_user_attributes",
        "trial_system_attributes",
        "trial_params",
        "trial_values",
        "trial_intermediate_values",
        "trial_heartbeats",
    ] {
        tx.execute(
            &format!(
                "DELETE FROM {table}
                 WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ?1)"
            ),
            &[&id.0],
        )?;
    }
    for table in ["trials", "study_directions", "study_user_attributes", "study_system_attributes"]
    {
        tx.execute(&format!("DELETE FROM {table} WHERE study_id = ?1"), &[&id.0])?;
    }
    tx.write_one("DELETE FROM studies WHERE study_id = ?1", &[&id.0], "1 study")
}

/// Reads the names of the first few studies, for an error.
pub(crate) fn some_names(tx: &dyn Transaction) -> Result<Vec<String>, TxError> {
    let sql = "SELECT study_name FROM studies ORDER BY study_id LIMIT ?1";
    tx.all(sql, &[&MAX_LISTED_STUDIES], |row| row.get(0))
}

pub(crate) fn all_ids(tx: &dyn Transaction) -> Result<Vec<StudyId>, TxError> {
    tx.all("SELECT study_id FROM studies ORDER BY study_id", &[], |row| row.get(0).map(StudyId))
}
