//! The record of a trial.

use super::value::{Float, distribution, floats, object, params, to_value};
use crate::view::failure::{failure_help, limit_flag};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use trialbox_core::run::FinishedTrial;
use trialbox_core::session::transcript::LogSource;
use trialbox_core::study::constraint::is_satisfied;
use trialbox_core::study::failure::{FAILURE_ATTR, Failure};
use trialbox_core::study::limits::Limit;
use trialbox_core::study::provenance::was_sandboxed;
use trialbox_core::study::trial::format_rfc3339;
use trialbox_core::study::usage::{USAGE_ATTR, Usage};
use trialbox_core::{FrozenTrial, Json, Param, StudyRecord};

/// A trial.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TrialRecord {
    /// The name of its study; for `eval`, the name of the objective.
    study: String,
    /// The trial's number in its study, from 0.
    number: u32,
    /// `COMPLETE`, `PRUNED`, `FAIL`, `RUNNING` or `WAITING`.
    state: &'static str,
    /// One value for each objective; of a pruned trial the last reported one, of a failed one none.
    values: Vec<Float>,
    /// The values by the names of their objectives, if the study names them.
    metrics: Option<BTreeMap<String, Float>>,
    /// The parameters by name, as the objective saw them.
    params: BTreeMap<String, Value>,
    /// The range or the choices of each parameter, in Optuna's form.
    distributions: BTreeMap<String, Value>,
    /// The constraints by name, each satisfied when its value is at most 0.
    constraints: BTreeMap<String, Float>,
    /// True if all constraints are satisfied.
    feasible: bool,
    /// The seconds from the trial's start to its end.
    duration_seconds: Option<f64>,
    /// The attributes that the objective or a user attached.
    user_attrs: BTreeMap<String, Value>,
    /// False if the objective was a program, which runs without the sandbox; null if trialbox did not run the trial.
    sandboxed: Option<bool>,
    /// The resources that the trial used, if trialbox ran it.
    usage: Option<UsageRecord>,
    /// The cause, if the trial failed and its cause is known.
    failure: Option<FailureRecord>,
    /// Present for a trial from the database.
    #[serde(flatten)]
    stored: Option<StoredTrial>,
    /// Present for a trial that this command has run.
    #[serde(flatten)]
    finished: Option<TrialRun>,
}

/// The members of a trial that only the database knows.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct StoredTrial {
    /// The time at which the trial started (RFC 3339, UTC). Only for trials from the database.
    datetime_start: Option<String>,
    /// The time at which the trial finished (RFC 3339, UTC). Only for trials from the database.
    datetime_complete: Option<String>,
    /// The reported values as pairs of step and value. Only for trials from the database.
    intermediate_values: Vec<(i64, Float)>,
    /// The attributes of trialbox and of Optuna's samplers. Only for trials from the database.
    system_attrs: BTreeMap<String, Value>,
}

/// The members of a trial that only the process knows that ran it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct TrialRun {
    /// The number of reported values. Only from `run` and `eval`.
    n_reports: u64,
    /// The number of reported values that are stored. Only from `run` and `eval`.
    n_reports_stored: usize,
    /// The number of the trial that repeats this one, if one was queued. Only from `run` and `eval`.
    retry: Option<u32>,
    /// The end of what the objective logged and printed. Only from `run` and `eval`.
    log: Vec<LogRecord>,
    /// The bytes of log that were dropped before the first line of `log`. Only from `run` and `eval`.
    log_bytes_dropped: u64,
}

/// A line that an objective logged or printed.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct LogRecord {
    /// `debug`, `info`, `warning` or `error` for a log line, `stdout` or `stderr` for a printed one, `trialbox` for a
    /// remark of the host.
    source: &'static str,
    /// The line without control characters.
    text: String,
}

/// The resources that a trial used.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct UsageRecord {
    /// The seconds for which the objective ran.
    wall_seconds: f64,
    /// The CPU time in seconds, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    /// The largest amount of memory held at one time, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
    /// The largest amount of memory on GPUs, if `nvidia-smi` was there to show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu_memory_bytes: Option<u64>,
    /// The mean utilisation of the trial's GPUs in percent, if `nvidia-smi` was there to show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu_percent: Option<f64>,
    /// The approximate number of executed instructions, if they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    /// The number of calls from the objective to the host.
    host_calls: u64,
    /// The number of reported values.
    reports: u64,
    /// The number of user attributes that were set.
    user_attrs: u64,
    /// The bytes that were logged and printed.
    log_bytes: u64,
}

/// The cause of a failed trial.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FailureRecord {
    /// The stable code of the failure, such as `E-MEM`.
    code: String,
    /// One sentence for people.
    message: String,
    /// A remedy, if one is known. It is not stored with the trial.
    #[serde(default)]
    help: Option<String>,
    /// The limit that was reached, if one was.
    #[serde(default)]
    limit: Option<LimitRecord>,
    /// The functions that were running, innermost first.
    #[serde(default)]
    backtrace: Vec<String>,
}

/// A limit that a trial reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct LimitRecord {
    /// The limit's name, as `--limit` takes it.
    name: String,
    /// Its value.
    allowed: u64,
    /// The amount that was asked for or used, if it is known.
    #[serde(default)]
    used: Option<u64>,
    /// `bytes`, `milliseconds`, `characters` or `count`.
    unit: String,
    /// The flag that changes the limit.
    flag: String,
}

impl TrialRecord {
    /// Returns the record of a trial in the database.
    pub(crate) fn of_stored(study: &StudyRecord, trial: &FrozenTrial) -> Self {
        let usage = trial.system_attrs.get(USAGE_ATTR).map(Usage::from_json);
        let stored = StoredTrial {
            datetime_start: trial.datetime_start.map(format_rfc3339),
            datetime_complete: trial.datetime_complete.map(format_rfc3339),
            intermediate_values: trial
                .intermediate_values
                .iter()
                .map(|(step, value)| (*step, Float(*value)))
                .collect(),
            system_attrs: object(&trial.system_attrs),
        };
        TrialRecord {
            study: study.name.clone(),
            number: trial.number.0,
            state: trial.state.as_str(),
            values: floats(&trial.values),
            metrics: metrics(study, &trial.values),
            params: params(&trial.params),
            distributions: distributions(&trial.params),
            constraints: constraints(&trial.constraints_shown()),
            feasible: trial.is_feasible(),
            duration_seconds: trial.duration().map(|duration| duration.as_secs_f64()),
            user_attrs: object(&trial.user_attrs),
            sandboxed: was_sandboxed(trial),
            usage: usage.as_ref().map(UsageRecord::of),
            failure: trial.system_attrs.get(FAILURE_ATTR).and_then(FailureRecord::of_stored),
            stored: Some(stored),
            finished: None,
        }
    }

    /// Returns the record of a trial that this process has run.
    pub(crate) fn of_finished(
        study: &StudyRecord,
        trial: &FinishedTrial,
        is_sandboxed: bool,
    ) -> Self {
        let finished = TrialRun {
            n_reports: trial.n_reports,
            n_reports_stored: trial.n_reports_stored,
            retry: trial.retry.map(|number| number.0),
            log: trial
                .transcript
                .lines()
                .map(|line| LogRecord { source: source_name(line.source), text: line.text.clone() })
                .collect(),
            log_bytes_dropped: trial.transcript.dropped_bytes(),
        };
        TrialRecord {
            study: study.name.clone(),
            number: trial.number.0,
            state: trial.state.as_str(),
            values: floats(&trial.values),
            metrics: metrics(study, &trial.values),
            params: params(&trial.params),
            distributions: distributions(&trial.params),
            constraints: constraints(&trial.constraints),
            feasible: trial.constraints.iter().all(|(_, value)| is_satisfied(*value)),
            duration_seconds: Some(trial.duration.as_secs_f64()),
            user_attrs: object(&trial.user_attrs),
            sandboxed: Some(is_sandboxed),
            usage: Some(UsageRecord::of(&trial.usage)),
            failure: trial.failure.as_ref().map(FailureRecord::of),
            stored: None,
            finished: Some(finished),
        }
    }
}

impl FailureRecord {
    /// Returns the record of a failure.
    pub(crate) fn of(failure: &Failure) -> Self {
        FailureRecord {
            code: failure.code.as_str().to_owned(),
            message: failure.message.clone(),
            help: failure_help(failure),
            limit: failure.limit.and_then(|limit| LimitRecord::of_json(to_value(&limit.to_json()))),
            backtrace: failure.backtrace.clone(),
        }
    }

    /// Reads the failure that is stored with a trial; `None` if another program wrote the attribute in its own form.
    fn of_stored(failure: &Json) -> Option<Self> {
        let mut failure = to_value(failure);
        let limit = failure.as_object_mut().and_then(|failure| failure.remove("limit"));
        let mut record: FailureRecord = serde_json::from_value(failure).ok()?;
        record.limit = limit.and_then(LimitRecord::of_json);
        Some(record)
    }
}

impl LimitRecord {
    /// Reads the limit in a failure's JSON, and adds its flag, which the library does not know.
    fn of_json(mut limit: Value) -> Option<Self> {
        let name = limit.get("name")?.as_str()?;
        let flag = Limit::parse(name).map_or_else(|| format!("--limit {name}"), limit_flag);
        limit.as_object_mut()?.insert("flag".to_owned(), Value::from(flag));
        serde_json::from_value(limit).ok()
    }
}

impl UsageRecord {
    fn of(usage: &Usage) -> Self {
        UsageRecord {
            wall_seconds: usage.wall.as_secs_f64(),
            cpu_seconds: usage.cpu.as_ref().map(Duration::as_secs_f64),
            peak_memory_bytes: usage.peak_memory_bytes,
            gpu_memory_bytes: usage.gpu_memory_bytes,
            gpu_percent: usage.gpu_percent,
            fuel: usage.fuel,
            host_calls: usage.host_calls,
            reports: usage.reports,
            user_attrs: usage.user_attrs,
            log_bytes: usage.log_bytes,
        }
    }
}

/// Returns the name of a log line's source.
fn source_name(source: LogSource) -> &'static str {
    match source {
        LogSource::Log(level) => crate::view::finished::level_name(level),
        LogSource::Stdout => "stdout",
        LogSource::Stderr => "stderr",
        LogSource::Host => "trialbox",
    }
}

/// Returns values by the names of their objectives; `None` where the study has no names.
fn metrics(study: &StudyRecord, values: &[f64]) -> Option<BTreeMap<String, Float>> {
    Some(study.metric_names()?.into_iter().zip(floats(values)).collect())
}

fn distributions(params: &[(String, Param)]) -> BTreeMap<String, Value> {
    params.iter().map(|(name, param)| (name.clone(), distribution(&param.distribution))).collect()
}

fn constraints(constraints: &[(String, f64)]) -> BTreeMap<String, Float> {
    constraints.iter().map(|(name, value)| (name.clone(), Float(*value))).collect()
}
