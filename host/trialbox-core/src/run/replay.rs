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
        Judgement::new(self.answers.get(self.asked.fetch_add(1, Ordering::Relaxed)))
    }
}

/// The seed that the objective was given, if the trial remembers it. Optuna copies attributes into its retries; a
/// copied provenance speaks of another trial and counts for nothing.
pub fn recorded_seed(trial: &FrozenTrial) -> Option<u64> {
    let provenance = trial.system_attrs.get(PROVENANCE_ATTR)?;
    let is_own = provenance.get("trial")?.as_u64() == Some(u64::from(trial.number.0));
    provenance.get("seed")?.as_u64().filter(|_| is_own)
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
    begun.claim.number = recorded.number;
    let mut comparison = Comparison::new(recorded);
    let mut observer = |event: Event| comparison.observe(&event);
    let mut session = TrialSession::new(context, scratch, &mut observer, begun);
    session.replay_seed(seed);
    let evaluation = objective.evaluate(&mut session);
    let interruption = evaluation.interruption();
    let verdict = judge(evaluation, &context.study.directions, session.last_intermediate_value());
    let finished = session.finish();
    let difference = comparison.finish(&finished, &verdict).filter(|_| interruption.is_none());
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
                let was = self.recorded.param(name).map(|recorded| &recorded.distribution);
                (was != Some(&param.distribution)).then(|| Difference {
                    what: format!("the distribution of parameter `{name}`"),
                    was: was.map_or_else(|| "not asked for".to_owned(), ToString::to_string),
                    is,
                })
            }
            // Of several values for one step the first is recorded. Steps that are not stored need not be known.
            Event::Reported { step, value } => {
                let is_stored = self.recorded.intermediate_values.contains_key(step);
                let is_first = !is_stored || self.reported.insert(*step);
                is_first.then(|| self.report_difference(*step, *value)).flatten()
            }
            _ => None,
        };
    }

    fn report_difference(&self, step: i64, value: f64) -> Option<Difference> {
        let what = format!("the report at step {step}");
        match self.recorded.intermediate_values.get(&step) {
            Some(was) => stored_difference(&what, *was, value),
            None => self.has_all_reports.then(|| Difference {
                what,
                was: "not made".to_owned(),
                is: Json::Float(value).to_string(),
            }),
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
        let gone =
            |what: String| Difference { what, was: "there".to_owned(), is: "not".to_owned() };
        let report = || {
            let mut steps = self.recorded.intermediate_values.keys();
            let step = steps.find(|step| !self.reported.contains(step))?;
            Some(gone(format!("the report at step {step}")))
        };
        param.map(|(name, _)| gone(format!("the question for parameter `{name}`"))).or_else(report)
    }

    fn reports_difference(&self, finished: &FinishedSession) -> Option<Difference> {
        let (was, is) = (recorded_reports(self.recorded)?, finished.activity.usage.reports as i64);
        let what = "the number of reports".to_owned();
        (was != is).then(|| Difference { what, was: was.to_string(), is: is.to_string() })
    }

    fn attrs_difference(&self, finished: &FinishedSession) -> Option<Difference> {
        let differing = finished.activity.user_attrs.iter().find_map(|(key, value)| {
            let was = self.recorded.user_attrs.get(key).map(ToString::to_string);
            let is = value.to_string();
            (was.as_ref() != Some(&is)).then(|| Difference {
                what: format!("user attribute `{key}`"),
                was: was.unwrap_or_else(|| "not set".to_owned()),
                is,
            })
        });
        // Which of those recorded the objective has set, and not a user, only their number tells.
        differing.or_else(|| {
            let was = self.recorded.system_attrs.get(USAGE_ATTR)?.get("user_attrs")?.as_u64()?;
            let is = finished.activity.user_attrs.len() as u64;
            let what = "the number of user attributes".to_owned();
            (was != is).then(|| Difference { what, was: was.to_string(), is: is.to_string() })
        })
    }

    fn constraints_difference(&self, finished: &FinishedSession) -> Option<Difference> {
        let recorded = self.recorded.constraints_shown();
        let set = |name: &str| finished.activity.constraints.iter().any(|(found, _)| found == name);
        let gone = recorded.iter().find(|(name, _)| !set(name)).map(|(name, was)| Difference {
            what: format!("constraint `{name}`"),
            was: Json::Float(*was).to_string(),
            is: "not set".to_owned(),
        });
        let differing = finished.activity.constraints.iter().find_map(|(name, value)| {
            let what = format!("constraint `{name}`");
            match recorded.iter().find(|(found, _)| found == name) {
                Some((_, was)) => stored_difference(&what, *was, *value),
                None => Some(Difference {
                    what,
                    was: "not set".to_owned(),
                    is: Json::Float(*value).to_string(),
                }),
            }
        });
        differing.or(gone)
    }

    fn end_difference(&self, verdict: &Verdict) -> Option<Difference> {
        let (was, is) = (self.recorded, &verdict.outcome);
        let code_was = was.system_attrs.get(FAILURE_ATTR).and_then(|failure| failure.get("code"));
        let code_was = code_was.and_then(Json::as_str).unwrap_or_default();
        let code_is = verdict.failure.as_ref().map_or("", |failure| failure.code.as_str());
        if was.state != is.state() || code_was != code_is || was.values.len() != is.values().len() {
            let show =
                |state: TrialState, code: &str| format!("{state} {code}").trim_end().to_owned();
            return Some(Difference {
                what: "how the trial ended".to_owned(),
                was: show(was.state, code_was),
                is: show(is.state(), code_is),
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

fn recorded_reports(trial: &FrozenTrial) -> Option<i64> {
    trial.system_attrs.get(USAGE_ATTR)?.get("reports")?.as_i64()
}

/// Two floats that differ, one of which has been in a database: SQLite keeps no sign of a zero, and Optuna's
/// schema no bits of a NaN.
fn stored_difference(what: &str, was: f64, is: f64) -> Option<Difference> {
    let is_same = (was.is_nan() && is.is_nan()) || (was == 0.0 && is == 0.0);
    if is_same { None } else { float_difference(what, was, is) }
}
