//! A recorded trial run again, and the first thing in which it differs.

use crate::run::trace::{Difference, float_difference};
use crate::run::{Verdict, judge};
use crate::seam::pruner::{Judgement, Pruner, RunningTrial};
use crate::seam::storage::{BegunTrial, FIXED_PARAMS_ATTR, Storage};
use crate::session::event::Event;
use crate::session::objective::{Interruption, Objective};
use crate::session::{FinishedSession, TrialContext, TrialSession};
use crate::study::failure::{FAILURE_ATTR, Failure};
use crate::study::history::History;
use crate::study::provenance::{Answers, PROVENANCE_ATTR};
use crate::study::trial::{FrozenTrial, TrialState};
use crate::study::usage::USAGE_ATTR;
use crate::value::json::Json;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};

/// The result of [`replay`].
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The first thing in which the new run differs: parameters and reports in the order in which the objective asked
    /// and made them, then attributes, constraints, and how it ended.
    pub difference: Option<Difference>,
    /// The state in which the new run finished.
    pub state: TrialState,
    /// Its values.
    pub values: Vec<f64>,
    /// The failure of the new run, if it failed.
    pub failure: Option<Failure>,
    /// The cause of an interruption, if there was one. Then nothing was compared.
    pub interruption: Option<Interruption>,
}

/// Answers as the pruner did when the trial was recorded.
#[derive(Debug)]
pub struct RecordedAnswers {
    answers: Answers,
    asked: AtomicU64,
}

impl RecordedAnswers {
    /// Those of a recorded trial.
    pub fn of(trial: &FrozenTrial) -> Self {
        RecordedAnswers { answers: Answers::of(trial), asked: AtomicU64::new(0) }
    }
}

impl Pruner for RecordedAnswers {
    fn uses_history(&self) -> bool {
        false
    }

    fn judge(&self, _history: &History, _current: &RunningTrial) -> Judgement {
        // Relaxed: one trial asks, and the count orders nothing else.
        Judgement::new(self.answers.get(self.asked.fetch_add(1, Ordering::Relaxed)))
    }
}

/// The seed that the objective was given, if the trial remembers it. Optuna copies attributes into its retries; a
/// copied provenance speaks of another trial and counts for nothing.
pub fn recorded_seed(trial: &FrozenTrial) -> Option<u64> {
    let provenance = trial.system_attrs.get(PROVENANCE_ATTR)?;
    if provenance.get("trial")?.as_u64()? != u64::from(trial.number.0) {
        return None;
    }
    provenance.get("seed")?.as_u64()
}

/// Runs a recorded trial again, with its parameters and `seed`, and compares all that the objective does with
/// what was recorded: to the bit, except that a zero has no sign and a NaN no payload in a database.
///
/// `begun` is a trial of a scratch storage, in which nothing is kept; `context.pruner` should be the trial's
/// [`RecordedAnswers`].
pub fn replay(
    context: &TrialContext,
    scratch: &mut dyn Storage,
    begun: BegunTrial,
    objective: &mut dyn Objective,
    recorded: &FrozenTrial,
    seed: u64,
) -> Replay {
    let fixed_params = match recorded.system_attrs.get(FIXED_PARAMS_ATTR) {
        Some(Json::Object(members)) => members.clone(),
        _ => Vec::new(),
    };
    let mut begun = BegunTrial { params: recorded.params.clone(), fixed_params, ..begun };
    // The objective can ask for its number, which may decide what it does.
    begun.claim.number = recorded.number;
    let mut comparison = Comparison::new(recorded);
    let mut observer = |event: Event| comparison.observe(&event);
    let mut session = TrialSession::new(context, scratch, &mut observer, begun);
    session.replay_seed(seed);
    let evaluation = objective.evaluate(&mut session);
    let interruption = evaluation.interruption();
    let verdict = judge(evaluation, &context.study.directions, session.last_intermediate_value());
    let finished = session.finish();
    let difference = match interruption {
        None => comparison.finish(&finished, &verdict),
        // The end of the trial is missing because it was interrupted, not because the objective differs.
        Some(_) => None,
    };
    Replay {
        difference,
        interruption,
        state: verdict.outcome.state(),
        values: verdict.outcome.values().to_vec(),
        failure: verdict.failure,
    }
}

/// The comparison of a recorded trial with the events of its replay.
struct Comparison<'a> {
    recorded: &'a FrozenTrial,
    /// True if every reported step is stored.
    has_all_reports: bool,
    asked: BTreeSet<String>,
    reported: BTreeSet<i64>,
    difference: Option<Difference>,
}

impl<'a> Comparison<'a> {
    fn new(recorded: &'a FrozenTrial) -> Self {
        let n_reports = recorded_reports(recorded);
        Comparison {
            has_all_reports: n_reports == Some(recorded.intermediate_values.len() as i64),
            recorded,
            asked: BTreeSet::new(),
            reported: BTreeSet::new(),
            difference: None,
        }
    }

    fn observe(&mut self, event: &Event) {
        if self.difference.is_some() {
            return;
        }
        self.difference = match event {
            Event::Suggested { name, param } => {
                self.asked.insert((*name).to_owned());
                let is = param.distribution.to_string();
                let was = match self.recorded.param(name) {
                    Some(recorded) if recorded.distribution == param.distribution => return,
                    Some(recorded) => recorded.distribution.to_string(),
                    None => "not asked for".to_owned(),
                };
                let what = format!("the distribution of parameter `{name}`");
                Some(Difference { what, was, is })
            }
            // Of several values for one step the first is recorded. Steps that are not stored need not be known.
            Event::Reported { step, value } => {
                let is_stored = self.recorded.intermediate_values.contains_key(step);
                let is_first = !is_stored || self.reported.insert(*step);
                if is_first { self.report_difference(*step, *value) } else { None }
            }
            _ => None,
        };
    }

    fn report_difference(&self, step: i64, value: f64) -> Option<Difference> {
        let what = format!("the report at step {step}");
        match self.recorded.intermediate_values.get(&step) {
            Some(was) => stored_difference(&what, *was, value),
            None if self.has_all_reports => Some(Difference {
                what,
                was: "not made".to_owned(),
                is: Json::Float(value).to_string(),
            }),
            // The recorded curve was thinned: the step may have been reported and not stored.
            None => None,
        }
    }

    fn finish(mut self, finished: &FinishedSession, verdict: &Verdict) -> Option<Difference> {
        let earlier = self.difference.take();
        earlier
            .or_else(|| self.missing())
            .or_else(|| self.reports_difference(finished))
            .or_else(|| self.attrs_difference(finished))
            .or_else(|| self.constraints_difference(finished))
            .or_else(|| self.end_difference(verdict))
    }

    /// Finds recorded data that the replay does not produce any more.
    fn missing(&self) -> Option<Difference> {
        let param = self.recorded.params.iter().find(|(name, _)| !self.asked.contains(name));
        let what = if let Some((name, _)) = param {
            format!("the question for parameter `{name}`")
        } else {
            let mut steps = self.recorded.intermediate_values.keys();
            let step = steps.find(|step| !self.reported.contains(step))?;
            format!("the report at step {step}")
        };
        Some(Difference { what, was: "there".to_owned(), is: "not".to_owned() })
    }

    fn reports_difference(&self, finished: &FinishedSession) -> Option<Difference> {
        let (was, is) = (recorded_reports(self.recorded)?, finished.activity.usage.reports as i64);
        count_difference("the number of reports", was, is)
    }

    fn attrs_difference(&self, finished: &FinishedSession) -> Option<Difference> {
        for (key, value) in &finished.activity.user_attrs {
            let is = value.to_string();
            let was = match self.recorded.user_attrs.get(key) {
                Some(was) => was.to_string(),
                None => "not set".to_owned(),
            };
            // As text, in which a NaN equals itself.
            if was != is {
                return Some(Difference { what: format!("user attribute `{key}`"), was, is });
            }
        }
        // Which of those recorded the objective has set, and not a user, only their number tells.
        let was = self.recorded.system_attrs.get(USAGE_ATTR)?.get("user_attrs")?.as_u64()?;
        let is = finished.activity.user_attrs.len() as u64;
        count_difference("the number of user attributes", was, is)
    }

    fn constraints_difference(&self, finished: &FinishedSession) -> Option<Difference> {
        let recorded = self.recorded.constraints_shown();
        let constraints = &finished.activity.constraints;
        for (name, value) in constraints {
            let what = format!("constraint `{name}`");
            let difference = match recorded.iter().find(|(found, _)| found == name) {
                Some((_, was)) => stored_difference(&what, *was, *value),
                None => Some(Difference {
                    what,
                    was: "not set".to_owned(),
                    is: Json::Float(*value).to_string(),
                }),
            };
            if difference.is_some() {
                return difference;
            }
        }
        let (name, was) = recorded
            .iter()
            .find(|(name, _)| !constraints.iter().any(|(found, _)| found == name))?;
        Some(Difference {
            what: format!("constraint `{name}`"),
            was: Json::Float(*was).to_string(),
            is: "not set".to_owned(),
        })
    }

    fn end_difference(&self, verdict: &Verdict) -> Option<Difference> {
        let (was, is) = (self.recorded, &verdict.outcome);
        let code_was = match was.system_attrs.get(FAILURE_ATTR) {
            Some(failure) => failure.get_str("code").unwrap_or_default(),
            None => "",
        };
        let code_is = match &verdict.failure {
            Some(failure) => failure.code.as_str(),
            None => "",
        };
        if was.state != is.state() || code_was != code_is || was.values.len() != is.values().len() {
            return Some(Difference {
                what: "how the trial ended".to_owned(),
                was: format!("{} {code_was}", was.state).trim_end().to_owned(),
                is: format!("{} {code_is}", is.state()).trim_end().to_owned(),
            });
        }
        let several = was.values.len() > 1;
        let mut values = was.values.iter().zip(is.values()).enumerate();
        values.find_map(|(index, (was, is))| {
            let what = if several { format!("value {index}") } else { "the value".to_owned() };
            stored_difference(&what, *was, *is)
        })
    }
}

fn count_difference<T: PartialEq + Display>(what: &str, was: T, is: T) -> Option<Difference> {
    if was == is {
        return None;
    }
    Some(Difference { what: what.to_owned(), was: was.to_string(), is: is.to_string() })
}

fn recorded_reports(trial: &FrozenTrial) -> Option<i64> {
    trial.system_attrs.get(USAGE_ATTR)?.get("reports")?.as_i64()
}

/// Two floats that differ, one of which has been in a database: SQLite keeps no sign of a zero, and Optuna's
/// schema no bits of a NaN.
fn stored_difference(what: &str, was: f64, is: f64) -> Option<Difference> {
    let is_same = (was.is_nan() && is.is_nan()) || (was == 0.0 && is == 0.0);
    if is_same { None } else { float_difference(what, was, is) }
}
