//! The bounds of a study, which it remembers, and the reasons for which no further trial starts, as they are printed.

use crate::view::trial::{show_duration, show_float};
use std::num::NonZeroU32;
use trialbox_core::study::stopping::{Budgets, StopReason, StopRule, StudyStop};
use trialbox_core::value::text::counted;
use trialbox_core::{Json, StudyRecord, UtcDateTime};

pub(crate) const MAX_TRIALS: &str = "trialbox:max_trials";
pub(crate) const STOP_WHEN_VALUE: &str = "trialbox:stop_when_value";
pub(crate) const PATIENCE: &str = "trialbox:patience";

/// Reads the bounds that a study remembers.
///
/// # Errors
/// The key of an attribute that cannot be read, and the values expected. It must not be ignored: the study would never
/// end.
pub(crate) fn budgets_of(study: &StudyRecord) -> Result<Budgets, (&'static str, &'static str)> {
    let max_trials =
        bound(study, MAX_TRIALS, count).ok_or((MAX_TRIALS, "a whole number of at least 0"))?;
    let wanted =
        bound(study, STOP_WHEN_VALUE, finite).ok_or((STOP_WHEN_VALUE, "a finite number"))?;
    let patience = bound(study, PATIENCE, |json| NonZeroU32::new(count(json)?.try_into().ok()?))
        .ok_or((PATIENCE, "a whole number from 1 to 4294967295"))?;
    let mut rules = Vec::new();
    rules.extend(wanted.map(StopRule::Value));
    rules.extend(patience.map(StopRule::Patience));
    Ok(Budgets { max_trials, rules })
}

/// Reads a bound; `None` for one that cannot be read.
fn bound<T>(
    study: &StudyRecord,
    key: &'static str,
    read: impl Fn(&Json) -> Option<T>,
) -> Option<Option<T>> {
    match study.user_attrs.get(key) {
        None | Some(Json::Null) => Some(None),
        Some(json) => read(json).map(Some),
    }
}

fn finite(json: &Json) -> Option<f64> {
    let value = json.as_f64().filter(|value| value.is_finite());
    value.filter(|_| !matches!(json, Json::Bool(_)))
}

/// Reads a count that a database can hold.
pub(crate) fn count(json: &Json) -> Option<u64> {
    json.as_whole().filter(|count| i64::try_from(*count).is_ok())
}

/// Formats a reason as one line of text.
pub(crate) fn stop_text(reason: &StopReason, study: &str) -> String {
    match reason {
        StopReason::BudgetReached { n_trials, max_trials } => format!(
            "study `{study}` is complete ({n_trials} of {}); raise the limit with `--max-trials N`",
            counted(*max_trials, "trial")
        ),
        StopReason::Stopped(stop) => format!(
            "study `{study}` was stopped{}; continue it with `trialbox study resume`",
            show_stop(stop)
        ),
        StopReason::Value { wanted, number, value } => format!(
            "study `{study}` is complete: trial {number} reached {}, and the study was to stop at {}; {}",
            show_float(*value),
            show_float(*wanted),
            lift("--stop-when-value")
        ),
        StopReason::Patience { n_trials, best: Some((number, value)) } => format!(
            "study `{study}` is complete: {} did not improve on the {} of trial {number}; {}",
            counted(*n_trials, "later trial"),
            show_float(*value),
            lift("--patience")
        ),
        StopReason::Patience { n_trials, best: None } => format!(
            "study `{study}` is complete: it has no best value after {}; {}",
            counted(*n_trials, "trial"),
            lift("--patience")
        ),
        StopReason::SearchExhausted => {
            format!("study `{study}` is complete: the sampler has tried everything")
        }
        StopReason::UntilReached(until) => {
            format!("it is later than {} (--until); no further trial starts", show_time(*until))
        }
        StopReason::TimeoutReached(timeout) => format!(
            "the timeout of {} is reached (--timeout); no further trial starts",
            show_duration(*timeout)
        ),
        StopReason::TooManyFailures(n) => format!(
            "{} failed (--max-failures); no further trial starts",
            counted(u64::from(*n), "trial")
        ),
        StopReason::JobEnds(left) if left.is_zero() => {
            "the job's time is over; no further trial starts".to_owned()
        }
        StopReason::JobEnds(left) => format!(
            "the job ends in {}, too soon for another trial (--min-time)",
            show_duration(*left)
        ),
    }
}

/// Formats a stop as the end of a line: ` at 2026-11-25 18:00:00 UTC by anna@node7: good enough`. Control characters
/// are left out, because every user of the database can write these texts.
pub(crate) fn show_stop(stop: &StudyStop) -> String {
    let mut text = String::new();
    if let Some(at) = stop.at {
        text.push_str(&format!(" at {}", show_time(at)));
    }
    if let Some(by) = &stop.by {
        // Without a user's name it is a machine.
        let word = if by.contains('@') { "by" } else { "on" };
        text.push_str(&format!(" {word} {}", without_control(by)));
    }
    if let Some(reason) = &stop.reason {
        text.push_str(&format!(": {}", without_control(reason)));
    }
    text
}

fn without_control(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Formats a stop for a table or a list; the text is never empty.
pub(crate) fn show_stopped(stop: &StudyStop) -> String {
    let text = show_stop(stop);
    if text.is_empty() { "yes".to_owned() } else { text.trim_start_matches([' ', ':']).to_owned() }
}

/// Names the flags that lift a bound of the study.
fn lift(flag: &str) -> String {
    format!("lift the limit with `{flag} none --override`")
}

fn show_time(at: UtcDateTime) -> String {
    format!("{} UTC", at.strftime("%Y-%m-%d %H:%M:%S"))
}
