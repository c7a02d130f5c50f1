//! The records of studies.

use super::Line;
use super::trial::TrialRecord;
use super::value::{Float, object};
use crate::study::budget::MAX_TRIALS;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use trialbox_core::study::record::StudySummary;
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::study::trial::format_rfc3339;
use trialbox_core::value::text::counted;
use trialbox_core::{StudyRecord, TrialState};

/// A study and its progress.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StudyOverview {
    /// The study's name.
    study: String,
    /// `minimize` or `maximize` for each objective.
    directions: Vec<String>,
    /// The names of the objectives, if the study names them.
    metric_names: Option<Vec<String>>,
    /// The number of trials.
    n_trials: u64,
    /// The number of trials still to run, if the study has a budget.
    n_missing: Option<u64>,
    /// The number of trials in each state; a state without trials is left out.
    states: BTreeMap<&'static str, u64>,
    /// The time at which the first trial started (RFC 3339, UTC).
    datetime_start: Option<String>,
    /// The stop that was ordered for all jobs of the study, if one was.
    stopped: Option<StopRecord>,
    /// The attributes that users attached, and those that all jobs of the study share (`trialbox:…`).
    user_attrs: BTreeMap<String, Value>,
    /// The best trial of a single objective; null if none is complete and feasible. Only from `study show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_trial: Option<Option<TrialRecord>>,
    /// The numbers of the trials on the Pareto front of several objectives. Only from `study show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_trials: Option<Vec<u32>>,
    /// True if the command created the study. Only from `study create`.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
}

impl StudyOverview {
    /// Returns what a list of studies shows of a study.
    pub(crate) fn of(summary: &StudySummary) -> Self {
        let study = &summary.study;
        let states = summary.n_trials.iter().map(|(state, count)| (state.as_str(), *count));
        StudyOverview {
            study: study.name.clone(),
            directions: study.directions.iter().map(ToString::to_string).collect(),
            metric_names: study.metric_names(),
            n_trials: summary.n_trials.values().sum(),
            n_missing: n_missing(summary),
            states: states.collect(),
            datetime_start: summary.datetime_start.map(format_rfc3339),
            stopped: stop_of(study).as_ref().map(StopRecord::of),
            user_attrs: object(&study.user_attrs),
            best_trial: None,
            best_trials: None,
            created: None,
        }
    }

    /// Adds the best trial of a single objective.
    pub(crate) fn with_best_trial(self, best: Option<TrialRecord>) -> Self {
        StudyOverview { best_trial: Some(best), ..self }
    }

    /// Adds the trials of a Pareto front.
    pub(crate) fn with_front(self, numbers: Vec<u32>) -> Self {
        StudyOverview { best_trials: Some(numbers), ..self }
    }

    /// Adds whether the command created the study.
    pub(crate) fn with_created(self, created: bool) -> Self {
        StudyOverview { created: Some(created), ..self }
    }
}

/// Returns the stop that was ordered for a study.
pub(crate) fn stop_of(study: &StudyRecord) -> Option<StudyStop> {
    study.user_attrs.get(STOP_ATTR).and_then(StudyStop::from_json)
}

/// Returns the number of trials that are missing to the study's budget; `None` without a budget.
pub(crate) fn n_missing(summary: &StudySummary) -> Option<u64> {
    let most = summary.study.user_attrs.get(MAX_TRIALS)?.as_u64()?;
    // A running trial may still fail, and a pruned one counts, as it does for `--max-trials`.
    let counted = [TrialState::Complete, TrialState::Pruned];
    let n_done: u64 = counted.iter().filter_map(|state| summary.n_trials.get(state)).sum();
    Some(most.saturating_sub(n_done))
}

/// A stop that was ordered for all jobs of a study.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StopRecord {
    /// The time of the order (RFC 3339, UTC), if it is known.
    at: Option<String>,
    /// The user and the machine, if they are known.
    by: Option<String>,
    /// The reason, if one was given.
    reason: Option<String>,
}

impl StopRecord {
    /// Returns the record of a stop.
    pub(crate) fn of(stop: &StudyStop) -> Self {
        StopRecord {
            at: stop.at.map(format_rfc3339),
            by: stop.by.clone(),
            reason: stop.reason.clone(),
        }
    }
}

/// A study that was stopped.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Stopped {
    /// The study's name.
    pub(crate) study: String,
    /// The number of its running trials, which continue.
    pub(crate) n_running: usize,
    #[serde(flatten)]
    pub(crate) stop: StopRecord,
}

/// A study that was resumed.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Resumed {
    /// The study's name.
    pub(crate) study: String,
    /// The stop that was lifted; null if the study was not stopped.
    pub(crate) was: Option<StopRecord>,
}

/// A study that was copied.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Copied {
    /// The copy's name.
    pub(crate) study: String,
    /// The copy's database.
    pub(crate) storage: String,
    /// The number of its trials.
    pub(crate) n_trials: usize,
    /// The name of the study that was copied.
    pub(crate) source: String,
}

impl Line for Copied {
    fn text(&self) -> String {
        let n_trials = counted(self.n_trials as u64, "trial");
        format!(
            "copied {n_trials} of `{}` to study `{}` in {}",
            self.source, self.study, self.storage
        )
    }
}

/// A study that was renamed.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Renamed {
    /// The study's new name.
    pub(crate) study: String,
    /// Its old name.
    pub(crate) was: String,
}

impl Line for Renamed {
    fn text(&self) -> String {
        format!("renamed study `{}` to `{}`", self.was, self.study)
    }
}

/// A study that was deleted.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Deleted {
    /// The study's name.
    pub(crate) study: String,
}

impl Line for Deleted {
    fn text(&self) -> String {
        format!("deleted study `{}`", self.study)
    }
}

/// Attributes that were attached to a study.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AttributesSet {
    /// The study's name.
    pub(crate) study: String,
    /// The names of the attributes.
    pub(crate) keys: Vec<String>,
}

/// A copy of a database.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SnapshotRecord {
    /// The database.
    pub(crate) storage: String,
    /// The copy.
    pub(crate) file: String,
}

impl Line for SnapshotRecord {
    fn text(&self) -> String {
        format!("wrote a copy of {} to {}", self.storage, self.file)
    }
}

/// Trials that were read from a file.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Imported {
    /// The study's name.
    pub(crate) study: String,
    /// True if the command created the study.
    pub(crate) created: bool,
    /// The number of added trials.
    pub(crate) n_trials: usize,
    /// The number of trials in the file that the study already had. They are not added again.
    pub(crate) n_present: usize,
}

impl Line for Imported {
    fn text(&self) -> String {
        let (n_trials, study) = (counted(self.n_trials as u64, "trial"), &self.study);
        let n_present = counted(self.n_present as u64, "trial");
        match (self.created, self.n_trials, self.n_present) {
            (true, ..) => format!("imported {n_trials} into the new study `{study}`"),
            (false, _, 0) => format!("added {n_trials} to study `{study}`"),
            (false, 0, _) => {
                format!(
                    "added no trials to study `{study}`: it already has the {n_present} of the file"
                )
            }
            (false, ..) => {
                format!(
                    "added {n_trials} to study `{study}`, which already has {n_present} of the file"
                )
            }
        }
    }
}

/// The volume that a Pareto front covers.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Hypervolume {
    /// The study's name.
    pub(crate) study: String,
    /// The volume between the front and the reference point.
    pub(crate) hypervolume: Float,
    /// The reference point, one value for each objective.
    pub(crate) reference_point: Vec<Float>,
    /// The number of trials on the front that do not reach the reference point, and so cover nothing.
    pub(crate) n_beyond: usize,
}

/// The importance of one parameter.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImportanceRecord {
    /// The study's name.
    pub(crate) study: String,
    /// `ped-anova`, `fanova` or `mdi`.
    pub(crate) evaluator: &'static str,
    /// The index of the objective; null for all objectives together.
    pub(crate) objective: Option<usize>,
    /// The name of the objective, if it has one.
    pub(crate) metric_name: Option<String>,
    /// The name of the parameter.
    pub(crate) param: String,
    /// The importance; all importances of one objective sum up to 1 unless `--no-normalize` is given.
    pub(crate) importance: Float,
}
