//! The transitions of a trial, as values: the rules that every storage keeps, whether in SQL, in memory or in a log.
//!
//! ```text
//! WAITING ─begin─► RUNNING ─finish─► COMPLETE, PRUNED or FAIL ─append_retry─► another WAITING trial
//!                  │  ▲ └──fail_lost─► FAIL
//!                  └──┘ record, watch
//! ```
//!
//! A transition changes a trial wholly or not at all. A storage adds what is not a trial's: ids, transactions, the
//! heartbeat's clock.

use crate::space::distribution::UnstorableValue;
use crate::study::batch::TrialBatch;
use crate::study::claim::{BegunTrial, Claim, ClaimLoss, OWNER_ATTR, owner_of};
use crate::study::enqueue::{EnqueueTrial, FIXED_PARAMS_ATTR};
use crate::study::failure::FAILURE_ATTR;
use crate::study::lease::{Heartbeat, LeasedTrial, WATCH_ATTR};
use crate::study::outcome::{Ending, RetryPolicy};
use crate::study::retry::{enqueued, origin, retry_of};
use crate::study::trial::{
    FrozenTrial, MAX_NAME_CHARS, Param, TrialId, TrialNumber, TrialState, UtcDateTime,
};
use crate::value::json::Json;
use std::collections::BTreeMap;

/// The reason why a transition is illegal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IllegalTransition {
    /// The trial is not, or no longer, the claim's.
    ClaimLost {
        /// The trial.
        number: TrialNumber,
        /// The reason why the claim does not hold.
        reason: ClaimLoss,
    },
    /// A final value is NaN, which the databases of Optuna cannot hold.
    NanValue,
    /// A parameter has a value that no database can hold.
    UnstorableParam {
        /// The parameter.
        name: String,
        /// The value.
        problem: UnstorableValue,
    },
    /// A name is longer than some database's column.
    NameTooLong {
        /// The kind of name: `study name`, `parameter name`, …
        what: &'static str,
        /// The name's length in characters.
        chars: usize,
    },
}

/// Appends a trial to its study under the next number, which it returns.
pub fn append(trials: &mut Vec<FrozenTrial>, id: TrialId, trial: FrozenTrial) -> TrialNumber {
    let number = TrialNumber(trials.len() as u32);
    trials.push(FrozenTrial { id, number, ..trial });
    number
}

/// Returns the trial that a worker starts when none is waiting: without fixed parameters.
pub fn unplanned() -> FrozenTrial {
    // `enqueued` adds an empty object of fixed parameters, which Optuna writes for enqueued trials only.
    FrozenTrial { system_attrs: BTreeMap::new(), ..enqueued(&EnqueueTrial::default()) }
}

/// Returns the number of trials that count towards the study's budget: see [`TrialState::counts_towards_budget`].
pub fn count_towards_budget(trials: &[FrozenTrial]) -> u64 {
    trials.iter().filter(|trial| trial.state.counts_towards_budget()).count() as u64
}

/// Returns the waiting trial that starts next: the one with the lowest number.
pub fn next_waiting(trials: &mut [FrozenTrial]) -> Option<&mut FrozenTrial> {
    trials.iter_mut().find(|trial| trial.state == TrialState::Waiting)
}

/// Starts a waiting trial for an owner.
///
/// # Errors
/// [`IllegalTransition::ClaimLost`] when the trial is not WAITING.
pub fn begin(
    trial: &mut FrozenTrial,
    owner: &Json,
    at: UtcDateTime,
) -> Result<BegunTrial, IllegalTransition> {
    let number = trial.number;
    match trial.state {
        TrialState::Waiting => {}
        TrialState::Running => return Err(claim_lost(number, ClaimLoss::TakenOver)),
        state => return Err(claim_lost(number, ClaimLoss::Finished(state))),
    }
    let owner = owner_of(owner, trial.number);
    trial.state = TrialState::Running;
    trial.datetime_start = Some(at);
    trial.system_attrs.insert(OWNER_ATTR.to_owned(), owner.clone());
    let fixed_params = match trial.system_attrs.get(FIXED_PARAMS_ATTR) {
        Some(Json::Object(members)) => members.clone(),
        _ => vec![],
    };
    Ok(BegunTrial {
        claim: Claim { id: trial.id, number: trial.number, owner },
        fixed_params,
        params: trial.params.clone(),
        origin: origin(trial.number, &trial.system_attrs),
    })
}

/// Checks that a trial is RUNNING and has the claim's owner. A trial that Python's Optuna runs has no owner, which is
/// `null` in a claim.
///
/// # Errors
/// [`IllegalTransition::ClaimLost`].
pub fn check_owner(trial: &FrozenTrial, claim: &Claim) -> Result<(), IllegalTransition> {
    let owner = trial.system_attrs.get(OWNER_ATTR).unwrap_or(&Json::Null);
    match trial.state {
        TrialState::Running if *owner == claim.owner => Ok(()),
        // A trial never returns to WAITING by itself: another program edited the database.
        TrialState::Running | TrialState::Waiting => {
            Err(claim_lost(claim.number, ClaimLoss::TakenOver))
        }
        state => Err(claim_lost(claim.number, ClaimLoss::Finished(state))),
    }
}

/// Adds a batch to a running trial. A parameter that the trial has already keeps its value: a commit may have gone
/// through although it seemed to fail, and then this is its repetition.
///
/// # Errors
/// [`IllegalTransition::ClaimLost`]; those of [`check_param`].
pub fn record(
    trial: &mut FrozenTrial,
    claim: &Claim,
    batch: &TrialBatch,
) -> Result<(), IllegalTransition> {
    check_owner(trial, claim)?;
    // All checks come before the first change, so that a rejected batch leaves no half behind.
    for (name, param) in &batch.params {
        check_param(name, param)?;
    }
    for (key, _) in batch.user_attrs.iter().chain(&batch.system_attrs) {
        check_name_length("attribute key", key)?;
    }
    for (name, param) in &batch.params {
        if trial.param(name).is_none() {
            trial.params.push((name.clone(), param.clone()));
        }
    }
    trial.intermediate_values.extend(batch.intermediate_values.iter().copied());
    trial.user_attrs.extend(batch.user_attrs.iter().cloned());
    trial.system_attrs.extend(batch.system_attrs.iter().cloned());
    Ok(())
}

/// Adds the last batch to a running trial and finishes the trial, never before it started: the clock of a reaper on
/// another machine may be behind.
///
/// # Errors
/// [`IllegalTransition::ClaimLost`]; [`IllegalTransition::NanValue`]; those of [`check_param`].
pub fn finish(
    trial: &mut FrozenTrial,
    claim: &Claim,
    batch: &TrialBatch,
    ending: &Ending,
) -> Result<(), IllegalTransition> {
    check_owner(trial, claim)?;
    // Checked before `record`, which changes the trial.
    let values = ending.outcome.values();
    if values.iter().any(|value| value.is_nan()) {
        return Err(IllegalTransition::NanValue);
    }
    record(trial, claim, batch)?;
    trial.values = values.to_vec();
    set_finished(trial, ending.outcome.state(), ending.at);
    Ok(())
}

/// Appends the retry of a finished trial and returns its number; `None` if the trial had all its retries.
pub fn append_retry(
    trials: &mut Vec<FrozenTrial>,
    id: TrialId,
    finished: TrialNumber,
    policy: RetryPolicy,
) -> Option<TrialNumber> {
    let finished = trials.iter().find(|trial| trial.number == finished)?;
    let retry = retry_of(finished, policy)?;
    Some(append(trials, id, retry))
}

/// Returns a RUNNING trial with the evidence that its worker is alive; `None` for a trial in another state.
pub fn lease(trial: &FrozenTrial, heartbeat: Option<Heartbeat>) -> Option<LeasedTrial> {
    if trial.state != TrialState::Running {
        return None;
    }
    Some(LeasedTrial {
        id: trial.id,
        number: trial.number,
        owner: trial.system_attrs.get(OWNER_ATTR).cloned(),
        heartbeat,
        watch: trial.system_attrs.get(WATCH_ATTR).cloned(),
    })
}

/// Notes with a RUNNING trial what an observer saw of it. A trial in another state stays as it is.
pub fn watch(trial: &mut FrozenTrial, watch: &Json) {
    if trial.state == TrialState::Running {
        trial.system_attrs.insert(WATCH_ATTR.to_owned(), watch.clone());
    }
}

/// Finishes a trial whose worker died as FAIL, and returns whether it did: only if the trial's lease is as it was seen.
pub fn fail_lost(
    trial: &mut FrozenTrial,
    now: Option<&LeasedTrial>,
    seen: &LeasedTrial,
    failure: &Json,
    at: UtcDateTime,
) -> bool {
    // A worker that was only slow has written a new heartbeat since the reaper looked, or finished the trial.
    match now {
        Some(now) if now.is_unchanged_since(seen) => {}
        _ => return false,
    }
    trial.system_attrs.insert(FAILURE_ATTR.to_owned(), failure.clone());
    set_finished(trial, TrialState::Fail, at);
    true
}

/// Rejects trials that no database of Optuna's can hold.
///
/// # Errors
/// [`IllegalTransition::NanValue`]; those of [`check_param`].
pub fn check_values(trials: &[FrozenTrial]) -> Result<(), IllegalTransition> {
    for trial in trials {
        if trial.values.iter().any(|value| value.is_nan()) {
            return Err(IllegalTransition::NanValue);
        }
        for (name, param) in &trial.params {
            check_param(name, param)?;
        }
    }
    Ok(())
}

/// Rejects a parameter that a storage could not hold. Every storage asks this before it writes a parameter, wherever
/// the parameter comes from: a suggestion, an enqueued or a fixed value, a retry, an import, the spool.
///
/// # Errors
/// [`IllegalTransition::NameTooLong`]; [`IllegalTransition::UnstorableParam`].
pub fn check_param(name: &str, param: &Param) -> Result<(), IllegalTransition> {
    check_name_length("parameter name", name)?;
    match param.distribution.require_storable(param.internal) {
        Ok(()) => Ok(()),
        Err(problem) => Err(IllegalTransition::UnstorableParam { name: name.to_owned(), problem }),
    }
}

/// Rejects a name that is longer than some database's column.
///
/// # Errors
/// [`IllegalTransition::NameTooLong`].
pub fn check_name_length(what: &'static str, name: &str) -> Result<(), IllegalTransition> {
    let chars = name.chars().count();
    if chars > MAX_NAME_CHARS {
        return Err(IllegalTransition::NameTooLong { what, chars });
    }
    Ok(())
}

fn claim_lost(number: TrialNumber, reason: ClaimLoss) -> IllegalTransition {
    IllegalTransition::ClaimLost { number, reason }
}

fn set_finished(trial: &mut FrozenTrial, state: TrialState, at: UtcDateTime) {
    trial.state = state;
    // `None` is less than any time, so a trial without a start finishes at `at`.
    trial.datetime_complete = trial.datetime_start.max(Some(at));
}

#[cfg(test)]
mod tests;
