//! `trialbox study`: makes, reads, copies and moves studies.

mod best;
mod create;
mod export;
mod importance;
mod manage;
mod read;
mod stop;

use crate::args::storage::StudyArgs;
use crate::commands::study::best::BestArgs;
use crate::commands::study::create::CreateArgs;
use crate::commands::study::export::{ExportArgs, ImportArgs};
use crate::commands::study::importance::ImportanceArgs;
use crate::commands::study::manage::{
    CopyArgs, DeleteArgs, RenameArgs, SetAttrArgs, SnapshotArgs, SyncArgs,
};
use crate::commands::study::read::{ListArgs, TrialsArgs, show};
use crate::commands::study::stop::{StopArgs, resume};
use crate::error::CommandResult;
use crate::view::output::Output;

/// Make, read, copy and move studies.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StudyCommand {
    /// Make a study
    #[command(
        after_help = "Examples:\n  trialbox study create --storage study.db --study-name digits --direction maximize\n  trialbox study create --study-name front --direction minimize maximize --metric-name loss speed --skip-if-exists"
    )]
    Create(Box<CreateArgs>),
    /// List the studies of a database
    #[command(
        after_help = "Examples:\n  trialbox study list\n  trialbox study list --storage study.db --format json"
    )]
    List(ListArgs),
    /// Show what a study is and how far it has come
    #[command(
        after_help = "Examples:\n  trialbox study show\n  trialbox study show --storage study.db --study-name digits"
    )]
    Show(StudyArgs),
    /// Show the best trial; of several objectives, the Pareto front
    #[command(
        after_help = "Examples:\n  trialbox study best\n  trialbox study best --storage study.db --format json | jq .params\n  trialbox study best --reference-point accuracy=0,size=1e6"
    )]
    Best(BestArgs),
    /// List the trials
    #[command(
        after_help = "Examples:\n  trialbox study trials\n  trialbox study trials --state fail --format json"
    )]
    Trials(TrialsArgs),
    /// Show how much each parameter matters
    #[command(
        after_help = "Examples:\n  trialbox study importance\n  trialbox study importance --objective loss --param lr --param depth\n  trialbox study importance --evaluator fanova --seed 1 --format json | jq '[.param, .importance]'\n\nped-anova: which parameters decide whether a trial is among the best tenth; of several objectives, near the Pareto front.\nfanova: which parameters explain the values of all trials, the bad ones included; of each objective by itself.\nmdi: the same, by what a random forest learns from splits on a parameter."
    )]
    Importance(ImportanceArgs),
    /// Write all trials as CSV, or with --format json as JSON lines
    #[command(
        after_help = "Examples:\n  trialbox study export > trials.csv\n  trialbox study export --output trials.jsonl --format json"
    )]
    Export(ExportArgs),
    /// Add the trials of a file that `export --format json` wrote
    #[command(
        after_help = "Examples:\n  trialbox study import trials.jsonl\n  trialbox study export --format json | trialbox study import - --storage other.db --study-name copy\n\nTrials that were RUNNING are added as FAIL, because no worker runs them in the copy."
    )]
    Import(ImportArgs),
    /// Copy a study, also into another database
    #[command(
        after_help = "Examples:\n  trialbox study copy digits --to-study-name digits-2\n  trialbox study copy digits --to-storage archive.db\n\nTrials that are RUNNING are copied as FAIL, because no worker runs them in the copy."
    )]
    Copy(CopyArgs),
    /// Let no job begin another trial of a study; those that are RUNNING go on
    #[command(
        after_help = "Examples:\n  trialbox study stop --study-name digits --reason 'good enough'\n  trialbox study resume --study-name digits\n\nEvery `run` and `trial ask` sees it before its next trial, enqueued or new, and ends with 0: once this command\nhas ended, none is begun. It is the study's user attribute `trialbox:stop`. Python's Optuna does not look at it:\nend Python's workers as you began them."
    )]
    Stop(StopArgs),
    /// Let a stopped study go on
    #[command(after_help = "Example:\n  trialbox study resume --study-name digits")]
    Resume(StudyArgs),
    /// Give a study another name
    #[command(
        after_help = "Example:\n  trialbox study rename digits digits-old\n\nJobs that are running finish their trial and then end: their study has gone."
    )]
    Rename(RenameArgs),
    /// Delete a study with all its trials
    #[command(after_help = "Example:\n  trialbox study delete digits-old")]
    Delete(DeleteArgs),
    /// Attach values to a study
    #[command(after_help = "Example:\n  trialbox study set-attr owner=anna --study-name digits")]
    SetAttr(SetAttrArgs),
    /// Write a consistent copy of the whole database, while jobs are running
    #[command(after_help = "Example:\n  trialbox study snapshot study-copy.db --storage study.db")]
    Snapshot(SnapshotArgs),
    /// Record results that jobs could not write and kept in files
    #[command(
        after_help = "Example:\n  trialbox study sync --storage study.db\n\nEvery `run` does the same for its own study."
    )]
    Sync(SyncArgs),
}

impl StudyCommand {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        match self {
            StudyCommand::Create(args) => args.run(output),
            StudyCommand::List(args) => args.run(output),
            StudyCommand::Show(args) => show(&args, output),
            StudyCommand::Best(args) => args.run(output),
            StudyCommand::Trials(args) => args.run(output),
            StudyCommand::Importance(args) => args.run(output),
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
