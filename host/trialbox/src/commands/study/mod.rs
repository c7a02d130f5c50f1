//! `trialbox study`: creates, reads, copies and moves studies.

mod best;
mod compare;
mod create;
mod export;
mod import;
mod importance;
mod manage;
mod plot;
mod read;
mod report;
mod stop;
mod subject;
mod trials;
mod watch;

use crate::args::storage::NamedStudyArgs;
use crate::commands::study::best::BestArgs;
use crate::commands::study::compare::CompareArgs;
use crate::commands::study::create::CreateArgs;
use crate::commands::study::export::ExportArgs;
use crate::commands::study::import::ImportArgs;
use crate::commands::study::importance::ImportanceArgs;
use crate::commands::study::manage::{
    CopyArgs, DeleteArgs, RenameArgs, SetAttrArgs, SnapshotArgs, SyncArgs,
};
use crate::commands::study::plot::PlotArgs;
use crate::commands::study::read::{ListArgs, show};
use crate::commands::study::report::ReportArgs;
use crate::commands::study::stop::{StopArgs, resume};
use crate::commands::study::trials::TrialsArgs;
use crate::commands::study::watch::WatchArgs;
use crate::error::CommandResult;
use crate::view::output::Output;

/// Create, read, copy and move studies.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum StudyCommand {
    /// Create a study
    #[command(after_help = CREATE_EXAMPLES)]
    Create(Box<CreateArgs>),
    /// List the studies of a database
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Show a study and its progress
    #[command(after_help = SHOW_EXAMPLES)]
    Show(NamedStudyArgs),
    /// Show the best trial; of several objectives, the Pareto front
    #[command(after_help = BEST_EXAMPLES)]
    Best(BestArgs),
    /// List the trials
    #[command(after_help = TRIALS_EXAMPLES)]
    Trials(TrialsArgs),
    /// Show the importance of each parameter
    #[command(after_help = IMPORTANCE_EXAMPLES)]
    Importance(ImportanceArgs),
    /// Write a page to look at, which opens anywhere without a network
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Draw one figure: on the terminal, as SVG, or its data as CSV
    #[command(after_help = PLOT_EXAMPLES)]
    Plot(PlotArgs),
    /// Show progress, the best and the trials on the terminal, and keep them up to date
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(WatchArgs),
    /// Compare the values of studies, with a rank test
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Write all trials as CSV, or with --format json as JSON lines
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Add the trials of a file that `export --format json` wrote
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Copy a study, also into another database
    #[command(after_help = COPY_EXAMPLES)]
    Copy(CopyArgs),
    /// Start no further trial in any job; running trials finish
    #[command(after_help = STOP_EXAMPLES)]
    Stop(StopArgs),
    /// Resume a stopped study
    #[command(after_help = RESUME_EXAMPLES)]
    Resume(NamedStudyArgs),
    /// Rename a study
    #[command(after_help = RENAME_EXAMPLES)]
    Rename(RenameArgs),
    /// Delete a study with all its trials
    #[command(after_help = DELETE_EXAMPLES)]
    Delete(DeleteArgs),
    /// Attach values to a study
    #[command(after_help = SET_ATTR_EXAMPLES)]
    SetAttr(SetAttrArgs),
    /// Write a consistent copy of the whole database, even while jobs are running
    #[command(after_help = SNAPSHOT_EXAMPLES)]
    Snapshot(SnapshotArgs),
    /// Record the results in the spool, which jobs could not record
    #[command(after_help = SYNC_EXAMPLES)]
    Sync(SyncArgs),
}

const EXAMPLES: &str = "\
Examples:
  trialbox study list --storage study.db                         the studies of a database
  trialbox study show digits                                     its progress and its best trial
  trialbox study trials digits --state fail                      the trials that failed
  trialbox study export digits --output trials.csv";

const CREATE_EXAMPLES: &str = "\
Examples:
  trialbox study create --storage study.db --study-name digits --direction maximize
  trialbox study create --study-name front --direction minimize maximize --metric-name loss speed --skip-if-exists";

const LIST_EXAMPLES: &str = "\
Examples:
  trialbox study list
  trialbox study list --storage study.db --format json";

const SHOW_EXAMPLES: &str = "\
Examples:
  trialbox study show
  trialbox study show digits --storage study.db";

const BEST_EXAMPLES: &str = "\
Examples:
  trialbox study best
  trialbox study best --storage study.db --format json | jq .params
  trialbox study best --reference-point accuracy=0,size=1e6";

const TRIALS_EXAMPLES: &str = "\
Examples:
  trialbox study trials
  trialbox study trials --state fail --format json
  trialbox study trials --top 10
  trialbox study trials --where 'lr<0.01' --where act=relu --sort duration --columns number,value,lr,duration";

const IMPORTANCE_EXAMPLES: &str = "\
Examples:
  trialbox study importance
  trialbox study importance --objective loss --param lr --param depth
  trialbox study importance --evaluator fanova --seed 1 --format json | jq '[.param, .importance]'

ped-anova: the parameters that decide whether a trial is among the best tenth; with several objectives, near the
Pareto front.
fanova: the parameters that explain the values of all trials, the bad ones included, for each objective by itself.
mdi: the same, by the splits on a parameter in a random forest.";

const REPORT_EXAMPLES: &str = "\
Examples:
  trialbox study report
  trialbox study report digits --storage study.db --output digits.html --export figures

The page is one file: it requests nothing, and a mail or a copy of it is enough. `study plot` draws one figure.";

const PLOT_EXAMPLES: &str = "\
Examples:
  trialbox study plot history
  trialbox study plot slices --storage study.db --output slices.svg
  trialbox study plot importances --format json";

const WATCH_EXAMPLES: &str = "\
Examples:
  trialbox study watch
  trialbox study watch digits --storage study.db --interval 30s

Keys: the arrows choose a trial, Enter opens it, s sorts, f filters by state, q quits. Nothing is written to the
database. Without a terminal one screen is printed. With NO_COLOR in the environment the screen has no colours.";

const COMPARE_EXAMPLES: &str = "\
Example:
  trialbox study compare random tpe --storage study.db

Each study is compared with the first by the rank test of Mann and Whitney on the values of all COMPLETE and feasible
trials. A difference is called clear if the test gives p < 0.01.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  trialbox study export > trials.csv
  trialbox study export --output trials.jsonl";

const IMPORT_EXAMPLES: &str = "\
Examples:
  trialbox study import trials.jsonl
  trialbox study export --format json | trialbox study import - --storage other.db --study-name copy

Trials that were RUNNING are added as FAIL, because no worker runs them in the copy.";

const COPY_EXAMPLES: &str = "\
Examples:
  trialbox study copy digits --to-study-name digits-2
  trialbox study copy digits --to-storage archive.db

Trials that are RUNNING are copied as FAIL, because no worker runs them in the copy.";

const STOP_EXAMPLES: &str = "\
Examples:
  trialbox study stop --study-name digits --reason 'good enough'
  trialbox study resume --study-name digits

Every `run` and `trial ask` sees the stop before its next trial, enqueued or new, and exits with 0. No trial starts
after this command has finished. The stop is the study's user attribute `trialbox:stop`. Workers of Optuna in Python
do not read it: end them separately.";

const RESUME_EXAMPLES: &str = "\
Example:
  trialbox study resume --study-name digits";

const RENAME_EXAMPLES: &str = "\
Examples:
  trialbox study rename digits digits-old
  trialbox study rename --study-name digits digits-old

Running jobs finish their trial and then end, because the study that they opened no longer exists.";

const DELETE_EXAMPLES: &str = "\
Example:
  trialbox study delete digits-old";

const SET_ATTR_EXAMPLES: &str = "\
Example:
  trialbox study set-attr owner=anna --study-name digits";

const SNAPSHOT_EXAMPLES: &str = "\
Example:
  trialbox study snapshot study-copy.db --storage study.db";

const SYNC_EXAMPLES: &str = "\
Example:
  trialbox study sync --storage study.db

Every `run` does the same for its own study.";

impl StudyCommand {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        match self {
            StudyCommand::Create(args) => args.run(output),
            StudyCommand::List(args) => args.run(output),
            StudyCommand::Show(args) => show(&args, output),
            StudyCommand::Best(args) => args.run(output),
            StudyCommand::Trials(args) => args.run(output),
            StudyCommand::Importance(args) => args.run(output),
            StudyCommand::Report(args) => args.run(output),
            StudyCommand::Plot(args) => args.run(output),
            StudyCommand::Watch(args) => args.run(output),
            StudyCommand::Compare(args) => args.run(output),
            StudyCommand::Export(args) => args.run(output),
            StudyCommand::Import(args) => args.run(output),
            StudyCommand::Copy(args) => args.run(output),
            StudyCommand::Stop(args) => args.run(output),
            StudyCommand::Resume(args) => resume(&args, output),
            StudyCommand::Rename(args) => args.run(output),
            StudyCommand::Delete(args) => args.run(output),
            StudyCommand::SetAttr(args) => args.run(output),
            StudyCommand::Snapshot(args) => args.run(output),
            StudyCommand::Sync(args) => args.run(output),
        }
    }
}
