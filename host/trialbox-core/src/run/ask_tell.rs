//! Trials whose objective runs outside: one process asks for parameters, and later another tells the result.

use crate::run::next::{Next, NextError, ProcessBounds, next};
use crate::run::{LateRecord, RunError, UnrecordedTrial, Verdict, judge, keep_late_result};
use crate::seam::clock::Clock;
use crate::seam::guarded::HostPanic;
use crate::seam::guarded::guarded;
use crate::seam::sampler::Sampler;
use crate::seam::storage::{
    BeginTrial, Claim, ClaimLoss, Ending, OWNER_ATTR, OWNER_TOKEN, Outcome, Storage, StorageError,
    TrialBatch, TrialStart,
};
use crate::session::event::Event;
use crate::session::objective::Evaluation;
use crate::session::{CallAborted, DrawnPoint, FinishedSession, TrialContext, TrialSession};
use crate::space::declared::DeclaredSpace;
use crate::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use crate::study::history::History;
use crate::study::record::StudyRecord;
use crate::study::stopping::{Budgets, StopReason, StudyStop};
use crate::study::trial::{FrozenTrial, Param, TrialNumber, TrialState, UtcDateTime};
use crate::value::json::Json;

/// The result of [`ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A trial was started.
    Begun {
        /// The claim, whose token is for [`Tell::owner`].
        claim: Claim,
        /// The parameters, those of an earlier attempt included.
        params: Vec<(String, Param)>,
    },
    /// The study has all the trials it may have.
    BudgetReached {
        /// The number of its trials.
        n_trials: u64,
    },
    /// The study was stopped; no trial was started.
    Stopped(StudyStop),
    /// A trial was started at a point that a constraint of the space excludes, and is PRUNED; another may be asked for.
    Excluded {
        /// The trial.
        number: TrialNumber,
        /// The constraint, in a sentence.
        reason: String,
    },
    /// A trial was started, but a parameter cannot be suggested; the trial failed.
    Refused {
        /// The trial.
        number: TrialNumber,
        /// The failure.
        failure: Failure,
    },
}

/// Returns whether a trial may be asked for: as [`next`] does for one that runs here, and not once every point of a
/// finite search is a trial's. A worker would repeat the point of a running trial, which may die; but a trial that was
/// asked for has no heartbeat, and is requeued where it is lost.
///
/// # Errors
/// Those of the storage, and a panic of the sampler's.
pub fn may_ask(
    study: &StudyRecord,
    budgets: &Budgets,
    sampler: &dyn Sampler,
    storage: &mut dyn Storage,
    clock: &dyn Clock,
) -> Result<MayAsk, NextError> {
    let bounds = ProcessBounds::default();
    match next(study, budgets, &bounds, sampler, storage, clock)? {
        Next::Stop(reason) => return Ok(MayAsk::Complete(reason)),
        Next::Start if !sampler.is_finite() => return Ok(MayAsk::Yes),
        Next::Start => {}
    }
    let history = History::new(study.directions.clone(), storage.history(study.id)?);
    let has_waiting = history.in_state(TrialState::Waiting).next().is_some();
    let n_running = history.in_state(TrialState::Running).count() as u64;
    if has_waiting || !guarded("sampler", || sampler.is_taken(&history))? {
        Ok(MayAsk::Yes)
    } else {
        Ok(MayAsk::EveryPointTaken { n_running })
    }
}

/// The answer of [`may_ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum MayAsk {
    /// A trial may be asked for.
    Yes,
    /// The study is complete.
    Complete(StopReason),
    /// Every point is that of a finished trial or of one of the running ones.
    EveryPointTaken {
        /// The number of running trials.
        n_running: u64,
    },
}

/// Starts a trial and suggests the parameters of `space`, in its order. The trial stays RUNNING until its result is
/// told.
///
/// # Errors
/// Only errors of the storage.
pub fn ask(
    context: &TrialContext,
    storage: &mut dyn Storage,
    request: &BeginTrial,
    space: &DeclaredSpace,
) -> Result<Asked, RunError> {
    let begun = match storage.begin_trial(context.study.id, request).map_err(RunError::Begin)? {
        TrialStart::Begun(begun) => *begun,
        TrialStart::BudgetReached { n_trials } => return Ok(Asked::BudgetReached { n_trials }),
        TrialStart::Stopped(stop) => return Ok(Asked::Stopped(stop)),
    };
    // The objective runs elsewhere, and so does whatever would observe it.
    let observer: &mut dyn FnMut(Event) = &mut |_| ();
    let mut session = TrialSession::new(context, storage, observer, begun);
    let suggested = suggest_all(&mut session, space);
    let mut finished = session.finish();
    let number = finished.claim.number;
    let refused = match suggested {
        Ok(DrawnPoint::Allowed(_)) => None,
        Ok(DrawnPoint::Excluded(reason)) => {
            let ending = Ending::new(Outcome::Pruned(None), context.clock.utc_now());
            let claim = &finished.claim;
            return match storage.finish_trial(claim, &finished.batch, &ending) {
                Ok(_) => Ok(Asked::Excluded { number, reason }),
                Err(source) => Err(RunError::Halted { number, source }),
            };
        }
        Err(CallAborted::Fail(failure)) => Some(failure),
        Err(CallAborted::Halt) => finished.error.take().map(|error| cannot_continue(&error)),
    };
    // The buffer of the session ends with this process, so the parameters are written before they are returned.
    if refused.is_none() {
        match record_params(storage, &finished) {
            Ok(()) => return Ok(Asked::Begun { claim: finished.claim, params: finished.params }),
            // The process that asked gets no answer, so the result would never be told.
            Err(source) => {
                end_as_fail(context, storage, &mut finished, &cannot_continue(&source));
                return Err(RunError::Halted { number, source });
            }
        }
    }
    let failure = refused.unwrap_or_else(|| Failure::new(FailureCode::Lost, "it was halted"));
    end_as_fail(context, storage, &mut finished, &failure);
    Ok(Asked::Refused { number, failure })
}

fn suggest_all(
    session: &mut TrialSession,
    space: &DeclaredSpace,
) -> Result<DrawnPoint, CallAborted> {
    let point = session.suggest_space(space)?;
    // Without a space the caller wants the values of an enqueued trial as they are.
    match session.unused_fixed_param() {
        Some(failure) if !space.is_empty() => Err(CallAborted::Fail(failure)),
        _ => Ok(point),
    }
}

fn cannot_continue(error: &StorageError) -> Failure {
    Failure::new(FailureCode::Lost, format!("the trial could not continue: {error}"))
}

fn record_params(
    storage: &mut dyn Storage,
    finished: &FinishedSession,
) -> Result<(), StorageError> {
    if finished.batch.is_empty() {
        Ok(())
    } else {
        storage.record(&finished.claim, &finished.batch)
    }
}

/// Fails a trial whose result will not be told. If that does not work either, the trial is left to `reap`.
fn end_as_fail(
    context: &TrialContext,
    storage: &mut dyn Storage,
    finished: &mut FinishedSession,
    failure: &Failure,
) {
    finished.batch.system_attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&[])));
    let ending = Ending::new(Outcome::Fail, context.clock.utc_now());
    if let Err(error) = storage.finish_trial(&finished.claim, &finished.batch, &ending) {
        tracing::warn!(trial = finished.claim.number.0, %error, "could not fail a trial that was started in vain");
    }
}

/// The result of a trial that was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tell {
    /// One value for each objective.
    pub values: Vec<f64>,
    /// The text that the program printed in place of values: the trial is FAIL, and its failure quotes the text.
    pub no_value: Option<String>,
    /// COMPLETE, PRUNED or FAIL. `None` for COMPLETE if the values are a result, else FAIL.
    pub state: Option<TrialState>,
    /// The token that [`ask`] returned. With it only that attempt can tell; without it any process can.
    pub owner: Option<String>,
    /// Intermediate values and attributes that are added in the same transaction.
    pub batch: TrialBatch,
    /// The reason of a failure.
    pub reason: Option<String>,
    /// True to leave a trial that is already finished as it is, instead of an error.
    pub skip_if_finished: bool,
}

/// The outcome of [`tell`].
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The trial was finished.
    Recorded {
        /// The outcome.
        outcome: Outcome,
        /// The failure, if it is FAIL.
        failure: Option<Failure>,
    },
    /// The trial was already finished in this state, and was left as it is.
    Skipped(TrialState),
}

/// The reason why a result was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// The trial is not running: it waits, or is finished.
    #[error("trial {number} is {state}; a result can be recorded only for a RUNNING trial")]
    NotRunning {
        /// The trial.
        number: TrialNumber,
        /// The trial's state.
        state: TrialState,
    },
    /// Another attempt runs the trial now.
    #[error("trial {number} is not (any more) the one that was asked for: its token is another")]
    OtherOwner {
        /// The trial.
        number: TrialNumber,
    },
    /// The state and the values do not go together.
    #[error("{problem}")]
    Contradiction {
        /// The contradiction.
        problem: String,
    },
    /// The result could not be written.
    #[error("the result of trial {} could not be recorded", .trial.claim.number)]
    NotRecorded {
        /// The result, as for [`RunError::NotRecorded`].
        trial: Box<UnrecordedTrial>,
        /// The error of the storage.
        #[source]
        source: StorageError,
    },
    /// The pruner that was asked for advice panicked.
    #[error(transparent)]
    Panic(#[from] HostPanic),
    /// The storage returned an error.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Finishes a RUNNING trial, by the rules of Optuna's `_tell.py`.
///
/// # Errors
/// [`TellError`]; then nothing is written.
pub fn tell(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    number: TrialNumber,
    tell: &Tell,
    at: UtcDateTime,
) -> Result<Told, TellError> {
    let trial = storage.trial(study.id, number)?;
    if trial.state.is_finished() && tell.skip_if_finished {
        return Ok(Told::Skipped(trial.state));
    }
    let claim = claim_of_running(&trial, tell.owner.as_deref())?;
    let verdict = judge_told(study, &trial, tell)?;
    let mut batch = tell.batch.clone();
    if let Some(failure) = &verdict.failure {
        batch.system_attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&[])));
    }
    let ending = Ending::new(verdict.outcome.clone(), at);
    match storage.finish_trial(&claim, &batch, &ending) {
        Ok(_) => Ok(Told::Recorded { outcome: verdict.outcome, failure: verdict.failure }),
        // Another process finished it between the read and the write.
        Err(StorageError::ClaimLost { reason: ClaimLoss::Finished(state), .. }) => {
            if tell.skip_if_finished {
                Ok(Told::Skipped(state))
            } else {
                Err(TellError::NotRunning { number, state })
            }
        }
        // These can pass by themselves, so the result is worth keeping for later.
        Err(error @ (StorageError::Busy { .. } | StorageError::Backend { .. })) => {
            let trial = UnrecordedTrial { claim, batch, ending };
            Err(TellError::NotRecorded { trial: Box::new(trial), source: error })
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the right to write a RUNNING trial: with `owner` only to the attempt with this token, else to any process.
///
/// # Errors
/// [`TellError::NotRunning`] and [`TellError::OtherOwner`].
pub(crate) fn claim_of_running(
    trial: &FrozenTrial,
    owner: Option<&str>,
) -> Result<Claim, TellError> {
    let number = trial.number;
    if trial.state != TrialState::Running {
        return Err(TellError::NotRunning { number, state: trial.state });
    }
    let kept = trial.system_attrs.get(OWNER_ATTR).cloned().unwrap_or(Json::Null);
    if owner.is_some() && owner != kept.get_str(OWNER_TOKEN) {
        return Err(TellError::OtherOwner { number });
    }
    Ok(Claim { id: trial.id, number, owner: kept })
}

/// Finishes a trial with a result that was told earlier, while the storage could not be used. Whatever happened to the
/// trial meanwhile, the result counts once.
///
/// # Errors
/// Only errors of the storage.
pub fn tell_later(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    number: TrialNumber,
    told: &Tell,
    at: UtcDateTime,
) -> Result<LateRecord, StorageError> {
    let reason = match tell(storage, study, number, told, at) {
        Ok(Told::Recorded { .. }) => return Ok(LateRecord::Recorded),
        Ok(Told::Skipped(_)) => return Ok(LateRecord::RecordedBefore),
        Err(TellError::NotRunning { state, .. }) if state.is_finished() => {
            ClaimLoss::Finished(state)
        }
        Err(TellError::OtherOwner { .. }) => ClaimLoss::TakenOver,
        Err(
            TellError::NotRunning { .. } | TellError::Contradiction { .. } | TellError::Panic(_),
        ) => {
            return Ok(LateRecord::Homeless);
        }
        Err(TellError::Storage(StorageError::NoSuchTrial { .. })) => {
            return Ok(LateRecord::Homeless);
        }
        Err(TellError::NotRecorded { source, .. } | TellError::Storage(source)) => {
            return Err(source);
        }
    };
    let trial = storage.trial(study.id, number)?;
    let Ok(Verdict { outcome, .. }) = judge_told(study, &trial, told) else {
        return Ok(LateRecord::Homeless);
    };
    if trial.state == outcome.state() && trial.values == outcome.values() {
        return Ok(LateRecord::RecordedBefore);
    }
    let token = told.owner.as_deref().unwrap_or("told");
    let owner = Json::object([(OWNER_TOKEN, Json::from(token))]);
    let claim = Claim { id: trial.id, number, owner };
    let kept_as = keep_late_result(storage, study.id, &claim, &Ending::new(outcome, at))?;
    Ok(LateRecord::TooLate { reason, kept_as })
}

/// Returns the failure of a program that printed something else than its values.
fn no_value(text: &str) -> Failure {
    let text = text.trim();
    let message = if text.is_empty() {
        "expected a number as result, found nothing".to_owned()
    } else {
        format!("expected a number as result, found `{text}`")
    };
    Failure::new(FailureCode::Value, message)
}

fn judge_told(study: &StudyRecord, trial: &FrozenTrial, tell: &Tell) -> Result<Verdict, TellError> {
    let evaluation = match tell.state {
        None | Some(TrialState::Complete) if tell.no_value.is_some() => {
            Evaluation::Fail(no_value(tell.no_value.as_deref().unwrap_or_default()))
        }
        None => Evaluation::Complete(tell.values.clone()),
        Some(TrialState::Complete) => {
            let verdict = judge(Evaluation::Complete(tell.values.clone()), &study.directions, None);
            return match verdict.failure {
                None => Ok(verdict),
                Some(failure) => Err(TellError::Contradiction { problem: failure.message }),
            };
        }
        Some(state @ (TrialState::Pruned | TrialState::Fail)) if !tell.values.is_empty() => {
            let problem = format!("a trial that is {state} is told without values");
            return Err(TellError::Contradiction { problem });
        }
        Some(TrialState::Pruned) => Evaluation::Pruned,
        Some(TrialState::Fail) => {
            let reason = tell.reason.as_deref().unwrap_or("it was told so");
            Evaluation::Fail(Failure::new(FailureCode::Guest, reason))
        }
        Some(state @ (TrialState::Running | TrialState::Waiting)) => {
            let problem = format!("a trial cannot be told to be {state}");
            return Err(TellError::Contradiction { problem });
        }
    };
    let reported = trial.intermediate_values.iter().map(|(step, value)| (*step, *value));
    let last = reported.chain(tell.batch.intermediate_values.iter().copied());
    // Of equal steps `max_by_key` takes the last, which is the value told now.
    let last = last.max_by_key(|(step, _)| *step).map(|(_, value)| value);
    Ok(judge(evaluation, &study.directions, last))
}
