//! Trials whose objective runs outside: one process asks, another, later, tells.

use crate::run::{RunError, UnrecordedTrial, Verdict, judge};
use crate::seam::storage::{
    BeginTrial, Claim, ClaimLoss, Ending, OWNER_ATTR, Outcome, Storage, StorageError, TrialBatch,
    TrialStart,
};
use crate::session::objective::Evaluation;
use crate::session::{CallAborted, FinishedSession, TrialContext, TrialSession};
use crate::space::distribution::Distribution;
use crate::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use crate::study::record::StudyRecord;
use crate::study::stopping::StudyStop;
use crate::study::trial::{FrozenTrial, Param, TrialNumber, TrialState, UtcDateTime};
use crate::value::json::Json;

/// What came of [`ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A trial was begun.
    Begun {
        /// The right to write it, for [`Tell::owner`].
        claim: Claim,
        /// Its parameters, those that it brought from an earlier life included.
        params: Vec<(String, Param)>,
    },
    /// The study has all the trials it may have.
    BudgetReached {
        /// How many it has.
        n_trials: u64,
    },
    /// Somebody has stopped the study; no trial was begun.
    Stopped(StudyStop),
    /// A trial was begun, but a parameter cannot be suggested; the trial is FAIL.
    Refused {
        /// The trial.
        number: TrialNumber,
        /// Why.
        failure: Failure,
    },
}

/// Begins a trial and suggests the parameters of `space`, in its order. The trial stays RUNNING until
/// somebody tells.
///
/// # Errors
/// Only of the storage.
pub fn ask(
    context: &TrialContext,
    storage: &mut dyn Storage,
    request: &BeginTrial,
    space: &[(String, Distribution)],
) -> Result<Asked, RunError> {
    let begun = match storage.begin_trial(context.study.id, request).map_err(RunError::Begin)? {
        TrialStart::Begun(begun) => *begun,
        TrialStart::BudgetReached { n_trials } => return Ok(Asked::BudgetReached { n_trials }),
        TrialStart::Stopped(stop) => return Ok(Asked::Stopped(stop)),
    };
    let mut ignore = |_: crate::session::event::Event| ();
    let mut session = TrialSession::new(context, storage, &mut ignore, begun);
    let suggested = space.iter().try_for_each(|(name, distribution)| {
        session.suggest(name, distribution.clone()).map(|_| ())
    });
    let mut finished = session.finish();
    let number = finished.claim.number;
    let refused = match suggested {
        Ok(()) => None,
        Err(CallAborted::Fail(failure)) => Some(failure),
        Err(CallAborted::Halt) => finished.error.take().map(|error| cannot_go_on(&error)),
    };
    if refused.is_none() {
        match record_params(storage, &finished) {
            Ok(()) => return Ok(Asked::Begun { claim: finished.claim, params: finished.params }),
            // Nobody would ever tell of it: the process that asked gets no answer.
            Err(source) => {
                end_as_fail(context, storage, &mut finished, &cannot_go_on(&source));
                return Err(RunError::Halted { number, source });
            }
        }
    }
    let failure = refused.unwrap_or_else(|| Failure::new(FailureCode::Lost, "it was halted"));
    end_as_fail(context, storage, &mut finished, &failure);
    Ok(Asked::Refused { number, failure })
}

fn cannot_go_on(error: &StorageError) -> Failure {
    Failure::new(FailureCode::Lost, format!("the trial could not go on: {error}"))
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

/// Ends a trial that nobody will tell of. If that fails too, it is left to whoever reaps.
fn end_as_fail(
    context: &TrialContext,
    storage: &mut dyn Storage,
    finished: &mut FinishedSession,
    failure: &Failure,
) {
    finished.batch.system_attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&[])));
    let ending = Ending::new(Outcome::Fail, context.clock.utc_now());
    if let Err(error) = storage.finish_trial(&finished.claim, &finished.batch, &ending) {
        tracing::warn!(trial = finished.claim.number.0, %error, "could not end a trial that was begun in vain");
    }
}

/// What is told of a trial that was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tell {
    /// One value for each objective.
    pub values: Vec<f64>,
    /// COMPLETE, PRUNED or FAIL; if not said, COMPLETE if the values make a result, else FAIL.
    pub state: Option<TrialState>,
    /// The token that [`ask`] gave out. With it, only that attempt can tell; without, anybody.
    pub owner: Option<String>,
    /// Intermediate values and attributes that are added at once.
    pub batch: TrialBatch,
    /// Why the trial failed.
    pub reason: Option<String>,
    /// Whether a trial that has ended already is left as it is, rather than refused.
    pub skip_if_finished: bool,
}

/// What came of [`tell`].
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The trial was ended.
    Recorded {
        /// How.
        outcome: Outcome,
        /// Why it is FAIL.
        failure: Option<Failure>,
    },
    /// It had ended already, as this, and was left as it is.
    Skipped(TrialState),
}

/// Why a trial was not told.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// It is not running: it waits, or has ended.
    #[error("trial {number} is {state}; only a RUNNING trial can be told")]
    NotRunning {
        /// The trial.
        number: TrialNumber,
        /// Where it stands.
        state: TrialState,
    },
    /// Another attempt runs it now.
    #[error("trial {number} is not (any more) the one that was asked for: its token is another")]
    OtherOwner {
        /// The trial.
        number: TrialNumber,
    },
    /// The state and the values do not go together.
    #[error("{problem}")]
    Contradiction {
        /// How they do not.
        problem: String,
    },
    /// The result could not be written.
    #[error("the result of trial {} could not be recorded", .trial.claim.number)]
    NotRecorded {
        /// What was to be written, as for [`RunError::NotRecorded`].
        trial: Box<UnrecordedTrial>,
        /// What happened.
        #[source]
        source: StorageError,
    },
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Ends a RUNNING trial, by the rules of Optuna's `_tell.py`.
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
    if trial.state != TrialState::Running {
        return Err(TellError::NotRunning { number, state: trial.state });
    }
    let owner = trial.system_attrs.get(OWNER_ATTR).cloned().unwrap_or(Json::Null);
    let token = owner.get("uuid").and_then(Json::as_str);
    if tell.owner.is_some() && tell.owner.as_deref() != token {
        return Err(TellError::OtherOwner { number });
    }
    let verdict = judge_told(study, &trial, tell)?;
    let mut batch = tell.batch.clone();
    if let Some(failure) = &verdict.failure {
        batch.system_attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&[])));
    }
    let ending = Ending::new(verdict.outcome.clone(), at);
    let claim = Claim { id: trial.id, number, owner };
    match storage.finish_trial(&claim, &batch, &ending) {
        Ok(_) => Ok(Told::Recorded { outcome: verdict.outcome, failure: verdict.failure }),
        // Somebody ended it between our look and our write.
        Err(StorageError::ClaimLost { reason: ClaimLoss::Finished(state), .. }) => {
            if tell.skip_if_finished {
                Ok(Told::Skipped(state))
            } else {
                Err(TellError::NotRunning { number, state })
            }
        }
        Err(error @ (StorageError::Busy { .. } | StorageError::Backend { .. })) => {
            let trial = UnrecordedTrial { claim, batch, ending };
            Err(TellError::NotRecorded { trial: Box::new(trial), source: error })
        }
        Err(error) => Err(error.into()),
    }
}

fn judge_told(study: &StudyRecord, trial: &FrozenTrial, tell: &Tell) -> Result<Verdict, TellError> {
    let contradiction = |problem: String| Err(TellError::Contradiction { problem });
    let evaluation = match tell.state {
        None => Evaluation::Complete(tell.values.clone()),
        Some(TrialState::Complete) => {
            let verdict = judge(Evaluation::Complete(tell.values.clone()), &study.directions, None);
            return match verdict.failure {
                None => Ok(verdict),
                Some(failure) => contradiction(failure.message),
            };
        }
        Some(state @ (TrialState::Pruned | TrialState::Fail)) if !tell.values.is_empty() => {
            return contradiction(format!("a trial that is {state} is told without values"));
        }
        Some(TrialState::Pruned) => Evaluation::Pruned,
        Some(TrialState::Fail) => {
            let reason = tell.reason.as_deref().unwrap_or("it was told so");
            Evaluation::Fail(Failure::new(FailureCode::Guest, reason))
        }
        Some(state @ (TrialState::Running | TrialState::Waiting)) => {
            return contradiction(format!("a trial cannot be told to be {state}"));
        }
    };
    let reported = trial.intermediate_values.iter().map(|(step, value)| (*step, *value));
    let last = reported.chain(tell.batch.intermediate_values.iter().copied());
    let last = last.max_by_key(|(step, _)| *step).map(|(_, value)| value);
    Ok(judge(evaluation, &study.directions, last))
}
