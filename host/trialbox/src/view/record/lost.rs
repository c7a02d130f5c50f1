//! The records of trials that are lost to their worker, and of results that are recorded later.

use super::value::Float;
use serde::Serialize;
use trialbox_core::run::reap::Reaped;

/// A trial of this worker that another worker finished.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ClaimLost {
    /// The study's name.
    pub(crate) study: String,
    /// The trial's number.
    pub(crate) number: u32,
    /// The reason for which the result was not recorded.
    pub(crate) reason: String,
    /// The values of the result; empty if there is none.
    pub(crate) values: Vec<Float>,
    /// The study's attribute that keeps the result, if one does.
    pub(crate) kept_as: Option<String>,
}

/// A trial whose worker died.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TrialLost {
    /// The study's name.
    study: String,
    /// The trial's number.
    number: u32,
    /// The reason for which the trial counts as lost.
    reason: String,
    /// The source of that knowledge.
    known_by: &'static str,
    /// Slurm's word for the end of the job, such as `TIMEOUT`, if it has one.
    scheduler_state: Option<String>,
    /// The number of the trial as which it was requeued, if it was.
    retry: Option<u32>,
}

impl TrialLost {
    /// Returns the record of a lost trial.
    pub(crate) fn of(study: &str, reaped: &Reaped) -> Self {
        TrialLost {
            study: study.to_owned(),
            number: reaped.trial.number.0,
            reason: reaped.loss.reason.clone(),
            known_by: reaped.loss.known_by.as_str(),
            scheduler_state: reaped.loss.scheduler_state.clone(),
            retry: reaped.trial.retry.map(|number| number.0),
        }
    }
}

/// The end of `reap`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ReapSummary {
    /// The study's name.
    pub(crate) study: String,
    /// The number of lost trials.
    pub(crate) n_lost: usize,
    /// The number of trials that are still RUNNING.
    pub(crate) n_running: usize,
    /// The numbers of RUNNING trials that are silent, but not for long enough to count as lost.
    pub(crate) suspects: Vec<u32>,
}

/// A result from a file that a worker wrote because it could not reach the database.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SpooledResultRecord {
    /// The path of the file.
    pub(crate) file: String,
    /// `recorded`, `recorded_before`, `too_late`, `homeless`, `waiting` or `unreadable`.
    pub(crate) fate: &'static str,
    /// The study's name, if the file can be read.
    pub(crate) study: Option<String>,
    /// The trial's number, if the file can be read.
    pub(crate) number: Option<u32>,
    /// The text for people.
    pub(crate) message: String,
}
