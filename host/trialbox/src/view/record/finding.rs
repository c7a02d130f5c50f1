//! The records of `doctor` and `doctor --slurm`.

use super::Record;
use crate::probe::{Facts, Report};
use crate::view::finding::{Counts, Finding};
use serde::Serialize;

/// A finding. The members about a database are left out by `doctor --slurm`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FindingRecord {
    #[serde(flatten)]
    pub(crate) finding: Finding,
    #[serde(flatten)]
    pub(crate) database: Option<DatabaseFinding>,
}

/// The place of a finding in a database, and its repair.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DatabaseFinding {
    /// The study's name.
    pub(crate) study: Option<String>,
    /// The trial's number.
    pub(crate) trial_number: Option<i64>,
    /// The trial's id in the database.
    pub(crate) trial_id: Option<i64>,
    /// The parameter, attribute, step, objective, table or column.
    pub(crate) key: Option<String>,
    /// A file other than the database.
    pub(crate) file: Option<String>,
    /// True if `--repair` can repair it.
    pub(crate) repairable: bool,
    /// True if this command has repaired it.
    pub(crate) repaired: bool,
    /// The change that the repair makes.
    pub(crate) repair: Option<String>,
    /// The reason for which it is not repaired, if there is one.
    pub(crate) not_repaired_because: Option<&'static str>,
}

/// The last record of an examination, with the members of a database or those of a cluster.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SummaryRecord {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// The version of trialbox.
    pub(crate) trialbox_version: &'static str,
    #[serde(flatten)]
    pub(crate) database: Option<DatabaseSummary>,
    #[serde(flatten)]
    pub(crate) cluster: Option<ClusterSummary>,
}

/// The members of a summary about a database.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DatabaseSummary {
    /// The path.
    pub(crate) database: String,
    /// The number of repairs; `null` without `--repair`.
    pub(crate) repaired: Option<usize>,
    /// The copy from before the repair.
    pub(crate) copy: Option<String>,
    /// The type of the database's file system, such as `ext4` or `nfs4`.
    pub(crate) file_system: Option<String>,
    /// The folder at which the file system is mounted.
    pub(crate) mount_point: Option<String>,
    /// The device or the server of the file system.
    pub(crate) mount_source: Option<String>,
    /// The options with which it is mounted.
    pub(crate) mount_options: Option<Vec<String>>,
    /// `local`, `network` or `unknown`: the machines between which SQLite's locks hold.
    pub(crate) locks: Option<&'static str>,
    /// The free space of the file system.
    pub(crate) free_bytes: Option<u64>,
    /// The version of SQLite in trialbox.
    pub(crate) sqlite_version: &'static str,
}

/// The members of a summary about a cluster.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ClusterSummary {
    /// The id of the job that looked at the nodes.
    pub(crate) job_id: String,
    /// The machine of the command.
    pub(crate) here: Facts,
    /// The reports of the job's tasks.
    pub(crate) nodes: Vec<Report>,
    /// The version of Slurm.
    pub(crate) slurm_version: Option<String>,
}

impl From<Finding> for Record {
    fn from(finding: Finding) -> Self {
        Record::Finding(Box::new(FindingRecord { finding, database: None }))
    }
}
