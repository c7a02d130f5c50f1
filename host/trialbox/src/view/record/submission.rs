//! The records of `submit`.

use crate::view::finding::Finding;
use serde::Serialize;

/// The jobs that `submit --dry-run` would submit.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DryRunRecord {
    #[serde(flatten)]
    pub(crate) shape: SubmissionShape,
    /// The text of the array's script.
    pub(crate) script_text: String,
    /// The text of the closing job's script.
    pub(crate) closing_script_text: Option<String>,
}

/// The jobs that `submit` has submitted.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SubmittedRecord {
    #[serde(flatten)]
    pub(crate) shape: SubmissionShape,
    /// The id of the array.
    pub(crate) job_id: String,
    /// The id of the closing job, if `--report` asks for one.
    pub(crate) closing_job_id: Option<String>,
}

/// The members that both records share.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SubmissionShape {
    /// The study's name.
    pub(crate) study: String,
    /// The database's URL.
    pub(crate) storage: String,
    /// The number of trials that the study should have.
    pub(crate) n_trials: u64,
    /// The number of COMPLETE, PRUNED and RUNNING trials.
    pub(crate) n_present: u64,
    /// The number of trials that the jobs should run.
    pub(crate) n_missing: u64,
    /// The number of tasks of the array.
    pub(crate) n_tasks: u64,
    /// The number of tasks that run at a time.
    pub(crate) parallel: u64,
    /// The number of trials that a task runs at most.
    pub(crate) trials_per_task: u64,
    /// The path of the array's script.
    pub(crate) script: String,
    /// The path of the closing job's script, if `--report` asks for one.
    pub(crate) closing_script: Option<String>,
    /// The path of the array's log, with `*` or a pattern of sbatch for the parts that tasks fill in.
    pub(crate) log: String,
    /// The path of the closing job's report.
    pub(crate) report: Option<String>,
    /// The findings of the checks before the submission.
    pub(crate) checks: Vec<Finding>,
}
