//! `trialbox run`: runs trials of an objective on a study.

use crate::clock::SystemClock;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::finished::{finished_json, last_lines, show_reports, source_prefix};
use crate::objective_args::{
    DirectionArg, ObjectiveArgs, ReadyObjective, count_directions, described_directions,
    metric_names_attr, objective_name, show_directions,
};
use crate::objectives::show_values;
use crate::output::Output;
use crate::owner::new_owner;
use crate::param_args::{parse_param, refuse_twice};
use crate::progress::Progress;
use crate::pruner_args::PrunerArgs;
use crate::sampler_args::SamplerArgs;
use crate::settings::{SettingFlags, Settings, parse_constraint_format};
use crate::stopping::{NothingToDo, StoppingArgs, read_history};
use crate::storage_args::{StorageArgs, parse_duration};
use crate::trial_json::{self, show_duration, show_params, show_violated};
use crate::until::parse_until;
use crate::upkeep::{DEFAULT_GRACE, keep, tidy_up};
use serde_json::json;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use trialbox_core::clock::Clock as _;
use trialbox_core::constraint::ConstraintFormat;
use trialbox_core::json::Json;
use trialbox_core::objective::Interruption;
use trialbox_core::run::{FinishedTrial, RunError, TrialEnd, run_trial};
use trialbox_core::sampler::{Sampler, may_begin};
use trialbox_core::session::{Event, SessionLimits, Surroundings};
use trialbox_core::storage::{BeginTrial, Storage, StorageError};
use trialbox_core::study::{NewStudy, StudyDirection, StudyRecord};
use trialbox_core::trial::{TrialState, UtcDateTime};
use trialbox_runtime::{Interrupts, ObjectiveFile};
use trialbox_samplers::PartialFixedSampler;
use trialbox_storage::{Create, Stopping};

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
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
pub(crate) struct RunArgs {
    /// The objective: a wasm component
    objective: PathBuf,

    #[command(flatten)]
    storage: StorageArgs,

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
    #[arg(short, long, value_name = "N", default_value = "1")]
    n_trials: NonZeroU32,

    /// How many trials run side by side
    #[arg(short, long, value_name = "N", default_value = "1")]
    jobs: NonZeroU32,

    /// Begin no new trial after this time, such as 50m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// Begin no new trial after this point in time, such as 2026-11-25T18:00 (local), 2026-11-25T18:00+01:00 or
    /// +2h; 18:00 is today's, so name the day where tasks may begin later. Trials that run go on
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    until: Option<UtcDateTime>,

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
    fix: Vec<(String, Json)>,

    /// The seed of the study, from which each trial's random numbers follow; remembered by the study
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How often a trial is tried again that was interrupted by the scheduler or whose job is gone;
    /// remembered by the study [default: 3]
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,

    /// How constraints are written: `named` as by Optuna 5, or `legacy`, the list that Optuna up to 4.9 and the
    /// dashboard read; remembered by the study [default: named]
    #[arg(long, value_name = "named|legacy", value_parser = parse_constraint_format)]
    constraint_format: Option<ConstraintFormat>,

    /// How long the heartbeat of another job's trial must stand still before the trial counts as lost
    #[arg(long, value_name = "TIME", default_value = DEFAULT_GRACE, value_parser = parse_duration, hide_short_help = true)]
    grace: Duration,

    /// Let --seed, --sampler, --sampler-opt, --pruner, --pruner-opt, --max-retries, --constraint-format,
    /// --max-memory, --trial-timeout, --max-trials, --stop-when-value and --patience change a study that was made
    /// with others
    #[arg(long = "override")]
    overrule: bool,

    /// End with 0 even if trials failed
    #[arg(long)]
    catch: bool,

    #[command(flatten)]
    sandbox: ObjectiveArgs,
}

impl RunArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let interrupts = Arc::new(Interrupts::install()?);
        match (self.run_until(&interrupts, output), interrupts.pending()) {
            // What a signal cut short did not fail: nothing was begun, or what there is is kept in a file.
            (Err(error), Some(interruption)) if error.is_cut_short() => {
                output.note(&error.to_text());
                Ok(interrupted(interruption))
            }
            (result, _) => result,
        }
    }

    fn run_until(&self, interrupts: &Arc<Interrupts>, output: &Output) -> CommandResult {
        refuse_twice("--fix", &self.fix)?;
        let flags = self.setting_flags()?;
        let file = Arc::new(ObjectiveFile::read(&self.objective)?);
        // Before the database: a file that is no objective must leave no trace there.
        let ready = self.sandbox.load(&file, Some(Arc::clone(interrupts)))?;
        self.sandbox.check_data(&ready.loaded)?;

        let mut storage = self.open_storage(Create::Missing, interrupts)?;
        let study = self.open_or_create_study(storage.as_mut(), &flags, &ready)?;
        let (study, settings) = flags.settle(storage.as_mut(), study)?;
        let spool = self.storage.spool();
        tidy_up(storage.as_mut(), spool.as_ref(), &study, self.grace, output)?;

        let counters = Counters::new(self.n_trials.get());
        let progress = Progress::new(output, self.n_trials.get());
        let job = Job {
            args: self,
            output,
            file: &file,
            interrupts,
            study: &study,
            settings: &settings,
            counters: &counters,
            progress: &progress,
            clock: SystemClock::new(),
        };
        let result = job.run_workers(ready, storage);
        progress.finish();
        let exit = result?;
        Ok(if self.catch && exit == ExitCode::TrialFailed { ExitCode::Done } else { exit })
    }

    /// Opens the database; a signal cuts short what would be a long wait for it.
    fn open_storage(
        &self,
        create: Create,
        interrupts: &Arc<Interrupts>,
    ) -> Result<Box<dyn Storage>, CommandError> {
        let interrupts = Arc::clone(interrupts);
        let stopping = Stopping::when(move || interrupts.pending().is_some());
        self.storage.open_with(create, stopping)
    }

    fn setting_flags(&self) -> Result<SettingFlags, CommandError> {
        Ok(SettingFlags {
            seed: self.seed,
            sampler: self.sampler.config()?,
            pruner: self.pruner.config()?,
            max_memory_bytes: self.sandbox.max_memory,
            trial_timeout: self.sandbox.trial_timeout,
            max_retries: self.max_retries,
            stopping: self.stopping.clone(),
            constraint_format: self.constraint_format,
            overrule: self.overrule,
        })
    }

    /// The study that the flags and the objective name, which must fit both.
    fn open_or_create_study(
        &self,
        storage: &mut dyn Storage,
        settings: &SettingFlags,
        ready: &ReadyObjective,
    ) -> Result<StudyRecord, CommandError> {
        let name = self
            .study_name
            .clone()
            .unwrap_or_else(|| objective_name(&ready.loaded, &self.objective));
        let described = described_directions(&ready.loaded);
        let flags: Vec<StudyDirection> =
            self.direction.iter().map(|direction| (*direction).into()).collect();
        if let (Some(described), false) =
            (&described, flags.is_empty() || described.as_ref() == Some(&flags))
        {
            return Err(CommandError::usage(
                format!(
                    "the objective says that it wants to {}, and --direction says {}",
                    show_directions(described),
                    show_directions(&flags)
                ),
                "leave --direction out",
            ));
        }
        let wanted = described.or(Some(flags).filter(|flags| !flags.is_empty()));
        let study = match storage.open_study(&name) {
            Err(StorageError::NoSuchStudy { .. }) => {
                let attrs = settings.attributes_of_new_study();
                self.create_study(storage, &name, wanted.as_deref(), attrs, ready)?
            }
            other => other?,
        };
        match wanted {
            Some(wanted) if wanted != study.directions => Err(CommandError::usage(
                format!(
                    "study `{name}` has {}, and this component has {}",
                    count_directions(&study.directions),
                    count_directions(&wanted)
                ),
                "choose another --study-name",
            )),
            _ => Ok(study),
        }
    }

    fn create_study(
        &self,
        storage: &mut dyn Storage,
        name: &str,
        directions: Option<&[StudyDirection]>,
        user_attrs: Vec<(String, Json)>,
        ready: &ReadyObjective,
    ) -> Result<StudyRecord, CommandError> {
        let study = NewStudy {
            name: name.to_owned(),
            directions: directions.map_or_else(|| vec![StudyDirection::Minimize], <[_]>::to_vec),
            user_attrs,
            system_attrs: metric_names_attr(&ready.loaded).into_iter().collect(),
        };
        self.stopping.check(&study.directions)?;
        match storage.create_study(&study) {
            // Another job was first, between our look and our try.
            Err(StorageError::DuplicateStudy { .. }) => Ok(storage.open_study(name)?),
            other => Ok(other?),
        }
    }
}

/// How many trials are left to begin, and whether to go on at all; shared by the workers.
struct Counters {
    left: AtomicU32,
    stop: AtomicBool,
}

impl Counters {
    fn new(n_trials: u32) -> Self {
        Counters { left: AtomicU32::new(n_trials), stop: AtomicBool::new(false) }
    }

    /// Whether there may be a trial to begin.
    fn is_left(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && self.left.load(Ordering::Relaxed) > 0
    }

    /// Takes the right to begin one more trial.
    fn take(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    /// Lets nobody begin any more; whether this is the first to say so.
    fn stop(&self) -> bool {
        !self.stop.swap(true, Ordering::Relaxed)
    }
}

/// What all workers of this process share.
struct Job<'a> {
    args: &'a RunArgs,
    output: &'a Output,
    file: &'a Arc<ObjectiveFile>,
    interrupts: &'a Arc<Interrupts>,
    study: &'a StudyRecord,
    settings: &'a Settings,
    counters: &'a Counters,
    progress: &'a Progress,
    clock: SystemClock,
}

impl Job<'_> {
    /// Runs `--jobs` workers: the first with the sandbox that is ready, the others with their own.
    fn run_workers(&self, ready: ReadyObjective, storage: Box<dyn Storage>) -> CommandResult {
        let extra_workers = self.args.jobs.get().min(self.args.n_trials.get()) - 1;
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..extra_workers)
                .map(|_| {
                    scope.spawn(|| {
                        let ready =
                            self.args.sandbox.load(self.file, Some(Arc::clone(self.interrupts)))?;
                        let storage = self.args.open_storage(Create::Never, self.interrupts)?;
                        self.run_worker(ready, storage)
                    })
                })
                .collect();
            let mut result = self.run_worker(ready, storage);
            for other in others {
                let ended = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result = match (result, ended) {
                    (Ok(a), Ok(b)) => Ok(a.worst(b)),
                    (Err(error), _) | (_, Err(error)) => Err(error),
                };
            }
            result
        })
    }

    fn run_worker(
        &self,
        mut ready: ReadyObjective,
        mut storage: Box<dyn Storage>,
    ) -> CommandResult {
        let mut limits = self.args.sandbox.limits();
        limits.max_memory_bytes = self.settings.max_memory_bytes.unwrap_or(limits.max_memory_bytes);
        limits.trial_timeout = self.settings.trial_timeout.or(limits.trial_timeout);
        ready.sandbox.set_limits(limits);
        let (sampler, pruner) = (self.sampler(), self.settings.pruner.build());
        let around = Surroundings {
            study: self.study,
            seed: self.settings.seed,
            sampler: sampler.as_ref(),
            pruner: pruner.as_ref(),
            clock: &self.clock,
            limits: SessionLimits {
                constraint_format: self.settings.constraint_format,
                ..SessionLimits::default()
            },
            retry: Some(self.settings.retry),
        };
        let mut exit = ExitCode::Done;
        while self.may_begin(sampler.as_ref(), storage.as_mut())? && self.counters.take() {
            let request = BeginTrial {
                owner: new_owner(),
                beats: true,
                max_trials: self.settings.budgets.max_trials,
                at: self.clock.utc_now(),
            };
            let mut observer = |event: Event| self.observe(&event);
            let end =
                run_trial(&around, storage.as_mut(), &mut ready.sandbox, &request, &mut observer);
            let end = match end {
                Ok(end) => end,
                Err(error) => {
                    self.counters.stop();
                    return Err(self.explain(error));
                }
            };
            exit = exit.worst(self.report(&end, ready.sandbox.peak_memory_bytes()));
        }
        Ok(match self.interrupts.pending() {
            Some(interruption) => exit.worst(interrupted(interruption)),
            None => exit,
        })
    }

    /// What could not be recorded is kept in a file.
    fn explain(&self, error: RunError) -> CommandError {
        let RunError::NotRecorded { trial, source } = error else { return error.into() };
        let kept = keep(self.args.storage.spool().as_ref(), &self.study.name, &trial);
        let mut error = CommandError::from(RunError::NotRecorded { trial, source });
        error.help = Some(match error.help {
            Some(help) => format!("{kept}; {help}"),
            None => kept,
        });
        error
    }

    fn sampler(&self) -> Box<dyn Sampler> {
        let sampler = self.settings.sampler.build();
        if self.args.fix.is_empty() {
            sampler
        } else {
            Box::new(PartialFixedSampler::new(self.args.fix.clone(), sampler))
        }
    }

    /// Whether to begin another trial, and if not, why: that is said only where one could still be begun.
    fn may_begin(
        &self,
        sampler: &dyn Sampler,
        storage: &mut dyn Storage,
    ) -> Result<bool, StorageError> {
        if self.interrupts.pending().is_some() || !self.counters.is_left() {
            return Ok(false);
        }
        let reason = self.reason_to_end(sampler, storage)?;
        if let Some(reason) = &reason {
            self.end(reason);
        }
        Ok(reason.is_none())
    }

    fn reason_to_end(
        &self,
        sampler: &dyn Sampler,
        storage: &mut dyn Storage,
    ) -> Result<Option<NothingToDo>, StorageError> {
        if let Some(timeout) = self.args.timeout.filter(|it| self.clock.elapsed() >= *it) {
            return Ok(Some(NothingToDo::TimeoutReached(timeout)));
        }
        if let Some(until) = self.args.until.filter(|until| self.clock.utc_now() >= *until) {
            return Ok(Some(NothingToDo::UntilReached(until)));
        }
        if let Some(reason) = self.settings.budgets.reason_to_stop(storage, self.study)? {
            return Ok(Some(NothingToDo::Needless(reason)));
        }
        let is_left = may_begin(sampler, || read_history(storage, self.study))?;
        Ok((!is_left).then_some(NothingToDo::SearchExhausted))
    }

    /// Lets no worker begin any more; of several, one says so.
    fn end(&self, reason: &NothingToDo) {
        if self.counters.stop() {
            let study = &self.study.name;
            self.progress.result(self.output, &reason.text(study), || reason.json(study));
        }
    }

    /// What the objective logs is shown at `-v`; after a failure it is shown in any case.
    fn observe(&self, event: &Event) {
        if let (Event::Logged(line), true) = (event, self.output.is_verbose()) {
            self.progress
                .note(self.output, &format!("  {}{}", source_prefix(line.source), line.text));
        }
    }

    fn report(&self, end: &TrialEnd, peak_memory_bytes: u64) -> ExitCode {
        match end {
            TrialEnd::Finished(trial) => {
                self.report_finished(trial, peak_memory_bytes);
                match trial.interruption {
                    Some(interruption) => interrupted(interruption),
                    None if trial.state == TrialState::Fail => ExitCode::TrialFailed,
                    None => ExitCode::Done,
                }
            }
            TrialEnd::BudgetReached { n_trials } => {
                self.end(&NothingToDo::BudgetReached(*n_trials));
                ExitCode::Done
            }
            TrialEnd::Stopped(stop) => {
                self.end(&NothingToDo::Stopped(stop.clone()));
                ExitCode::Done
            }
            TrialEnd::ClaimLost { number, reason, values, kept_as } => {
                let kept = kept_as.as_ref().map_or_else(
                    || match &values[..] {
                        [] => "there is no result".to_owned(),
                        values => {
                            format!("its result, {}, has no place", show_values(self.study, values))
                        }
                    },
                    |key| {
                        let values = show_values(self.study, values);
                        format!("its result, {values}, is kept as the study's attribute `{key}`")
                    },
                );
                let text = format!("trial {number:<4} CLAIM LOST  {reason}; {kept}");
                self.progress.result(self.output, &text, || {
                    json!({
                        "event": "claim_lost",
                        "study": self.study.name,
                        "number": number.0,
                        "reason": reason.to_string(),
                        "values": trial_json::floats(values),
                        "kept_as": kept_as,
                    })
                });
                ExitCode::ClaimLost
            }
        }
    }

    fn report_finished(&self, trial: &FinishedTrial, peak_memory_bytes: u64) {
        let mut text = format!("trial {:<4} {:<8} ", trial.number.0, trial.state);
        if !trial.values.is_empty() {
            text.push_str(&format!("{}  ", show_values(self.study, &trial.values)));
        }
        text.push_str(&format!(
            "in {}  {}",
            show_duration(trial.duration),
            show_params(&trial.params)
        ));
        if let Some(violated) = show_violated(&trial.constraints) {
            text.push_str(&format!("; violates {violated}"));
        }
        if let (Some(reports), true) =
            (show_reports(trial), trial.n_reports != trial.n_reports_stored as u64)
        {
            text.push_str(&format!("\n  {reports}"));
        }
        if let Some(failure) = &trial.failure {
            text.push_str(&format!("\n  {}: {}", failure.code, failure.message));
            if let Some(help) = &failure.help {
                text.push_str(&format!("\n  help: {help}"));
            }
            if let Some(retry) = trial.retry {
                text.push_str(&format!("\n  it waits again as trial {retry}"));
            }
            if !self.output.is_verbose() {
                text.push_str(&last_lines(trial));
            }
        }
        self.progress.result(self.output, &text, || {
            finished_json(&self.study.name, trial, peak_memory_bytes)
        });
        self.progress.advance(trial, &self.study.directions);
    }
}

fn interrupted(interruption: Interruption) -> ExitCode {
    match interruption {
        Interruption::Scheduler => ExitCode::Requeue,
        Interruption::User => ExitCode::Interrupted,
    }
}
