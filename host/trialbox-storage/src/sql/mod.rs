//! The storage of every SQL database, and its SQL.
//!
//! This file has the body of each call, which is one transaction. `studies`, `trials` and `reader` have the SQL,
//! `transaction` the words in which databases differ, `database` the databases.

pub(crate) mod cell;
pub(crate) mod copy;
mod database;
mod finished;
pub(crate) mod reader;
mod studies;
pub(crate) mod transaction;
mod trials;

use crate::location::Options;
use crate::postgres::address::ServerAddress;
use crate::postgres::connection::ServerDatabase;
use crate::rows::{decode_distribution, unreadable};
use crate::sql::database::Database;
use crate::sql::finished::FinishedPart;
use crate::sql::reader::{TrialFilter, TrialReader};
use crate::sql::studies::{
    AttrScope, all_ids, delete_study, find_study, has_values, insert_directions, insert_study,
    read_stop, read_study, read_summary, rename_study, require_study, some_names,
    upsert_study_attrs,
};
use crate::sql::transaction::{Transaction, TxError};
use crate::sql::trials::{
    Claimed, append_trial, append_trials, beat, beat_again, claim_waiting, count_at,
    count_towards_budget, find_begun, find_trial, finish_waiting, insert_batch, insert_running,
    insert_values, lock_with_study, look_at_claim, read_fixed_params, read_lease, read_leases,
    read_origin, read_params_of, require_ours, set_finished, study_of, upsert_trial_attr,
};
use crate::sqlite::connection::SqliteDatabase;
use rusqlite::params;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use trialbox_core::run::retry::{copies_of_failed, enqueued, has_params, retry_of};
use trialbox_core::seam::storage::{
    BeginTrial, BegunTrial, Claim, Ending, EnqueueTrial, LeasedTrial, Leases, LostTrial,
    OWNER_ATTR, Reader, RetryPolicy, Studies, StudyAttrs, TrialBatch, TrialStart, Trials,
    WATCH_ATTR, owner_of,
};
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::study::record::{NewStudy, StudySummary};
use trialbox_core::study::trial::TrialId;
use trialbox_core::{
    Distribution, FrozenTrial, Json, Param, StorageError, StudyDirection, StudyId, StudyRecord,
    TrialNumber, TrialState, UtcDateTime,
};

/// The longest wait for other processes while an objective waits for the call. The call may be skipped: it is repeated
/// with the next report.
const BRIEFLY: Duration = Duration::from_secs(1);

/// A database with Optuna's tables: a SQLite file, or a server's.
#[derive(Debug)]
pub struct SqlStorage {
    database: Database,
    /// The names of studies when they were opened. SQLite gives the id of a deleted study to the next one, and then the
    /// name tells the two apart.
    names: HashMap<StudyId, String>,
    /// The finished part of each study at the last look.
    finished: HashMap<StudyId, FinishedPart>,
}

impl SqlStorage {
    /// Opens a file, or creates it if `options` allow that.
    ///
    /// # Errors
    /// [`StorageError::WrongDatabase`] for a missing file, one that is not a database of Optuna's, and one with the
    /// schema of another version; [`StorageError::Backend`]; [`StorageError::Busy`].
    pub fn open_file(path: &Path, options: &Options) -> Result<Self, StorageError> {
        let file = SqliteDatabase::open(path, options)?;
        Ok(SqlStorage::of(Database::File(Box::new(file))))
    }

    /// Opens a database of a server, and creates the tables if `options` allow that.
    ///
    /// # Errors
    /// As [`Self::open_file`]; [`StorageError::Away`].
    pub fn open_server(address: &ServerAddress, options: &Options) -> Result<Self, StorageError> {
        let server = ServerDatabase::open(address, options)?;
        Ok(SqlStorage::of(Database::Server(Box::new(server))))
    }

    /// Returns the file's transactions, for tests of them.
    #[cfg(test)]
    pub(crate) fn file_mut(&mut self) -> &mut SqliteDatabase {
        match &mut self.database {
            Database::File(file) => file,
            Database::Server(server) => panic!("{} has no file", server.url()),
        }
    }

    fn of(database: Database) -> Self {
        SqlStorage { database, names: HashMap::new(), finished: HashMap::new() }
    }

    /// Runs a transaction on a study, which must still be the one that was opened.
    fn write_study<T>(
        &mut self,
        study: StudyId,
        point: &str,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        let opened = self.names.get(&study).cloned();
        self.database.write(point, action, |tx| {
            tx.lock_study(study)?;
            require_same_study(tx, study, opened.as_deref())?;
            body(tx)
        })
    }

    fn remember(&mut self, study: &StudyRecord) {
        self.names.insert(study.id, study.name.clone());
    }

    fn remember_finished(&mut self, study: StudyId, finished: Option<FinishedPart>) {
        match finished {
            Some(finished) => self.finished.insert(study, finished),
            None => self.finished.remove(&study),
        };
    }
}

impl Studies for SqlStorage {
    fn import_study(
        &mut self,
        study: &NewStudy,
        trials: &[FrozenTrial],
    ) -> Result<StudyRecord, StorageError> {
        let made = self.database.write("create_study", "create a study", |tx| {
            tx.refuse_repetition()?;
            let id = insert_study(tx, study)?;
            append_trials(tx, id, trials)?;
            read_study(tx, id)
        })?;
        self.remember(&made);
        Ok(made)
    }

    fn open_study(&mut self, name: &str) -> Result<StudyRecord, StorageError> {
        let found = self.database.read("read a study", |tx| match find_study(tx, name)? {
            Some(id) => read_study(tx, id),
            None => {
                let known = some_names(tx)?;
                Err(StorageError::NoSuchStudy { name: name.to_owned(), known }.into())
            }
        })?;
        self.remember(&found);
        Ok(found)
    }

    fn list_studies(&mut self) -> Result<Vec<StudySummary>, StorageError> {
        self.database.read("list the studies", |tx| {
            all_ids(tx)?.into_iter().map(|id| read_summary(tx, id)).collect()
        })
    }

    fn set_study_defaults(
        &mut self,
        study: StudyId,
        user_attrs: &[(String, Json)],
    ) -> Result<StudyRecord, StorageError> {
        self.write_study(study, "study_defaults", "set the study's defaults", |tx| {
            let found = read_study(tx, study)?;
            let missing: Vec<(String, Json)> = user_attrs
                .iter()
                .filter(|(key, _)| !found.user_attrs.contains_key(key))
                .cloned()
                .collect();
            upsert_study_attrs(tx, AttrScope::User, study, &missing)?;
            read_study(tx, study)
        })
    }

    fn set_study_attrs(
        &mut self,
        study: StudyId,
        attrs: &StudyAttrs,
    ) -> Result<StudyRecord, StorageError> {
        self.write_study(study, "study_attrs", "set the study's attributes", |tx| {
            upsert_study_attrs(tx, AttrScope::User, study, &attrs.user)?;
            upsert_study_attrs(tx, AttrScope::System, study, &attrs.system)?;
            read_study(tx, study)
        })
    }

    fn set_directions(
        &mut self,
        study: StudyId,
        directions: &[StudyDirection],
    ) -> Result<Option<StudyRecord>, StorageError> {
        self.write_study(study, "study_directions", "set the study's directions", |tx| {
            require_study(tx, study)?;
            if has_values(tx, study)? {
                return Ok(None);
            }
            tx.execute("DELETE FROM study_directions WHERE study_id = ?1", &[&study.0])?;
            insert_directions(tx, study, directions)?;
            read_study(tx, study).map(Some)
        })
    }

    fn rename_study(&mut self, study: StudyId, name: &str) -> Result<(), StorageError> {
        self.write_study(study, "rename_study", "rename the study", |tx| {
            rename_study(tx, study, name)
        })?;
        self.names.insert(study, name.to_owned());
        Ok(())
    }

    fn delete_study(&mut self, study: StudyId) -> Result<(), StorageError> {
        self.write_study(study, "delete_study", "delete the study", |tx| delete_study(tx, study))
    }
}

impl Trials for SqlStorage {
    fn add_trials(
        &mut self,
        study: StudyId,
        trials: &[FrozenTrial],
    ) -> Result<TrialNumber, StorageError> {
        self.write_study(study, "add_trials", "add trials", |tx| {
            tx.refuse_repetition()?;
            append_trials(tx, study, trials)
        })
    }

    fn add_chosen_trials(
        &mut self,
        study: StudyId,
        choose: &dyn Fn(&[FrozenTrial]) -> Vec<FrozenTrial>,
    ) -> Result<usize, StorageError> {
        self.write_study(study, "add_trials", "add trials", |tx| {
            tx.refuse_repetition()?;
            let chosen = choose(&TrialReader::read(tx, TrialFilter::Study(study))?);
            append_trials(tx, study, &chosen)?;
            Ok(chosen.len())
        })
    }

    fn enqueue_trial(
        &mut self,
        study: StudyId,
        trial: &EnqueueTrial,
    ) -> Result<Option<TrialNumber>, StorageError> {
        self.write_study(study, "enqueue", "enqueue a trial", |tx| {
            tx.refuse_repetition()?;
            if trial.skip_if_exists {
                let trials = TrialReader::read_params_only(tx, TrialFilter::Study(study))?;
                if trials.iter().any(|found| has_params(found, &trial.params)) {
                    return Ok(None);
                }
            }
            append_trial(tx, study, &enqueued(trial)).map(Some)
        })
    }

    fn cancel_waiting(
        &mut self,
        study: StudyId,
        number: TrialNumber,
        failure: &Json,
        at: UtcDateTime,
    ) -> Result<bool, StorageError> {
        self.write_study(study, "cancel", "cancel a trial", |tx| {
            let id = find_trial(tx, study, number)?;
            if !finish_waiting(tx, id, at)? {
                return Ok(false);
            }
            upsert_trial_attr(tx, AttrScope::System, id, FAILURE_ATTR, failure)?;
            Ok(true)
        })
    }

    fn retry_failed(
        &mut self,
        study: StudyId,
        numbers: &[TrialNumber],
    ) -> Result<Vec<(TrialNumber, TrialNumber)>, StorageError> {
        self.write_study(study, "retry", "retry trials", |tx| {
            tx.refuse_repetition()?;
            let trials = TrialReader::read(tx, TrialFilter::Study(study))?;
            let copies = copies_of_failed(&trials, numbers);
            copies
                .into_iter()
                .map(|(number, copy)| Ok((number, append_trial(tx, study, &copy)?)))
                .collect()
        })
    }

    fn begin_trial(
        &mut self,
        study: StudyId,
        request: &BeginTrial,
    ) -> Result<TrialStart, StorageError> {
        let known = self.finished.get(&study).cloned();
        let (start, finished) = self.write_study(study, "begin", "start a trial", |tx| {
            if tx.is_repeated()
                && let Some((id, number)) = find_begun(tx, study, &request.owner)?
            {
                let begun = read_begun(tx, id, number, owner_of(&request.owner, number))?;
                return Ok((TrialStart::Begun(Box::new(begun)), known.clone()));
            }
            let finished = FinishedPart::of(tx, study, known.as_ref())?;
            if let Some(stop) = read_stop(tx, study)? {
                return Ok((TrialStart::Stopped(stop), finished));
            }
            if let Some(max_trials) = request.max_trials {
                let n_trials = count_towards_budget(tx, study, finished.as_ref())?;
                if n_trials >= max_trials {
                    return Ok((TrialStart::BudgetReached { n_trials }, finished));
                }
            }
            let (id, number) = match claim_waiting(tx, study, finished.as_ref(), request.at)? {
                Some(claimed) => claimed,
                None => insert_running(tx, study, request.at)?,
            };
            let owner = owner_of(&request.owner, number);
            upsert_trial_attr(tx, AttrScope::System, id, OWNER_ATTR, &owner)?;
            if request.has_heartbeat {
                beat(tx, id)?;
            }
            let begun = read_begun(tx, id, number, owner)?;
            Ok((TrialStart::Begun(Box::new(begun)), finished))
        })?;
        self.remember_finished(study, finished);
        Ok(start)
    }

    fn record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError> {
        self.database
            .write("record", "record a trial's progress", |tx| add_to_trial(tx, claim, batch))
    }

    fn try_record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError> {
        self.database.write_within(BRIEFLY, "record", "record a trial's progress", |tx| {
            add_to_trial(tx, claim, batch)
        })
    }

    fn record_apart(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        point: &[(String, Param)],
        n_known: usize,
    ) -> Result<bool, StorageError> {
        self.database.write("record", "record a trial's progress", |tx| {
            lock_with_study(tx, claim.id)?;
            require_ours(tx, claim)?;
            if count_at(tx, claim.id, point)? > n_known {
                return Ok(false);
            }
            add_to_trial(tx, claim, batch)?;
            Ok(true)
        })
    }

    fn finish_trial(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        ending: &Ending,
    ) -> Result<Option<TrialNumber>, StorageError> {
        self.database.write("finish", "record a trial's result", |tx| {
            if ending.retry.is_some() {
                lock_with_study(tx, claim.id)?;
            }
            match look_at_claim(tx, claim)? {
                Claimed::Ours => {}
                Claimed::FinishedBefore(_) => return Ok(None),
            }
            insert_batch(tx, claim.id, batch)?;
            insert_values(tx, claim.id, ending.outcome.values())?;
            set_finished(tx, claim.id, ending.outcome.state(), ending.at)?;
            append_retry(tx, claim.id, ending.retry)
        })
    }
}

impl Leases for SqlStorage {
    fn running_trials(&mut self, study: StudyId) -> Result<Vec<LeasedTrial>, StorageError> {
        let known = self.finished.get(&study).cloned();
        let (leases, finished) = self.database.read("read the running trials", |tx| {
            let finished = FinishedPart::of(tx, study, known.as_ref())?;
            Ok((read_leases(tx, study, finished.as_ref())?, finished))
        })?;
        self.remember_finished(study, finished);
        Ok(leases)
    }

    fn note_watches(&mut self, watches: &[(TrialId, Json)]) -> Result<(), StorageError> {
        self.database.write("watch", "note the heartbeats of running trials", |tx| {
            for (id, watch) in watches {
                if read_lease(tx, *id)?.is_some() {
                    upsert_trial_attr(tx, AttrScope::System, *id, WATCH_ATTR, watch)?;
                }
            }
            Ok(())
        })
    }

    fn fail_lost_trial(
        &mut self,
        lost: &LeasedTrial,
        failure: &Json,
        retry: Option<RetryPolicy>,
        at: UtcDateTime,
    ) -> Result<Option<LostTrial>, StorageError> {
        self.database.write("reap", "finish a lost trial", |tx| {
            lock_with_study(tx, lost.id)?;
            match read_lease(tx, lost.id)? {
                Some(now) if now.is_unchanged_since(lost) => {}
                _ => return Ok(None),
            }
            upsert_trial_attr(tx, AttrScope::System, lost.id, FAILURE_ATTR, failure)?;
            set_finished(tx, lost.id, TrialState::Fail, at)?;
            let retry = append_retry(tx, lost.id, retry)?;
            Ok(Some(LostTrial { number: lost.number, retry }))
        })
    }
}

impl Reader for SqlStorage {
    fn url(&self) -> &str {
        self.database.url()
    }

    fn trial(&mut self, study: StudyId, number: TrialNumber) -> Result<FrozenTrial, StorageError> {
        self.database.read("read a trial", |tx| {
            let id = find_trial(tx, study, number)?;
            match TrialReader::read(tx, TrialFilter::Trial(id))?.pop() {
                Some(trial) => Ok(trial),
                None => Err(unreadable(format!("trial {number} has no row")).into()),
            }
        })
    }

    fn trials(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        self.database.read("read the trials", |tx| TrialReader::read(tx, TrialFilter::Study(study)))
    }

    fn history(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        self.database
            .read("read the trials", |tx| TrialReader::read_history(tx, TrialFilter::Study(study)))
    }

    fn outcomes(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        self.database
            .read("read the trials", |tx| TrialReader::read_outcomes(tx, TrialFilter::Study(study)))
    }

    fn changed_trials(
        &mut self,
        study: StudyId,
        known: &[FrozenTrial],
    ) -> Result<Option<Vec<FrozenTrial>>, StorageError> {
        self.database.read_within(BRIEFLY, "read the trials", |tx| {
            TrialReader::read_changed(tx, study, known)
        })
    }

    fn recorded_distribution(
        &mut self,
        study: StudyId,
        trial: TrialId,
        param: &str,
    ) -> Result<Option<Distribution>, StorageError> {
        self.database.read("read a parameter's distribution", |tx| {
            let text: Option<String> = tx.first(
                "SELECT p.distribution_json FROM trials t
                 JOIN trial_params p ON p.trial_id = t.trial_id
                 WHERE t.study_id = ?1 AND p.param_name = ?2 AND t.trial_id <> ?3 LIMIT 1",
                params![study.0, param, trial.0],
                |row| row.get(0),
            )?;
            match text {
                Some(text) => {
                    Ok(Some(decode_distribution(&text, || format!("parameter `{param}`"))?))
                }
                None => Ok(None),
            }
        })
    }

    fn snapshot(&mut self, path: &Path) -> Result<(), StorageError> {
        self.database.copy_to(path)
    }
}

/// Adds a batch to a trial of this claim, and renews the trial's heartbeat.
fn add_to_trial(tx: &dyn Transaction, claim: &Claim, batch: &TrialBatch) -> Result<(), TxError> {
    require_ours(tx, claim)?;
    insert_batch(tx, claim.id, batch)?;
    beat_again(tx, claim.id)
}

/// Reads what a trial that has just started brings from earlier attempts.
fn read_begun(
    tx: &dyn Transaction,
    id: TrialId,
    number: TrialNumber,
    owner: Json,
) -> Result<BegunTrial, TxError> {
    Ok(BegunTrial {
        claim: Claim { id, number, owner },
        fixed_params: read_fixed_params(tx, id)?,
        params: read_params_of(tx, id)?,
        origin: read_origin(tx, id, number)?,
    })
}

/// Fails if the study was deleted or renamed since it was opened.
fn require_same_study(
    tx: &dyn Transaction,
    id: StudyId,
    opened: Option<&str>,
) -> Result<(), TxError> {
    let name = require_study(tx, id)?;
    match opened {
        Some(opened) if opened != name => {
            Err(StorageError::NoSuchStudy { name: opened.to_owned(), known: some_names(tx)? }
                .into())
        }
        _ => Ok(()),
    }
}

/// Appends the retry of a trial that has just finished, if the trial may have one.
fn append_retry(
    tx: &dyn Transaction,
    id: TrialId,
    policy: Option<RetryPolicy>,
) -> Result<Option<TrialNumber>, TxError> {
    let Some(policy) = policy else { return Ok(None) };
    let Some(study) = study_of(tx, id)? else { return Ok(None) };
    let Some(finished) = TrialReader::read(tx, TrialFilter::Trial(id))?.pop() else {
        return Ok(None);
    };
    match retry_of(&finished, policy) {
        Some(retry) => Ok(Some(append_trial(tx, study, &retry)?)),
        None => Ok(None),
    }
}
