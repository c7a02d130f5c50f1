//! When a study ends: the flags that say so, which the study remembers, and what is printed when it has.

use crate::error::CommandError;
use crate::view::record::Float;
use crate::view::trial::{count as count_of, show_duration, show_float};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use trialbox_core::study::stopping::{StopReason, StopRule, StudyStop};
use trialbox_core::study::trial::format_rfc3339;
use trialbox_core::{
    History, Json, Storage, StorageError, StudyDirection, StudyRecord, UtcDateTime,
};

pub(crate) const MAX_TRIALS: &str = "trialbox:max_trials";
const STOP_WHEN_VALUE: &str = "trialbox:stop_when_value";
const PATIENCE: &str = "trialbox:patience";

/// The attributes in which a study remembers these flags, whenever they are first said.
pub(crate) const BUDGETS: [&str; 3] = [MAX_TRIALS, STOP_WHEN_VALUE, PATIENCE];

const HEADING: &str = "When the study ends";

/// The flags, each as the study remembers it: null for `none`.
///
/// `none` is remembered, too: it is how a bound is lifted with `--override`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct StoppingArgs {
    /// How many trials the whole study may have (COMPLETE, PRUNED or RUNNING); remembered by the study. Once it
    /// has them, and likewise with the next two, no trial is begun, enqueued ones neither, and this ends with 0
    #[arg(long, value_name = "N|none", value_parser = parse_max_trials, help_heading = HEADING)]
    max_trials: Option<Json>,

    /// End the study, which must have one objective, once a COMPLETE and feasible trial is as good as this:
    /// <= when minimizing, >= when maximizing; remembered by the study
    #[arg(long, value_name = "VALUE|none", value_parser = parse_wanted, allow_negative_numbers = true, help_heading = HEADING)]
    stop_when_value: Option<Json>,

    /// End the study, which must have one objective, once N trials with higher numbers than the best one have
    /// ended; remembered by the study. COMPLETE and PRUNED trials count, FAIL ones do not; a tie and an infeasible
    /// trial are no improvement; without any feasible trial, N trials end it, too. Better more than run at once
    #[arg(long, value_name = "N|none", value_parser = parse_patience, help_heading = HEADING)]
    patience: Option<Json>,
}

impl StoppingArgs {
    /// The same, with a number of trials.
    pub(crate) fn with_max_trials(self, n_trials: u32) -> Self {
        StoppingArgs { max_trials: Some(n_trials.into()), ..self }
    }

    /// What is said, by the attribute that remembers it.
    pub(crate) fn said(&self) -> impl Iterator<Item = (String, Json)> {
        let values = [&self.max_trials, &self.stop_when_value, &self.patience];
        BUDGETS
            .into_iter()
            .zip(values)
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
    }

    /// Refuses what makes no sense for a study of several objectives, which has no best value.
    pub(crate) fn check(&self, directions: &[StudyDirection]) -> Result<(), CommandError> {
        let is_said = |value: &Option<Json>| value.as_ref().is_some_and(|it| *it != Json::Null);
        let flag = match (is_said(&self.stop_when_value), is_said(&self.patience)) {
            (true, _) => "--stop-when-value",
            (false, true) => "--patience",
            (false, false) => return Ok(()),
        };
        match directions.len() {
            1 => Ok(()),
            n => Err(CommandError::usage(
                format!(
                    "{flag} needs a study with one objective, and this one has {n}: it has no best value"
                ),
                "end it with --max-trials or --until, or by hand with `trialbox study stop`",
            )),
        }
    }
}

/// The flag that an attribute of [`BUDGETS`] remembers.
pub(crate) fn flag_of(key: &str) -> Option<&'static str> {
    let flags = ["--max-trials", "--stop-when-value", "--patience"];
    BUDGETS.into_iter().zip(flags).find(|(found, _)| *found == key).map(|(_, flag)| flag)
}

/// What bounds a study.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Budgets {
    /// How many trials it may have.
    pub(crate) max_trials: Option<u64>,
    /// What else ends it.
    pub(crate) rules: Vec<StopRule>,
}

impl Budgets {
    /// Reads what the study remembers.
    ///
    /// # Errors
    /// The key of an attribute that makes no sense. It must not be passed over: the study would never end.
    pub(crate) fn of(study: &StudyRecord) -> Result<Self, &'static str> {
        let max_trials = budget(study, MAX_TRIALS, count)?;
        let wanted =
            budget(study, STOP_WHEN_VALUE, |json| json.as_f64().filter(|value| value.is_finite()))?;
        let patience =
            budget(study, PATIENCE, |json| NonZeroU32::new(count(json)?.try_into().ok()?))?;
        let rules = wanted.map(StopRule::Value).into_iter();
        Ok(Budgets { max_trials, rules: rules.chain(patience.map(StopRule::Patience)).collect() })
    }

    /// Whether the study needs no further trial, and why. Reads its trials only if there is a rule.
    pub(crate) fn reason_to_stop(
        &self,
        storage: &mut dyn Storage,
        study: &StudyRecord,
    ) -> Result<Option<StopReason>, StorageError> {
        trialbox_core::study::stopping::stop_reason(&self.rules, || {
            Ok(History::new(study.directions.clone(), storage.outcomes(study.id)?))
        })
    }
}

fn budget<T>(
    study: &StudyRecord,
    key: &'static str,
    read: impl Fn(&Json) -> Option<T>,
) -> Result<Option<T>, &'static str> {
    match study.user_attrs.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(json) => read(json).map(Some).ok_or(key),
    }
}

fn count(json: &Json) -> Option<u64> {
    json.as_i64()?.try_into().ok()
}

/// All trials of a study.
pub(crate) fn read_history(
    storage: &mut dyn Storage,
    study: &StudyRecord,
) -> Result<History, StorageError> {
    Ok(History::new(study.directions.clone(), storage.history(study.id)?))
}

/// Why no trial is begun any more. This is no error: whoever sees it ends with 0.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NothingToDo {
    /// The study has all the trials it may have: so many.
    BudgetReached(u64),
    /// Somebody has stopped the study.
    Stopped(StudyStop),
    /// The study needs no further trial.
    Needless(StopReason),
    /// The sampler has tried everything.
    SearchExhausted,
    /// It is later than `--until`.
    UntilReached(UtcDateTime),
    /// The process has been running for as long as `--timeout`.
    TimeoutReached(Duration),
    /// The job's time is nearly over: so much is left.
    JobEnds(Duration),
    /// As many trials of this process have failed as may.
    TooManyFailures(u32),
}

impl NothingToDo {
    /// Whether it is the study that has all it needs, and not this process that has no time.
    pub(crate) fn is_of_study(&self) -> bool {
        match self {
            NothingToDo::BudgetReached(_)
            | NothingToDo::Stopped(_)
            | NothingToDo::Needless(_)
            | NothingToDo::SearchExhausted => true,
            NothingToDo::UntilReached(_)
            | NothingToDo::TimeoutReached(_)
            | NothingToDo::JobEnds(_)
            | NothingToDo::TooManyFailures(_) => false,
        }
    }

    /// One line for people.
    pub(crate) fn text(&self, study: &str) -> String {
        match self {
            NothingToDo::BudgetReached(n_trials) => {
                format!(
                    "study `{study}` has its {}; {}",
                    count_of(*n_trials, "trial"),
                    lift("--max-trials")
                )
            }
            NothingToDo::Stopped(stop) => format!(
                "study `{study}` was stopped{}; `trialbox study resume` lets it go on",
                show_stop(stop)
            ),
            NothingToDo::Needless(StopReason::Value { wanted, number, value }) => format!(
                "study `{study}` has {} in trial {number}, as good as the {} that was wanted; {}",
                show_float(*value),
                show_float(*wanted),
                lift("--stop-when-value")
            ),
            NothingToDo::Needless(StopReason::Patience {
                n_trials,
                best: Some((number, value)),
            }) => {
                format!(
                    "study `{study}` has {} in trial {number}, and {} no better; {}",
                    show_float(*value),
                    count_later(*n_trials),
                    lift("--patience")
                )
            }
            NothingToDo::Needless(StopReason::Patience { n_trials, best: None }) => {
                format!(
                    "study `{study}` has no best value after {}; {}",
                    count_of(*n_trials, "trial"),
                    lift("--patience")
                )
            }
            NothingToDo::SearchExhausted => {
                format!("study `{study}` has tried everything; no trial is begun")
            }
            NothingToDo::UntilReached(until) => {
                format!("it is later than {}; no trial is begun", show_time(*until))
            }
            NothingToDo::TimeoutReached(timeout) => {
                format!("{} are over; no further trial is begun", show_duration(*timeout))
            }
            NothingToDo::TooManyFailures(n) => {
                let trials = if *n == 1 { "trial has" } else { "trials have" };
                format!("{n} {trials} failed (--max-failures); no further trial is begun")
            }
            NothingToDo::JobEnds(left) if left.is_zero() => {
                "the job's time is over; no further trial is begun".to_owned()
            }
            NothingToDo::JobEnds(left) => format!(
                "the job's time ends in {}, too soon for another trial (--min-time)",
                show_duration(*left)
            ),
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self, study: &str) -> Value {
        let (event, mut value) = match self {
            NothingToDo::BudgetReached(n_trials) => {
                ("budget_reached", json!({ "n_trials": n_trials }))
            }
            NothingToDo::Stopped(stop) => ("study_stopped", stop_json(stop)),
            NothingToDo::Needless(StopReason::Value { wanted, number, value }) => (
                "value_reached",
                json!({ "wanted": Float(*wanted), "number": number.0, "value": Float(*value) }),
            ),
            NothingToDo::Needless(StopReason::Patience { n_trials, best }) => {
                let (number, value) = best.unzip();
                let best =
                    json!({ "number": number.map(|number| number.0), "value": value.map(Float) });
                ("patience_exhausted", json!({ "n_trials": n_trials, "best": best }))
            }
            NothingToDo::SearchExhausted => ("search_exhausted", json!({})),
            NothingToDo::UntilReached(until) => {
                ("until_reached", json!({ "until": rfc3339(*until) }))
            }
            NothingToDo::TimeoutReached(timeout) => {
                ("timeout_reached", json!({ "timeout_seconds": timeout.as_secs_f64() }))
            }
            NothingToDo::TooManyFailures(n) => ("too_many_failures", json!({ "n_failures": n })),
            NothingToDo::JobEnds(left) => {
                ("job_ends", json!({ "seconds_left": left.as_secs_f64() }))
            }
        };
        value["event"] = event.into();
        value["study"] = study.into();
        value
    }
}

/// A stop as the end of a line: ` at 2026-11-25 18:00:00 UTC by anna@node7: good enough`. Texts that anybody may
/// have written are shown without what would move the cursor.
pub(crate) fn show_stop(stop: &StudyStop) -> String {
    let plain = |text: &String| -> String { text.chars().filter(|c| !c.is_control()).collect() };
    let at = stop.at.map(|at| format!(" at {}", show_time(at)));
    let by = stop.by.as_ref().map(|by| format!(" by {}", plain(by)));
    let reason = stop.reason.as_ref().map(|reason| format!(": {}", plain(reason)));
    [at, by, reason].into_iter().flatten().collect()
}

/// A stop in a table or a list: never empty.
pub(crate) fn show_stopped(stop: &StudyStop) -> String {
    let text = show_stop(stop);
    if text.is_empty() { "yes".to_owned() } else { text.trim_start_matches([' ', ':']).to_owned() }
}

/// A stop for programs.
pub(crate) fn stop_json(stop: &StudyStop) -> Value {
    json!({ "at": stop.at.map(rfc3339), "by": stop.by, "reason": stop.reason })
}

/// `1 later trial was`, `7 later trials were`.
fn count_later(n_trials: u64) -> String {
    let were = if n_trials == 1 { "was" } else { "were" };
    format!("{} {were}", count_of(n_trials, "later trial"))
}

/// How to go on although a budget of the study is used up.
fn lift(flag: &str) -> String {
    format!("no trial is begun, unless `{flag} none --override` lifts it")
}

fn show_time(at: UtcDateTime) -> String {
    format!("{} UTC", at.strftime("%Y-%m-%d %H:%M:%S"))
}

fn rfc3339(at: UtcDateTime) -> String {
    format_rfc3339(at)
}

fn parse_max_trials(text: &str) -> Result<Json, String> {
    let wanted = || format!("`{text}` is no number of trials; write one such as 500, or none");
    // As many as can be read back.
    or_none(text, || {
        text.parse::<u64>().map(Json::from).ok().filter(|n| count(n).is_some()).ok_or_else(wanted)
    })
}

fn parse_wanted(text: &str) -> Result<Json, String> {
    let wanted = || format!("`{text}` is no value; write a finite number such as 0.01, or none");
    let read = || text.parse::<f64>().ok().filter(|value| value.is_finite());
    or_none(text, || read().map(Json::from).ok_or_else(wanted))
}

fn parse_patience(text: &str) -> Result<Json, String> {
    let wanted =
        || format!("`{text}` is no patience; write a number of trials, 1 or more, or none");
    or_none(text, || text.parse::<NonZeroU32>().map(|n| Json::from(n.get())).map_err(|_| wanted()))
}

fn or_none(text: &str, read: impl Fn() -> Result<Json, String>) -> Result<Json, String> {
    if text == "none" { Ok(Json::Null) } else { read() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use trialbox_core::StudyId;

    fn study(attrs: &[(&str, Json)]) -> StudyRecord {
        let attr = |(key, value): &(&str, Json)| ((*key).to_owned(), value.clone());
        StudyRecord {
            id: StudyId(1),
            name: "s".to_owned(),
            directions: vec![StudyDirection::Minimize],
            user_attrs: attrs.iter().map(attr).collect(),
            system_attrs: BTreeMap::new(),
        }
    }

    #[test]
    fn what_the_flags_say_is_what_the_study_gives_back() {
        let args = StoppingArgs {
            max_trials: parse_max_trials("500").ok(),
            stop_when_value: parse_wanted("-1e-3").ok(),
            patience: parse_patience("20").ok(),
        };
        let said: Vec<(String, Json)> = args.said().collect();
        let attrs: Vec<(&str, Json)> =
            said.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let patience = NonZeroU32::new(20).expect("not 0");
        assert_eq!(
            Budgets::of(&study(&attrs)),
            Ok(Budgets {
                max_trials: Some(500),
                rules: vec![StopRule::Value(-0.001), StopRule::Patience(patience)]
            })
        );
    }

    #[test]
    fn none_lifts_a_bound_and_a_bound_that_makes_no_sense_is_named() {
        for (parse, key, bad) in [
            (parse_max_trials as fn(&str) -> _, MAX_TRIALS, Json::from(-1i64)),
            (parse_wanted, STOP_WHEN_VALUE, Json::from(f64::NAN)),
            (parse_patience, PATIENCE, Json::from(0u32)),
        ] {
            let lifted = parse("none").expect("none is a bound");
            assert_eq!(Budgets::of(&study(&[(key, lifted)])), Ok(Budgets::default()));
            assert_eq!(Budgets::of(&study(&[(key, bad)])), Err(key));
            assert_eq!(Budgets::of(&study(&[(key, "many".into())])), Err(key));
            for text in ["", "many", "nan", "inf", "None"] {
                assert!(parse(text).is_err(), "{text}");
            }
        }
        assert!(parse_patience("0").is_err());
        assert!(parse_max_trials("9223372036854775807").is_ok());
        assert!(parse_max_trials("9223372036854775808").is_err());
    }
}
