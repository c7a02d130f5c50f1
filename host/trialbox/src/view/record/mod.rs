//! Records: everything that `--format json` prints, and the views that give people the same data as text.
//!
//! A new kind of output is a struct beside these, a variant of [`Record`], and a [`View`] that renders it as text.
//! Two rules hold for every record. A key that is there keeps its name and its meaning from version to version. `null`
//! means that there is no value; a key that is left out means that the command did not look for one.

mod finding;
mod submission;
mod trial;
mod value;

pub(crate) use finding::{
    ClusterSummary, DatabaseFinding, DatabaseSummary, FindingRecord, SummaryRecord,
};
pub(crate) use submission::{DryRunRecord, SubmissionShape, SubmittedRecord};
pub(crate) use trial::{FailureRecord, TrialRecord};
pub(crate) use value::{Float, floats, object, params, to_value};

use serde::Serialize;
use serde_json::Value;

/// One line of JSON, told apart by its key `event`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Record {
    /// A trial: one that has just finished (`run`, `eval`), or as the database holds it (`study trials`,
    /// `study best`, `trial show`).
    Trial(Box<TrialRecord>),
    /// A finding of `doctor` or `doctor --slurm`.
    Finding(Box<FindingRecord>),
    /// The end of `doctor` or `doctor --slurm`.
    Summary(Box<SummaryRecord>),
    /// The jobs that `submit --dry-run` would submit.
    DryRun(Box<DryRunRecord>),
    /// The jobs that `submit` has submitted.
    Submitted(Box<SubmittedRecord>),
}

/// Data that a command prints: a text for people, records for programs.
pub(crate) trait View {
    /// Returns the text. A line break at its end is not needed.
    fn text(&self) -> String;

    /// Returns the records, one for each line.
    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_>;
}

/// A record that is printed by itself.
pub(crate) trait Line: Clone + Into<Record> {
    /// Returns the text for people.
    fn text(&self) -> String;
}

impl<T: Line> View for T {
    fn text(&self) -> String {
        Line::text(self)
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        Box::new(std::iter::once(self.clone().into()))
    }
}

/// A record beside a text that needs more than the record's own data.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    pub(crate) text: String,
    pub(crate) record: Record,
}

impl Rendered {
    pub(crate) fn new(text: impl Into<String>, record: impl Into<Record>) -> Self {
        Rendered { text: text.into(), record: record.into() }
    }
}

impl View for Rendered {
    fn text(&self) -> String {
        self.text.clone()
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        Box::new(std::iter::once(self.record.clone()))
    }
}

impl Record {
    /// Returns the record as a line of JSON, its keys in alphabetical order.
    pub(crate) fn to_json(&self) -> String {
        // Only a map with keys that are no strings cannot be written, and no record has one.
        serde_json::to_value(self).as_ref().map(Value::to_string).unwrap_or_default()
    }
}

impl From<TrialRecord> for Record {
    fn from(trial: TrialRecord) -> Self {
        Record::Trial(Box::new(trial))
    }
}
