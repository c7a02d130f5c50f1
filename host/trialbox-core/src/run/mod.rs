//! One trial, from its start to its end.

pub mod ask_tell;
pub mod next;
pub mod reap;
pub mod replay;
pub mod steer;
pub mod trace;

pub use crate::study::retry;

use crate::seam::storage::{
    BeginTrial, Claim, ClaimLoss, Ending, OWNER_ATTR, OWNER_TOKEN, Outcome, RetryPolicy, Storage,
    StorageError, StudyAttrs, TrialBatch, TrialStart,
};
use crate::session::door::Rejection;
use crate::session::event::Event;
use crate::session::objective::{Evaluation, Interruption, Objective};
use crate::session::transcript::Transcript;
use crate::session::{FinishedSession, KnownTrials, OnDeadline, TrialContext, TrialSession};
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

/// The result of [`run_trial`].
#[derive(Debug, Clone, PartialEq)]
pub enum TrialEnd {
    /// A trial was run and recorded.
    Finished(Box<FinishedTrial>),
    /// The study has all the trials it may have; none was started.
    BudgetReached {
        /// The number of its trials.
        n_trials: u64,
    },
    /// The study was stopped; no trial was started.
    Stopped(StudyStop),
    /// A trial was run, but another process finished, took or deleted it meanwhile: it was left as it was.
    ClaimLost {
        /// The trial.
        number: TrialNumber,
        /// The reason.
        reason: ClaimLoss,
        /// The result that could not be recorded, if there was one.
        values: Vec<f64>,
        /// The user attribute of the study that holds the result instead.
        kept_as: Option<String>,
    },
}

/// A trial that was run and recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedTrial {
    /// The trial's number.
    pub number: TrialNumber,
    /// The final state.
    pub state: TrialState,
    /// The values that were stored: one for each objective, or the last intermediate value if PRUNED.
    pub values: Vec<f64>,
    /// The parameters, in the order in which they were suggested.
    pub params: Vec<(String, Param)>,
    /// The attributes that the objective set.
    pub user_attrs: BTreeMap<String, Json>,
    /// The constraints, each satisfied when its value is <= 0, in the order in which they were first set.
    pub constraints: Vec<(String, f64)>,
    /// The number of reports.
    pub n_reports: u64,
    /// The number of reports that are stored: see [`crate::study::limits::Limit::Reports`].
    pub n_reports_stored: usize,
    /// The failure, if the trial failed.
    pub failure: Option<Failure>,
    /// The cause of an interruption, if there was one.
    pub interruption: Option<Interruption>,
    /// True if the trial was interrupted and had got further than the attempt before it. Then it does not count against
    /// the retries.
    pub made_progress: bool,
    /// The number of the trial as which it was requeued, if it was.
    pub retry: Option<TrialNumber>,
    /// The time that the objective ran.
    pub duration: Duration,
    /// The resources that it used.
    pub usage: Usage,
    /// The fixed parameters that the objective never asked for.
    pub unused_fixed_params: Vec<String>,
    /// The end of its log.
    pub transcript: Transcript,
}

/// The reason why a trial could not be run or recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No trial was started.
    #[error("failed to start a trial")]
    Begin(#[source] StorageError),
    /// The study could not be read or written while the trial ran; the trial failed and was requeued.
    #[error("trial {number} could not continue")]
    Halted {
        /// The trial.
        number: TrialNumber,
        /// The error of the storage.
        #[source]
        source: StorageError,
    },
    /// The objective could not be started; the trial was requeued.
    #[error("trial {number} could not start{}", requeued_as(.retry))]
    NotStarted {
        /// The trial.
        number: TrialNumber,
        /// The number of the trial as which it was requeued.
        retry: Option<TrialNumber>,
        /// The reason.
        #[source]
        rejection: Rejection,
    },
    /// The trial finished, and its result could not be written.
    #[error(
        "trial {} finished as {}, but its result could not be recorded",
        .trial.claim.number,
        .trial.ending.outcome.state()
    )]
    NotRecorded {
        /// The result, which [`record_later`] can write once the storage works again.
        trial: Box<UnrecordedTrial>,
        /// The error of the storage.
        #[source]
        source: StorageError,
    },
}

/// A trial that has finished but is not recorded yet.
#[derive(Debug, Clone, PartialEq)]
pub struct UnrecordedTrial {
    /// The right to write it.
    pub claim: Claim,
    /// The changes that were not written while it ran.
    pub batch: TrialBatch,
    /// The end of the trial.
    pub ending: Ending,
}

/// The prefix of the user attributes of a study that keep late results, whose trials another process had finished.
/// Finished trials are never changed, so these results stand beside them.
pub const LATE_RESULT_PREFIX: &str = "trialbox:late_result:";

/// The system attribute with the versions of the packages that a program imported, by name.
pub const PACKAGES_ATTR: &str = "trialbox:packages";

/// The number of lines of a failed trial's log that are stored with it.
const LOG_LINES_KEPT: usize = 10;

/// Runs one trial of the study: starts it, evaluates the objective, judges the result and records it.
///
/// `known` is what the worker's last trial has left there, and is left for its next one; empty for the first.
///
/// # Errors
/// Only errors of the storage. All that the objective does is recorded with the trial.
pub fn run_trial(
    context: &TrialContext,
    storage: &mut dyn Storage,
    objective: &mut dyn Objective,
    request: &BeginTrial,
    known: &mut KnownTrials,
    observer: &mut dyn FnMut(Event),
) -> Result<TrialEnd, RunError> {
    let begun = match storage.begin_trial(context.study.id, request).map_err(RunError::Begin)? {
        TrialStart::Begun(begun) => *begun,
        TrialStart::BudgetReached { n_trials } => return Ok(TrialEnd::BudgetReached { n_trials }),
        TrialStart::Stopped(stop) => return Ok(TrialEnd::Stopped(stop)),
    };
    // After `begin_trial`, which may wait for the lock of the database: only the objective is timed.
    let started = context.clock.elapsed();
    observer(Event::Begun(begun.claim.number));
    let mut session =
        TrialSession::new(context, storage, observer, begun).knowing(std::mem::take(known));
    let evaluation = objective.evaluate(&mut session);
    if let Evaluation::NotStarted(rejection) = evaluation {
        let finished = session.finish();
        return end_not_started(context, storage, finished, rejection);
    }
    let duration = context.clock.elapsed().saturating_sub(started);

    let interruption = evaluation.interruption();
    // Before `finish`, which consumes the session.
    let last = session.last_intermediate_value();
    let evaluation = refuse_unused(at_deadline(evaluation, context), &session);
    let verdict = judge(evaluation, &context.study.directions, last);
    let mut finished = session.finish();
    *known = std::mem::take(&mut finished.known);
    finished.activity.usage.wall = duration;
    finished.activity.made_progress &= interruption.is_some();
    finished.note_end(verdict.failure.as_ref());
    if let Some(error) = finished.error.take() {
        return end_halted(context, storage, finished, &verdict.outcome, error);
    }
    let ending = Ending {
        outcome: verdict.outcome,
        at: context.clock.utc_now(),
        retry: retry_of_interrupted(context, interruption),
    };
    match storage.finish_trial(&finished.claim, &finished.batch, &ending) {
        Ok(retry) => {
            let trial = finished.into_trial(&ending.outcome, verdict.failure, interruption, retry);
            Ok(TrialEnd::Finished(Box::new(trial)))
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

/// Turns an interruption by the end of the job's time into a pruning, where the user wants that.
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

/// Turns the result of a trial that did not suggest a parameter fixed for it into a failure, where that is wanted: it
/// is not the result that was asked for.
fn refuse_unused(evaluation: Evaluation, session: &TrialSession) -> Evaluation {
    let has_result = matches!(evaluation, Evaluation::Complete(_) | Evaluation::Pruned);
    match session.unused_fixed_param() {
        Some(failure) if has_result => Evaluation::Fail(failure),
        _ => evaluation,
    }
}

/// Returns the policy for requeueing an interrupted trial, or `None` if it is not requeued.
fn retry_of_interrupted(
    context: &TrialContext,
    interruption: Option<Interruption>,
) -> Option<RetryPolicy> {
    match interruption {
        Some(Interruption::Scheduler) => context.retry,
        Some(Interruption::Deadline) if context.on_deadline == OnDeadline::Retry => context.retry,
        // A user who presses Ctrl-C does not want another try.
        Some(Interruption::Deadline | Interruption::User) | None => None,
    }
}

impl FinishedSession {
    /// Adds the trial's usage to what is written, and the reason of a failure.
    fn note_end(&mut self, failure: Option<&Failure>) {
        let attrs = &mut self.batch.system_attrs;
        if let Some(failure) = failure {
            // The end of the log, because a program logs its error last.
            let log: Vec<&str> = self.activity.transcript.last_texts(LOG_LINES_KEPT).collect();
            attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&log)));
        }
        attrs.push((USAGE_ATTR.to_owned(), self.activity.usage.to_json()));
        attrs.extend(self.activity.answers.to_attr());
        attrs.extend(self.activity.packages.take().map(|found| (PACKAGES_ATTR.to_owned(), found)));
        if self.activity.made_progress {
            attrs.push((MADE_PROGRESS_ATTR.to_owned(), true.into()));
        }
    }

    /// Returns the trial as it was recorded.
    fn into_trial(
        self,
        outcome: &Outcome,
        failure: Option<Failure>,
        interruption: Option<Interruption>,
        retry: Option<TrialNumber>,
    ) -> FinishedTrial {
        let activity = self.activity;
        FinishedTrial {
            number: self.claim.number,
            state: outcome.state(),
            values: outcome.values().to_vec(),
            params: self.params,
            user_attrs: activity.user_attrs,
            constraints: activity.constraints,
            n_reports: activity.usage.reports,
            n_reports_stored: self.n_reports_stored,
            failure,
            interruption,
            made_progress: activity.made_progress,
            retry,
            duration: activity.usage.wall,
            usage: activity.usage,
            unused_fixed_params: self.unused_fixed_params,
            transcript: activity.transcript,
        }
    }
}

/// Records a result that an earlier process could not write. The claim makes it count once, however often this is
/// called. `study` is the study's name at that time.
///
/// # Errors
/// Only errors of the storage.
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

/// The result of [`record_later`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LateRecord {
    /// The result is recorded.
    Recorded,
    /// The same result was recorded before: the write that seemed to fail went through.
    RecordedBefore,
    /// Another process had finished the trial.
    TooLate {
        /// The state of the trial that ended the claim.
        reason: ClaimLoss,
        /// The user attribute of the study that holds the result instead.
        kept_as: Option<String>,
    },
    /// The trial is not in this database. The caller should keep the result.
    Homeless,
}

/// Returns the trial of which this claim was the attempt. A trial of the same number whose owner differs belongs to
/// another study, or to another database.
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

/// Finishes a trial that could not continue for a reason outside the objective. If the database could not be read, the
/// trial is lost like one whose worker dies, with the difference that this process knows the reason.
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
    // The objective did nothing wrong, so the trial is requeued like one whose worker died.
    let failure = Failure::new(FailureCode::Lost, format!("the trial could not continue: {error}"));
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

/// Finishes a trial whose objective could not be started, as a lost one that does not count against the retries: it
/// has not run.
fn end_not_started(
    context: &TrialContext,
    storage: &mut dyn Storage,
    mut finished: FinishedSession,
    rejection: Rejection,
) -> Result<TrialEnd, RunError> {
    let failure =
        Failure::new(FailureCode::Lost, format!("the trial could not start: {rejection}"));
    let attrs = &mut finished.batch.system_attrs;
    attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&[])));
    attrs.push((MADE_PROGRESS_ATTR.to_owned(), true.into()));
    let ending =
        Ending { outcome: Outcome::Fail, at: context.clock.utc_now(), retry: context.retry };
    let number = finished.claim.number;
    match storage.finish_trial(&finished.claim, &finished.batch, &ending) {
        Ok(retry) => Err(RunError::NotStarted { number, retry, rejection }),
        Err(StorageError::ClaimLost { reason, .. }) => {
            Ok(claim_lost(context, storage, &finished.claim, reason, &Outcome::Fail))
        }
        Err(source) => {
            let trial = UnrecordedTrial { claim: finished.claim, batch: finished.batch, ending };
            Err(RunError::NotRecorded { trial: Box::new(trial), source })
        }
    }
}

/// Returns the end of a sentence about a trial that was requeued.
fn requeued_as(retry: &Option<TrialNumber>) -> String {
    retry.map(|number| format!(" and was requeued as trial {number}")).unwrap_or_default()
}

fn claim_lost(
    context: &TrialContext,
    storage: &mut dyn Storage,
    claim: &Claim,
    reason: ClaimLoss,
    outcome: &Outcome,
) -> TrialEnd {
    let ending = Ending::new(outcome.clone(), context.clock.utc_now());
    let kept_as = match keep_late_result(storage, context.study.id, claim, &ending) {
        Ok(kept_as) => kept_as,
        // The trial is finished either way, and the caller still has the values to show.
        Err(error) => {
            tracing::warn!(trial = claim.number.0, %error, "could not keep the late result");
            None
        }
    };
    let values = outcome.values().to_vec();
    TrialEnd::ClaimLost { number: claim.number, reason, values, kept_as }
}

/// Keeps a result whose trial another process had finished, as a user attribute of the study.
fn keep_late_result(
    storage: &mut dyn Storage,
    study: StudyId,
    claim: &Claim,
    ending: &Ending,
) -> Result<Option<String>, StorageError> {
    // A late FAIL adds nothing to the result that the trial has.
    if ending.outcome.values().is_empty() {
        return Ok(None);
    }
    let attempt = claim.owner.get_str(OWNER_TOKEN).unwrap_or("unknown");
    // With the token in the key, two late attempts at one trial do not overwrite each other.
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
        // The study was deleted or renamed meanwhile, so nothing can hold the result.
        Err(StorageError::NoSuchStudy { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A legal outcome, with the failure if it is FAIL.
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) failure: Option<Failure>,
}

/// Turns the end of an objective into a legal outcome, as Optuna's `_tell.py` does. NaN or a wrong number of values is
/// FAIL. A pruned trial of a single objective takes the value at its largest step.
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
            let value = match last_intermediate {
                Some(value) if directions.len() == 1 && !value.is_nan() => Some(value),
                _ => None,
            };
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
        // The session holds the reason, or the caller has seen it.
        Evaluation::Halted | Evaluation::NotStarted(_) => {
            Verdict { outcome: Outcome::Fail, failure: None }
        }
    }
}

fn check_values(values: &[f64], directions: &[StudyDirection]) -> Option<Failure> {
    let (found, wanted) = (values.len(), directions.len());
    // The number comes first: in a list of the wrong length, an index names no objective.
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
