//! `trialbox run`: runs trials of an objective on a study.

use crate::args;
use crate::args::checkpoint::CheckpointArgs;
use crate::args::job_end::JobEndArgs;
use crate::args::limit::limits_help;
use crate::args::objective::{DirectionArg, ObjectiveArgs, objective_name};
use crate::args::param::{check_unique, parse_param};
use crate::args::pruner::PrunerArgs;
use crate::args::sampler::SamplerArgs;
use crate::args::stopping::StoppingArgs;
use crate::args::storage::{StorageArgs, parse_count, parse_duration};
use crate::args::until::parse_until;
use crate::clock::SystemClock;
use crate::cluster::job_end::{JobEnd, explain_lost_signals};
use crate::cluster::slurm::SlurmJob;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::plan::{Database, ObjectivePlan, ReadyObjective, RunPlan, limits_of_run};
use crate::study::provenance::{module_digest, provenance};
use crate::study::recovery::{DEFAULT_GRACE, Reaping, recover};
use crate::study::resolve::StudyRequest;
use crate::study::settings::{
    DEFAULT_MAX_RETRIES, ModuleFlags, SettingFlags, Settings, parse_constraint_format,
};
use crate::view::output::Output;
use crate::view::progress::Progress;
use crate::worker::counters::Counters;
use crate::worker::job::Job;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::session::objective::Interruption;
use trialbox_core::study::constraint::ConstraintFormat;
use trialbox_core::{Json, StudyDirection, StudyRecord, UtcDateTime};
use trialbox_runtime::{Cancellation, Interrupts, read_artifact};
use trialbox_storage::spool::Spool;
use trialbox_storage::{Create, WaitCancellation};

const EXAMPLES: &str = "\
Examples:
  trialbox run quadratic.wasm
  trialbox run digits.wasm --dir data::/data --storage study.db --study-name digits -n 20
  trialbox run digits.wasm --optuna-db study.db --optuna-study-name digits     in an array job: one task, one trial
  trialbox run quadratic.wasm -n 100 --max-trials 500 --jobs 4 --format json
  trialbox run quadratic.wasm -n 20 --fix y=-1";

/// Run trials of an objective: take the study's next trial, sample its parameters, call the objective in the
/// sandbox, record what comes of it.
///
/// The study is made if it is not there. A trial that fails is recorded with its reason and ends nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}\n\n{EXIT_CODES_HELP}", limits_help()))]
pub(crate) struct RunArgs {
    /// The objective: a wasm component
    pub(crate) objective: PathBuf,

    #[command(flatten)]
    pub(crate) storage: StorageArgs,

    /// The study's name [default: the objective's name]
    #[arg(
        long,
        visible_alias = "optuna-study-name",
        value_name = "NAME",
        env = "TRIALBOX_STUDY_NAME",
        hide_env_values = true
    )]
    study_name: Option<String>,

    /// How many trials this process runs
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub(crate) n_trials: NonZeroU32,

    /// How many trials run side by side
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub(crate) jobs: NonZeroU32,

    /// Begin no new trial after this time, such as 50m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Begin no new trial after this point in time, such as 2026-11-25T18:00 (local), 2026-11-25T18:00+01:00 or
    /// +2h; 18:00 is today's, so name the day where tasks may begin later. Trials that run go on
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    pub(crate) until: Option<UtcDateTime>,

    #[command(flatten)]
    stopping: StoppingArgs,

    /// Whether small or large values are good, once for each objective [default: what the objective says, else minimize]
    #[arg(
        long,
        visible_alias = "directions",
        value_name = "minimize|maximize",
        value_enum,
        hide_possible_values = true,
        value_delimiter = ','
    )]
    direction: Vec<DirectionArg>,

    #[command(flatten)]
    sampler: SamplerArgs,

    #[command(flatten)]
    pruner: PrunerArgs,

    /// Hold a parameter at a value in the trials of this command, and sample the others; not remembered by the
    /// study, and weaker than what is fixed for an enqueued trial
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_param)]
    pub(crate) fix: Vec<(String, Json)>,

    /// The seed of the study, from which each trial's random numbers follow; remembered by the study
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How often a trial is tried again that was interrupted by the scheduler or whose job is gone, tries that got
    /// further with --checkpoint-dir not counted; remembered by the study [default: 3]
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,

    /// How constraints are written: `named` as by Optuna 5, or `legacy`, the list that Optuna up to 4.9 and the
    /// dashboard read; remembered by the study [default: named]
    #[arg(long, value_name = "named|legacy", value_parser = parse_constraint_format)]
    constraint_format: Option<ConstraintFormat>,

    /// Begin no further trial once N of this process's trials have failed by the objective's fault
    #[arg(long, value_name = "N")]
    pub(crate) max_failures: Option<NonZeroU32>,

    /// How long the heartbeat of another job's trial must stand still before the trial counts as lost
    #[arg(long, value_name = "TIME", default_value = DEFAULT_GRACE, value_parser = parse_duration, hide_short_help = true)]
    pub(crate) grace: Duration,

    /// Go on with a study that was begun with another component, and remember the change
    #[arg(long)]
    allow_module_change: bool,

    /// Let --seed, --sampler, --sampler-opt, --pruner, --pruner-opt, --max-retries, --constraint-format,
    /// --max-memory, --trial-timeout, --fuel, --limit, --max-trials, --stop-when-value and --patience change a study that was made
    /// with others
    #[arg(long = "override")]
    pub(crate) overrule: bool,

    /// End with 0 even if trials failed
    #[arg(long)]
    catch: bool,

    #[command(flatten)]
    pub(crate) job_end: JobEndArgs,

    #[command(flatten)]
    checkpoint: CheckpointArgs,

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
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let interrupts = Some(Arc::new(Interrupts::install()?));
        let job_end = self.job_end.plan().watch();
        let stops = Cancellation { interrupts, job_end: Some(Arc::clone(&job_end.deadline)) };
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
        let Prepared { objective, ready, study } = self.prepare(stops)?;
        let checkpoints = self.checkpoint.root(objective.grants())?;
        let stopping = stops_waiting(stops, job_end);
        let database = self.storage.database(Create::Missing, stopping.clone())?;
        let spool = self.storage.spool();
        let mut storage = database.open()?;
        let (study, settings) = study.resolve(storage.as_mut(), output)?;
        let reaping = Reaping::at_start(&study, self.grace);
        let lost = recover(storage.as_mut(), spool.as_ref(), &study, &reaping, output)?;
        let checkpoints =
            checkpoints.map(|root| root.of_study(storage.as_mut(), &study, &lost)).transpose()?;

        let database = self.storage.database(Create::Never, stopping)?;
        let plan = self.plan(&study, settings, objective, database, spool);
        let counters = Counters::new(plan.n_trials.get());
        let progress = Progress::new(output, plan.n_trials.get());
        let job = Job {
            provenance: &provenance(
                plan.objective.artifact(),
                &ready.loaded,
                plan.objective.grants(),
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
        // Also where the result of the last trial waits in a file.
        let gives_up = counters.is_out_of_time()
            && job_end.fails_to_requeue(plan.retry.max_retries, counters.made_progress(), output);
        let exit = result?.worst(if gives_up { ExitCode::Requeue } else { ExitCode::Done });
        Ok(if self.catch && exit == ExitCode::TrialFailed { ExitCode::Done } else { exit })
    }

    /// Gets the objective ready and checks that its data is there. No database is touched: a file that is not an
    /// objective must leave no trace in one.
    pub(crate) fn prepare(&self, stops: &Cancellation) -> Result<Prepared, CommandError> {
        check_unique("--fix", &self.fix)?;
        let mut settings = self.setting_flags()?;
        let file = Arc::new(read_artifact(&self.objective, &self.sandbox.limits())?);
        settings.module = Some(ModuleFlags {
            digest: module_digest(&file),
            may_change: self.allow_module_change,
        });
        let objective = self.sandbox.plan(&file, stops)?;
        let ready = objective.load()?;
        objective.check_data(&ready.loaded)?;
        let name = match &self.study_name {
            Some(name) => name.clone(),
            None => objective_name(&ready.loaded, &self.objective),
        };
        let directions = self.direction.iter().copied().map(StudyDirection::from).collect();
        let study = StudyRequest::new(name, directions, &ready.loaded, settings)?;
        Ok(Prepared { objective, ready, study })
    }

    /// Decides everything that the workers need to know.
    fn plan(
        &self,
        study: &StudyRecord,
        settings: Settings,
        objective: ObjectivePlan,
        database: Database,
        spool: Option<Spool>,
    ) -> RunPlan {
        let job = SlurmJob::current();
        let workers = self.jobs.min(self.n_trials);
        // A thousand tasks that end together must not all ask Slurm.
        let is_one_of_many = job.as_ref().is_some_and(|job| job.array.is_some());
        let last_look = if is_one_of_many {
            Reaping::at_start(study, self.grace)
        } else {
            Reaping::at_end(study, self.grace)
        };
        RunPlan {
            workers,
            n_trials: self.n_trials,
            names_trials: self.jobs.get() > 1,
            timeout: self.timeout,
            until: self.until,
            max_failures: self.max_failures,
            on_deadline: self.job_end.on_deadline(),
            limits: limits_of_run(&settings, &self.sandbox, job.as_ref(), workers),
            deterministic: settings.deterministic || self.sandbox.deterministic,
            retry: settings.retry,
            budgets: settings.budgets,
            seed: settings.seed,
            sampler: settings.sampler,
            pruner: settings.pruner,
            fixed: self.fix.clone(),
            constraint_format: settings.constraint_format,
            objective,
            database,
            spool,
            last_look,
        }
    }

    fn setting_flags(&self) -> Result<SettingFlags, CommandError> {
        Ok(SettingFlags {
            seed: self.seed,
            sampler: self.sampler.config()?,
            pruner: self.pruner.config()?,
            max_memory_bytes: self.sandbox.max_memory,
            trial_timeout: self.sandbox.trial_timeout,
            limits: args::limit::to_remember(&self.sandbox.limit, self.sandbox.fuel),
            deterministic: self.sandbox.deterministic,
            max_retries: self.max_retries,
            stopping: self.stopping.clone(),
            constraint_format: self.constraint_format,
            overrule: self.overrule,
            decides_max_trials: false,
            module: None,
        })
    }
}

/// Returns the end of waits for a database: a signal, or the last moments of the job.
fn stops_waiting(stops: &Cancellation, job_end: &JobEnd) -> WaitCancellation {
    let (stops, last_call) = (stops.clone(), Arc::clone(&job_end.last_call));
    WaitCancellation::when(move || stops.signal().is_some() || last_call.is_over())
}
