//! Trials: adding, starting, recording and finishing them.

use crate::seam::storage::StorageError;
use crate::study::batch::TrialBatch;
use crate::study::claim::{BegunTrial, Claim};
use crate::study::enqueue::EnqueueTrial;
use crate::study::outcome::Ending;
use crate::study::record::StudyId;
use crate::study::stopping::StudyStop;
use crate::study::trial::{FrozenTrial, Param, TrialNumber, UtcDateTime};
use crate::value::json::Json;

/// The trials of a database, as their workers write them.
pub trait Trials {
    /// Appends trials as they are, numbered on from the study's last, and returns the first of the new numbers.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when the study was deleted meanwhile; [`StorageError::NanValue`].
    fn add_trials(
        &mut self,
        study: StudyId,
        trials: &[FrozenTrial],
    ) -> Result<TrialNumber, StorageError>;

    /// Appends the trials that `choose` returns for all trials of the study, numbered on from the study's last, and
    /// returns their number. No other worker writes between the look and the writing. `choose` may be called again.
    ///
    /// # Errors
    /// Those of [`add_trials`](Trials::add_trials).
    fn add_chosen_trials(
        &mut self,
        study: StudyId,
        choose: &dyn Fn(&[FrozenTrial]) -> Vec<FrozenTrial>,
    ) -> Result<usize, StorageError>;

    /// Appends a WAITING trial whose parameters are fixed to the external values given, and returns its number.
    /// Appends nothing and returns `None` if `skip_if_exists` is set and a trial of the study has the same values.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when the study was deleted meanwhile.
    fn enqueue_trial(
        &mut self,
        study: StudyId,
        trial: &EnqueueTrial,
    ) -> Result<Option<TrialNumber>, StorageError>;

    /// Finishes a WAITING trial as FAIL, because Optuna has no way to remove one. The failure is stored with it.
    /// Returns whether the trial was WAITING; otherwise nothing is written.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] and [`StorageError::NoSuchTrial`].
    fn cancel_waiting(
        &mut self,
        study: StudyId,
        number: TrialNumber,
        failure: &Json,
        at: UtcDateTime,
    ) -> Result<bool, StorageError>;

    /// Appends a WAITING copy of each of these trials that is FAIL and has no retry yet, in one transaction. Returns
    /// the numbers of each trial and its copy. The copies are those of [`retry_of`](crate::study::retry::retry_of).
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when the study was deleted meanwhile.
    fn retry_failed(
        &mut self,
        study: StudyId,
        numbers: &[TrialNumber],
    ) -> Result<Vec<(TrialNumber, TrialNumber)>, StorageError>;

    /// Starts the lowest WAITING trial, or a new one with the next number. The trial is RUNNING, owned and with its
    /// first heartbeat when this returns. No trial starts while the study is stopped or has reached its budget, which
    /// the same transaction checks.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when the study was deleted meanwhile.
    fn begin_trial(
        &mut self,
        study: StudyId,
        request: &BeginTrial,
    ) -> Result<TrialStart, StorageError>;

    /// Adds to a running trial, and renews its heartbeat.
    ///
    /// # Errors
    /// [`StorageError::ClaimLost`] when the trial no longer belongs to this attempt.
    fn record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError>;

    /// Does the same as [`Self::record`], but gives up after about a second while other processes hold the storage:
    /// the objective is waiting for it.
    ///
    /// # Errors
    /// As [`Self::record`]; [`StorageError::Busy`], after which nothing is written.
    fn try_record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError> {
        self.record(claim, batch)
    }

    /// Does the same as [`Self::record`], but only if at most `n_known` other trials of the study have all parameters
    /// of `point` with the same values. Returns whether it was recorded. One transaction compares and records, so
    /// that of two workers that want the same point the second one learns of the first.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn record_apart(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        point: &[(String, Param)],
        n_known: usize,
    ) -> Result<bool, StorageError>;

    /// Adds the last batch to a running trial and finishes the trial, in one transaction: readers cache finished
    /// trials, so nothing may be written afterwards. With [`Ending::retry`] a WAITING copy is appended in the same
    /// transaction, and its number returned.
    ///
    /// # Errors
    /// [`StorageError::ClaimLost`] when the trial no longer belongs to this attempt; then nothing is written.
    fn finish_trial(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        ending: &Ending,
    ) -> Result<Option<TrialNumber>, StorageError>;
}

/// A worker's request for a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct BeginTrial {
    /// The new owner: a JSON object, unique to this attempt, stored with the trial under
    /// [`OWNER_ATTR`](crate::study::claim::OWNER_ATTR). Later writes succeed only while the trial still has it.
    pub owner: Json,
    /// True if the owner will renew the trial's heartbeat. An owner that does not is never taken for dead because of
    /// its silence.
    pub has_heartbeat: bool,
    /// The number of COMPLETE, PRUNED and RUNNING trials that the whole study may have; `None` for no limit.
    pub max_trials: Option<u64>,
    /// The time at which the trial starts.
    pub at: UtcDateTime,
}

/// The answer of [`Trials::begin_trial`].
#[derive(Debug, Clone, PartialEq)]
pub enum TrialStart {
    /// A trial to run.
    Begun(Box<BegunTrial>),
    /// The study has all the trials it may have.
    BudgetReached {
        /// The number of trials that count towards the budget.
        n_trials: u64,
    },
    /// The study was stopped ([`STOP_ATTR`](crate::study::stopping::STOP_ATTR)).
    Stopped(StudyStop),
}
