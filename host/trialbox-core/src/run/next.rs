//! The question before each trial: may it start, and if not, why not.
//!
//! [`next`] answers from the study's budgets, its sampler and the bounds of this process. [`run_next`] asks it, looks
//! for lost trials before it calls a study complete, and runs the trial.

use crate::run::{FinishedTrial, RunError, TrialEnd, run_trial};
use crate::seam::clock::Clock;
use crate::seam::guarded::{HostPanic, guarded};
use crate::seam::sampler::Sampler;
use crate::seam::storage::{BeginTrial, ClaimLoss, Storage, StorageError};
use crate::session::event::Event;
use crate::session::objective::Objective;
use crate::session::{KnownTrials, TrialContext};
use crate::study::history::History;
use crate::study::ledger::count_towards_budget;
use crate::study::record::StudyRecord;
use crate::study::stopping::{Budgets, StopReason, stop_reason};
use crate::study::trial::{TrialNumber, TrialState, UtcDateTime};
use crate::value::json::Json;
use std::time::Duration;

/// The bounds of one process. Each is `None` where nothing bounds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessBounds {
    /// The time after which no trial starts, counted like [`Clock::elapsed`].
    pub timeout: Option<Duration>,
    /// The point in time after which no trial starts.
    pub until: Option<UtcDateTime>,
    /// The number of failed trials, once as many as are tolerated have failed.
    pub too_many_failures: Option<u32>,
    /// The rest of the job's time, where it is too short for another trial.
    pub too_little_time: Option<Duration>,
}

/// The answer of [`next`].
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// A trial may start.
    Start,
    /// No trial may start.
    Stop(StopReason),
}

/// Returns whether another trial of the study may start.
///
/// The bounds of the process come first, in the order of [`ProcessBounds`], because they need no database. The number
/// of trials is left to [`begin_trial`](crate::seam::storage::Trials::begin_trial), which counts and starts in one
/// transaction. It is counted here only where the job has too little time left, so that a complete study is not taken
/// for an unfinished one.
///
/// # Errors
/// Those of the storage, which is read only where a rule or the sampler needs it, and a panic of the sampler's.
pub fn next(
    study: &StudyRecord,
    budgets: &Budgets,
    bounds: &ProcessBounds,
    sampler: &dyn Sampler,
    storage: &mut dyn Storage,
    clock: &dyn Clock,
) -> Result<Next, NextError> {
    if let Some(timeout) = bounds.timeout
        && clock.elapsed() >= timeout
    {
        return Ok(Next::Stop(StopReason::TimeoutReached(timeout)));
    }
    if let Some(until) = bounds.until
        && clock.utc_now() >= until
    {
        return Ok(Next::Stop(StopReason::UntilReached(until)));
    }
    if let Some(n_failures) = bounds.too_many_failures {
        return Ok(Next::Stop(StopReason::TooManyFailures(n_failures)));
    }
    if let Some(left) = bounds.too_little_time {
        let reason = budget_reached(study, budgets, storage)?.unwrap_or(StopReason::JobEnds(left));
        return Ok(Next::Stop(reason));
    }
    // The rules need only outcomes, which cost less to read than the history that a sampler needs.
    let reason = stop_reason(&budgets.rules, || {
        Ok::<_, StorageError>(History::new(study.directions.clone(), storage.outcomes(study.id)?))
    })?;
    if let Some(reason) = reason {
        return Ok(Next::Stop(reason));
    }
    let is_exhausted = is_exhausted(sampler, || {
        Ok::<_, NextError>(History::new(study.directions.clone(), storage.history(study.id)?))
    })?;
    Ok(if is_exhausted { Next::Stop(StopReason::SearchExhausted) } else { Next::Start })
}

/// Returns the number of trials as a reason, if the study has as many as it may have.
fn budget_reached(
    study: &StudyRecord,
    budgets: &Budgets,
    storage: &mut dyn Storage,
) -> Result<Option<StopReason>, StorageError> {
    let Some(max_trials) = budgets.max_trials else { return Ok(None) };
    let outcomes = storage.outcomes(study.id)?;
    let n_trials = count_towards_budget(&outcomes);
    if n_trials < max_trials {
        return Ok(None);
    }
    Ok(Some(StopReason::BudgetReached { n_trials, max_trials }))
}

/// Returns whether a sampler has nothing left to try. A WAITING trial runs whatever the sampler says, so none may be
/// left either.
///
/// # Errors
/// Those of reading the history, which is read only for a finite search, and a panic of the sampler's.
pub fn is_exhausted<E: From<HostPanic>>(
    sampler: &dyn Sampler,
    history: impl FnOnce() -> Result<History, E>,
) -> Result<bool, E> {
    if !guarded("sampler", || sampler.is_finite())? {
        return Ok(false);
    }
    let history = history()?;
    let has_waiting = history.in_state(TrialState::Waiting).next().is_some();
    Ok(!has_waiting && guarded("sampler", || sampler.is_exhausted(&history))?)
}

/// The process around a trial, as [`run_next`] needs it.
pub struct NextTrial<'a, O> {
    /// The bounds of the study.
    pub budgets: &'a Budgets,
    /// The bounds of the process.
    pub bounds: ProcessBounds,
    /// The trials as the worker's last one knew them.
    pub known: &'a mut KnownTrials,
    /// Fails and requeues the study's lost trials; returns whether there were any.
    pub recover: &'a mut dyn FnMut(&mut dyn Storage) -> Result<bool, StorageError>,
    /// Makes the objective ready for a trial that may start, and returns the owner token of the attempt. `None` starts
    /// no trial.
    pub prepare: &'a mut dyn FnMut(&mut O) -> Option<Json>,
}

/// The result of [`run_next`].
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A trial ran and is recorded.
    Finished(Box<FinishedTrial>),
    /// A trial ran, but another worker finished, took or deleted it meanwhile.
    ClaimLost(LostClaim),
    /// The study seemed complete, but trials of dead jobs were found and requeued: ask again.
    Recovered,
    /// [`NextTrial::prepare`] started no trial.
    NotStarted,
    /// No trial may start.
    Stop(StopReason),
}

/// A trial that another worker finished, took or deleted while it ran.
#[derive(Debug, Clone, PartialEq)]
pub struct LostClaim {
    /// Its number.
    pub number: TrialNumber,
    /// The reason.
    pub reason: ClaimLoss,
    /// The result that came too late, if there was one.
    pub values: Vec<f64>,
    /// The user attribute of the study that holds the result instead.
    pub kept_as: Option<String>,
}

/// An error before or in a trial.
#[derive(Debug, thiserror::Error)]
pub enum NextError {
    /// The study could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The trial could not be run or recorded.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The sampler panicked before a trial.
    #[error(transparent)]
    Host(#[from] HostPanic),
}

/// Runs the study's next trial, if one may start.
///
/// A study is not called complete before a second look for lost trials: the last job of a study then runs what dead
/// jobs have left.
///
/// # Errors
/// Those of the storage, and a panic of the sampler's before a trial. A failure in the trial is recorded with it.
pub fn run_next<O: Objective>(
    request: &mut NextTrial<O>,
    ctx: &TrialContext,
    storage: &mut dyn Storage,
    objective: &mut O,
    observer: &mut dyn FnMut(Event),
) -> Result<Step, NextError> {
    let NextTrial { budgets, bounds, .. } = *request;
    match next(ctx.study, budgets, &bounds, ctx.sampler, storage, ctx.clock)? {
        Next::Start => {}
        Next::Stop(reason) => return Ok(confirm(reason, request.recover, storage)?),
    }
    let Some(owner) = (request.prepare)(objective) else { return Ok(Step::NotStarted) };
    let begin = BeginTrial {
        owner,
        has_heartbeat: true,
        max_trials: budgets.max_trials,
        at: ctx.clock.utc_now(),
    };
    match run_trial(ctx, storage, objective, &begin, request.known, observer)? {
        TrialEnd::Finished(trial) => Ok(Step::Finished(trial)),
        TrialEnd::ClaimLost { number, reason, values, kept_as } => {
            Ok(Step::ClaimLost(LostClaim { number, reason, values, kept_as }))
        }
        TrialEnd::Stopped(stop) => Ok(Step::Stop(StopReason::Stopped(stop))),
        TrialEnd::BudgetReached { n_trials } => {
            let max_trials = budgets.max_trials.unwrap_or(n_trials);
            let reason = StopReason::BudgetReached { n_trials, max_trials };
            Ok(confirm(reason, request.recover, storage)?)
        }
    }
}

/// Returns the reason, unless the study would be complete by it and has lost trials.
fn confirm(
    reason: StopReason,
    recover: &mut dyn FnMut(&mut dyn Storage) -> Result<bool, StorageError>,
    storage: &mut dyn Storage,
) -> Result<Step, StorageError> {
    if reason.completes_study() && recover(storage)? {
        return Ok(Step::Recovered);
    }
    Ok(Step::Stop(reason))
}
