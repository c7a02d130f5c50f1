//! The SQL for trials; every function runs inside a transaction.

use crate::rows::{
    decode_distribution, decode_json, decode_param, decode_state, encode_final_value, encode_value,
};
use crate::sqlite::errors::{TxError, write_one};
use crate::sqlite::finished::{FinishedPart, after, n_counted};
use crate::sqlite::studies::{AttrScope, require_study};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;
use trialbox_core::run::retry::{FAILED_TRIAL_ATTR, origin, renumbered};
use trialbox_core::seam::storage::{
    Claim, ClaimLoss, FIXED_PARAMS_ATTR, Heartbeat, LeasedTrial, OWNER_ATTR, TrialBatch,
    WATCH_ATTR, check_name, check_param,
};
use trialbox_core::study::trial::{TrialId, format_datetime};
use trialbox_core::{
    FrozenTrial, Json, Param, StorageError, StudyId, TrialNumber, TrialState, UtcDateTime,
};

pub(crate) fn upsert_trial_attr(
    tx: &Connection,
    table: AttrScope,
    id: TrialId,
    key: &str,
    value: &Json,
) -> Result<(), TxError> {
    check_name("attribute key", key)?;
    let sql = format!(
        "INSERT INTO trial_{}_attributes (trial_id, \"key\", value_json) VALUES (?1, ?2, ?3)
         ON CONFLICT (trial_id, \"key\") DO UPDATE SET value_json = excluded.value_json",
        table.word()
    );
    let row = params![id.0, key, value.to_string()];
    write_one(&mut *tx.prepare_cached(&sql)?, row, "1 attribute")
}

/// Counts the trials that use up a study's budget.
pub(crate) fn count_towards_budget(
    tx: &Connection,
    study: StudyId,
    finished: Option<&FinishedPart>,
) -> rusqlite::Result<u64> {
    let sql = format!(
        "SELECT count(*) FROM trials WHERE study_id = ?1 AND trial_id > ?2 AND state IN ({})",
        states_towards_budget()
    );
    let n_later: i64 =
        tx.prepare_cached(&sql)?.query_row([study.0, after(finished).0], |row| row.get(0))?;
    Ok(n_counted(finished) + n_later.unsigned_abs())
}

/// Returns the states that count towards a study's budget, as a list of SQL.
fn states_towards_budget() -> String {
    let states = TrialState::ALL.into_iter().filter(|state| state.counts_towards_budget());
    states.map(|state| format!("'{state}'")).collect::<Vec<_>>().join(", ")
}

/// Starts the WAITING trial with the lowest number. Unlike Optuna's, this UPDATE compares the state again, so that a
/// trial never starts twice.
pub(crate) fn claim_waiting(
    tx: &Connection,
    study: StudyId,
    finished: Option<&FinishedPart>,
    at: UtcDateTime,
) -> Result<Option<(TrialId, TrialNumber)>, TxError> {
    let claimed = tx
        .prepare_cached(
            "UPDATE trials SET state = 'RUNNING', datetime_start = ?3
             WHERE trial_id = (SELECT trial_id FROM
                                 -- SQLite takes the other columns from the row of the minimum.
                                 (SELECT trial_id, min(number) FROM trials
                                  WHERE study_id = ?1 AND trial_id > ?2 AND state = 'WAITING'))
               AND state = 'WAITING'
             RETURNING trial_id, number",
        )?
        .query_row(params![study.0, after(finished).0, format_datetime(at)], read_id_and_number)
        .optional()?;
    Ok(claimed)
}

/// Appends a RUNNING trial. Its number is determined under the write lock, so no two trials get the same one.
pub(crate) fn insert_running(
    tx: &Connection,
    study: StudyId,
    at: UtcDateTime,
) -> Result<(TrialId, TrialNumber), TxError> {
    insert_trial(tx, study, TrialState::Running, Some(at), None)
}

/// Appends trials and returns the number of the first.
pub(crate) fn append_trials(
    tx: &Connection,
    study: StudyId,
    trials: &[FrozenTrial],
) -> Result<TrialNumber, TxError> {
    let first = TrialNumber(u32::try_from(next_number(tx, study)?).unwrap_or(u32::MAX));
    for trial in renumbered(trials, first) {
        append_trial(tx, study, &trial)?;
    }
    Ok(first)
}

/// Appends a trial with its parameters, attributes and values.
pub(crate) fn append_trial(
    tx: &Connection,
    study: StudyId,
    trial: &FrozenTrial,
) -> Result<TrialNumber, TxError> {
    let (id, number) =
        insert_trial(tx, study, trial.state, trial.datetime_start, trial.datetime_complete)?;
    let batch = TrialBatch {
        params: trial.params.clone(),
        intermediate_values: trial.intermediate_values.iter().map(|(k, v)| (*k, *v)).collect(),
        user_attrs: trial.user_attrs.clone().into_iter().collect(),
        system_attrs: trial.system_attrs.clone().into_iter().collect(),
    };
    insert_batch(tx, id, &batch)?;
    insert_values(tx, id, &trial.values)?;
    Ok(number)
}

fn insert_trial(
    tx: &Connection,
    study: StudyId,
    state: TrialState,
    start: Option<UtcDateTime>,
    complete: Option<UtcDateTime>,
) -> Result<(TrialId, TrialNumber), TxError> {
    let number = next_number(tx, study)?;
    let inserted = tx
        .prepare_cached(
            "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)
             VALUES (?1, ?2, ?3, ?4, ?5) RETURNING trial_id, number",
        )?
        .query_row(
            params![
                number,
                study.0,
                state.as_str(),
                start.map(format_datetime),
                complete.map(format_datetime)
            ],
            read_id_and_number,
        )?;
    Ok(inserted)
}

/// Returns the number after that of the newest trial: numbers rise with ids. Optuna counts all trials instead, which
/// gives the same number unless the numbering is damaged, but takes longer in long studies.
fn next_number(tx: &Connection, study: StudyId) -> rusqlite::Result<i64> {
    let newest: Option<Option<i64>> = tx
        .prepare_cached(
            "SELECT number FROM trials WHERE study_id = ?1 ORDER BY trial_id DESC LIMIT 1",
        )?
        .query_row([study.0], |row| row.get(0))
        .optional()?;
    match newest {
        None => Ok(0),
        Some(Some(number)) => Ok(number + 1),
        // Optuna's schema allows NULL, although no release writes it.
        Some(None) => {
            tx.query_row("SELECT count(*) FROM trials WHERE study_id = ?1", [study.0], |row| {
                row.get(0)
            })
        }
    }
}

/// Returns the number of trials of a study.
pub(crate) fn count_trials(tx: &Connection, study: StudyId) -> rusqlite::Result<u64> {
    tx.query_row("SELECT count(*) FROM trials WHERE study_id = ?1", [study.0], |row| {
        row.get(0).map(i64::unsigned_abs)
    })
}

/// Returns the study of a trial.
pub(crate) fn study_of(tx: &Connection, id: TrialId) -> rusqlite::Result<StudyId> {
    tx.query_row("SELECT study_id FROM trials WHERE trial_id = ?1", [id.0], |row| {
        row.get(0).map(StudyId)
    })
}

/// Returns the id of a trial by its number.
pub(crate) fn find_trial(
    tx: &Connection,
    study: StudyId,
    number: TrialNumber,
) -> Result<TrialId, TxError> {
    let name = require_study(tx, study)?;
    let found = tx
        .query_row(
            "SELECT trial_id FROM trials WHERE study_id = ?1 AND number = ?2
             ORDER BY trial_id LIMIT 1",
            params![study.0, number.0],
            |row| row.get(0).map(TrialId),
        )
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => {
            let n_trials = count_trials(tx, study)?;
            Err(StorageError::NoSuchTrial { study: name, number, n_trials }.into())
        }
    }
}

fn read_id_and_number(row: &rusqlite::Row) -> rusqlite::Result<(TrialId, TrialNumber)> {
    Ok((TrialId(row.get(0)?), TrialNumber(row.get(1)?)))
}

/// Writes the first heartbeat of a trial, as Optuna does: the database's own time, in UTC.
pub(crate) fn beat(tx: &Connection, id: TrialId) -> Result<(), TxError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (?1, CURRENT_TIMESTAMP)
         ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat",
    )?;
    write_one(&mut statement, [id.0], "1 heartbeat")
}

/// Renews the heartbeat of a trial, if it has one.
pub(crate) fn beat_again(tx: &Connection, id: TrialId) -> rusqlite::Result<()> {
    let sql = "UPDATE trial_heartbeats SET heartbeat = CURRENT_TIMESTAMP WHERE trial_id = ?1";
    tx.prepare_cached(sql)?.execute([id.0])?;
    Ok(())
}

/// Fails unless the trial is RUNNING and has the claim's owner.
pub(crate) fn require_ours(tx: &Connection, claim: &Claim) -> Result<(), TxError> {
    let found: Option<(String, Option<String>)> = tx
        .prepare_cached(
            "SELECT t.state, (SELECT value_json FROM trial_system_attributes a
                              WHERE a.trial_id = t.trial_id AND a.\"key\" = ?2)
             FROM trials t WHERE t.trial_id = ?1",
        )?
        .query_row(params![claim.id.0, OWNER_ATTR], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // A trial that Python's Optuna runs has no owner.
    let owner_text = match &claim.owner {
        Json::Null => None,
        owner => Some(owner.to_string()),
    };
    let reason = match found {
        None => ClaimLoss::Vanished,
        Some((state, owner)) => match decode_state(&state, || format!("trial {}", claim.number))? {
            state if state.is_finished() => ClaimLoss::Finished(state),
            TrialState::Running if owner == owner_text => return Ok(()),
            _ => ClaimLoss::TakenOver,
        },
    };
    Err(StorageError::ClaimLost { number: claim.number, reason }.into())
}

pub(crate) fn insert_batch(
    tx: &Connection,
    id: TrialId,
    batch: &TrialBatch,
) -> Result<(), TxError> {
    for (name, param) in &batch.params {
        check_param(name, param)?;
        insert_param(tx, id, name, param)?;
    }
    for (step, value) in &batch.intermediate_values {
        let (value, kind) = encode_value(*value);
        let mut statement = tx.prepare_cached(
            "INSERT INTO trial_intermediate_values
               (trial_id, step, intermediate_value, intermediate_value_type)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (trial_id, step) DO UPDATE SET
               intermediate_value = excluded.intermediate_value,
               intermediate_value_type = excluded.intermediate_value_type",
        )?;
        write_one(&mut statement, params![id.0, step, value, kind], "1 intermediate value")?;
    }
    for (key, value) in &batch.user_attrs {
        upsert_trial_attr(tx, AttrScope::User, id, key, value)?;
    }
    for (key, value) in &batch.system_attrs {
        upsert_trial_attr(tx, AttrScope::System, id, key, value)?;
    }
    Ok(())
}

fn insert_param(tx: &Connection, id: TrialId, name: &str, param: &Param) -> Result<(), TxError> {
    // A commit may have succeeded although it seemed to fail: then the same batch is written twice.
    let mut statement = tx.prepare_cached(
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (trial_id, param_name) DO NOTHING",
    )?;
    let row = params![id.0, name, param.internal, param.distribution.to_json_text()];
    if statement.execute(row)? == 1 {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM trial_params WHERE trial_id = ?1 AND param_name = ?2";
    match tx.prepare_cached(sql)?.query_row(params![id.0, name], |row| row.get::<_, u32>(0))? {
        1 => Ok(()),
        found => Err(TxError::Rows { what: "1 parameter", found: found as usize }),
    }
}

/// Counts the other trials of the study that have all parameters of a point with the same values.
pub(crate) fn count_at(
    tx: &Connection,
    id: TrialId,
    point: &[(String, Param)],
) -> Result<usize, TxError> {
    // The latest parameter tells most trials apart, so that the others are compared for few.
    let Some(((name, param), earlier)) = point.split_last() else { return Ok(0) };
    let mut others = tx.prepare_cached(
        "SELECT p.trial_id FROM trials t JOIN trial_params p ON p.trial_id = t.trial_id
         WHERE t.study_id = (SELECT study_id FROM trials WHERE trial_id = ?1) AND t.trial_id <> ?1
           AND p.param_name = ?2 AND p.param_value = ?3",
    )?;
    let mut has = tx.prepare_cached(
        "SELECT 1 FROM trial_params WHERE trial_id = ?1 AND param_name = ?2 AND param_value = ?3",
    )?;
    let mut n = 0;
    let mut rows = others.query(params![id.0, name, param.internal])?;
    while let Some(row) = rows.next()? {
        let other: i64 = row.get(0)?;
        let mut has_all = true;
        for (name, param) in earlier {
            has_all = has_all && has.exists(params![other, name, param.internal])?;
        }
        n += usize::from(has_all);
    }
    Ok(n)
}

pub(crate) fn insert_values(tx: &Connection, id: TrialId, values: &[f64]) -> Result<(), TxError> {
    for (objective, value) in (0i64..).zip(values) {
        let (value, kind) = encode_final_value(*value)?;
        let mut statement = tx.prepare_cached(
            "INSERT INTO trial_values (trial_id, objective, value, value_type)
             VALUES (?1, ?2, ?3, ?4)",
        )?;
        write_one(&mut statement, params![id.0, objective, value, kind], "1 final value")?;
    }
    Ok(())
}

/// Finishes a trial that is known to be RUNNING, never before it started: a reaper may have read its clock before the
/// start, or may be on a machine whose clock is behind.
pub(crate) fn set_finished(
    tx: &Connection,
    id: TrialId,
    state: TrialState,
    at: UtcDateTime,
) -> Result<(), TxError> {
    let mut statement = tx.prepare_cached(
        "UPDATE trials SET state = ?2, datetime_complete = max(?3, coalesce(datetime_start, ?3))
         WHERE trial_id = ?1",
    )?;
    write_one(&mut statement, params![id.0, state.as_str(), format_datetime(at)], "1 trial")
}

/// Finishes a trial as FAIL if it is WAITING, and returns whether it was. Optuna wants the start of a finished trial.
pub(crate) fn finish_waiting(
    tx: &Connection,
    id: TrialId,
    at: UtcDateTime,
) -> rusqlite::Result<bool> {
    let n_changed = tx
        .prepare_cached(
            "UPDATE trials SET state = 'FAIL', datetime_start = coalesce(datetime_start, ?2),
                 datetime_complete = max(?2, coalesce(datetime_start, ?2))
             WHERE trial_id = ?1 AND state = 'WAITING'",
        )?
        .execute(params![id.0, format_datetime(at)])?;
    Ok(n_changed > 0)
}

const LEASES_SQL: &str = "\
SELECT t.trial_id, t.number, CAST(h.heartbeat AS TEXT), (julianday('now') - julianday(h.heartbeat)) * 86400.0,
       (SELECT value_json FROM trial_system_attributes a WHERE a.trial_id = t.trial_id AND a.\"key\" = ?2),
       (SELECT value_json FROM trial_system_attributes a WHERE a.trial_id = t.trial_id AND a.\"key\" = ?3)
FROM trials t LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id
WHERE t.state = 'RUNNING'";

/// Reads the RUNNING trials of a study.
pub(crate) fn read_leases(
    tx: &Connection,
    study: StudyId,
    finished: Option<&FinishedPart>,
) -> Result<Vec<LeasedTrial>, TxError> {
    let mut statement =
        tx.prepare_cached(&format!("{LEASES_SQL} AND t.study_id = ?1 AND t.trial_id > ?4"))?;
    let mut rows = statement.query(params![study.0, OWNER_ATTR, WATCH_ATTR, after(finished).0])?;
    let mut leases = Vec::new();
    while let Some(row) = rows.next()? {
        leases.push(decode_lease(row)?);
    }
    leases.sort_by_key(|lease| lease.number);
    Ok(leases)
}

/// Reads a trial as it is now; `None` if it is not RUNNING.
pub(crate) fn read_lease(tx: &Connection, id: TrialId) -> Result<Option<LeasedTrial>, TxError> {
    let mut statement = tx.prepare_cached(&format!("{LEASES_SQL} AND t.trial_id = ?1"))?;
    let mut rows = statement.query(params![id.0, OWNER_ATTR, WATCH_ATTR])?;
    rows.next()?.map(decode_lease).transpose()
}

fn decode_lease(row: &rusqlite::Row) -> Result<LeasedTrial, TxError> {
    let number = TrialNumber(row.get(1)?);
    let stamp: Option<String> = row.get(2)?;
    let age_secs: Option<f64> = row.get(3)?;
    // A stamp that is not a date has no age. It counts as ancient, so that observers decide by watching it.
    let age_secs = age_secs.unwrap_or(f64::INFINITY);
    Ok(LeasedTrial {
        id: TrialId(row.get(0)?),
        number,
        heartbeat: stamp.map(|stamp| Heartbeat { stamp, age_secs }),
        owner: decode_attr(row.get(4)?, OWNER_ATTR, number)?,
        watch: decode_attr(row.get(5)?, WATCH_ATTR, number)?,
    })
}

fn decode_attr(
    text: Option<String>,
    key: &str,
    number: TrialNumber,
) -> Result<Option<Json>, StorageError> {
    match text {
        Some(text) => {
            Ok(Some(decode_json(&text, || format!("attribute `{key}` of trial {number}"))?))
        }
        None => Ok(None),
    }
}

pub(crate) fn read_fixed_params(
    tx: &Connection,
    id: TrialId,
) -> Result<Vec<(String, Json)>, TxError> {
    match read_system_attr(tx, id, FIXED_PARAMS_ATTR)? {
        Some(Json::Object(members)) => Ok(members),
        _ => Ok(vec![]),
    }
}

/// Returns the first of the trials of which this one is a retry, or the trial itself.
pub(crate) fn read_origin(
    tx: &Connection,
    id: TrialId,
    number: TrialNumber,
) -> Result<TrialNumber, TxError> {
    let mut attrs = BTreeMap::new();
    if let Some(value) = read_system_attr(tx, id, FAILED_TRIAL_ATTR)? {
        attrs.insert(FAILED_TRIAL_ATTR.to_owned(), value);
    }
    Ok(origin(number, &attrs))
}

fn read_system_attr(tx: &Connection, id: TrialId, key: &str) -> Result<Option<Json>, TxError> {
    let text: Option<String> = tx
        .prepare_cached(
            "SELECT value_json FROM trial_system_attributes WHERE trial_id = ?1 AND \"key\" = ?2",
        )?
        .query_row(params![id.0, key], |row| row.get(0))
        .optional()?;
    match text {
        Some(text) => {
            let what = || format!("attribute `{key}` of trial with id {}", id.0);
            Ok(Some(decode_json(&text, what)?))
        }
        None => Ok(None),
    }
}

/// Reads the parameters that a trial already has when it starts, as a retry does.
pub(crate) fn read_params_of(
    tx: &Connection,
    id: TrialId,
) -> Result<Vec<(String, Param)>, TxError> {
    let mut statement = tx.prepare_cached(
        "SELECT param_id, param_name, param_value, distribution_json FROM trial_params
         WHERE trial_id = ?1",
    )?;
    let mut rows = statement.query([id.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (param_id, name): (i64, Option<String>) = (row.get(0)?, row.get(1)?);
        let Some(name) = name else { continue };
        let text: String = row.get(3)?;
        let what = || format!("parameter `{name}` of trial with id {}", id.0);
        let param = decode_param(row.get(2)?, decode_distribution(&text, what)?, what)?;
        found.push((param_id, name, param));
    }
    Ok(in_order_suggested(found))
}

/// Returns the parameters of one trial in the order of their ids, which is that in which they were suggested.
///
/// SQLite reads them in the order of their names, and would sort them through its folder for temporary files.
pub(crate) fn in_order_suggested(mut found: Vec<(i64, String, Param)>) -> Vec<(String, Param)> {
    found.sort_by_key(|(param_id, ..)| *param_id);
    found.into_iter().map(|(_, name, param)| (name, param)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Written = Vec<(&'static str, Result<(), TxError>)>;

    fn write_a_row_of_each_table(tx: &Connection) -> Written {
        let (id, at) = (TrialId(1), UtcDateTime::default());
        let choices = vec![Json::Null];
        let distribution = trialbox_core::Distribution::categorical(choices).expect("a choice");
        let param = Param { distribution, internal: 0.0 };
        let attr = upsert_trial_attr(tx, AttrScope::System, id, "a", &Json::Null);
        vec![
            ("trial_values", insert_values(tx, id, &[1.0])),
            ("trial_heartbeats", beat(tx, id)),
            ("trial_params", insert_param(tx, id, "x", &param)),
            ("trial_system_attributes", attr),
            ("trials", set_finished(tx, id, TrialState::Fail, at)),
        ]
    }

    #[test]
    fn a_row_that_the_schema_swallows_is_an_error() {
        let tx = Connection::open_in_memory().expect("memory");
        tx.pragma_update(None, "foreign_keys", false).expect("as in every connection of ours");
        tx.execute_batch(include_str!("../create.sql")).expect("the tables");
        let sql = "INSERT INTO trials VALUES (1, 0, 1, 'RUNNING', NULL, NULL)";
        tx.execute_batch(sql).expect("a row");
        for (table, written) in write_a_row_of_each_table(&tx) {
            assert!(written.is_ok(), "{table}: {written:?}");
            for event in ["INSERT", "UPDATE"] {
                let trigger = format!(
                    "CREATE TRIGGER swallow_{table}_{event} BEFORE {event} ON {table}
                     BEGIN SELECT RAISE(IGNORE); END"
                );
                tx.execute_batch(&trigger).expect("a trigger");
            }
        }
        tx.execute_batch("DELETE FROM trial_values; DELETE FROM trial_params").expect("no rows");
        for (table, written) in write_a_row_of_each_table(&tx) {
            assert!(matches!(written, Err(TxError::Rows { .. })), "{table}: {written:?}");
        }
    }

    #[test]
    fn failed_and_waiting_trials_do_not_count_towards_the_budget() {
        assert_eq!(states_towards_budget(), "'COMPLETE', 'PRUNED', 'RUNNING'");
    }
}
