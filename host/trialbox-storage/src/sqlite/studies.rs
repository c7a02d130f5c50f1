//! The SQL for studies; every function runs inside a transaction.

use crate::rows::{decode_datetime, decode_json, decode_state, unreadable};
use crate::sqlite::cell::cell;
use crate::sqlite::errors::{TxError, write_one};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;
use trialbox_core::seam::storage::check_name;
use trialbox_core::study::record::{NewStudy, StudySummary};
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::{Json, StorageError, StudyDirection, StudyId, StudyRecord, TrialState};

/// The number of studies that an error lists.
const MAX_LISTED_STUDIES: usize = 10;

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

pub(crate) fn find_study(tx: &Connection, name: &str) -> rusqlite::Result<Option<StudyId>> {
    tx.query_row("SELECT study_id FROM studies WHERE study_name = ?1", params![name], |row| {
        row.get(0).map(StudyId)
    })
    .optional()
}

/// Returns the study's name, and fails if the study was deleted since it was opened.
pub(crate) fn require_study(tx: &Connection, study: StudyId) -> Result<String, TxError> {
    let name = tx
        .query_row("SELECT study_name FROM studies WHERE study_id = ?1", params![study.0], |row| {
            row.get(0)
        })
        .optional()?;
    match name {
        Some(name) => Ok(name),
        None => {
            let name = format!("(id {}, deleted)", study.0);
            Err(StorageError::NoSuchStudy { name, known: vec![] }.into())
        }
    }
}

pub(crate) fn read_study(tx: &Connection, id: StudyId) -> Result<StudyRecord, TxError> {
    let name = require_study(tx, id)?;
    let mut statement = tx.prepare_cached(
        "SELECT direction FROM study_directions WHERE study_id = ?1 ORDER BY objective",
    )?;
    let directions: Vec<String> =
        statement.query_map([id.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
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
    tx: &Connection,
    table: AttrScope,
    id: StudyId,
) -> Result<BTreeMap<String, Json>, TxError> {
    let sql = format!(
        "SELECT \"key\", value_json FROM study_{}_attributes WHERE study_id = ?1",
        table.word()
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query([id.0])?;
    let mut attrs = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let key: Option<String> = cell(row, 0, || format!("an attribute of study {}", id.0))?;
        let Some(key) = key else { continue };
        let what = || format!("attribute `{key}` of study {}", id.0);
        let value = decode_json(&cell::<String>(row, 1, what)?, what)?;
        attrs.insert(key, value);
    }
    Ok(attrs)
}

/// Reads the stop of the study, if it is stopped now.
pub(crate) fn read_stop(tx: &Connection, id: StudyId) -> Result<Option<StudyStop>, TxError> {
    let text: Option<String> = tx
        .prepare_cached(
            "SELECT value_json FROM study_user_attributes WHERE study_id = ?1 AND \"key\" = ?2",
        )?
        .query_row(params![id.0, STOP_ATTR], |row| row.get(0))
        .optional()?;
    let Some(text) = text else { return Ok(None) };
    let json = decode_json(&text, || format!("attribute `{STOP_ATTR}` of study {}", id.0))?;
    Ok(StudyStop::from_json(&json))
}

pub(crate) fn read_summary(tx: &Connection, id: StudyId) -> Result<StudySummary, TxError> {
    let study = read_study(tx, id)?;
    let n_trials = count_states(tx, &study)?;
    let start: Option<String> = tx
        .prepare_cached("SELECT min(datetime_start) FROM trials WHERE study_id = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    let datetime_start = decode_datetime(start, || format!("study `{}`", study.name))?;
    Ok(StudySummary { study, n_trials, datetime_start })
}

/// Counts the trials of a study by state. Rows are counted here, because SQLite would sort them to group them.
fn count_states(
    tx: &Connection,
    study: &StudyRecord,
) -> Result<BTreeMap<TrialState, u64>, TxError> {
    let mut statement = tx.prepare_cached("SELECT state FROM trials WHERE study_id = ?1")?;
    let mut rows = statement.query([study.id.0])?;
    let mut n_trials = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let state = decode_state(row.get_ref(0)?.as_str().unwrap_or_default(), || {
            format!("a trial of study `{}`", study.name)
        })?;
        *n_trials.entry(state).or_default() += 1;
    }
    Ok(n_trials)
}

pub(crate) fn upsert_study_attrs(
    tx: &Connection,
    table: AttrScope,
    id: StudyId,
    attrs: &[(String, Json)],
) -> Result<(), TxError> {
    let sql = format!(
        "INSERT INTO study_{}_attributes (study_id, \"key\", value_json) VALUES (?1, ?2, ?3)
         ON CONFLICT (study_id, \"key\") DO UPDATE SET value_json = excluded.value_json",
        table.word()
    );
    let mut statement = tx.prepare_cached(&sql)?;
    for (key, value) in attrs {
        check_name("attribute key", key)?;
        write_one(&mut statement, params![id.0, key, value.to_string()], "1 attribute")?;
    }
    Ok(())
}

/// Inserts the directions of a study that has none.
pub(crate) fn insert_directions(
    tx: &Connection,
    id: StudyId,
    directions: &[StudyDirection],
) -> Result<(), TxError> {
    // Rows are inserted in the order of the objectives, because some of Optuna's readers do not sort them.
    let mut statement = tx.prepare(
        "INSERT INTO study_directions (direction, study_id, objective) VALUES (?1, ?2, ?3)",
    )?;
    for (objective, direction) in (0i64..).zip(directions) {
        let row = params![direction.as_str(), id.0, objective];
        write_one(&mut statement, row, "1 direction")?;
    }
    Ok(())
}

/// Returns whether a trial of the study has a value or an intermediate value.
pub(crate) fn has_values(tx: &Connection, id: StudyId) -> Result<bool, TxError> {
    for table in ["trial_values", "trial_intermediate_values"] {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM trials JOIN {table} USING (trial_id) WHERE study_id = ?1)"
        );
        if tx.prepare(&sql)?.query_row([id.0], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn insert_study(tx: &Connection, study: &NewStudy) -> Result<StudyId, TxError> {
    check_name("study name", &study.name)?;
    if find_study(tx, &study.name)?.is_some() {
        return Err(StorageError::DuplicateStudy { name: study.name.clone() }.into());
    }
    let mut statement = tx.prepare("INSERT INTO studies (study_name) VALUES (?1)")?;
    write_one(&mut statement, params![study.name], "1 study")?;
    let id = StudyId(tx.last_insert_rowid());
    insert_directions(tx, id, &study.directions)?;
    upsert_study_attrs(tx, AttrScope::User, id, &study.user_attrs)?;
    upsert_study_attrs(tx, AttrScope::System, id, &study.system_attrs)?;
    Ok(id)
}

pub(crate) fn rename_study(tx: &Connection, id: StudyId, name: &str) -> Result<(), TxError> {
    check_name("study name", name)?;
    require_study(tx, id)?;
    if let Some(other) = find_study(tx, name)?
        && other != id
    {
        return Err(StorageError::DuplicateStudy { name: name.to_owned() }.into());
    }
    let mut statement = tx.prepare("UPDATE studies SET study_name = ?2 WHERE study_id = ?1")?;
    write_one(&mut statement, params![id.0, name], "1 study")
}

/// Deletes a study and all rows that refer to it: the schema has no cascades.
pub(crate) fn delete_study(tx: &Connection, id: StudyId) -> Result<(), TxError> {
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
            [id.0],
        )?;
    }
    for table in ["trials", "study_directions", "study_user_attributes", "study_system_attributes"]
    {
        tx.execute(&format!("DELETE FROM {table} WHERE study_id = ?1"), [id.0])?;
    }
    let mut statement = tx.prepare("DELETE FROM studies WHERE study_id = ?1")?;
    write_one(&mut statement, [id.0], "1 study")
}

/// Reads the names of the first few studies, for an error.
pub(crate) fn some_names(tx: &Connection) -> rusqlite::Result<Vec<String>> {
    tx.prepare("SELECT study_name FROM studies ORDER BY study_id LIMIT ?1")?
        .query_map([MAX_LISTED_STUDIES as i64], |row| row.get(0))?
        .collect()
}

pub(crate) fn all_ids(tx: &Connection) -> rusqlite::Result<Vec<StudyId>> {
    tx.prepare("SELECT study_id FROM studies ORDER BY study_id")?
        .query_map([], |row| row.get(0).map(StudyId))?
        .collect()
}
