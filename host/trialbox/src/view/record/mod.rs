//! Records: everything that `--format json` prints, and the views that give people the same data as text.
//!
//! A new kind of output is a struct beside these, a variant of [`Record`], and a [`View`] that renders it as text.
//! Two rules hold for every record. A key that is there keeps its name and its meaning from version to version. `null`
//! means that there is no value; a key that is left out means that the command did not look for one.

mod built;
mod error;
mod finding;
mod lost;
mod objective;
mod project;
mod report;
mod runtime;
mod shared;
mod stopping;
mod study;
mod submission;
#[cfg(test)]
mod tests;
mod told;
mod trial;
mod value;

pub(crate) use built::BuiltRecord;
pub(crate) use error::ErrorRecord;
pub(crate) use finding::{
    ClusterSummary, DatabaseFinding, DatabaseSummary, FindingRecord, SummaryRecord,
};
pub(crate) use lost::{ClaimLost, ReapSummary, SpooledResultRecord, TrialLost};
pub(crate) use objective::{
    CheckRecord, ComponentRecord, DataRecord, DeclaredParamRecord, DescriptionRecord,
    DifferenceRecord, GitRecord, MetricRecord, ParamRecord, ProgramFileRecord, ProgramRecord,
    ReplayRecord,
};
pub(crate) use project::{CreatedRecord, PageRecord, SettingRecord, StampRecord};
pub(crate) use report::{ComparedRecord, FigureRecord, ReportRecord};
pub(crate) use runtime::{PythonPathRecord, RuntimeFileRecord, RuntimeRecord, RuntimeRemoved};
pub(crate) use shared::{
    CollectedRecord, PulledRecord, PushedRecord, StoredRecord, TagRecord, TaggedRecord,
    VerifiedRecord,
};
pub(crate) use stopping::{
    BudgetReached, JobEnds, PatienceExhausted, SearchExhausted, StudyStopped, TimeoutReached,
    TooManyFailures, UntilReached, ValueReached, stop_record,
};
pub(crate) use study::{
    AttributesSet, Copied, Deleted, Hypervolume, ImportanceRecord, Imported, Renamed, Resumed,
    SnapshotRecord, StopRecord, Stopped, StudyOverview, n_missing, stop_of,
};
pub(crate) use submission::{DryRunRecord, SubmissionShape, SubmittedRecord};
pub(crate) use told::{
    Advice, Asked, Enqueued, Skipped, Suggested, Told, TrialCancelled, TrialRequeued,
};
pub(crate) use trial::{FailureRecord, TrialRecord};
pub(crate) use value::{Float, distribution, floats, params, to_value};

use serde::Serialize;
use serde_json::Value;

/// Declares [`Record`] from the list of its types.
macro_rules! records {
    ($($(#[$doc:meta])* $event:ident($record:ty),)*) => {
        /// One line of JSON, told apart by its key `event`.
        #[derive(Debug, Clone, Serialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(tag = "event", rename_all = "snake_case")]
        pub(crate) enum Record {
            $($(#[$doc])* $event(Box<$record>),)*
        }

        $(impl From<$record> for Record {
            fn from(record: $record) -> Self {
                Record::$event(Box::new(record))
            }
        })*
    };
}

records! {
    /// The pruner's advice to a script (`should-prune`, inside a trial).
    Advice(Advice),
    /// A trial was taken for an objective outside the sandbox (`trial ask`).
    Asked(Asked),
    /// Attributes were attached to a study (`study set-attr`).
    AttributesSet(AttributesSet),
    /// The study has all the trials of its budget, and no further one starts (`run`) or is submitted (`submit`).
    BudgetReached(BudgetReached),
    /// The file of an objective was made from its source (`build`).
    Built(BuiltRecord),
    /// Calls of an objective were compared (`eval --check`).
    Check(CheckRecord),
    /// Another worker finished a trial of this one, so its result was not recorded (`run`).
    ClaimLost(ClaimLost),
    /// Objectives were removed from the store (`store gc`).
    Collected(CollectedRecord),
    /// A study in a comparison (`study compare`).
    Compared(ComparedRecord),
    /// A study was copied (`study copy`).
    Copied(Copied),
    /// A project was created (`new`).
    Created(CreatedRecord),
    /// A study was deleted (`study delete`).
    Deleted(Deleted),
    /// The jobs that `submit --dry-run` would submit.
    DryRun(DryRunRecord),
    /// A trial was queued (`trial enqueue`).
    Enqueued(Enqueued),
    /// The command failed. It is the last line, and the exit code is not 0.
    Error(ErrorRecord),
    /// A finding of `doctor` or `doctor --slurm`.
    Finding(FindingRecord),
    /// A figure of a study (`study plot`, `study report`).
    Figure(FigureRecord),
    /// The hypervolume of a study's Pareto front (`study best --reference-point`).
    Hypervolume(Hypervolume),
    /// The importance of one parameter for one objective (`study importance`).
    Importance(ImportanceRecord),
    /// Trials were read from a file (`study import`).
    Imported(Imported),
    /// The job ends too soon for another trial (`run --min-time`).
    JobEnds(JobEnds),
    /// An objective and what it asks for (`inspect`).
    Objective(ComponentRecord),
    /// The study is complete: the last `--patience` trials improved nothing (`run`, `submit`).
    PatienceExhausted(PatienceExhausted),
    /// An objective that is a program (`inspect -- COMMAND`).
    Program(ProgramRecord),
    /// The page of a code (`explain`).
    Page(PageRecord),
    /// A shared objective is in the store (`pull`).
    Pulled(PulledRecord),
    /// An objective was published (`push`).
    Pushed(PushedRecord),
    /// The folder of the Python client (`python-path`).
    PythonPath(PythonPathRecord),
    /// The end of `reap`.
    Reaped(ReapSummary),
    /// A study was renamed (`study rename`).
    Renamed(Renamed),
    /// A recorded trial was run again (`trial replay`).
    Replay(ReplayRecord),
    /// A page about a study was written (`study report`).
    Report(ReportRecord),
    /// A stopped study was resumed (`study resume`).
    Resumed(Resumed),
    /// A runtime of objectives in Python (`runtime add`, `runtime list`, `runtime verify`).
    Runtime(RuntimeRecord),
    /// A runtime was removed (`runtime remove`).
    RuntimeRemoved(RuntimeRemoved),
    /// The study is complete: the sampler has tried everything (`run`, `submit`).
    SearchExhausted(SearchExhausted),
    /// A trial had already finished, and `trial tell --skip-if-finished` left it as it was.
    Skipped(Skipped),
    /// A copy of the database was written (`study snapshot`).
    Snapshot(SnapshotRecord),
    /// A result was read from a file that a worker had written (`study sync`).
    SpooledResult(SpooledResultRecord),
    /// A study was stopped for all its jobs (`study stop`).
    Stopped(Stopped),
    /// An objective in the store (`store list`).
    Stored(StoredRecord),
    /// A study (`study list`, `study show`, `study create`).
    Study(StudyOverview),
    /// The study was stopped, and no further trial starts (`run`) or is submitted (`submit`).
    StudyStopped(StudyStopped),
    /// The jobs that `submit` has submitted.
    Submitted(SubmittedRecord),
    /// A setting that holds (`config`).
    Setting(SettingRecord),
    /// A parameter was suggested (`suggest`, inside a trial).
    Suggested(Suggested),
    /// The end of `doctor` or `doctor --slurm`.
    Summary(SummaryRecord),
    /// A tag of a repository or a layout (`tags`).
    Tag(TagRecord),
    /// An image got another tag (`tag`).
    Tagged(TaggedRecord),
    /// The process has run for the time of `run --timeout`, and starts no further trial.
    TimeoutReached(TimeoutReached),
    /// The end of a trial was recorded (`trial tell`).
    Told(Told),
    /// `run --max-failures` trials have failed, and the process starts no further one.
    TooManyFailures(TooManyFailures),
    /// A trial: one that has just finished (`run`, `eval`), or one from the database (`study trials`, `study best`,
    /// `trial show`).
    Trial(TrialRecord),
    /// A WAITING trial was dropped (`trial cancel`).
    TrialCancelled(TrialCancelled),
    /// A trial was ended because its worker died (`reap`).
    TrialLost(TrialLost),
    /// A failed trial is to run again (`trial retry`).
    TrialRequeued(TrialRequeued),
    /// It is later than `run --until`, and the process starts no further trial.
    UntilReached(UntilReached),
    /// The sample trial of an objective was run again (`verify`).
    Verified(VerifiedRecord),
    /// The study is complete: its best trial reached `--stop-when-value` (`run`, `submit`).
    ValueReached(ValueReached),
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
    /// Returns the strings of the record, keys included, that hold line breaks.
    pub(crate) fn strings_of_several_lines(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_strings(&serde_json::to_value(self).unwrap_or_default(), &mut found);
        found
    }

    /// Returns the record as a line of JSON, its keys in alphabetical order.
    pub(crate) fn to_json(&self) -> String {
        // Only a map with keys that are no strings cannot be written, and no record has one.
        serde_json::to_value(self).as_ref().map(Value::to_string).unwrap_or_default()
    }
}

fn collect_strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains('\n') => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_strings(item, found)),
        Value::Object(members) => {
            for (key, value) in members {
                collect_strings(&Value::String(key.clone()), found);
                collect_strings(value, found);
            }
        }
        _ => {}
    }
}
