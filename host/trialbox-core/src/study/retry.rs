//! Waiting trials: retries of lost trials, and those that a user enqueues.

use crate::study::constraint::{CONSTRAINT_NAMES, is_constraint_attr};
use crate::study::enqueue::{EnqueueTrial, FIXED_PARAMS_ATTR};
use crate::study::outcome::RetryPolicy;
use crate::study::trial::{FrozenTrial, OWN_PREFIX, TrialId, TrialNumber, TrialState};
use crate::value::json::Json;
use std::collections::BTreeMap;

/// The system attribute that names the trial of which a trial is a retry, directly or not: Optuna's.
pub const FAILED_TRIAL_ATTR: &str = "failed_trial";

/// The system attribute that lists the numbers of the lost trials before this one: Optuna's.
pub const RETRY_HISTORY_ATTR: &str = "retry_history";

/// The system attribute of an attempt that was interrupted after it made more progress than the one before it: true.
pub const MADE_PROGRESS_ATTR: &str = "trialbox:made_progress";

/// The system attribute of a retry that counts the attempts before it that made progress.
pub const RESUMES_ATTR: &str = "trialbox:resumes";

/// The largest number of attempts at a trial that makes progress each time. A guest that only pretends to make progress
/// must not run for ever.
pub const MAX_ATTEMPTS: usize = 1000;

/// Returns the WAITING copy of a lost trial, as Optuna's `RetryHeartbeatStaleTrialCallback` creates it: with the
/// trial's parameters and attributes, but without its reported values. Returns `None` if the trial had all its retries.
/// Attempts that made progress do not count as retries, up to [`MAX_ATTEMPTS`].
///
/// The storage assigns the number and the id. The copy has no constraints, and of trialbox's own attributes only
/// [`RESUMES_ATTR`]: the owner, the failure and the like are facts of one attempt.
pub fn retry_of(trial: &FrozenTrial, policy: RetryPolicy) -> Option<FrozenTrial> {
    let mut history = retry_history(&trial.system_attrs);
    history.push(trial.number);
    // Another program may have written more resumes than there were attempts.
    let resumes = resumes(trial).min(history.len());
    if history.len() - resumes > policy.max_retries as usize || history.len() >= MAX_ATTEMPTS {
        return None;
    }
    let mut system_attrs = trial.system_attrs.clone();
    system_attrs.retain(|key, _| !key.starts_with(OWN_PREFIX) && !is_constraint_attr(key));
    let mut user_attrs = trial.user_attrs.clone();
    // The names belong to the list of constraints, which the copy does not have.
    user_attrs.remove(CONSTRAINT_NAMES);
    if resumes > 0 {
        system_attrs.insert(RESUMES_ATTR.to_owned(), Json::from(resumes as u64));
    }
    let origin = origin(trial.number, &trial.system_attrs);
    system_attrs.insert(FAILED_TRIAL_ATTR.to_owned(), Json::from(origin.0));
    let history = history.into_iter().map(|number| Json::from(number.0)).collect();
    system_attrs.insert(RETRY_HISTORY_ATTR.to_owned(), Json::Array(history));
    Some(FrozenTrial {
        state: TrialState::Waiting,
        values: vec![],
        datetime_start: None,
        datetime_complete: None,
        intermediate_values: BTreeMap::new(),
        user_attrs,
        system_attrs,
        ..trial.clone()
    })
}

/// Returns a WAITING copy of each of the trials with these numbers that is FAIL and has no retry: as many as the user
/// asks for, whatever the study's number of retries.
pub fn copies_of_failed(
    trials: &[FrozenTrial],
    numbers: &[TrialNumber],
) -> Vec<(TrialNumber, FrozenTrial)> {
    const UNLIMITED: RetryPolicy = RetryPolicy { max_retries: u32::MAX };
    let retried = retries(trials);
    let failed = trials.iter().filter(|trial| {
        trial.state == TrialState::Fail
            && numbers.contains(&trial.number)
            && !retried.contains_key(&trial.number)
    });
    failed.filter_map(|trial| Some((trial.number, retry_of(trial, UNLIMITED)?))).collect()
}

/// Returns the trials that have a retry, each with the number of the retry.
pub fn retries(trials: &[FrozenTrial]) -> BTreeMap<TrialNumber, TrialNumber> {
    let mut retries = BTreeMap::new();
    for trial in trials {
        if let Some(last) = retry_history(&trial.system_attrs).last() {
            retries.insert(*last, trial.number);
        }
    }
    retries
}

/// Returns the number of attempts at a trial that made progress, this one and those before it.
fn resumes(trial: &FrozenTrial) -> usize {
    let made_progress = trial.system_attrs.get(MADE_PROGRESS_ATTR) == Some(&Json::Bool(true));
    let before = match trial.system_attrs.get(RESUMES_ATTR).and_then(Json::as_i64) {
        // Other programs write to the database too: the number may be negative, or huge.
        Some(before) => usize::try_from(before).unwrap_or(0).min(MAX_ATTEMPTS),
        None => 0,
    };
    before + usize::from(made_progress)
}

/// Returns the first of the trials of which this one is a retry, or the trial itself.
pub fn origin(number: TrialNumber, system_attrs: &BTreeMap<String, Json>) -> TrialNumber {
    system_attrs.get(FAILED_TRIAL_ATTR).and_then(read_number).unwrap_or(number)
}

/// Returns the trials with the numbers from `first` on, in all places that name a trial's number. A retry whose lost
/// trials are not among `trials` becomes a trial of its own.
pub fn renumbered(trials: &[FrozenTrial], first: TrialNumber) -> Vec<FrozenTrial> {
    let numbers: BTreeMap<TrialNumber, TrialNumber> =
        trials.iter().zip(first.0..).map(|(trial, new)| (trial.number, TrialNumber(new))).collect();
    let mut renumbered = trials.to_vec();
    for trial in &mut renumbered {
        renumber_retry(trial, &numbers);
    }
    renumbered
}

/// Replaces the numbers of lost trials in a retry's attributes.
fn renumber_retry(trial: &mut FrozenTrial, numbers: &BTreeMap<TrialNumber, TrialNumber>) {
    let attrs = &mut trial.system_attrs;
    let Some(lost) = attrs.get(FAILED_TRIAL_ATTR).and_then(read_number) else { return };
    let history = retry_history(attrs);
    let new_history: Option<Vec<Json>> =
        history.iter().map(|old| Some(Json::from(numbers.get(old)?.0))).collect();
    if let (Some(lost), Some(history)) = (numbers.get(&lost), new_history) {
        attrs.insert(FAILED_TRIAL_ATTR.to_owned(), Json::from(lost.0));
        attrs.insert(RETRY_HISTORY_ATTR.to_owned(), Json::Array(history));
    } else {
        // A part of the chain would pass for a shorter one, and allow more retries.
        attrs.remove(FAILED_TRIAL_ATTR);
        attrs.remove(RETRY_HISTORY_ATTR);
        attrs.remove(RESUMES_ATTR);
    }
}

/// Returns the WAITING trial for a request, as Optuna's `enqueue_trial` creates it. The storage assigns the number and
/// the id.
pub fn enqueued(trial: &EnqueueTrial) -> FrozenTrial {
    let fixed = Json::object(trial.params.iter().cloned());
    FrozenTrial {
        id: TrialId(0),
        number: TrialNumber(0),
        state: TrialState::Waiting,
        values: vec![],
        datetime_start: None,
        datetime_complete: None,
        params: vec![],
        user_attrs: trial.user_attrs.iter().cloned().collect(),
        system_attrs: BTreeMap::from([(FIXED_PARAMS_ATTR.to_owned(), fixed)]),
        intermediate_values: BTreeMap::new(),
    }
}

/// Returns whether a trial has exactly these parameters, fixed or else suggested, by the rule of Optuna's
/// `skip_if_exists`: the same names, and equal values, numbers to a relative 1e-5.
pub fn has_params(trial: &FrozenTrial, params: &[(String, Json)]) -> bool {
    let found: Vec<(String, Json)> = match trial.system_attrs.get(FIXED_PARAMS_ATTR) {
        Some(Json::Object(members)) => members.clone(),
        _ => trial.params.iter().map(|(name, param)| (name.clone(), param.external())).collect(),
    };
    found.len() == params.len()
        && params.iter().all(|(name, value)| {
            found.iter().any(|(other, found)| other == name && is_close(found, value))
        })
}

fn is_close(found: &Json, value: &Json) -> bool {
    match (found.as_f64(), value.as_f64()) {
        (Some(a), Some(b)) if is_number(found) && is_number(value) => {
            // As numpy's `isclose` with rtol 1e-5 and atol 0, its second argument the reference.
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * b.abs() && a.is_finite()
        }
        _ => found.python_eq(value),
    }
}

/// Returns whether Python takes the value for a number. `Json::as_f64` accepts `true` as well.
fn is_number(json: &Json) -> bool {
    matches!(json, Json::Int(_) | Json::BigInt(_) | Json::Float(_))
}

/// Returns the failed trials before a retry, the last one being the trial that it repeats; empty for a first attempt.
fn retry_history(system_attrs: &BTreeMap<String, Json>) -> Vec<TrialNumber> {
    match system_attrs.get(RETRY_HISTORY_ATTR) {
        Some(Json::Array(numbers)) => numbers.iter().filter_map(read_number).collect(),
        _ => vec![],
    }
}

fn read_number(json: &Json) -> Option<TrialNumber> {
    Some(TrialNumber(json.as_i64()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(number: u32, system_attrs: &[(&str, Json)]) -> FrozenTrial {
        FrozenTrial {
            number: TrialNumber(number),
            state: TrialState::Fail,
            system_attrs: system_attrs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            intermediate_values: BTreeMap::from([(0, 1.0)]),
            ..enqueued(&EnqueueTrial::default())
        }
    }

    fn numbers(numbers: &[u32]) -> Json {
        Json::Array(numbers.iter().map(|number| Json::from(*number)).collect())
    }

    /// A chain as Optuna 5.0.0 creates it: trial 0, then its retry 1, then 2.
    #[test]
    fn a_chain_of_retries_names_its_first_trial_and_lists_all_and_ends() {
        let policy = RetryPolicy { max_retries: 2 };
        let first = lost(
            0,
            &[
                ("trialbox:owner", "o".into()),
                ("completed_rung_0", 0.5.into()),
                ("constraints", numbers(&[1])),
                ("constraints:size", 1.0.into()),
            ],
        );
        let retry = retry_of(&first, policy).expect("the first retry");
        assert_eq!(retry.state, TrialState::Waiting);
        assert!(retry.intermediate_values.is_empty());
        let attrs: Vec<(&str, String)> = retry
            .system_attrs
            .iter()
            .map(|(key, value)| (key.as_str(), value.to_string()))
            .collect();
        assert_eq!(
            attrs,
            [
                ("completed_rung_0", "0.5".to_owned()),
                ("failed_trial", "0".to_owned()),
                ("retry_history", "[0]".to_owned()),
            ]
        );
        let second = lost(1, &[("failed_trial", 0u32.into()), ("retry_history", numbers(&[0]))]);
        let retry = retry_of(&second, policy).expect("the second retry");
        assert_eq!(retry.system_attrs["failed_trial"], Json::from(0u32));
        assert_eq!(retry.system_attrs["retry_history"], numbers(&[0, 1]));
        let third = lost(2, &[("failed_trial", 0u32.into()), ("retry_history", numbers(&[0, 1]))]);
        assert_eq!(retry_of(&third, policy), None);
        assert_eq!(origin(third.number, &third.system_attrs), TrialNumber(0));
    }

    #[test]
    fn attempts_that_made_progress_do_not_count_against_the_retries() {
        let policy = RetryPolicy { max_retries: 1 };
        let mut attempt = lost(0, &[]);
        for number in 1..6 {
            attempt.system_attrs.insert(MADE_PROGRESS_ATTR.to_owned(), true.into());
            let retry = retry_of(&attempt, policy).expect("it made progress");
            assert_eq!(retry.system_attrs[RESUMES_ATTR], Json::from(number));
            assert_eq!(retry.system_attrs.get(MADE_PROGRESS_ATTR), None);
            attempt = FrozenTrial { number: TrialNumber(number), ..retry };
        }
        let without = retry_of(&attempt, policy).expect("the one retry");
        assert_eq!(without.system_attrs[RESUMES_ATTR], Json::from(5u32));
        assert_eq!(retry_of(&FrozenTrial { number: TrialNumber(6), ..without }, policy), None);
    }

    #[test]
    fn a_trial_that_always_makes_progress_is_not_tried_for_ever() {
        let policy = RetryPolicy { max_retries: 3 };
        let attempt = |before: usize| {
            let history: Vec<u32> = (0..before as u32).collect();
            let attrs = [
                (RETRY_HISTORY_ATTR, numbers(&history)),
                (RESUMES_ATTR, Json::from(i64::MAX)),
                (MADE_PROGRESS_ATTR, true.into()),
            ];
            lost(before as u32, &attrs)
        };
        let last = retry_of(&attempt(MAX_ATTEMPTS - 2), policy).expect("the last attempt");
        assert_eq!(last.system_attrs[RESUMES_ATTR], Json::from(MAX_ATTEMPTS as u64 - 1));
        assert_eq!(retry_of(&attempt(MAX_ATTEMPTS - 1), policy), None);
    }

    #[test]
    fn trials_that_get_other_numbers_still_name_the_trials_they_are_retries_of() {
        let retry = |number, of: u32| {
            lost(number, &[("failed_trial", of.into()), ("retry_history", numbers(&[of]))])
        };
        let moved = renumbered(&[lost(3, &[]), retry(4, 3), retry(5, 0)], TrialNumber(10));
        assert_eq!(moved[1].system_attrs["failed_trial"], Json::from(10u32));
        assert_eq!(moved[1].system_attrs["retry_history"], numbers(&[10]));
        assert!(moved[2].system_attrs.is_empty(), "its original stayed behind");
    }

    #[test]
    fn trials_have_the_same_params_when_names_and_values_agree() {
        let params = |x: Json| vec![("x".to_owned(), x)];
        let trial = enqueued(&EnqueueTrial { params: params(1.0.into()), ..Default::default() });
        for (value, same) in [
            (Json::from(1.0), true),
            (Json::from(1i64), true),
            (Json::from(1.000001), true),
            (Json::from(1.001), false),
            (Json::from("1"), false),
            (Json::from(f64::NAN), false),
        ] {
            assert_eq!(has_params(&trial, &params(value.clone())), same, "{value}");
        }
        assert!(!has_params(&trial, &[]));
        let nan = enqueued(&EnqueueTrial { params: params(f64::NAN.into()), ..Default::default() });
        assert!(has_params(&nan, &params(f64::NAN.into())));
    }
}
