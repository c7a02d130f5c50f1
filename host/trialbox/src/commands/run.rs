//! `trialbox run`: runs trials of an objective on a study.

use crate::args::checkpoint::CheckpointArgs;
use crate::args::chosen::Chosen;
use crate::args::devices::DeviceArgs;
use crate::args::job_end::JobEndArgs;
use crate::args::limit::limits_help;
use crate::args::objective::ObjectiveArgs;
use crate::args::param::{check_unique, parse_param};
use crate::args::program::ProgramArgs;
use crate::args::quantity::{parse_count, parse_duration, parse_grace};
use crate::args::storage::StorageArgs;
use crate::args::study::{StudyNameArg, StudySettingArgs};
use crate::args::trusted::TrustedPlaces;
use crate::args::until::parse_until;
use crate::clock::SystemClock;
use crate::cluster::job_end::{JobEnd, explain_lost_signals};
use crate::cluster::slurm::SlurmJob;
use crate::commands::submit::quote::shell_quote;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::plan::{
    Database, ObjectivePlan, ReadyObjective, RunPlan, limits_of_run, remembered_limits,
};
use crate::project::found::or_in_folder;
use crate::study::known_params::KnownParams;
use crate::study::probe::{PROBE_TIMEOUT, check_joins, probe};
use crate::study::program_changes::changed_files;
use crate::study::provenance::{objective_digest, provenance};
use crate::study::recovery::{DEFAULT_GRACE, Reaping, recover};
use crate::study::resolve::{ResolvedStudy, StudyRequest};
use crate::study::settings::{DEFAULT_MAX_RETRIES, ModuleFlags, SettingFlags, Settings};
use crate::view::output::Output;
use crate::view::progress::Progress;
use crate::view::trial::show_duration;
use crate::worker::counters::Counters;
use crate::worker::held::Held;
use crate::worker::job::Job;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::session::objective::Interruption;
use trialbox_core::value::text::counted;
use trialbox_core::{FrozenTrial, Json, Storage, StorageError, StudyRecord, UtcDateTime};
use trialbox_program::{Share, study_of_script};
use trialbox_runtime::{Cancellation, Interrupts};
use trialbox_storage::platform::process::host_name;
use trialbox_storage::spool::Spool;
use trialbox_storage::{Create, Location, WaitCancellation};

const TRIALS: &str = "Trials";

const EXAMPLES: &str = "\
Examples:
  trialbox run quadratic.wasm
  trialbox run digits.wasm --dir data::/data --storage study.db --study-name digits -n 20
  trialbox run digits.wasm --optuna-db study.db --optuna-study-name digits    as one task of an array
  trialbox run quadratic.wasm -n 100 --max-trials 500 --jobs 4 --format json
  trialbox run quadratic.wasm -n 20 --fix y=-1
  trialbox run -n 20 --space 'lr=log(1e-5, 0.1)' -- python train.py --lr {lr}     a program that prints its value";

/// Run trials of an objective.
///
/// Each trial samples its parameters, calls the objective in the sandbox and is recorded in the study, which is created
/// if it does not exist. A trial that fails is recorded with its reason, and the next one starts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}\n\n{EXIT_CODES_HELP}", limits_help()))]
pub(crate) struct RunArgs {
    /// The objective: a wasm component
    pub(crate) objective: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) storage: StorageArgs,

    #[command(flatten)]
    name: StudyNameArg,

    #[command(flatten)]
    settings: StudySettingArgs,

    /// Allow a study that a different module created
    ///
    /// The study remembers the change. [default: the module must be the same]
    #[arg(long, help_heading = "Study")]
    allow_module_change: bool,

    /// Let explicit flags change what the study remembers
    ///
    /// Without it a flag that differs from the study's value is an error.
    #[arg(long = "override", help_heading = "Study")]
    pub(crate) overrule: bool,

    /// Number of trials that this process runs
    ///
    /// [default: 1]
    #[arg(
        short,
        long,
        value_name = "N",
        default_value = "1",
        hide_default_value = true,
        value_parser = parse_count,
        help_heading = TRIALS
    )]
    pub(crate) n_trials: NonZeroU32,

    /// Number of trials that run at the same time
    ///
    /// [default: 1]
    #[arg(
        short,
        long,
        value_name = "N",
        default_value = "1",
        hide_default_value = true,
        value_parser = parse_count,
        help_heading = TRIALS
    )]
    pub(crate) jobs: NonZeroU32,

    /// Start no trial after this duration, such as 50m
    ///
    /// [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = TRIALS)]
    pub(crate) timeout: Option<Duration>,

    /// Start no trial after this point in time, such as 18:00 or +2h
    ///
    /// Takes 2026-11-25T18:00 (local), 2026-11-25T18:00+01:00, 18:00 (today) or +2h. Running trials continue.
    /// [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = parse_until, help_heading = TRIALS)]
    pub(crate) until: Option<UtcDateTime>,

    /// Start no trial after this many failures
    ///
    /// Counts trials of this process that fail by the objective's fault. [default: no limit]
    #[arg(long, value_name = "N", help_heading = TRIALS)]
    pub(crate) max_failures: Option<NonZeroU32>,

    /// Fix a parameter in all trials of this command
    ///
    /// The others are sampled. An enqueued trial's own values come first. The study does not remember it.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_param, help_heading = TRIALS)]
    pub(crate) fix: Vec<(String, Json)>,

    /// Treat fixed and enqueued values as Optuna does
    ///
    /// A value outside of its range is used, and one of a parameter that the objective does not suggest is ignored.
    /// [default: the trial fails]
    #[arg(long, help_heading = TRIALS)]
    lenient: bool,

    /// Exit with 0 even if trials failed
    #[arg(long, help_heading = TRIALS)]
    catch: bool,

    /// Silence after which another job's trial counts as lost
    ///
    /// Its heartbeat must stand still for this long. [default: 5m]
    #[arg(
        long,
        value_name = "TIME",
        default_value = DEFAULT_GRACE,
        hide_default_value = true,
        value_parser = parse_grace,
        hide_short_help = true,
        help_heading = TRIALS
    )]
    pub(crate) grace: Duration,

    #[command(flatten)]
    pub(crate) job_end: JobEndArgs,

    #[command(flatten)]
    checkpoint: CheckpointArgs,

    #[command(flatten)]
    pub(crate) program: ProgramArgs,

    #[command(flatten)]
    pub(crate) devices: DeviceArgs,

    #[command(flatten)]
    pub(crate) sandbox: ObjectiveArgs,
}

/// An objective that is ready, and the study that it is for.
pub(crate) struct Prepared {
    pub(crate) objective: ObjectivePlan,
    pub(crate) ready: ReadyObjective,
    pub(crate) study: StudyRequest,
}

impl RunArgs {
    pub(crate) fn run(mut self, output: &Output) -> CommandResult {
        self.take_flags_of_script();
        or_in_folder(&mut self.objective, self.program.is_given(), output)?;
        let array = SlurmJob::current().and_then(|job| job.array);
        let in_task = array.map(|(_, index)| output.in_task(&index, &node_name()));
        let output = in_task.as_ref().unwrap_or(output);
        let interrupts = Some(Arc::new(Interrupts::install()?));
        let job_end = self.job_end.plan().watch();
        let stops = Cancellation {
            interrupts,
            job_end: Some(Arc::clone(&job_end.deadline)),
            last_moment: Some(Arc::clone(&job_end.last_moment)),
        };
        self.warn_of_grace(&job_end, output);
        if let Some(note) = explain_lost_signals() {
            output.note(&note);
        }
        if job_end.deadline.is_over() {
            output.note("the job's time is over; no trial starts");
            return Ok(ExitCode::Done);
        }
        match (self.run_until(&stops, &job_end, output), stops.pending()) {
            // A signal that cuts a wait short is not a failure: no trial had started, or its result is in a file.
            (Err(error), Some(interruption)) if error.is_cut_short() => {
                output.note(&error.to_text());
                if interruption == Interruption::Deadline {
                    job_end.fails_to_requeue(DEFAULT_MAX_RETRIES, false, output);
                }
                Ok(ExitCode::of(interruption))
            }
            (result, _) => result,
        }
    }

    fn run_until(&self, stops: &Cancellation, job_end: &JobEnd, output: &Output) -> CommandResult {
        let mut prepared = self.prepare(stops, self.trusted()?)?;
        let shares = self.divide_node(&mut prepared)?;
        let checkpoints = self.checkpoint.root(prepared.objective.grants())?;
        let stopping = stops_waiting(stops, job_end);
        let database = self.storage.database(Create::Missing, stopping.clone())?;
        let spool = self.storage.spool();
        let is_new_file = database.location.file().is_some_and(|file| !file.exists());
        let mut storage = database.open()?;
        self.ask_script(&mut prepared, Some(storage.as_mut()))?;
        let Prepared { objective, mut ready, study } = prepared;
        self.check_space(&study, storage.as_mut(), &mut ready)?;
        let ResolvedStudy { study, settings, is_new } = study.resolve(storage.as_mut(), output)?;
        output.note(&opened_text(&study.name, is_new, &database.location, is_new_file));
        if let Some(note) = objective.note() {
            output.note(&note);
        }
        if let Some(note) = changed_files(storage.as_mut(), &study, &objective)? {
            output.note(&note);
        }
        let reaping = Reaping::at_start(&study, self.grace)?;
        let lost = recover(storage.as_mut(), spool.as_ref(), &study, &reaping, output)?;
        let file = database.location.file();
        let checkpoints = checkpoints
            .map(|root| root.of_study(storage.as_mut(), &study, file, &lost))
            .transpose()?;

        let held = self.held(&objective, || storage.history(study.id))?;
        let database = self.storage.database(Create::Never, stopping)?;
        let plan = self.plan(&study, settings, objective, shares, database, spool)?;
        let counters = Counters::new(plan.n_trials.get());
        let progress = Progress::new(output, plan.n_trials.get());
        let job = Job {
            held: &held,
            provenance: &provenance(
                &plan.objective,
                &ready.loaded,
                self.sandbox.env_names(),
                &plan.limits,
                plan.deterministic,
            ),
            plan: &plan,
            output,
            stops,
            job_end,
            checkpoints: checkpoints.as_ref(),
            study: &study,
            counters: &counters,
            progress: &progress,
            clock: SystemClock::new(),
        };
        let result = job.run_workers(ready, storage);
        progress.finish();
        self.point_to_report(&study.name, &counters, output);
        if stops.signal() == Some(Interruption::User) {
            output.note(&interrupted_text(counters.n_finished(), plan.n_trials.get()));
        }
        // Also where the result of the last trial waits in a file.
        let gives_up = counters.is_out_of_time()
            && job_end.fails_to_requeue(plan.retry.max_retries, counters.made_progress(), output);
        let exit = result?.worst(if gives_up { ExitCode::Requeue } else { ExitCode::Done });
        if matches!(exit, ExitCode::Done | ExitCode::TrialFailed) && counters.made_progress() {
            held.check_end()?;
        }
        Ok(if self.catch && exit == ExitCode::TrialFailed { ExitCode::Done } else { exit })
    }

    /// Divides the node among the workers of a program, and opens the program with the first part.
    fn divide_node(&self, prepared: &mut Prepared) -> Result<Vec<Share>, CommandError> {
        if prepared.objective.is_sandboxed() {
            return Ok(vec![]);
        }
        let shares = self.devices.shares(self.jobs, self.sandbox.env())?;
        prepared.ready = prepared.objective.load_with(shares.first())?;
        Ok(shares)
    }

    /// Tells a person at the terminal how to look at the study, after a run of several trials.
    fn point_to_report(&self, study: &str, counters: &Counters, output: &Output) {
        let is_kept =
            self.storage.location().is_ok_and(|location| !matches!(location, Location::Memory));
        if output.shows_progress() && is_kept && counters.n_finished() > 1 {
            let (url, study) = (shell_quote(&self.storage.shown_url()), shell_quote(study));
            let command = format!("trialbox study report --storage {url} --study-name {study}");
            output.note(&format!("for a page with figures: {command}"));
        }
    }

    /// Warns of a time for a program's end that the end of the job would cut short.
    fn warn_of_grace(&self, job_end: &JobEnd, output: &Output) {
        let (grace, reserve) = (self.program.grace(), job_end.reserve());
        if !self.program.command.is_empty() && reserve.is_some_and(|reserve| grace >= reserve) {
            let (grace, reserve) =
                (show_duration(grace), show_duration(reserve.unwrap_or_default()));
            output.note(&format!(
                "--kill-after {grace} is not less than --reserve {reserve}, the time that is left when the job ends a \
                 trial: the program is killed earlier. Raise --reserve"
            ));
        }
    }

    /// Takes the database and the study from the command of a script that uses Optuna, where no flag and no variable
    /// names them: the recipe for array jobs has them there, under the names that trialbox has too.
    pub(crate) fn take_flags_of_script(&mut self) {
        if self.program.as_optuna {
            self.storage.default_to(self.program.value_of("--optuna-db"));
            let name = self.program.value_of("--optuna-study-name");
            self.name.study_name = self.name.study_name.take().or(name);
        }
    }

    /// Takes the directions of a study that is to be created from a script that uses Optuna: `create_study` has them.
    /// Explicit flags come first. `storage` is `None` where there is no database yet.
    pub(crate) fn ask_script(
        &self,
        prepared: &mut Prepared,
        storage: Option<&mut (dyn Storage + 'static)>,
    ) -> Result<(), CommandError> {
        let ObjectivePlan::Program(config) = &prepared.objective else { return Ok(()) };
        let request = &mut prepared.study;
        if !self.program.as_optuna || request.directions.is_some() {
            return Ok(());
        }
        match storage.map(|storage| storage.open_study(&request.name)) {
            None | Some(Err(StorageError::NoSuchStudy { .. })) => {}
            Some(Ok(_)) => return Ok(()),
            Some(Err(error)) => return Err(error.into()),
        }
        if let Some(study) = study_of_script(config) {
            request.metric_names = Some(study.metric_names).filter(|names| !names.is_empty());
            request.directions = Some(study.directions);
        }
        Ok(())
    }

    /// Returns the places beside the study that the host trusts.
    pub(crate) fn trusted(&self) -> Result<TrustedPlaces, CommandError> {
        Ok(self.storage.trusted()?.with_checkpoints(self.checkpoint.dir()))
    }

    /// Checks, before the study is given to another module, that trials of this one can join it: otherwise each would
    /// fail, and the study would be lost to the module that it had.
    fn check_space(
        &self,
        request: &StudyRequest,
        storage: &mut dyn Storage,
        ready: &mut ReadyObjective,
    ) -> Result<(), CommandError> {
        // A program would have to run to its end to show its parameters.
        if !self.allow_module_change || !self.program.command.is_empty() {
            return Ok(());
        }
        let study = match storage.open_study(&request.name) {
            Ok(study) if request.settings.changes_module(&study) => study,
            Err(StorageError::NoSuchStudy { .. }) | Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let known = KnownParams::of(&storage.history(study.id)?);
        let limits = self.sandbox.limits();
        let name = study.name.clone();
        let probe = probe(ready, name, limits, self.sandbox.deterministic, PROBE_TIMEOUT)?;
        ready.door.restart();
        let params = probe.params.iter().map(|(name, param)| (name, &param.distribution));
        check_joins(&study, &known, params, "this module")
    }

    /// Returns the parameters of `--fix`, checked against those of the study. With `--lenient` there are none to check.
    pub(crate) fn held(
        &self,
        objective: &ObjectivePlan,
        history: impl FnOnce() -> Result<Vec<FrozenTrial>, StorageError>,
    ) -> Result<Held, CommandError> {
        if self.fix.is_empty() || self.lenient {
            return Held::new(vec![], KnownParams::default());
        }
        let mut known = KnownParams::of(&history()?);
        // The first trial may show more parameters than are declared.
        let is_complete = !known.is_empty();
        known.declare(&objective.space());
        // The parameters of another module may be others.
        match (self.allow_module_change, is_complete) {
            (true, _) => {}
            (false, true) => known.check("--fix", &self.fix)?,
            (false, false) => known.check_values("--fix", &self.fix)?,
        }
        Held::new(self.fix.clone(), known)
    }

    /// Gets the objective ready and checks that its data is there. No database is touched: a file that is not an
    /// objective must leave no trace in one.
    pub(crate) fn prepare(
        &self,
        stops: &Cancellation,
        trusted: TrustedPlaces,
    ) -> Result<Prepared, CommandError> {
        check_unique("--fix", &self.fix)?;
        if self.jobs.get() > 1 || SlurmJob::current().is_some_and(|job| job.array.is_some()) {
            self.program.check_value_file()?;
        }
        let mut settings = SettingFlags::new(&self.settings.explicit(Some(&self.sandbox))?);
        settings.overrule = self.overrule;
        let chosen = Chosen {
            component: self.objective.as_deref(),
            program: &self.program,
            sandbox: &self.sandbox,
        };
        let objective = chosen.plan(stops, trusted)?;
        settings.module = Some(ModuleFlags {
            digest: objective_digest(&objective),
            may_change: self.allow_module_change,
        });
        if objective.is_sandboxed() {
            self.devices.refuse()?;
        }
        let ready = objective.load()?;
        objective.check_data(&ready.loaded)?;
        let name = match &self.name.study_name {
            Some(name) => name.clone(),
            None => objective.name(&ready.loaded),
        };
        let directions = self.settings.directions();
        let space = objective.space();
        let study = StudyRequest::new(name, directions, space, &ready.loaded, settings)?;
        Ok(Prepared { objective, ready, study })
    }

    /// Decides everything that the workers need to know.
    fn plan(
        &self,
        study: &StudyRecord,
        settings: Settings,
        objective: ObjectivePlan,
        shares: Vec<Share>,
        database: Database,
        spool: Option<Spool>,
    ) -> Result<RunPlan, CommandError> {
        let job = SlurmJob::current();
        let workers = self.jobs.min(self.n_trials);
        // A thousand tasks that end together must not all ask Slurm.
        let is_one_of_many = job.as_ref().is_some_and(|job| job.array.is_some());
        let last_look = if is_one_of_many {
            Reaping::at_start(study, self.grace)?
        } else {
            Reaping::at_end(study, self.grace)?
        };
        Ok(RunPlan {
            workers,
            n_trials: self.n_trials,
            names_trials: self.jobs.get() > 1,
            timeout: self.timeout,
            until: self.until,
            max_failures: self.max_failures,
            on_deadline: self.job_end.on_deadline(),
            remembered: remembered_limits(&settings, &self.sandbox),
            limits: limits_of_run(&settings, &self.sandbox, job.as_ref(), workers),
            deterministic: settings.deterministic || self.sandbox.deterministic,
            retry: settings.retry,
            budgets: settings.budgets,
            seed: settings.seed,
            sampler: settings.sampler,
            pruner: settings.pruner,
            fixed: self.fix.clone(),
            is_lenient: self.lenient,
            constraint_format: settings.constraint_format,
            objective,
            shares,
            database,
            spool,
            last_look,
        })
    }
}

/// Returns Slurm's name of this node, else the machine's.
fn node_name() -> String {
    let of_slurm = std::env::var("SLURMD_NODENAME").ok().filter(|name| !name.is_empty());
    of_slurm.unwrap_or_else(host_name)
}

/// Formats the study of a run: a misspelt name of a database or of a study would otherwise start a new one unnoticed.
fn opened_text(study: &str, is_new: bool, location: &Location, is_new_file: bool) -> String {
    let place = match location {
        Location::File(file) if is_new_file => format!("the new database `{}`", file.display()),
        Location::File(file) => format!("`{}`", file.display()),
        Location::Server(address) => format!("`{}`", address.shown()),
        Location::Memory => "memory".to_owned(),
    };
    if is_new {
        format!("new study `{study}` in {place}")
    } else {
        format!("study `{study}` in {place}")
    }
}

/// Formats the end of a run by Ctrl-C, with the way to continue.
fn interrupted_text(n_finished: u32, n_trials: u32) -> String {
    let rest = n_trials.saturating_sub(n_finished);
    let n_trials = counted(u64::from(n_trials), "trial");
    format!(
        "interrupted: {n_finished} of {n_trials} finished; the same command with `-n {rest}` continues the study"
    )
}

/// Returns the end of waits for a database: a signal, or the last moments of the job.
fn stops_waiting(stops: &Cancellation, job_end: &JobEnd) -> WaitCancellation {
    let (stops, last_call) = (stops.clone(), Arc::clone(&job_end.last_call));
    WaitCancellation::when(move || stops.signal().is_some() || last_call.is_over())
}
