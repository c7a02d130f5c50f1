//! `trialbox run`: runs trials of an objective on a study.

mod study;

use crate::args;
use crate::args::limit::limits_help;
use crate::args::objective::{DirectionArg, ObjectiveArgs};
use crate::args::param::parse_param;
use crate::args::pruner::PrunerArgs;
use crate::args::sampler::SamplerArgs;
use crate::args::stopping::StoppingArgs;
use crate::args::storage::{StorageArgs, parse_count, parse_duration};
use crate::args::until::parse_until;
use crate::clock::SystemClock;
use crate::cluster::job_end::{JobEnd, JobEndArgs, explain_lost_signals};
use crate::cluster::slurm::SlurmJob;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::study::provenance::provenance;
use crate::study::recovery::DEFAULT_GRACE;
use crate::study::settings::{
    DEFAULT_MAX_RETRIES, SettingFlags, Settings, parse_constraint_format,
};
use crate::view::output::Output;
use crate::view::progress::Progress;
use crate::worker::checkpoint::CheckpointArgs;
use crate::worker::job::{Counters, Job};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub(crate) use study::Prepared;
use trialbox_core::session::objective::Interruption;
use trialbox_core::study::constraint::ConstraintFormat;
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::{Json, Storage, UtcDateTime};
use trialbox_runtime::{Cancellation, Interrupts};
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

impl RunArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let interrupts = Some(Arc::new(Interrupts::install()?));
        let job_end = self.job_end.watch();
        let stops = Cancellation { interrupts, job_end: Some(Arc::clone(&job_end.deadline)) };
        if let Some(note) = explain_lost_signals() {
            output.note(&note);
        }
        if job_end.deadline.is_over() {
            output.note("the job's time is over; no trial is begun");
            return Ok(ExitCode::Done);
        }
        match (self.run_until(&stops, &job_end, output), stops.pending()) {
            // What a signal cut short did not fail: nothing was begun, or what there is is kept in a file.
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
        let prepared = self.prepare(stops)?;
        let checkpoints = self.checkpoint.root(&self.sandbox.grants()?)?;
        let mut storage = self.open_storage(Create::Missing, stops, job_end)?;
        let (study, settings) = self.resolve_study(storage.as_mut(), &prepared, output)?;
        let lost = self.recover(storage.as_mut(), &study, output)?;
        let checkpoints =
            checkpoints.map(|root| root.of_study(storage.as_mut(), &study, &lost)).transpose()?;
        let Prepared { file, ready, .. } = prepared;

        let limits = self.limits(&settings);
        let counters = Counters::new(self.n_trials.get());
        let progress = Progress::new(output, self.n_trials.get());
        let provenance = provenance(
            &file,
            &ready.loaded,
            &self.sandbox,
            &self.sandbox.grants()?,
            &limits,
            settings.deterministic || self.sandbox.deterministic,
        );
        let job = Job {
            provenance: &provenance,
            args: self,
            output,
            file: &file,
            stops,
            job_end,
            checkpoints: checkpoints.as_ref(),
            study: &study,
            settings: &settings,
            limits,
            counters: &counters,
            progress: &progress,
            clock: SystemClock::new(),
        };
        let result = job.run_workers(ready, storage);
        progress.finish();
        // Also where the result of the last trial waits in a file.
        let gives_up = counters.is_out_of_time()
            && job_end.fails_to_requeue(settings.retry.max_retries, counters.gets_on(), output);
        let exit = result?.worst(if gives_up { ExitCode::Requeue } else { ExitCode::Done });
        Ok(if self.catch && exit == ExitCode::TrialFailed { ExitCode::Done } else { exit })
    }

    /// What trials may use. Memory is the job's, where nobody says how much: a guest that wants more fails with the
    /// reason, and not the whole job without one.
    fn limits(&self, settings: &Settings) -> Limits {
        let mut limits = settings.limits(&self.sandbox);
        let is_said = self.sandbox.max_memory.or(settings.max_memory_bytes).is_some();
        let job = SlurmJob::current().and_then(|job| job.memory_bytes).filter(|_| !is_said);
        if let Some(bytes) = job {
            let share = memory_of_guest(bytes, self.jobs.get().min(self.n_trials.get()));
            limits.set(Limit::Memory, limits.get(Limit::Memory).map(|most| most.min(share)));
        }
        limits
    }

    /// Opens the database; a signal, or the very end of the job, cuts short what would be a long wait for it.
    pub(crate) fn open_storage(
        &self,
        create: Create,
        stops: &Cancellation,
        job_end: &JobEnd,
    ) -> Result<Box<dyn Storage>, CommandError> {
        let (stops, last_call) = (stops.clone(), Arc::clone(&job_end.last_call));
        let stopping =
            WaitCancellation::when(move || stops.signal().is_some() || last_call.is_over());
        self.storage.open_with(create, stopping)
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

/// How much of a job's memory each of some guests may use: their shares, less what the processes need besides.
fn memory_of_guest(job_bytes: u64, n_guests: u32) -> u64 {
    const PROCESSES: u64 = 64 << 20;
    let share = job_bytes / u64::from(n_guests.max(1));
    share.saturating_sub(PROCESSES.max(share / 10)).max(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_share_a_jobs_memory_and_leave_some_to_the_processes_around_them() {
        const MIB: u64 = 1 << 20;
        assert_eq!(memory_of_guest(300 * MIB, 1), 236 * MIB);
        assert_eq!(memory_of_guest(1000 * MIB, 1), 900 * MIB);
        assert_eq!(memory_of_guest(600 * MIB, 2), 236 * MIB);
        assert_eq!(memory_of_guest(50 * MIB, 1), MIB);
    }
}
