//! The beginning of a study, in which every trial has ended: what need not be looked at again.
//!
//! A worker that starts a trial looks for a waiting one and counts those that use up the budget, under the write
//! lock, while all other workers wait for it. Finished trials never change. So what was found before, outside the
//! lock, still holds under it, and only the trials after it are looked at there.

use crate::sqlite::errors::TxError;
use rusqlite::{Connection, OptionalExtension as _, params};
use trialbox_core::study::trial::TrialId;
use trialbox_core::{StudyId, TrialState};

/// All trials up to one, in the order of ids, which is that of their numbers.
#[derive(Debug, Clone)]
pub(crate) struct EndedPart {
    last: LastEnded,
    /// How many of them count towards `--max-trials`.
    n_counted: u64,
}

/// The last trial of it. When it ended tells it from one with the same id in a study that was deleted and made
/// anew: SQLite gives the ids of deleted rows away again.
#[derive(Debug, Clone)]
struct LastEnded {
    id: i64,
    datetime_complete: Option<String>,
}

impl EndedPart {
    /// The part of a study that has ended by now; `known` is what an earlier look found, if there was one.
    pub(crate) fn of(
        tx: &Connection,
        study: StudyId,
        known: Option<&EndedPart>,
    ) -> Result<Option<EndedPart>, TxError> {
        let known = match known {
            Some(known) if known.still_holds(tx, study)? => Some(known.clone()),
            _ => None,
        };
        let (first_open, n_uncounted) = first_open(tx, study, after(known.as_ref()))?;
        let (n_new, last): (i64, Option<i64>) = tx
            .prepare_cached(
                "SELECT count(*), max(trial_id) FROM trials
                 WHERE study_id = ?1 AND trial_id > ?2 AND trial_id < ?3",
            )?
            .query_row(params![study.0, after(known.as_ref()).0, first_open.0], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let Some(last) = last else { return Ok(known) };
        let n_counted = n_counted(known.as_ref()) + n_new.unsigned_abs() - n_uncounted;
        Ok(Some(EndedPart { last: LastEnded::read(tx, last)?, n_counted }))
    }

    fn still_holds(&self, tx: &Connection, study: StudyId) -> rusqlite::Result<bool> {
        let found = tx
            .prepare_cached(
                "SELECT 1 FROM trials WHERE trial_id = ?1 AND study_id = ?2 AND datetime_complete IS ?3
                   AND state IN ('COMPLETE', 'PRUNED', 'FAIL')",
            )?
            .query_row(params![self.last.id, study.0, self.last.datetime_complete], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }
}

impl LastEnded {
    fn read(tx: &Connection, id: i64) -> rusqlite::Result<Self> {
        tx.prepare_cached("SELECT datetime_complete FROM trials WHERE trial_id = ?1")?
            .query_row([id], |row| Ok(LastEnded { id, datetime_complete: row.get(0)? }))
    }
}

/// The first trial after this one that has not ended, and how many before it are FAIL. Most trials are COMPLETE:
/// SQLite passes them over many times as fast as it could hand them out.
fn first_open(tx: &Connection, study: StudyId, after: TrialId) -> Result<(TrialId, u64), TxError> {
    let mut statement = tx.prepare_cached(
        "SELECT trial_id, state FROM trials
         WHERE study_id = ?1 AND trial_id > ?2 AND state <> 'COMPLETE' ORDER BY trial_id",
    )?;
    let mut rows = statement.query(params![study.0, after.0])?;
    let mut n_uncounted = 0;
    while let Some(row) = rows.next()? {
        // The readers of whole trials report an unknown state.
        match TrialState::parse(row.get_ref(1)?.as_str().unwrap_or_default()) {
            Some(state) if state.is_finished() => {
                n_uncounted += u64::from(!state.counts_towards_budget());
            }
            _ => return Ok((TrialId(row.get(0)?), n_uncounted)),
        }
    }
    Ok((TrialId(i64::MAX), n_uncounted))
}

/// The id after which the trials begin that may not have ended.
pub(crate) fn after(part: Option<&EndedPart>) -> TrialId {
    TrialId(part.map_or(i64::MIN, |part| part.last.id))
}

/// How many ended trials count towards `--max-trials`.
pub(crate) fn n_counted(part: Option<&EndedPart>) -> u64 {
    part.map_or(0, |part| part.n_counted)
}
