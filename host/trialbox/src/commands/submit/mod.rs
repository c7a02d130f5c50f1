//! `trialbox submit`: an array job for a study, from the checks to the report.

mod checks;
mod given;
mod plan;
mod quote;
mod refusals;
mod resources;
mod script;
mod submission;

use crate::args::storage::parse_count;
use crate::commands::RunArgs;
use crate::commands::run::Prepared;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::study::budget::MAX_TRIALS;
use crate::study::recovery::{Reaping, recover};
use crate::study::settings::Settings;
use crate::view::output::Output;
use checks::{Finding, Level, Times};
use given::Given;
use plan::{Plan, median};
use refusals::{check_places, nothing_to_submit, refusal};
use resources::SlurmArgs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;
use submission::Submission;
use trialbox_core::{FrozenTrial, Json, StudyRecord, TrialState};
use trialbox_runtime::Cancellation;
use trialbox_storage::platform::mount::{Locks, mount_of};
use trialbox_storage::{Create, WaitCancellation};

const EXAMPLES: &str = "\
Examples:
  trialbox submit digits.wasm --dir data::/data --trials 100 --parallel 10 --time 30m
  trialbox submit digits.wasm --dir data::/data --trials 100 --parallel 10 --dry-run
  trialbox submit quadratic.wasm --trials 5000 --parallel 20 --trials-per-task 50 --time 20m
  trialbox submit quadratic.wasm --trials 100 --parallel 10 --mem 8G -- --mail-type=END

With a larger --trials the same command goes on with the study; what it has is not run again.
A second job begins once the array has ended: it runs what is still missing, and writes the report.
Flags of sbatch go after `--`; the flags of `run` that are not shown here are in --help.";

/// Submit an array job to Slurm that brings a study to a number of trials.
///
/// Checks everything first: objective, data, database, what Slurm accepts, how much a sampler can learn from so many
/// trials at once. Then makes the study, writes a script, submits it, and says what to type next. Flags of `run` go to
/// each task, and what a study remembers is remembered.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES_HELP}"),
    mut_args(|arg| match USUAL.contains(&arg.get_id().as_str()) {
        true => arg,
        false => arg.hide_short_help(true),
    }),
    mut_arg("objective", |arg| arg.help_heading(None::<&str>)),
    mut_arg("n_trials", |arg| arg.hide(true)),
    mut_arg("max_trials", |arg| arg.hide(true)),
)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    given: Given,

    /// How many trials the study shall have (COMPLETE, PRUNED or RUNNING), remembered as its --max-trials: what is
    /// missing is submitted
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = HEADING)]
    trials: NonZeroU32,

    /// How many tasks may run at once
    #[arg(long, value_name = "M", value_parser = parse_count, help_heading = HEADING)]
    parallel: NonZeroU32,

    /// How many trials a task runs [default: as many as --jobs]
    #[arg(long, value_name = "K", value_parser = parse_count, help_heading = HEADING)]
    trials_per_task: Option<NonZeroU32>,

    /// Show the script and what the checks find; make, write and submit nothing
    #[arg(long, help_heading = HEADING)]
    dry_run: bool,

    /// Where the script goes [default: STUDY.sbatch]
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    script: Option<PathBuf>,

    /// Where the closing job writes its report [default: STUDY-report.txt]
    #[arg(long, value_name = "FILE", conflicts_with = "no_closing_job", help_heading = HEADING)]
    report: Option<String>,

    /// Submit no second job, which runs what is missing after the array and writes the report
    #[arg(long, help_heading = HEADING)]
    no_closing_job: bool,

    #[command(flatten)]
    slurm: SlurmArgs,

    #[command(flatten, next_help_heading = "Each task, as of `trialbox run`")]
    run: RunArgs,
}

/// The flags that `-h` shows; `--help` shows all.
const USUAL: [&str; 16] = [
    "objective",
    "trials",
    "parallel",
    "trials_per_task",
    "dry_run",
    "time",
    "account",
    "mem",
    "cpus",
    "gres",
    "partition",
    "sbatch",
    "storage",
    "study_name",
    "jobs",
    "dirs",
];

const HEADING: &str = "Submission";

/// What there is of the study before anything is made.
struct Outlook {
    name: String,
    study: Option<StudyRecord>,
    settings: Settings,
    trials: Vec<FrozenTrial>,
    database: PathBuf,
}

impl SubmitArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        self.check_flags()?;
        let mut prepared = self.run.prepare(&Cancellation::default())?;
        let settings = &mut prepared.study.settings;
        settings.decides_max_trials = true;
        settings.stopping.set_max_trials(self.trials.get());

        let outlook = self.look(&prepared, output)?;
        let plan = self.plan(&outlook);
        if let Some((text, json)) = nothing_to_submit(&outlook, &plan)? {
            output.result(&text, || json);
            return Ok(ExitCode::Done);
        }
        let submission = self.submission(&outlook, plan)?;
        let findings = self.findings(&outlook, &submission);
        if !output.is_json() {
            // Errors are said once, at the end.
            let shown = findings.iter().filter(|finding| finding.level < Level::Error);
            shown.for_each(|finding| output.note(&finding.to_text()));
        }
        let refusal = refusal(&findings);
        if self.dry_run {
            // A script that cannot be submitted is long, and hides why.
            if refusal.is_none() || output.is_json() || output.is_verbose() {
                submission.show(&findings, output);
            }
            return refusal.map_or(Ok(ExitCode::Done), Err);
        }
        refusal.map_or(Ok(()), Err)?;

        let mut storage =
            self.run.storage.open_with(Create::Missing, WaitCancellation::default())?;
        prepared.study.resolve(storage.as_mut(), output)?;
        drop(storage);
        submission.submit(&findings, output)
    }

    fn check_flags(&self) -> Result<(), CommandError> {
        let refused = [
            ("n_trials", "--n-trials is how many trials one process runs", "--trials-per-task"),
            ("max_trials", "--max-trials is how many trials the study may have", "--trials"),
        ];
        if let Some((_, what, flag)) = refused.iter().find(|(id, ..)| self.given.has(id)) {
            return Err(CommandError::usage(
                format!("{what}, and `submit` decides that"),
                format!("say {flag} N"),
            ));
        }
        self.slurm.check()
    }

    /// Reads what there is of the study, and refuses what does not fit it. What dead jobs left is tidied up before the
    /// trials are counted, but not in a dry run.
    fn look(&self, prepared: &Prepared, output: &Output) -> Result<Outlook, CommandError> {
        let location = self.run.storage.location()?;
        let database = location.file().map(PathBuf::from).ok_or_else(|| {
            let url = self.run.storage.url();
            CommandError::usage(
                format!("`{url}` is no file, so tasks cannot share it"),
                "say a path with --storage",
            )
        })?;
        let is_there = database.exists();
        let mut storage = is_there.then(|| self.run.storage.open()).transpose()?;
        let (study, settings) = prepared.study.preview(storage.as_deref_mut())?;
        let mut trials = Vec::new();
        if let (Some(study), Some(storage)) = (&study, &mut storage) {
            self.refuse_fewer(study)?;
            if !self.dry_run {
                let reaping = Reaping::at_end(study, self.run.grace);
                let spool = self.run.storage.spool();
                recover(storage.as_mut(), spool.as_ref(), study, &reaping, output)?;
            }
            trials = storage.trials(study.id)?;
        }
        let name = prepared.study.name.clone();
        Ok(Outlook { name, study, settings, trials, database })
    }

    /// Refuses fewer trials than the study may have, as far as nobody says that this is meant.
    fn refuse_fewer(&self, study: &StudyRecord) -> Result<(), CommandError> {
        let may_have = match study.user_attrs.get(MAX_TRIALS) {
            None => return Ok(()),
            Some(Json::Null) => "any number of".to_owned(),
            Some(kept) if kept.as_u64().is_some_and(|kept| kept > self.trials.get().into()) => {
                kept.to_string()
            }
            Some(_) => return Ok(()),
        };
        if self.run.overrule {
            return Ok(());
        }
        Err(CommandError::usage(
            format!(
                "study `{}` may have {may_have} trials, and --trials says {}",
                study.name, self.trials
            ),
            "say more --trials, or add --override to change the study",
        ))
    }

    fn plan(&self, outlook: &Outlook) -> Plan {
        let present = outlook.trials.iter().filter(|trial| trial.state.counts_towards_budget());
        Plan {
            n_trials: self.trials.get().into(),
            n_present: present.count() as u64,
            per_task: self.trials_per_task.unwrap_or(self.run.jobs).get().into(),
            jobs: self.run.jobs.get().into(),
            parallel: self.parallel.get().into(),
        }
    }

    /// All that is to be written and submitted.
    fn submission(&self, outlook: &Outlook, plan: Plan) -> Result<Submission, CommandError> {
        let mut given = self.given.clone();
        if !given.has("storage") && !given.has("optuna_db") {
            given.set("storage", &outlook.database.display().to_string());
        }
        given.set("study_name", &outlook.name);
        // `+2h` and `18:00` are meant from now on, and not from when a task begins.
        if let Some(until) = self.run.until {
            given.set("until", &until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
        let label = quote::label(&outlook.name);
        let script = self.script.clone().unwrap_or_else(|| format!("{label}.sbatch").into());
        let report = self.report.clone().unwrap_or_else(|| format!("{label}-report.txt"));
        let folder = std::env::current_dir()?;
        let is_network = mount_of(&folder).is_ok_and(|mount| mount.locks == Locks::Network);
        // Several nodes that append to one file of a network's tear each other's lines.
        let log = format!("{label}-%A{}.log", if is_network { "-%N" } else { "" });
        Ok(Submission {
            study: outlook.name.clone(),
            url: self.run.storage.url(),
            of: script::of_study(&outlook.name, &full_path(&outlook.database)),
            log: self.slurm.log().unwrap_or(log),
            report: Some(report).filter(|_| !self.no_closing_job),
            resources: self.slurm.flags(self.run.jobs),
            closing_resources: self.slurm.flags_of_closing_job(self.run.jobs),
            program: std::env::current_exe()?,
            plan,
            given,
            label,
            script,
            folder,
        })
    }

    fn findings(&self, outlook: &Outlook, submission: &Submission) -> Vec<Finding> {
        let lock = self.run.storage.options(Create::Never, WaitCancellation::default()).lock;
        let mut findings = vec![checks::check_storage(&outlook.database, lock)];
        findings.extend(self.check_paths(outlook, submission));
        let files = [
            (Some(submission.script.clone()), "--script"),
            (submission.report.as_ref().map(|_| submission.closing_path()), "--script"),
            (submission.report.as_ref().map(PathBuf::from), "--report"),
        ];
        let files = files
            .iter()
            .filter_map(|(path, flag)| checks::check_file(path.as_ref()?, flag, &submission.of));
        findings.extend(files);
        findings.extend(check_places(outlook, submission));
        findings.extend(checks::check_failures(&outlook.trials));
        if outlook.settings.sampler.build().learns_from_results() {
            findings.extend(checks::check_parallel(&submission.plan));
        }
        findings.extend(checks::check_times(&submission.plan, &self.times(outlook)));
        let slurms = checks::check_slurm(
            &submission.plan,
            &submission.label,
            &submission.array().text,
            self.dry_run,
        );
        findings.extend(slurms);
        findings
    }

    /// Whether nodes see what tasks read.
    fn check_paths(&self, outlook: &Outlook, submission: &Submission) -> Vec<Finding> {
        let grants = self.run.sandbox.grants().unwrap_or_default();
        let mut paths = vec![
            ("the database", outlook.database.as_path()),
            ("the current folder", submission.folder.as_path()),
            ("the objective", self.run.objective.as_path()),
            ("the program", submission.program.as_path()),
        ];
        paths.extend(grants.iter().map(|grant| ("the directory", grant.host.as_path())));
        let seen = checks::check_seen(&paths);
        seen.into_iter().chain(checks::check_folder(&submission.folder)).collect()
    }

    fn times(&self, outlook: &Outlook) -> Times {
        let complete = outlook.trials.iter().filter(|trial| trial.state == TrialState::Complete);
        let durations: Vec<Duration> = complete
            .filter_map(|trial| {
                let took = trial.datetime_complete?.duration_since(trial.datetime_start?);
                Duration::try_from(took).ok()
            })
            .collect();
        let n_known = durations.len();
        Times {
            trial: median(durations).map(|trial| (trial, n_known)),
            limit: self.slurm.time,
            has_limit: self.slurm.has_time(),
        }
    }
}

/// A database's path, by which two of one name are told apart, whether it is there or not.
fn full_path(database: &Path) -> PathBuf {
    if let Ok(path) = database.canonicalize() {
        return path;
    }
    let path = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
    match (path.parent().and_then(|folder| folder.canonicalize().ok()), path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}
