//! The records of the reasons for which no further trial starts.

use super::Record;
use super::study::StopRecord;
use super::value::Float;
use serde::Serialize;
use trialbox_core::study::stopping::StopReason;
use trialbox_core::study::trial::format_rfc3339;

/// A study that has all the trials of its budget.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BudgetReached {
    /// The study's name.
    pub(crate) study: String,
    /// The number of COMPLETE, PRUNED and RUNNING trials.
    pub(crate) n_trials: u64,
    /// The number of RUNNING trials among them. Only from `submit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) n_running: Option<usize>,
}

/// A study that a user has stopped.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StudyStopped {
    /// The study's name.
    study: String,
    #[serde(flatten)]
    stop: StopRecord,
}

/// A study whose best value is as good as was wanted.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ValueReached {
    /// The study's name.
    study: String,
    /// The value that was wanted.
    wanted: Float,
    /// The number of the best trial.
    number: u32,
    /// The best trial's value.
    value: Float,
}

/// A study whose last trials improved nothing.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PatienceExhausted {
    /// The study's name.
    study: String,
    /// The number of trials since the best one.
    n_trials: u64,
    /// The best trial.
    best: BestTrial,
}

/// The best trial of a study, which may not have one.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BestTrial {
    /// The trial's number; null if there is no best trial.
    number: Option<u32>,
    /// The trial's value; null if there is no best trial.
    value: Option<Float>,
}

/// A study whose sampler has tried everything.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SearchExhausted {
    /// The study's name.
    study: String,
}

/// A process that is past the time of its `--until`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct UntilReached {
    /// The study's name.
    study: String,
    /// The time of `--until` (RFC 3339, UTC).
    until: String,
}

/// A process that has run for the time of its `--timeout`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TimeoutReached {
    /// The study's name.
    study: String,
    /// The time of `--timeout` in seconds.
    timeout_seconds: f64,
}

/// A process whose trials failed too often.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TooManyFailures {
    /// The study's name.
    study: String,
    /// The number of failed trials of this process.
    n_failures: u32,
}

/// A process whose job ends too soon for another trial.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct JobEnds {
    /// The study's name.
    study: String,
    /// The time until the job ends, in seconds.
    seconds_left: f64,
}

/// Returns the record of the reason for which no further trial of a study starts.
pub(crate) fn stop_record(reason: &StopReason, study: &str) -> Record {
    let study = study.to_owned();
    match reason {
        StopReason::BudgetReached { n_trials, .. } => {
            BudgetReached { study, n_trials: *n_trials, n_running: None }.into()
        }
        StopReason::Stopped(stop) => StudyStopped { study, stop: StopRecord::of(stop) }.into(),
        StopReason::Value { wanted, number, value } => {
            let (wanted, value) = (Float(*wanted), Float(*value));
            ValueReached { study, wanted, number: number.0, value }.into()
        }
        StopReason::Patience { n_trials, best } => {
            let (number, value) = best.unzip();
            let best = BestTrial { number: number.map(|number| number.0), value: value.map(Float) };
            PatienceExhausted { study, n_trials: *n_trials, best }.into()
        }
        StopReason::SearchExhausted => SearchExhausted { study }.into(),
        StopReason::UntilReached(until) => {
            UntilReached { study, until: format_rfc3339(*until) }.into()
        }
        StopReason::TimeoutReached(timeout) => {
            TimeoutReached { study, timeout_seconds: timeout.as_secs_f64() }.into()
        }
        StopReason::TooManyFailures(n_failures) => {
            TooManyFailures { study, n_failures: *n_failures }.into()
        }
        StopReason::JobEnds(left) => JobEnds { study, seconds_left: left.as_secs_f64() }.into(),
    }
}
