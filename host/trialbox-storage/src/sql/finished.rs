//! The beginning of a study, in which every trial is finished: the part that need not be read again.
//!
//! A worker that starts a trial searches for a waiting one and counts those that use up the budget. It does so under
//! the write lock, while all other workers wait. Finished trials never change, so the count of an earlier look still
//! holds, and only later trials are read under the lock.

use crate::sql::transaction::{Transaction, TxError};
use rusqlite::params;
use std::ops::ControlFlow;
use trialbox_core::study::trial::TrialId;
use trialbox_core::{StudyId, TrialState};

/// All trials of a study up to one. Trials are in the order of ids, which is the order of their numbers.
#[derive(Debug, Clone)]
pub(crate) struct FinishedPart {
    last: LastFinished,
    /// The number of trials in this part that count towards the study's budget.
    n_counted: u64,
}

/// The last trial of the part. SQLite reuses the ids of deleted rows, so a study that was deleted and created again may
/// have a trial with this id. The time of the end tells the two apart.
#[derive(Debug, Clone)]
struct LastFinished {
    id: i64,
    datetime_complete: Option<String>,
}

impl FinishedPart {
    /// Finds the part of a study that is finished by now. `known` is the result of an earlier call.
    pub(crate) fn of(
        tx: &dyn Transaction,
        study: StudyId,
        known: Option<&FinishedPart>,
    ) -> Result<Option<FinishedPart>, TxError> {
        let known = match known {
            Some(known) if known.still_holds(tx, study)? => Some(known.clone()),
            _ => None,
        };
        let (first_open, n_uncounted) = first_open(tx, study, after(known.as_ref()))?;
        let (n_new, last): (i64, Option<i64>) = tx.one(
            "SELECT count(*), max(trial_id) FROM trials
             WHERE study_id = ?1 AND trial_id > ?2 AND trial_id < ?3",
            params![study.0, after(known.as_ref()).0, first_open.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let Some(last) = last else { return Ok(known) };
        let n_counted = n_counted(known.as_ref()) + n_new.unsigned_abs() - n_uncounted;
        Ok(Some(FinishedPart { last: LastFinished::read(tx, last)?, n_counted }))
    }

    fn still_holds(&self, tx: &dyn Transaction, study: StudyId) -> Result<bool, TxError> {
        let found = tx.first(
            "SELECT 1 FROM trials
             WHERE trial_id = ?1 AND study_id = ?2 AND datetime_complete IS NOT DISTINCT FROM ?3
               AND state IN ('COMPLETE', 'PRUNED', 'FAIL')",
            params![self.last.id, study.0, self.last.datetime_complete],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }
}

impl LastFinished {
    fn read(tx: &dyn Transaction, id: i64) -> Result<Self, TxError> {
        let sql = "SELECT datetime_complete FROM trials WHERE trial_id = ?1";
        tx.one(sql, &[&id], |row| Ok(LastFinished { id, datetime_complete: row.get(0)? }))
    }
}

/// Returns the first trial after `after` that is not finished, and the number of FAIL trials before it. The query
/// leaves out COMPLETE trials, which most are: SQLite skips rows much faster than it returns them.
fn first_open(
    tx: &dyn Transaction,
    study: StudyId,
    after: TrialId,
) -> Result<(TrialId, u64), TxError> {
    let sql = format!(
        "SELECT trial_id, {} FROM trials
         WHERE study_id = ?1 AND trial_id > ?2 AND state <> 'COMPLETE' ORDER BY trial_id",
        tx.dialect().word("state")
    );
    let (mut open, mut n_uncounted) = (TrialId(i64::MAX), 0);
    tx.each_row(&sql, params![study.0, after.0], &mut |row| {
        // An unknown state counts as unfinished here; the readers of whole trials report it.
        match TrialState::parse(row.value(1)?.as_str().unwrap_or_default()) {
            Some(state) if state.is_finished() => {
                n_uncounted += u64::from(!state.counts_towards_budget());
                Ok(ControlFlow::Continue(()))
            }
            _ => {
                open = TrialId(row.get(0)?);
                Ok(ControlFlow::Break(()))
            }
        }
    })?;
    Ok((open, n_uncounted))
}

/// Returns the id of the last trial of the part. All unfinished trials have higher ids.
pub(crate) fn after(part: Option<&FinishedPart>) -> TrialId {
    match part {
        Some(part) => TrialId(part.last.id),
        None => TrialId(i64::MIN),
    }
}

/// Returns the number of trials of the part that count towards the study's budget.
pub(crate) fn n_counted(part: Option<&FinishedPart>) -> u64 {
    match part {
        Some(part) => part.n_counted,
        None => 0,
    }
}
