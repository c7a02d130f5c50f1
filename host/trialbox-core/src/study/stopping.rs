//! The end of a study: rules that read its history, the stop that a user orders for all its jobs, and the reasons for
//! which no further trial starts.
//!
//! The number of trials is not a rule here: the storage counts them in the transaction that starts one, so that the
//! number is never exceeded ([`crate::seam::storage::BeginTrial::max_trials`]).

use crate::study::history::History;
use crate::study::record::best_trial;
use crate::study::trial::{TrialNumber, UtcDateTime, format_rfc3339, parse_datetime};
use crate::value::json::Json;
use std::num::NonZeroU32;
use std::time::Duration;

/// A rule by which a study of one objective needs no further trial. With several objectives no rule ever holds, because
/// trials have no best value.
///
/// A rule is a function of the history alone. It may cease to hold when a running trial finishes with a better value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StopRule {
    /// The best trial is as good as this value: `<=` it when minimising, `>=` when maximising.
    Value(f64),
    /// So many trials with higher numbers than the best one have ended COMPLETE or PRUNED; while there is no
    /// best trial, so many trials of the study.
    ///
    /// The best trial is that of [`best_trial`]: COMPLETE, feasible, of equals the first. So a tie is no
    /// improvement, and neither is an infeasible or a PRUNED trial, but they count. FAIL trials do not: they
    /// say something of the machine or of a mistake, and their retries count. Numbers and not the times of
    /// completion, because those are by the clocks of many machines.
    Patience(NonZeroU32),
}

/// The bounds of a study, as it remembers them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Budgets {
    /// The number of trials that it may have.
    pub max_trials: Option<u64>,
    /// The rules that end it.
    pub rules: Vec<StopRule>,
}

/// A reason for which no further trial starts.
#[derive(Debug, Clone, PartialEq)]
pub enum StopReason {
    /// The study has all the trials that it may have.
    BudgetReached {
        /// The trials that count: COMPLETE, PRUNED or RUNNING.
        n_trials: u64,
        /// The number that it may have.
        max_trials: u64,
    },
    /// A user has stopped the study.
    Stopped(StudyStop),
    /// A trial is as good as was wanted.
    Value {
        /// The value that was wanted.
        wanted: f64,
        /// The best trial.
        number: TrialNumber,
        /// Its value.
        value: f64,
    },
    /// Too many trials in a row improved nothing.
    Patience {
        /// The number of these trials.
        n_trials: u64,
        /// The best trial and its value, if there is one.
        best: Option<(TrialNumber, f64)>,
    },
    /// The sampler has tried everything.
    SearchExhausted,
    /// The point in time after which this process starts no trial has passed.
    UntilReached(UtcDateTime),
    /// This process has been running for as long as it may.
    TimeoutReached(Duration),
    /// The job ends too soon for another trial: this much time is left.
    JobEnds(Duration),
    /// As many trials of this process have failed as are tolerated.
    TooManyFailures(u32),
}

impl StopReason {
    /// Returns whether the study has all that it needs, rather than this process too little time or a user's order to
    /// stop.
    pub fn completes_study(&self) -> bool {
        match self {
            StopReason::BudgetReached { .. }
            | StopReason::Value { .. }
            | StopReason::Patience { .. }
            | StopReason::SearchExhausted => true,
            StopReason::Stopped(_)
            | StopReason::UntilReached(_)
            | StopReason::TimeoutReached(_)
            | StopReason::JobEnds(_)
            | StopReason::TooManyFailures(_) => false,
        }
    }
}

impl StopRule {
    /// Returns the reason, if the rule holds. O(trials).
    pub fn check(&self, history: &History) -> Option<StopReason> {
        let [direction] = history.directions()[..] else { return None };
        let best = best_trial(history.trials(), direction);
        let best = best.and_then(|trial| Some((trial.number, trial.value()?)));
        match *self {
            StopRule::Value(wanted) => {
                let (number, value) = best?;
                if direction.to_minimize(value) > direction.to_minimize(wanted) {
                    return None;
                }
                Some(StopReason::Value { wanted, number, value })
            }
            StopRule::Patience(patience) => {
                let since = match best {
                    // The trials are sorted by number.
                    Some((best, _)) => {
                        history.trials().partition_point(|trial| trial.number <= best)
                    }
                    None => 0,
                };
                let n_trials = history.trials()[since..]
                    .iter()
                    .filter(|trial| trial.state.is_evaluated())
                    .count() as u64;
                if n_trials < u64::from(patience.get()) {
                    return None;
                }
                Some(StopReason::Patience { n_trials, best })
            }
        }
    }
}

/// Returns the reason of the first rule that holds.
///
/// # Errors
/// Those of reading the history, which is read only if there are rules.
pub fn stop_reason<E>(
    rules: &[StopRule],
    history: impl FnOnce() -> Result<History, E>,
) -> Result<Option<StopReason>, E> {
    if rules.is_empty() {
        return Ok(None);
    }
    let history = history()?;
    Ok(rules.iter().find_map(|rule| rule.check(&history)))
}

/// The user attribute of a study that stops all its jobs: while it is set to anything but null and false, no trial
/// starts. Optuna itself ignores it.
pub const STOP_ATTR: &str = "trialbox:stop";

/// A study's stop, as a user ordered it. Members that a foreign value of [`STOP_ATTR`] lacks are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyStop {
    /// The time of the order.
    pub at: Option<UtcDateTime>,
    /// The user and the machine.
    pub by: Option<String>,
    /// The reason that the user gave.
    pub reason: Option<String>,
}

impl StudyStop {
    /// Reads the value of [`STOP_ATTR`]; null and false are no stop.
    pub fn from_json(json: &Json) -> Option<Self> {
        if matches!(json, Json::Null | Json::Bool(false)) {
            return None;
        }
        Some(StudyStop {
            at: json.get_str("at").and_then(parse_datetime),
            by: json.get_str("by").map(str::to_owned),
            reason: json.get_str("reason").map(str::to_owned),
        })
    }

    /// The value of [`STOP_ATTR`]: an object of `at` (RFC 3339, UTC), `by` and `reason`.
    pub fn to_json(&self) -> Json {
        Json::object([
            ("at", self.at.map(format_rfc3339).into()),
            ("by", self.by.clone().into()),
            ("reason", self.reason.clone().into()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::record::StudyDirection::{self, Maximize, Minimize};
    use crate::study::trial::{FrozenTrial, TrialId, TrialState};
    use std::collections::BTreeMap;

    /// How a trial ended; trials are numbered in the order given.
    #[derive(Clone, Copy)]
    enum End {
        Complete(f64),
        Infeasible(f64),
        Pruned(f64),
        Fail,
        Running,
        Waiting,
    }
    use End::{Complete, Fail, Infeasible, Pruned, Running, Waiting};

    fn history(directions: &[StudyDirection], ends: &[End]) -> History {
        let trial = |(number, end): (u32, &End)| {
            let (state, values) = match *end {
                Complete(value) | Infeasible(value) => {
                    (TrialState::Complete, vec![value; directions.len()])
                }
                Pruned(value) => (TrialState::Pruned, vec![value]),
                Fail => (TrialState::Fail, vec![]),
                Running => (TrialState::Running, vec![]),
                Waiting => (TrialState::Waiting, vec![]),
            };
            let broken = matches!(end, Infeasible(_)).then(|| ("constraints:c".into(), 1.0.into()));
            FrozenTrial {
                id: TrialId(i64::from(number) + 1),
                number: TrialNumber(number),
                state,
                values,
                datetime_start: None,
                datetime_complete: None,
                params: vec![],
                user_attrs: BTreeMap::new(),
                system_attrs: broken.into_iter().collect(),
                intermediate_values: BTreeMap::new(),
            }
        };
        History::new(directions.to_vec(), (0..).zip(ends).map(trial).collect())
    }

    /// `best` is the number and value of the trial that is as good as 1; none if the study goes on.
    #[track_caller]
    fn check_value(direction: StudyDirection, ends: &[End], best: Option<(u32, f64)>) {
        let wanted = 1.0;
        let reason = best.map(|(number, value)| StopReason::Value {
            wanted,
            number: TrialNumber(number),
            value,
        });
        assert_eq!(StopRule::Value(wanted).check(&history(&[direction], ends)), reason);
    }

    /// With a patience of 3; `want` is the number of trials in vain and the best one; none if the study goes on.
    #[track_caller]
    fn check_patience(
        direction: StudyDirection,
        ends: &[End],
        want: Option<(u64, Option<(u32, f64)>)>,
    ) {
        let rule = StopRule::Patience(NonZeroU32::new(3).expect("not 0"));
        let reason = want.map(|(n_trials, best)| StopReason::Patience {
            n_trials,
            best: best.map(|(number, value)| (TrialNumber(number), value)),
        });
        assert_eq!(rule.check(&history(&[direction], ends)), reason);
    }

    #[test]
    fn a_value_that_is_as_good_ends_the_study_in_either_direction() {
        check_value(Minimize, &[Complete(2.0), Complete(1.5)], None);
        check_value(Minimize, &[Complete(2.0), Complete(1.0), Fail], Some((1, 1.0)));
        check_value(Minimize, &[Complete(f64::NEG_INFINITY)], Some((0, f64::NEG_INFINITY)));
        check_value(Minimize, &[Complete(f64::INFINITY)], None);
        check_value(Maximize, &[Complete(0.0), Complete(0.5)], None);
        check_value(Maximize, &[Complete(0.0), Complete(1.0), Complete(3.0)], Some((2, 3.0)));
        check_value(Maximize, &[], None);
    }

    #[test]
    fn only_a_complete_and_feasible_trial_is_as_good() {
        check_value(Minimize, &[Pruned(0.0), Infeasible(0.0), Fail, Running, Waiting], None);
        check_value(Minimize, &[Infeasible(0.0), Complete(0.5)], Some((1, 0.5)));
    }

    #[test]
    fn patience_counts_what_came_after_the_best_trial() {
        let falling = [Complete(4.0), Complete(3.0), Complete(2.0), Complete(1.0)];
        check_patience(Minimize, &falling, None);
        check_patience(Maximize, &falling, Some((3, Some((0, 4.0)))));
        check_patience(Maximize, &falling[..3], None);
        // Who improves late lets the study go on.
        check_patience(Maximize, &[&falling[..], &[Complete(5.0)]].concat(), None);
    }

    #[test]
    fn a_tie_is_no_improvement() {
        check_patience(Minimize, &[Complete(1.0); 4], Some((3, Some((0, 1.0)))));
        check_patience(Minimize, &[Complete(1.0); 3], None);
    }

    #[test]
    fn pruned_and_infeasible_trials_count_and_improve_nothing() {
        let vain = [Complete(1.0), Pruned(0.0), Infeasible(0.0), Complete(2.0)];
        check_patience(Minimize, &vain, Some((3, Some((0, 1.0)))));
    }

    #[test]
    fn failed_and_unfinished_trials_do_not_count() {
        let begun = [Complete(1.0), Fail, Running, Waiting, Fail, Complete(2.0), Pruned(0.0)];
        check_patience(Minimize, &begun, None);
        check_patience(
            Minimize,
            &[&begun[..], &[Complete(3.0)]].concat(),
            Some((3, Some((0, 1.0)))),
        );
    }

    #[test]
    fn without_a_best_trial_patience_counts_from_the_beginning() {
        check_patience(Minimize, &[Pruned(0.0), Infeasible(0.0)], None);
        check_patience(
            Minimize,
            &[Pruned(0.0), Fail, Infeasible(0.0), Pruned(1.0)],
            Some((3, None)),
        );
        check_patience(Minimize, &[Pruned(0.0), Infeasible(0.0), Complete(9.0)], None);
    }

    #[test]
    fn a_late_end_of_an_early_trial_is_judged_by_its_number() {
        let ends = [Complete(2.0), Running, Complete(3.0), Complete(3.0), Complete(3.0)];
        check_patience(Minimize, &ends, Some((3, Some((0, 2.0)))));
        let mut better = ends;
        better[1] = Complete(1.0);
        check_patience(Minimize, &better, Some((3, Some((1, 1.0)))));
    }

    #[test]
    fn no_rule_holds_for_several_objectives() {
        let history = history(&[Minimize, Maximize], &[Complete(0.0); 9]);
        assert_eq!(StopRule::Value(1.0).check(&history), None);
        assert_eq!(StopRule::Patience(NonZeroU32::MIN).check(&history), None);
    }

    #[test]
    fn the_history_is_read_only_for_a_rule_and_the_first_that_holds_is_the_reason() {
        let unread = || -> Result<History, &str> { Err("it was read") };
        assert_eq!(stop_reason(&[], unread), Ok(None));
        assert_eq!(stop_reason(&[StopRule::Value(0.0)], unread), Err("it was read"));
        let rules = [StopRule::Value(0.0), StopRule::Patience(NonZeroU32::MIN)];
        let read = || Ok::<_, &str>(history(&[Minimize], &[Complete(1.0), Complete(2.0)]));
        let best = Some((TrialNumber(0), 1.0));
        assert_eq!(stop_reason(&rules, read), Ok(Some(StopReason::Patience { n_trials: 1, best })));
    }

    #[test]
    fn a_stop_is_read_as_it_was_written_and_anything_but_null_and_false_is_one() {
        let stop = StudyStop {
            at: parse_datetime("2026-11-25 18:00:00.000001"),
            by: Some("anna@node7".to_owned()),
            reason: None,
        };
        let json = stop.to_json();
        assert_eq!(
            json.to_string(),
            r#"{"at": "2026-11-25T18:00:00.000001Z", "by": "anna@node7", "reason": null}"#
        );
        assert_eq!(StudyStop::from_json(&json), Some(stop));
        for (value, stops) in [("null", false), ("false", false), ("true", true), ("\"no\"", true)]
        {
            let read = StudyStop::from_json(&Json::parse(value).expect("JSON"));
            assert_eq!(read, stops.then(StudyStop::default), "{value}");
        }
    }
}
