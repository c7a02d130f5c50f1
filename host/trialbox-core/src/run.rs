//! One trial, from taking it to ending it.

use crate::json::Json;
use crate::objective::{Evaluation, FAILURE_ATTR, Failure, FailureCode, Interruption, Objective};
use crate::session::{Event, Surroundings, Transcript, TrialSession};
use crate::storage::{BeginTrial, ClaimLoss, Outcome, Storage, StorageError, TrialStart};
use crate::study::StudyDirection;
use crate::trial::{Param, TrialNumber, TrialState};
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
    /// A trial was run, but somebody else ended, took or deleted it meanwhile: nothing was recorded.
    ClaimLost {
        /// The trial.
        number: TrialNumber,
        /// What became of it.
        reason: ClaimLoss,
        /// The result that found no place, if there was one.
        values: Vec<f64>,
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
    /// How many steps it reported.
    pub n_reports: usize,
    /// Why it is FAIL.
    pub failure: Option<Failure>,
    /// Who stopped it, if somebody did.
    pub interruption: Option<Interruption>,
    /// How long the objective ran.
    pub duration: Duration,
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
    /// The study could not be read or written while the trial ran.
    #[error("trial {number} could not go on")]
    Halted {
        /// The trial.
        number: TrialNumber,
        /// What happened.
        #[source]
        source: StorageError,
    },
    /// The trial ended, and its result could not be written.
    #[error(
        "trial {number} ended as {state}, but its result could not be recorded: values {values:?}"
    )]
    NotRecorded {
        /// The trial.
        number: TrialNumber,
        /// How it ended.
        state: TrialState,
        /// Its result.
        values: Vec<f64>,
        /// What happened.
        #[source]
        source: StorageError,
    },
}

/// Runs one trial of the study: begins it, evaluates the objective, judges what came of it, records it.
///
/// # Errors
/// Only of the storage. Whatever the objective does is recorded with the trial.
pub fn run_trial(
    around: &Surroundings,
    storage: &mut dyn Storage,
    objective: &mut dyn Objective,
    request: &BeginTrial,
    observer: &mut dyn FnMut(Event),
) -> Result<TrialEnd, RunError> {
    let begun = match storage.begin_trial(around.study.id, request).map_err(RunError::Begin)? {
        TrialStart::Begun(begun) => *begun,
        TrialStart::BudgetReached { n_trials } => return Ok(TrialEnd::BudgetReached { n_trials }),
    };
    let started = around.clock.elapsed();
    let mut session = TrialSession::new(around, storage, observer, begun);
    let evaluation = objective.evaluate(&mut session);
    let duration = around.clock.elapsed().saturating_sub(started);

    let interruption = match evaluation {
        Evaluation::Interrupted(interruption) => Some(interruption),
        _ => None,
    };
    let verdict = judge(evaluation, &around.study.directions, session.last_intermediate_value());
    if let Some(failure) = &verdict.failure {
        session.set_system_attr(FAILURE_ATTR, failure.to_json());
    }
    let rest = session.into_rest();
    let number = rest.claim.number;
    let values = verdict.outcome.values().to_vec();
    match rest.error {
        Some(StorageError::ClaimLost { reason, .. }) => {
            return Ok(TrialEnd::ClaimLost { number, reason, values });
        }
        Some(source) => return Err(RunError::Halted { number, source }),
        None => {}
    }
    let state = verdict.outcome.state();
    match storage.finish_trial(&rest.claim, &rest.pending, &verdict.outcome, around.clock.utc_now())
    {
        Ok(()) => Ok(TrialEnd::Finished(Box::new(FinishedTrial {
            number,
            state,
            values,
            params: rest.params,
            user_attrs: rest.user_attrs,
            n_reports: rest.n_reports,
            failure: verdict.failure,
            interruption,
            duration,
            unused_fixed_params: rest.unused_fixed_params,
            transcript: rest.transcript,
        }))),
        Err(StorageError::ClaimLost { reason, .. }) => {
            Ok(TrialEnd::ClaimLost { number, reason, values })
        }
        Err(source) => Err(RunError::NotRecorded { number, state, values, source }),
    }
}

struct Verdict {
    outcome: Outcome,
    failure: Option<Failure>,
}

/// Turns what the objective did into a legal ending, as Optuna's `_tell.py` does: a NaN or a wrong number
/// of values is FAIL; a pruned trial of a single objective takes the value at its largest step.
fn judge(
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
            let by = match interruption {
                Interruption::Scheduler => "the scheduler (SIGTERM)",
                Interruption::User => "the user (SIGINT)",
            };
            let failure = Failure::new(
                FailureCode::Interrupted,
                format!("the trial was interrupted by {by}"),
            );
            Verdict { outcome: Outcome::Fail, failure: Some(failure) }
        }
        // The session holds the reason, and nothing will be recorded.
        Evaluation::Halted => Verdict { outcome: Outcome::Fail, failure: None },
    }
}

fn check_values(values: &[f64], directions: &[StudyDirection]) -> Option<Failure> {
    let (found, wanted) = (values.len(), directions.len());
    if found != wanted {
        let message =
            format!("the objective returned {found} values, but the study has {wanted} objectives");
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
