//! The SQL for trials; every function runs inside a transaction.

use crate::rows::{
    decode_distribution, decode_json, decode_param, decode_state, encode_final_value, encode_value,
};
use crate::sql::finished::{FinishedPart, after, n_counted};
use crate::sql::studies::{AttrScope, require_study};
use crate::sql::transaction::{Row, Transaction, TxError};
use rusqlite::params;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use trialbox_core::run::retry::{FAILED_TRIAL_ATTR, origin, renumbered};
use trialbox_core::seam::storage::{
    Claim, ClaimLoss, FIXED_PARAMS_ATTR, Heartbeat, LeasedTrial, OWNER_ATTR, TrialBatch,
    WATCH_ATTR, check_name, check_param, owner_of,
};
use trialbox_core::study::trial::{TrialId, format_datetime};
use trialbox_core::{
    FrozenTrial, Json, Param, StorageError, StudyId, TrialNumber, TrialState, UtcDateTime,
};

pub(crate) fn upsert_trial_attr(
    tx: &dyn Transaction,
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
    tx.write_one(&sql, row, "1 attribute")
}

/// Counts the trials that use up a study's budget.
pub(crate) fn count_towards_budget(
    tx: &dyn Transaction,
    study: StudyId,
    finished: Option<&FinishedPart>,
) -> Result<u64, TxError> {
    let sql = format!(
        "SELECT count(*) FROM trials WHERE study_id = ?1 AND trial_id > ?2 AND state IN ({})",
        states_towards_budget()
    );
    let n_later: i64 = tx.one(&sql, params![study.0, after(finished).0], |row| row.get(0))?;
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
    tx: &dyn Transaction,
    study: StudyId,
    finished: Option<&FinishedPart>,
    at: UtcDateTime,
) -> Result<Option<(TrialId, TrialNumber)>, TxError> {
    let next = tx.dialect().next_waiting();
    let sql = format!(
        "UPDATE trials SET state = 'RUNNING', datetime_start = ?3
         WHERE trial_id = ({next}) AND state = 'WAITING' RETURNING trial_id, number"
    );
    loop {
        let arguments = params![study.0, after(finished).0, format_datetime(at)];
        let claimed = tx.first(&sql, arguments, read_id_and_number)?;
        if claimed.is_some() || tx.dialect().has_one_writer() {
            return Ok(claimed);
        }
        // Python's Optuna claims a trial without the lock of its study.
        if tx.first(next, params![study.0, after(finished).0], |_| Ok(()))?.is_none() {
            return Ok(None);
        }
    }
}

/// Finds the RUNNING trial that an owner has already started.
pub(crate) fn find_begun(
    tx: &dyn Transaction,
    study: StudyId,
    owner: &Json,
) -> Result<Option<(TrialId, TrialNumber)>, TxError> {
    let running = read_leases(tx, study, None)?;
    let is_begun =
        |lease: &&LeasedTrial| lease.owner.as_ref() == Some(&owner_of(owner, lease.number));
    Ok(running.iter().find(is_begun).map(|lease| (lease.id, lease.number)))
}

/// Appends a RUNNING trial. Its number is determined under the write lock, so no two trials get the same one.
pub(crate) fn insert_running(
    tx: &dyn Transaction,
    study: StudyId,
    at: UtcDateTime,
) -> Result<(TrialId, TrialNumber), TxError> {
    insert_trial(tx, study, TrialState::Running, Some(at), None)
}

/// Appends trials and returns the number of the first.
pub(crate) fn append_trials(
    tx: &dyn Transaction,
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
    tx: &dyn Transaction,
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
    tx: &dyn Transaction,
    study: StudyId,
    state: TrialState,
    start: Option<UtcDateTime>,
    complete: Option<UtcDateTime>,
) -> Result<(TrialId, TrialNumber), TxError> {
    let number = next_number(tx, study)?;
    tx.one(
        "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)
         VALUES (?1, ?2, ?3, ?4, ?5) RETURNING trial_id, number",
        params![
            number,
            study.0,
            state.as_str(),
            start.map(format_datetime),
            complete.map(format_datetime)
        ],
        read_id_and_number,
    )
}

/// Returns the number after that of the newest trial: numbers rise with ids. Optuna counts all trials instead, which
/// gives the same number unless the numbering is damaged, but takes longer in long studies.
fn next_number(tx: &dyn Transaction, study: StudyId) -> Result<i64, TxError> {
    let newest: Option<Option<i64>> = tx.first(
        "SELECT number FROM trials WHERE study_id = ?1 ORDER BY trial_id DESC LIMIT 1",
        &[&study.0],
        |row| row.get(0),
    )?;
    match newest {
        None => Ok(0),
        Some(Some(number)) => Ok(number + 1),
        // Optuna's schema allows NULL, although no release writes it.
        Some(None) => Ok(count_trials(tx, study)?.cast_signed()),
    }
}

/// Returns the number of trials of a study.
pub(crate) fn count_trials(tx: &dyn Transaction, study: StudyId) -> Result<u64, TxError> {
    let sql = "SELECT count(*) FROM trials WHERE study_id = ?1";
    tx.one(sql, &[&study.0], |row| row.get(0).map(i64::unsigned_abs))
}

/// Returns the study of a trial; `None` if the trial does not exist.
pub(crate) fn study_of(tx: &dyn Transaction, id: TrialId) -> Result<Option<StudyId>, TxError> {
    let sql = "SELECT study_id FROM trials WHERE trial_id = ?1";
    tx.first(sql, &[&id.0], |row| row.get(0).map(StudyId))
}

/// Locks a trial, and before that its study if a transaction may append to the study.
pub(crate) fn lock_with_study(tx: &dyn Transaction, id: TrialId) -> Result<(), TxError> {
    if let Some(study) = study_of(tx, id)? {
        tx.lock_study(study)?;
    }
    tx.lock_trial(id)
}

/// Returns the id of a trial by its number.
pub(crate) fn find_trial(
    tx: &dyn Transaction,
    study: StudyId,
    number: TrialNumber,
) -> Result<TrialId, TxError> {
    let name = require_study(tx, study)?;
    let sql =
        "SELECT trial_id FROM trials WHERE study_id = ?1 AND number = ?2 ORDER BY trial_id LIMIT 1";
    let found = tx.first(sql, params![study.0, number.0], |row| row.get(0).map(TrialId))?;
    match found {
        Some(id) => Ok(id),
        None => {
            let n_trials = count_trials(tx, study)?;
            Err(StorageError::NoSuchTrial { study: name, number, n_trials }.into())
        }
    }
}

fn read_id_and_number(row: Row<'_>) -> Result<(TrialId, TrialNumber), TxError> {
    Ok((TrialId(row.get(0)?), TrialNumber(row.get(1)?)))
}

/// Writes the first heartbeat of a trial, as Optuna does: the database's own time, in UTC.
pub(crate) fn beat(tx: &dyn Transaction, id: TrialId) -> Result<(), TxError> {
    tx.write_one(
        "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (?1, CURRENT_TIMESTAMP)
         ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat",
        &[&id.0],
        "1 heartbeat",
    )
}

/// Renews the heartbeat of a trial, if it has one.
pub(crate) fn beat_again(tx: &dyn Transaction, id: TrialId) -> Result<(), TxError> {
    let sql = "UPDATE trial_heartbeats SET heartbeat = CURRENT_TIMESTAMP WHERE trial_id = ?1";
    tx.execute(sql, &[&id.0])?;
    Ok(())
}

/// A trial as a claim finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// RUNNING, and the claim's own.
    Ours,
    /// Finished in this state by an earlier run of this transaction, which seemed to fail.
    FinishedBefore(TrialState),
}

/// Locks a trial, and fails unless it is RUNNING and has the claim's owner.
pub(crate) fn require_ours(tx: &dyn Transaction, claim: &Claim) -> Result<(), TxError> {
    match look_at_claim(tx, claim)? {
        Claimed::Ours => Ok(()),
        Claimed::FinishedBefore(state) => Err(claim_lost(claim, ClaimLoss::Finished(state))),
    }
}

/// Locks a trial and returns how its claim is; fails if another worker has the trial.
pub(crate) fn look_at_claim(tx: &dyn Transaction, claim: &Claim) -> Result<Claimed, TxError> {
    tx.lock_trial(claim.id)?;
    let sql = format!(
        "SELECT {}, (SELECT value_json FROM trial_system_attributes a
                     WHERE a.trial_id = t.trial_id AND a.\"key\" = ?2)
         FROM trials t WHERE t.trial_id = ?1",
        tx.dialect().word("t.state")
    );
    let found: Option<(String, Option<String>)> =
        tx.first(&sql, params![claim.id.0, OWNER_ATTR], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // A trial that Python's Optuna runs has no owner.
    let owner_text = match &claim.owner {
        Json::Null => None,
        owner => Some(owner.to_string()),
    };
    let reason = match found {
        None => ClaimLoss::Vanished,
        Some((state, owner)) => match decode_state(&state, || format!("trial {}", claim.number))? {
            state if state.is_finished() && owner == owner_text && tx.is_repeated() => {
                return Ok(Claimed::FinishedBefore(state));
            }
            state if state.is_finished() => ClaimLoss::Finished(state),
            TrialState::Running if owner == owner_text => return Ok(Claimed::Ours),
            _ => ClaimLoss::TakenOver,
        },
    };
    Err(claim_lost(claim, reason))
}

fn claim_lost(claim: &Claim, reason: ClaimLoss) -> TxError {
    StorageError::ClaimLost { number: claim.number, reason }.into()
}

pub(crate) fn insert_batch(
    tx: &dyn Transaction,
    id: TrialId,
    batch: &TrialBatch,
) -> Result<(), TxError> {
    for (name, param) in &batch.params {
        check_param(name, param)?;
        insert_param(tx, id, name, param)?;
    }
    for (step, value) in &batch.intermediate_values {
        let (value, kind) = encode_value(*value);
        tx.write_one(
            "INSERT INTO trial_intermediate_values
               (trial_id, step, intermediate_value, intermediate_value_type)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (trial_id, step) DO UPDATE SET
               intermediate_value = excluded.intermediate_value,
               intermediate_value_type = excluded.intermediate_value_type",
            params![id.0, step, value, kind],
            "1 intermediate value",
        )?;
    }
    for (key, value) in &batch.user_attrs {
        upsert_trial_attr(tx, AttrScope::User, id, key, value)?;
    }
    for (key, value) in &batch.system_attrs {
        upsert_trial_attr(tx, AttrScope::System, id, key, value)?;
    }
    Ok(())
}

fn insert_param(
    tx: &dyn Transaction,
    id: TrialId,
    name: &str,
    param: &Param,
) -> Result<(), TxError> {
    // A commit may have succeeded although it seemed to fail: then the same batch is written twice.
    let n_written = tx.execute(
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (trial_id, param_name) DO NOTHING",
        params![id.0, name, param.internal, param.distribution.to_json_text()],
    )?;
    if n_written == 1 {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM trial_params WHERE trial_id = ?1 AND param_name = ?2";
    match tx.one(sql, params![id.0, name], |row| row.get::<u32>(0))? {
        1 => Ok(()),
        found => Err(TxError::Rows { what: "1 parameter", found: found as usize }),
    }
}

/// Counts the other trials of the study that have all parameters of a point with the same values.
pub(crate) fn count_at(
    tx: &dyn Transaction,
    id: TrialId,
    point: &[(String, Param)],
) -> Result<usize, TxError> {
    // The latest parameter tells most trials apart, so that the others are compared for few.
    let Some(((name, param), earlier)) = point.split_last() else { return Ok(0) };
    let others: Vec<i64> = tx.all(
        "SELECT p.trial_id FROM trials t JOIN trial_params p ON p.trial_id = t.trial_id
         WHERE t.study_id = (SELECT study_id FROM trials WHERE trial_id = ?1) AND t.trial_id <> ?1
           AND p.param_name = ?2 AND p.param_value = ?3",
        params![id.0, name, param.internal],
        |row| row.get(0),
    )?;
    let has =
        "SELECT 1 FROM trial_params WHERE trial_id = ?1 AND param_name = ?2 AND param_value = ?3";
    let mut n = 0;
    for other in others {
        let mut has_all = true;
        for (name, param) in earlier {
            let row = params![other, name, param.internal];
            has_all = has_all && tx.first(has, row, |_| Ok(()))?.is_some();
        }
        n += usize::from(has_all);
    }
    Ok(n)
}

pub(crate) fn insert_values(
    tx: &dyn Transaction,
    id: TrialId,
    values: &[f64],
) -> Result<(), TxError> {
    for (objective, value) in (0i64..).zip(values) {
        let (value, kind) = encode_final_value(*value)?;
        tx.write_one(
            "INSERT INTO trial_values (trial_id, objective, value, value_type)
             VALUES (?1, ?2, ?3, ?4)",
            params![id.0, objective, value, kind],
            "1 final value",
        )?;
    }
    Ok(())
}

/// Finishes a trial that is known to be RUNNING, never before it started: a reaper may have read its clock before the
/// start, or may be on a machine whose clock is behind.
pub(crate) fn set_finished(
    tx: &dyn Transaction,
    id: TrialId,
    state: TrialState,
    at: UtcDateTime,
) -> Result<(), TxError> {
    tx.write_one(
        "UPDATE trials SET state = ?2,
             datetime_complete = CASE WHEN datetime_start > ?3 THEN datetime_start ELSE ?3 END
         WHERE trial_id = ?1",
        params![id.0, state.as_str(), format_datetime(at)],
        "1 trial",
    )
}

/// Finishes a trial as FAIL if it is WAITING, and returns whether it was. Optuna wants the start of a finished trial.
pub(crate) fn finish_waiting(
    tx: &dyn Transaction,
    id: TrialId,
    at: UtcDateTime,
) -> Result<bool, TxError> {
    let n_changed = tx.execute(
        "UPDATE trials SET state = 'FAIL', datetime_start = coalesce(datetime_start, ?2),
             datetime_complete = CASE WHEN datetime_start > ?2 THEN datetime_start ELSE ?2 END
         WHERE trial_id = ?1 AND state = 'WAITING'",
        params![id.0, format_datetime(at)],
    )?;
    Ok(n_changed > 0)
}

/// Returns the query for RUNNING trials, with the owner's attribute `?2` and the watch's `?3`.
fn leases_sql(tx: &dyn Transaction) -> String {
    format!(
        "SELECT t.trial_id, t.number, CAST(h.heartbeat AS TEXT), {},
                (SELECT value_json FROM trial_system_attributes a WHERE a.trial_id = t.trial_id AND a.\"key\" = ?2),
                (SELECT value_json FROM trial_system_attributes a WHERE a.trial_id = t.trial_id AND a.\"key\" = ?3)
         FROM trials t LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id
         WHERE t.state = 'RUNNING'",
        tx.dialect().age("h.heartbeat")
    )
}

/// Reads the RUNNING trials of a study.
pub(crate) fn read_leases(
    tx: &dyn Transaction,
    study: StudyId,
    finished: Option<&FinishedPart>,
) -> Result<Vec<LeasedTrial>, TxError> {
    let sql = format!("{} AND t.study_id = ?1 AND t.trial_id > ?4", leases_sql(tx));
    let arguments = params![study.0, OWNER_ATTR, WATCH_ATTR, after(finished).0];
    let mut leases = tx.all(&sql, arguments, decode_lease)?;
    leases.sort_by_key(|lease| lease.number);
    Ok(leases)
}

/// Locks a trial and reads it as it is now; `None` if it is not RUNNING.
pub(crate) fn read_lease(
    tx: &dyn Transaction,
    id: TrialId,
) -> Result<Option<LeasedTrial>, TxError> {
    tx.lock_trial(id)?;
    let sql = format!("{} AND t.trial_id = ?1", leases_sql(tx));
    tx.first(&sql, params![id.0, OWNER_ATTR, WATCH_ATTR], decode_lease)
}

fn decode_lease(row: Row<'_>) -> Result<LeasedTrial, TxError> {
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
    tx: &dyn Transaction,
    id: TrialId,
) -> Result<Vec<(String, Json)>, TxError> {
    match read_system_attr(tx, id, FIXED_PARAMS_ATTR)? {
        Some(Json::Object(members)) => Ok(members),
        _ => Ok(vec![]),
    }
}

/// Returns the first of the trials of which this one is a retry, or the trial itself.
pub(crate) fn read_origin(
    tx: &dyn Transaction,
    id: TrialId,
    number: TrialNumber,
) -> Result<TrialNumber, TxError> {
    let mut attrs = BTreeMap::new();
    if let Some(value) = read_system_attr(tx, id, FAILED_TRIAL_ATTR)? {
        attrs.insert(FAILED_TRIAL_ATTR.to_owned(), value);
    }
    Ok(origin(number, &attrs))
}

fn read_system_attr(tx: &dyn Transaction, id: TrialId, key: &str) -> Result<Option<Json>, TxError> {
    let text: Option<String> = tx.first(
        "SELECT value_json FROM trial_system_attributes WHERE trial_id = ?1 AND \"key\" = ?2",
        params![id.0, key],
        |row| row.get(0),
    )?;
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
    tx: &dyn Transaction,
    id: TrialId,
) -> Result<Vec<(String, Param)>, TxError> {
    let mut found = Vec::new();
    let sql = "SELECT param_id, param_name, param_value, distribution_json FROM trial_params WHERE trial_id = ?1";
    tx.each_row(sql, &[&id.0], &mut |row| {
        let (param_id, name): (i64, Option<String>) = (row.get(0)?, row.get(1)?);
        let Some(name) = name else { return Ok(ControlFlow::Continue(())) };
        let text: String = row.get(3)?;
        let what = || format!("parameter `{name}` of trial with id {}", id.0);
        let param = decode_param(row.get(2)?, decode_distribution(&text, what)?, what)?;
        found.push((param_id, name, param));
        Ok(ControlFlow::Continue(()))
    })?;
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
    use rusqlite::Connection;

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
