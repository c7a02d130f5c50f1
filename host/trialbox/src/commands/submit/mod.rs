//! `trialbox submit`: submits an array job for a study, after checks, with a report at the end.

mod checks;
mod plan;
pub(crate) mod quote;
mod refusals;
mod resources;
mod run_flags;
mod script;
mod submission;

use crate::args::objective::ObjectivePlan;
use crate::args::quantity::parse_count;
use crate::args::sharing::{SharingArgs, pinned};
use crate::args::trusted::TrustedPlaces;
use crate::commands::RunArgs;
use crate::commands::run::Prepared;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::own_program::own_program;
use crate::project::found::or_in_folder;
use crate::study::budget::MAX_TRIALS;
use crate::study::program_changes::changed_files;
use crate::study::recovery::{Reaping, recover};
use crate::study::settings::Settings;
use crate::view::finding::{Finding, Severity, sort};
use crate::view::output::Output;
use checks::Times;
use plan::{Plan, median};
pub(in crate::commands) use quote::shell_quote;
use refusals::{check_collisions, nothing_to_submit, refusal};
use resources::{Needs, SlurmArgs};
use run_flags::RunFlags;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;
use submission::Submission;
use trialbox_core::{FrozenTrial, Json, StudyRecord, TrialState};
use trialbox_runtime::Cancellation;
use trialbox_storage::platform::mount::{Locks, mount_of};
use trialbox_storage::{Create, Location, WaitCancellation};

const EXAMPLES: &str = "\
Examples:
  trialbox submit digits.wasm --dir data::/data --trials 100 --parallel 10 --time 30m
  trialbox submit digits.wasm --dir data::/data --trials 100 --parallel 10 --dry-run
  trialbox submit quadratic.wasm --trials 5000 --parallel 20 --trials-per-task 50 --time 20m
  trialbox submit quadratic.wasm --trials 100 --parallel 10 --mem 8G -- --mail-type=END
  trialbox submit --trials 100 --parallel 10 --time 1h --space 'lr=log(1e-5, 0.1)' -- python train.py --lr {lr}

The same command with a larger --trials continues the study: only missing trials are submitted.
A closing job starts when the array has ended. It runs the trials that are still missing, and writes the report.
Flags of sbatch go after `--`, before a second `--` if a program follows. --help shows all flags of `run`, which go to
each task.";

/// Submit an array job to Slurm that brings a study to a number of trials.
///
/// First checks the objective, its data, the database, the job as Slurm would take it, and how much trials can learn
/// from each other. Then creates the study, writes a script and submits it. Flags of `run` go to each task; the
/// settings that a study remembers are stored.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES_HELP}"),
    mut_args(|arg| match USUAL.contains(&arg.get_id().as_str()) {
        true => arg,
        false => arg.hide_short_help(true),
    }),
    mut_arg("objective", |arg| arg.help_heading(None::<&str>)),
    mut_arg("command", |arg| arg.help(WORDS).value_name("SBATCH FLAGS | COMMAND")),
    mut_arg("n_trials", |arg| arg.hide(true)),
    mut_arg("max_trials", |arg| arg.hide(true)),
)]
pub(crate) struct SubmitArgs {
    // Must be the first field: see `RunFlags`.
    #[command(flatten)]
    run_flags: RunFlags,

    /// Bring the study to this many trials
    ///
    /// Counts COMPLETE, PRUNED and RUNNING trials, and submits the missing ones. The study remembers the number as its
    /// --max-trials.
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = HEADING)]
    trials: NonZeroU32,

    /// Run at most this many tasks at a time
    #[arg(long, value_name = "M", value_parser = parse_count, help_heading = HEADING)]
    parallel: NonZeroU32,

    /// Run this many trials in each task [default: as many as --jobs]
    #[arg(long, value_name = "K", value_parser = parse_count, help_heading = HEADING)]
    trials_per_task: Option<NonZeroU32>,

    /// Print the script and the findings; create, write and submit nothing
    #[arg(long, help_heading = HEADING)]
    dry_run: bool,

    /// Write the script to this file [default: STUDY.sbatch]
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    script: Option<PathBuf>,

    /// Write the closing job's report to this file [default: STUDY-report.txt]
    #[arg(long, value_name = "FILE", conflicts_with = "no_closing_job", help_heading = HEADING)]
    report: Option<String>,

    /// Submit no closing job
    ///
    /// The closing job starts when the array has ended. It runs the trials that are still missing, and writes the
    /// report.
    #[arg(long, help_heading = HEADING)]
    no_closing_job: bool,

    #[command(flatten)]
    slurm: SlurmArgs,

    #[command(flatten, next_help_heading = "Each task, as in `trialbox run`")]
    run: RunArgs,
}

/// The ids of the flags that `-h` shows. `--help` shows all flags.
const USUAL: [&str; 19] = [
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
    "gpus_per_trial",
    "partition",
    "space",
    "value",
    "command",
    "storage",
    "study_name",
    "jobs",
    "dirs",
];

const HEADING: &str = "Submission";

const WORDS: &str = "Flags of sbatch, or a program as the objective, or both: -- --mail-type=END -- python train.py";

/// The study before the submission, of which nothing may exist yet.
struct StudyPreview {
    name: String,
    study: Option<StudyRecord>,
    settings: Settings,
    trials: Vec<FrozenTrial>,
    database: Location,
    /// The files that tasks read, each with its role.
    files: Vec<(&'static str, PathBuf)>,
}

impl SubmitArgs {
    pub(crate) fn run(mut self, output: &Output) -> CommandResult {
        let words = std::mem::take(&mut self.run.program.command);
        let (sbatch, command) = resources::split_words(words);
        self.slurm.set_others(&sbatch)?;
        self.run.program.command = command;
        self.run.take_flags_of_script();
        self.check_flags()?;
        if self.parallel.get() > 1 {
            self.run.program.check_value_file()?;
        }
        let had_objective = self.run.objective.is_some();
        or_in_folder(&mut self.run.objective, self.run.program.is_given(), output)?;
        if let (false, Some(found)) = (had_objective, &self.run.objective) {
            self.run_flags.set("objective", &found.display().to_string());
        }
        let prepared = self.run.prepare(&Cancellation::default(), self.trusted()?);
        let mut prepared = prepared.map_err(for_submit)?;
        self.pin_shared(&prepared.objective);
        if let Some(note) = prepared.objective.note() {
            output.note(&note);
        }
        let settings = &mut prepared.study.settings;
        settings.decides_max_trials = true;
        settings.set_max_trials(self.trials.get());

        let preview = self.preview(&mut prepared, output)?;
        let plan = self.plan(&preview);
        if let Some(reason) = nothing_to_submit(&preview, &plan)? {
            output.print(&reason);
            return Ok(ExitCode::Done);
        }
        let submission = self.submission(&preview, plan)?;
        let findings = self.findings(&preview, &submission);
        if !output.is_json() {
            // The refusal shows the errors.
            let shown = findings.iter().filter(|finding| finding.severity > Severity::Error);
            shown.for_each(|finding| output.note(&finding.to_text()));
        }
        let refusal = refusal(&findings);
        if self.dry_run {
            // The long script would hide the reason why it cannot be submitted.
            if refusal.is_none() || output.is_json() || output.is_verbose() {
                submission.print(&findings, output);
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

    /// Gives the tasks the digest of a shared objective, which is in the store now, so that none uses the network.
    fn pin_shared(&mut self, objective: &ObjectivePlan) {
        let (ObjectivePlan::Component(component), Some(path)) = (objective, &self.run.objective)
        else {
            return;
        };
        let reference = SharingArgs::reference(path);
        if let Some(pinned) = reference.and_then(|reference| pinned(reference, &component.artifact))
        {
            self.run_flags.set("objective", &pinned);
            self.run_flags.switch_on("offline");
        }
    }

    /// Returns the places that the host and Slurm trust: those beside the study, and the folders of the job's files.
    fn trusted(&self) -> Result<TrustedPlaces, CommandError> {
        let folder = std::env::current_dir()?;
        let log = self.slurm.log();
        let named = [
            self.script.as_deref(),
            self.report.as_deref().map(Path::new),
            log.as_deref().map(Path::new),
        ];
        let mut trusted = self.run.trusted()?.with_entry("the folder of the job's files", &folder);
        for file in named.into_iter().flatten() {
            trusted = trusted.with_entry("the job's file", file);
        }
        Ok(trusted)
    }

    fn check_flags(&self) -> Result<(), CommandError> {
        for (id, message, flag) in [
            ("n_trials", "--n-trials limits one process", "--trials-per-task"),
            ("max_trials", "--max-trials limits the study", "--trials"),
        ] {
            if self.run_flags.has(id) {
                return Err(CommandError::usage(
                    format!("{message}, and `submit` sets it for each task"),
                    format!("give {flag} N"),
                ));
            }
        }
        self.slurm.check()
    }

    /// Reads the study, if it exists, and refuses settings that do not fit it. Trials of dead jobs are recovered before
    /// the trials are counted, but not in a dry run.
    fn preview(
        &self,
        prepared: &mut Prepared,
        output: &Output,
    ) -> Result<StudyPreview, CommandError> {
        let location = self.run.storage.location()?;
        let mut storage = match &location {
            Location::Memory => {
                let url = self.run.storage.url();
                return Err(CommandError::usage(
                    format!("tasks can share a database file or a server, and `{url}` is neither"),
                    "give a path with --storage",
                ));
            }
            Location::File(path) => path.exists().then(|| self.run.storage.open()).transpose()?,
            Location::Server(_) => match self.run.storage.open() {
                Err(error) if error.lacks_tables() => None,
                opened => Some(opened?),
            },
        };
        self.run.ask_script(prepared, storage.as_deref_mut())?;
        let (study, settings) = prepared.study.preview(storage.as_deref_mut())?;
        let mut trials = Vec::new();
        if let (Some(study), Some(storage)) = (&study, &mut storage) {
            self.check_max_trials(study)?;
            if !self.dry_run {
                let reaping = Reaping::at_end(study, self.run.grace)?;
                let spool = self.run.storage.spool();
                recover(storage.as_mut(), spool.as_ref(), study, &reaping, output)?;
            }
            if let Some(note) = changed_files(storage.as_mut(), study, &prepared.objective)? {
                output.note(&note);
            }
            self.run.held(&prepared.objective, || storage.history(study.id))?;
            trials = storage.trials(study.id)?;
        }
        if study.is_none() {
            self.run.held(&prepared.objective, || Ok(vec![]))?;
        }
        let name = prepared.study.name.clone();
        let files = prepared.objective.files().into_iter().map(|file| ("the objective", file));
        let spaces = self.run.program.space_files().map(|file| ("the search space", file));
        let runtime = prepared.objective.runtime_dir().map(PathBuf::from);
        let runtime = runtime.map(|folder| ("the runtime for Python", folder));
        let files = files.chain(spaces).chain(runtime).collect();
        Ok(StudyPreview { name, study, settings, trials, database: location, files })
    }

    /// Refuses to lower the study's limit without `--override`.
    fn check_max_trials(&self, study: &StudyRecord) -> Result<(), CommandError> {
        let limit = match study.user_attrs.get(MAX_TRIALS) {
            None => return Ok(()),
            Some(Json::Null) => "no limit of trials".to_owned(),
            Some(limit) => match limit.as_u64() {
                Some(limit) if limit > self.trials.get().into() => {
                    format!("a limit of {limit} trials")
                }
                _ => return Ok(()),
            },
        };
        if self.run.overrule {
            return Ok(());
        }
        Err(CommandError::usage(
            format!(
                "study `{}` has {limit}, and --trials would lower it to {}",
                study.name, self.trials
            ),
            "raise --trials, or add --override to change the study",
        ))
    }

    /// Counts the trials that the study has and lacks.
    fn plan(&self, preview: &StudyPreview) -> Plan {
        let present = preview.trials.iter().filter(|trial| trial.state.counts_towards_budget());
        Plan {
            n_trials: self.trials.get().into(),
            n_present: present.count() as u64,
            per_task: self.trials_per_task.unwrap_or(self.run.jobs).get().into(),
            jobs: self.run.jobs.get().into(),
            parallel: self.parallel.get().into(),
        }
    }

    /// Collects the scripts' contents and the files' names.
    fn submission(&self, preview: &StudyPreview, plan: Plan) -> Result<Submission, CommandError> {
        let mut run_flags = self.run_flags.clone();
        run_flags.set_command(self.run.program.words()?);
        match &preview.database {
            // Others can read scripts: no password goes into one.
            Location::Server(address) => {
                run_flags.remove("optuna_db");
                run_flags.set("storage", &address.without_password());
            }
            Location::File(path) if !run_flags.has("storage") && !run_flags.has("optuna_db") => {
                run_flags.set("storage", &path.display().to_string());
            }
            Location::File(_) | Location::Memory => {}
        }
        run_flags.set("study_name", &preview.name);
        // `+2h` and `18:00` count from the submission and not from the start of a task.
        if let Some(until) = self.run.until {
            run_flags.set("until", &until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
        let database = match &preview.database {
            Location::Server(address) => PathBuf::from(address.shown()),
            location => full_path(location.file().unwrap_or(Path::new(""))),
        };
        let of = script::of_study(&preview.name, &database);
        let label = self.label(&preview.name, &database, &of);
        let script = self.script.clone().unwrap_or_else(|| format!("{label}.sbatch").into());
        let report = self.report.clone().unwrap_or_else(|| format!("{label}-report.txt"));
        let folder = std::env::current_dir()?;
        let is_network = mount_of(&folder).is_ok_and(|mount| mount.locks == Locks::Network);
        // Lines tear where several nodes append to one file on a network file system.
        let log = format!("{label}-%A{}.log", if is_network { "-%N" } else { "" });
        Ok(Submission {
            study: preview.name.clone(),
            url: self.run.storage.shown_url(),
            of,
            log: self.slurm.log().unwrap_or(log),
            report: Some(report).filter(|_| !self.no_closing_job),
            resources: self.slurm.flags(&self.needs()),
            closing_resources: self.slurm.flags_of_closing_job(&self.needs()),
            program: own_program()?,
            plan,
            run_flags,
            label,
            script,
            folder,
        })
    }

    /// Returns the needs of a task, whose trials run at the same time.
    fn needs(&self) -> Needs {
        let of_all = |each: Option<NonZeroU32>| Some(each?.saturating_mul(self.run.jobs));
        Needs {
            cpus: of_all(self.run.devices.cpus_per_trial)
                .or(Some(self.run.jobs).filter(|jobs| jobs.get() > 1)),
            gpus: of_all(self.run.devices.gpus_per_trial),
        }
    }

    /// Returns the start of the names of files: the study's name, with the database's before it where the files of
    /// another study have that name already.
    fn label(&self, study: &str, database: &Path, of: &str) -> String {
        let label = quote::label(study);
        let names = [format!("{label}.sbatch"), format!("{label}-report.txt")];
        let is_taken = names.iter().any(|name| checks::is_of_another_study(Path::new(name), of));
        match database.file_stem() {
            Some(stem) if is_taken => quote::label(&format!("{}-{study}", stem.to_string_lossy())),
            _ => label,
        }
    }

    /// Runs all checks, and returns the findings from the worst.
    fn findings(&self, preview: &StudyPreview, submission: &Submission) -> Vec<Finding> {
        let lock = self.run.storage.options(Create::Never, WaitCancellation::default()).lock;
        let mut findings = vec![checks::check_storage(&preview.database, lock)];
        findings.extend(checks::check_password(&preview.database));
        findings.extend(self.check_paths(preview, submission));
        for (path, flag) in submission.files() {
            findings.extend(checks::check_file(&path, flag, &submission.of));
        }
        findings.extend(check_collisions(preview, submission));
        findings.extend(checks::check_failures(&preview.trials));
        if preview.settings.sampler.build().learns_from_results() {
            findings.extend(checks::check_parallel(&submission.plan));
        }
        findings.extend(checks::check_times(&submission.plan, &self.times(preview)));
        findings.extend(checks::check_slurm(
            &submission.plan,
            &submission.label,
            &submission.array().text,
            self.dry_run,
        ));
        sort(&mut findings);
        findings
    }

    /// Checks whether other nodes see the files that tasks read, and sbatch the current folder.
    fn check_paths(&self, preview: &StudyPreview, submission: &Submission) -> Vec<Finding> {
        let grants = self.run.sandbox.grants().unwrap_or_default();
        let mut paths: Vec<(&str, &Path)> = vec![
            ("the current folder", submission.folder.as_path()),
            ("the program", submission.program.as_path()),
        ];
        paths.extend(preview.database.file().map(|path| ("the database", path)));
        paths.extend(preview.files.iter().map(|(role, file)| (*role, file.as_path())));
        paths.extend(grants.iter().map(|grant| ("the directory", grant.host.as_path())));
        let hidden = checks::check_visible(&paths);
        hidden.into_iter().chain(checks::check_folder(&submission.folder)).collect()
    }

    /// Collects the known durations of trials and the time limit of a task.
    fn times(&self, preview: &StudyPreview) -> Times {
        let complete = preview.trials.iter().filter(|trial| trial.state == TrialState::Complete);
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

/// Mends the advice of an error about a program, which names `trialbox run`.
fn for_submit(mut error: CommandError) -> CommandError {
    let help = error.help.take();
    error.help = help.map(|help| help.replace("trialbox run --", "trialbox submit … --"));
    error
}

/// Returns the absolute path of a file that may not exist, so that two files of one name can be distinguished.
fn full_path(file: &Path) -> PathBuf {
    if let Ok(path) = file.canonicalize() {
        return path;
    }
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match (path.parent().and_then(|folder| folder.canonicalize().ok()), path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}
