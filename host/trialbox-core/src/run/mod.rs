//! One trial, from taking it to ending it.

pub mod ask_tell;
pub mod next;
pub mod reap;
pub mod replay;
pub mod trace;

pub use crate::study::retry;

use crate::seam::storage::{
    BeginTrial, Claim, ClaimLoss, Ending, OWNER_ATTR, Outcome, Storage, StorageError, StudyAttrs,
    TrialBatch, TrialStart,
};
use crate::session::event::Event;
use crate::session::objective::{Evaluation, Interruption, Objective};
use crate::session::transcript::Transcript;
use crate::session::{FinishedSession, OnDeadline, TrialContext, TrialSession};
use crate::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use crate::study::record::{StudyDirection, StudyId};
use crate::study::retry::MADE_PROGRESS_ATTR;
use crate::study::stopping::StudyStop;
use crate::study::trial::{FrozenTrial, Param, TrialNumber, TrialState, format_datetime};
use crate::study::usage::{USAGE_ATTR, Usage};
use crate::value::json::Json;
use crate::value::text::counted;
use std::collections::BTreeMap;
use std::time::Duration;

/// What came of [`run_trial`].
#[derive(Debug, Clone, PartialEq)]
pub enum TrialEnd {
    /// A trial was run and recorded.
    Finished(Box<FinishedTrial>),
    /// The study has all the trials it may have; none was begun.
    BudgetReached {
        /// How many it has.
        n_trials: u64,
    },
    /// Somebody has stopped the study; no trial was begun.
    Stopped(StudyStop),
    /// A trial was run, but somebody else ended, took or deleted it meanwhile: it was not touched.
    ClaimLost {
        /// The trial.
        number: TrialNumber,
        /// What became of it.
        reason: ClaimLoss,
        /// The result that found no place, if there was one.
        values: Vec<f64>,
        /// Where the result was kept instead: a user attribute of the study.
        kept_as: Option<String>,
    },
}

/// A trial that was run and recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedTrial {
    /// Its number.
    pub number: TrialNumber,
    /// How it ended.
    pub state: TrialState,
    /// What was stored: one value for each objective, or the last intermediate value if PRUNED.
    pub values: Vec<f64>,
    /// Its parameters, in the order in which they were asked for.
    pub params: Vec<(String, Param)>,
    /// What the objective attached.
    pub user_attrs: BTreeMap<String, Json>,
    /// Its constraints, each satisfied when its value is <= 0, in the order in which they were first set.
    pub constraints: Vec<(String, f64)>,
    /// How many times it reported a value.
    pub n_reports: u64,
    /// How many of these are stored: see [`crate::study::limits::Limit::Reports`].
    pub n_reports_stored: usize,
    /// Why it is FAIL.
    pub failure: Option<Failure>,
    /// Who stopped it, if somebody did.
    pub interruption: Option<Interruption>,
    /// Whether it was interrupted and had got further than the attempt before it: then it does not count against the
    /// retries.
    pub made_progress: bool,
    /// The number of the copy that waits for another try, if there is one.
    pub retry: Option<TrialNumber>,
    /// How long the objective ran.
    pub duration: Duration,
    /// What it used.
    pub usage: Usage,
    /// Parameters that were fixed for it and that it never asked for.
    pub unused_fixed_params: Vec<String>,
    /// What it logged and printed.
    pub transcript: Transcript,
}

/// Why a trial could not be run or recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No trial was begun.
    #[error("failed to begin a trial")]
    Begin(#[source] StorageError),
    /// The study could not be read or written while the trial ran; the trial is FAIL and queued again.
    #[error("trial {number} could not go on")]
    Halted {
        /// The trial.
        number: TrialNumber,
        /// What happened.
        #[source]
        source: StorageError,
    },
    /// The trial ended, and its result could not be written.
    #[error("trial {} ended as {}, but its result could not be recorded", .trial.claim.number, .trial.ending.outcome.state())]
    NotRecorded {
        /// What was to be written; whoever keeps it can write it later with [`Storage::finish_trial`].
        trial: Box<UnrecordedTrial>,
        /// What happened.
        #[source]
        source: StorageError,
    },
}

/// A trial that has ended, but does not know it yet.
#[derive(Debug, Clone, PartialEq)]
pub struct UnrecordedTrial {
    /// The right to write it.
    pub claim: Claim,
    /// What was not yet written while it ran.
    pub batch: TrialBatch,
    /// How it ended.
    pub ending: Ending,
}

/// What begins the user attribute of a study that keeps a result which came too late: when its trial had
/// been ended by others. Finished trials are never changed, so it stands beside them.
pub const LATE_RESULT_PREFIX: &str = "trialbox:late_result:";

/// How much of a failed trial's log is stored with it.
const LOG_LINES_KEPT: usize = 10;

/// Runs one trial of the study: begins it, evaluates the objective, judges what came of it, records it.
///
/// # Errors
/// Only of the storage. Whatever the objective does is recorded with the trial.
pub fn run_trial(
    context: &TrialContext,
    storage: &mut dyn Storage,
    objective: &mut dyn Objective,
    request: &BeginTrial,
    observer: &mut dyn FnMut(Event),
) -> Result<TrialEnd, RunError> {
    let begun = match storage.begin_trial(context.study.id, request).map_err(RunError::Begin)? {
        TrialStart::Begun(begun) => *begun,
        TrialStart::BudgetReached { n_trials } => return Ok(TrialEnd::BudgetReached { n_trials }),
        TrialStart::Stopped(stop) => return Ok(TrialEnd::Stopped(stop)),
    };
    let started = context.clock.elapsed();
    observer(Event::Begun(begun.claim.number));
    let mut session = TrialSession::new(context, storage, observer, begun);
    let evaluation = objective.evaluate(&mut session);
    let duration = context.clock.elapsed().saturating_sub(started);

    let interruption = evaluation.interruption();
    let last = session.last_intermediate_value();
    let verdict = judge(at_deadline(evaluation, context), &context.study.directions, last);
    let mut finished = session.finish();
    finished.activity.usage.wall = duration;
    finished.activity.made_progress &= interruption.is_some();
    finished.note_end(verdict.failure.as_ref());
    if let Some(error) = finished.error.take() {
        return end_halted(context, storage, finished, &verdict.outcome, error);
    }
    let ending = Ending {
        outcome: verdict.outcome,
        at: context.clock.utc_now(),
        retry: context.retry.filter(|_| deserves_retry(interruption, context.on_deadline)),
    };
    match storage.finish_trial(&finished.claim, &finished.batch, &ending) {
        Ok(retry) => {
            let activity = finished.activity;
            Ok(TrialEnd::Finished(Box::new(FinishedTrial {
                number: finished.claim.number,
                state: ending.outcome.state(),
                values: ending.outcome.values().to_vec(),
                params: finished.params,
                user_attrs: activity.user_attrs,
                constraints: activity.constraints,
                n_reports: activity.usage.reports,
                n_reports_stored: finished.n_reports_stored,
                failure: verdict.failure,
                interruption,
                made_progress: activity.made_progress,
                retry,
                duration,
                usage: activity.usage,
                unused_fixed_params: finished.unused_fixed_params,
                transcript: activity.transcript,
            })))
        }
        Err(StorageError::ClaimLost { reason, .. }) => {
            Ok(claim_lost(context, storage, &finished.claim, reason, &ending.outcome))
        }
        Err(source) => {
            let trial = UnrecordedTrial { claim: finished.claim, batch: finished.batch, ending };
            Err(RunError::NotRecorded { trial: Box::new(trial), source })
        }
    }
}

/// A trial that the end of the job's time stops may count as pruned.
fn at_deadline(evaluation: Evaluation, context: &TrialContext) -> Evaluation {
    match evaluation {
        Evaluation::Interrupted(Interruption::Deadline)
            if context.on_deadline == OnDeadline::Prune =>
        {
            Evaluation::Pruned
        }
        other => other,
    }
}

/// Who presses Ctrl-C wants no other try.
fn deserves_retry(interruption: Option<Interruption>, on_deadline: OnDeadline) -> bool {
    match interruption {
        Some(Interruption::Scheduler) => true,
        Some(Interruption::Deadline) => on_deadline == OnDeadline::Retry,
        Some(Interruption::User) | None => false,
    }
}

impl FinishedSession {
    /// Adds the trial's usage to what is written, and the reason of a failure.
    fn note_end(&mut self, failure: Option<&Failure>) {
        let attrs = &mut self.batch.system_attrs;
        if let Some(failure) = failure {
            let log: Vec<&str> = self.activity.transcript.last_texts(LOG_LINES_KEPT).collect();
            attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&log)));
        }
        attrs.push((USAGE_ATTR.to_owned(), self.activity.usage.to_json()));
        attrs.extend(self.activity.answers.to_attr());
        if self.activity.made_progress {
            attrs.push((MADE_PROGRESS_ATTR.to_owned(), true.into()));
        }
    }
}

/// Writes what an earlier process could not, exactly once: the claim says whether it still is to be written.
/// `study` is what the study was called then.
///
/// # Errors
/// Only of the storage.
pub fn record_later(
    storage: &mut dyn Storage,
    study: &str,
    trial: &UnrecordedTrial,
) -> Result<LateRecord, StorageError> {
    let reason = match storage.finish_trial(&trial.claim, &trial.batch, &trial.ending) {
        Ok(_) => return Ok(LateRecord::Recorded),
        Err(StorageError::ClaimLost { reason, .. }) => reason,
        Err(error) => return Err(error),
    };
    let Some((study, found)) = find_attempt(storage, study, &trial.claim)? else {
        return Ok(LateRecord::Homeless);
    };
    let outcome = &trial.ending.outcome;
    if found.state == outcome.state() && found.values == outcome.values() {
        return Ok(LateRecord::RecordedBefore);
    }
    let kept_as = keep_late_result(storage, study, &trial.claim, &trial.ending)?;
    Ok(LateRecord::TooLate { reason, kept_as })
}

/// What came of [`record_later`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LateRecord {
    /// The trial has its result.
    Recorded,
    /// It had it: the write that seemed to fail, or somebody else's of the same result, went through.
    RecordedBefore,
    /// Others had ended the trial.
    TooLate {
        /// As what.
        reason: ClaimLoss,
        /// Where the result was kept instead: a user attribute of the study.
        kept_as: Option<String>,
    },
    /// The trial is not in this database, or not any more; whoever has the result should keep it.
    Homeless,
}

/// The trial of which this claim was the attempt. A trial of another attempt with the same number is another
/// study's, or another database's.
fn find_attempt(
    storage: &mut dyn Storage,
    study: &str,
    claim: &Claim,
) -> Result<Option<(StudyId, FrozenTrial)>, StorageError> {
    let study = match storage.open_study(study) {
        Ok(study) => study.id,
        Err(StorageError::NoSuchStudy { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    match storage.trial(study, claim.number) {
        Ok(found) if found.system_attrs.get(OWNER_ATTR) == Some(&claim.owner) => {
            Ok(Some((study, found)))
        }
        Ok(_) | Err(StorageError::NoSuchTrial { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The end of a trial that could not go on for a reason outside the objective. If the database could not be
/// read, the trial is lost like one whose process dies, only that we know it, and can say so.
fn end_halted(
    context: &TrialContext,
    storage: &mut dyn Storage,
    mut finished: FinishedSession,
    outcome: &Outcome,
    error: StorageError,
) -> Result<TrialEnd, RunError> {
    if let StorageError::ClaimLost { reason, .. } = error {
        return Ok(claim_lost(context, storage, &finished.claim, reason, outcome));
    }
    let failure = Failure::new(FailureCode::Lost, format!("the trial could not go on: {error}"));
    finished.batch.system_attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&[])));
    let ending =
        Ending { outcome: Outcome::Fail, at: context.clock.utc_now(), retry: context.retry };
    let number = finished.claim.number;
    match storage.finish_trial(&finished.claim, &finished.batch, &ending) {
        Ok(_) => Err(RunError::Halted { number, source: error }),
        Err(_) => {
            let trial = UnrecordedTrial { claim: finished.claim, batch: finished.batch, ending };
            Err(RunError::NotRecorded { trial: Box::new(trial), source: error })
        }
    }
}

fn claim_lost(
    context: &TrialContext,
    storage: &mut dyn Storage,
    claim: &Claim,
    reason: ClaimLoss,
    outcome: &Outcome,
) -> TrialEnd {
    let ending = Ending::new(outcome.clone(), context.clock.utc_now());
    let kept_as =
        keep_late_result(storage, context.study.id, claim, &ending).unwrap_or_else(|error| {
            tracing::warn!(trial = claim.number.0, %error, "could not keep the late result");
            None
        });
    let values = outcome.values().to_vec();
    TrialEnd::ClaimLost { number: claim.number, reason, values, kept_as }
}

/// Keeps a result whose trial was ended by others beside it, as a user attribute of the study.
fn keep_late_result(
    storage: &mut dyn Storage,
    study: StudyId,
    claim: &Claim,
    ending: &Ending,
) -> Result<Option<String>, StorageError> {
    if ending.outcome.values().is_empty() {
        return Ok(None);
    }
    let attempt = claim.owner.get("uuid").and_then(Json::as_str).unwrap_or("unknown");
    let key = format!("{LATE_RESULT_PREFIX}{}:{attempt}", claim.number);
    let values = ending.outcome.values().iter().copied().map(Json::from).collect();
    let value = Json::object([
        ("trial", Json::from(claim.number.0)),
        ("state", Json::from(ending.outcome.state().as_str())),
        ("values", Json::Array(values)),
        ("at", Json::from(format_datetime(ending.at))),
    ]);
    let attrs = StudyAttrs { user: vec![(key.clone(), value)], system: vec![] };
    match storage.set_study_attrs(study, &attrs) {
        Ok(_) => Ok(Some(key)),
        // The study was deleted or renamed away under us: then there is no place.
        Err(StorageError::NoSuchStudy { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A legal ending, and why it is FAIL.
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) failure: Option<Failure>,
}

/// Turns what the objective did into a legal ending, as Optuna's `_tell.py` does: a NaN or a wrong number
/// of values is FAIL; a pruned trial of a single objective takes the value at its largest step.
pub(crate) fn judge(
    evaluation: Evaluation,
    directions: &[StudyDirection],
    last_intermediate: Option<f64>,
) -> Verdict {
    match evaluation {
        Evaluation::Complete(values) => match check_values(&values, directions) {
            None => Verdict { outcome: Outcome::Complete(values), failure: None },
            failure => Verdict { outcome: Outcome::Fail, failure },
        },
        Evaluation::Pruned => {
            let value = last_intermediate.filter(|value| directions.len() == 1 && !value.is_nan());
            Verdict { outcome: Outcome::Pruned(value), failure: None }
        }
        Evaluation::Fail(failure) => Verdict { outcome: Outcome::Fail, failure: Some(failure) },
        Evaluation::Interrupted(interruption) => {
            let why = match interruption {
                Interruption::Scheduler => "the trial was interrupted by the scheduler (a signal)",
                Interruption::User => "the trial was interrupted by the user (SIGINT)",
                Interruption::Deadline => "the trial was stopped because its job's time was over",
            };
            let failure = Failure::new(FailureCode::Interrupted, why);
            Verdict { outcome: Outcome::Fail, failure: Some(failure) }
        }
        // The session holds the reason, and nothing will be recorded.
        Evaluation::Halted => Verdict { outcome: Outcome::Fail, failure: None },
    }
}

fn check_values(values: &[f64], directions: &[StudyDirection]) -> Option<Failure> {
    let (found, wanted) = (values.len(), directions.len());
    if found != wanted {
        let message = format!(
            "the objective returned {}, but the study has {}",
            counted(found as u64, "value"),
            counted(wanted as u64, "objective")
        );
        return Some(Failure::new(FailureCode::Value, message));
    }
    let index = values.iter().position(|value| value.is_nan())?;
    let which = if wanted == 1 { String::new() } else { format!(" {index}") };
    Some(Failure::new(FailureCode::Value, format!("the objective's value{which} is NaN")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(evaluation: Evaluation, last: Option<f64>, want: Outcome, code: Option<FailureCode>) {
        let verdict = judge(evaluation, &[StudyDirection::Minimize], last);
        assert_eq!(verdict.outcome, want);
        assert_eq!(verdict.failure.map(|failure| failure.code), code);
    }

    #[test]
    fn a_nan_or_a_wrong_number_of_values_is_a_failure_and_an_infinity_is_not() {
        check(Evaluation::Complete(vec![1.0]), None, Outcome::Complete(vec![1.0]), None);
        check(
            Evaluation::Complete(vec![f64::INFINITY]),
            None,
            Outcome::Complete(vec![f64::INFINITY]),
            None,
        );
        check(Evaluation::Complete(vec![f64::NAN]), None, Outcome::Fail, Some(FailureCode::Value));
        check(Evaluation::Complete(vec![]), None, Outcome::Fail, Some(FailureCode::Value));
        check(Evaluation::Complete(vec![1.0, 2.0]), None, Outcome::Fail, Some(FailureCode::Value));
    }

    #[test]
    fn a_pruned_trial_takes_its_last_value_unless_it_is_nan() {
        check(Evaluation::Pruned, Some(0.5), Outcome::Pruned(Some(0.5)), None);
        check(Evaluation::Pruned, Some(f64::INFINITY), Outcome::Pruned(Some(f64::INFINITY)), None);
        check(Evaluation::Pruned, Some(f64::NAN), Outcome::Pruned(None), None);
        check(Evaluation::Pruned, None, Outcome::Pruned(None), None);
        let two = [StudyDirection::Minimize, StudyDirection::Maximize];
        assert_eq!(judge(Evaluation::Pruned, &two, Some(0.5)).outcome, Outcome::Pruned(None));
    }

    #[test]
    fn an_interrupted_trial_is_a_failure_of_its_own_kind() {
        let interrupted = Evaluation::Interrupted(Interruption::Scheduler);
        check(interrupted, Some(0.5), Outcome::Fail, Some(FailureCode::Interrupted));
    }
}
