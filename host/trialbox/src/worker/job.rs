//! What the workers of one `trialbox run` do, and what they say of it.

use crate::args::objective::ReadyObjective;
use crate::args::stopping::{NothingToDo, read_history};
use crate::clock::SystemClock;
use crate::cluster::job_end::JobEnd;
use crate::cluster::slurm::SlurmJob;
use crate::commands::run::RunArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::owner::new_owner;
use crate::study::recovery::{Reaping, keep, reap_study, reaped_text};
use crate::study::settings::Settings;
use crate::view;
use crate::view::finished::{
    count_reports, last_lines, show_backtrace, show_reports, show_usage, source_prefix,
};
use crate::view::objectives::show_values;
use crate::view::output::Output;
use crate::view::progress::Progress;
use crate::view::record::{Rendered, TrialRecord};
use crate::view::trial::{show_duration, show_params, show_violated};
use crate::worker::checkpoint::{Checkpointed, Checkpoints};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use trialbox_core::run::retry::MAX_ATTEMPTS;
use trialbox_core::run::{FinishedTrial, RunError, TrialEnd, run_trial};
use trialbox_core::seam::sampler::may_begin;
use trialbox_core::seam::storage::BeginTrial;
use trialbox_core::session::event::Event;
use trialbox_core::session::objective::Interruption;
use trialbox_core::session::{OnDeadline, SessionLimits, TrialContext};
use trialbox_core::study::limits::Limits;
use trialbox_core::{
    Clock as _, Json, Sampler, Storage, StorageError, StudyRecord, TrialNumber, TrialState,
};
use trialbox_runtime::{Cancellation, ObjectiveFile};
use trialbox_samplers::PartialFixedSampler;
use trialbox_storage::Create;

/// How many trials are left to begin, and whether to go on at all; shared by the workers.
pub(crate) struct Counters {
    left: AtomicU32,
    stop: AtomicBool,
    /// How long the longest trial took, in milliseconds.
    longest: AtomicU64,
    /// Whether the end of the job's time has left something to do.
    is_out_of_time: AtomicBool,
    /// How many trials have failed by the objective's fault.
    failures: AtomicU32,
    /// Whether a trial has ended for good, or come closer to its end.
    gets_on: AtomicBool,
}

impl Counters {
    pub(crate) fn new(n_trials: u32) -> Self {
        Counters {
            left: AtomicU32::new(n_trials),
            stop: AtomicBool::new(false),
            longest: AtomicU64::new(0),
            is_out_of_time: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            gets_on: AtomicBool::new(false),
        }
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

    /// Whether the end of the job's time has left something to do.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.is_out_of_time.load(Ordering::Relaxed)
    }

    /// Whether this process has brought the study further.
    pub(crate) fn gets_on(&self) -> bool {
        self.gets_on.load(Ordering::Relaxed)
    }

    /// Gives back the right to begin a trial.
    fn put_back(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets nobody begin any more; whether this is the first to say so.
    fn stop(&self) -> bool {
        !self.stop.swap(true, Ordering::Relaxed)
    }
}

/// What all workers of this process share.
pub(crate) struct Job<'a> {
    pub(crate) args: &'a RunArgs,
    pub(crate) output: &'a Output,
    pub(crate) file: &'a Arc<ObjectiveFile>,
    pub(crate) stops: &'a Cancellation,
    pub(crate) job_end: &'a JobEnd,
    pub(crate) checkpoints: Option<&'a Checkpoints>,
    pub(crate) study: &'a StudyRecord,
    pub(crate) settings: &'a Settings,
    pub(crate) limits: Limits,
    pub(crate) provenance: &'a [(String, Json)],
    pub(crate) counters: &'a Counters,
    pub(crate) progress: &'a Progress,
    pub(crate) clock: SystemClock,
}

impl Job<'_> {
    /// Runs `--jobs` workers: the first with the sandbox that is ready, the others with their own.
    pub(crate) fn run_workers(
        &self,
        ready: ReadyObjective,
        storage: Box<dyn Storage>,
    ) -> CommandResult {
        let extra_workers = self.args.jobs.get().min(self.args.n_trials.get()) - 1;
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..extra_workers)
                .map(|_| {
                    scope.spawn(|| {
                        let ready = self.args.sandbox.load(self.file, self.stops)?;
                        let storage =
                            self.args.open_storage(Create::Never, self.stops, self.job_end)?;
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
        let limits = self.limits;
        let deterministic = self.settings.deterministic || self.args.sandbox.deterministic;
        ready.sandbox.set_terms(limits, deterministic)?;
        let (sampler, pruner) = (self.sampler(), self.settings.pruner.build());
        let context = TrialContext {
            study: self.study,
            seed: self.settings.seed,
            sampler: sampler.as_ref(),
            pruner: pruner.as_ref(),
            clock: &self.clock,
            limits: SessionLimits {
                limits,
                constraint_format: self.settings.constraint_format,
                ..SessionLimits::default()
            },
            retry: Some(self.settings.retry),
            on_deadline: self.args.job_end.on_deadline(),
            provenance: self.provenance,
        };
        let mut objective = Checkpointed::new(&mut ready.sandbox, self.checkpoints, self.stops);
        let mut exit = ExitCode::Done;
        while self.may_begin(sampler.as_ref(), storage.as_mut())? && self.counters.take() {
            if let Err(rejection) = objective.prepare() {
                self.counters.stop();
                return Err(rejection.into());
            }
            let request = BeginTrial {
                owner: new_owner(),
                has_heartbeat: true,
                max_trials: self.settings.budgets.max_trials,
                at: self.clock.utc_now(),
            };
            let mut number = None;
            let mut observer = |event: Event| self.observe(&mut number, &event);
            let end =
                run_trial(&context, storage.as_mut(), &mut objective, &request, &mut observer);
            let end = match end {
                Ok(end) => end,
                Err(error) => {
                    self.counters.stop();
                    return Err(self.explain(error));
                }
            };
            if matches!(end, TrialEnd::BudgetReached { .. })
                && self.finds_lost_trials(storage.as_mut())?
            {
                self.counters.put_back();
                continue;
            }
            exit = exit.worst(self.report(&end));
            objective.resolve(&end);
        }
        // What the end of the job's time does is said with the trial that it stops.
        Ok(self.stops.signal().map_or(exit, |interruption| exit.worst(ExitCode::of(interruption))))
    }

    /// Looks once more before it says that the study has all it needs: trials of jobs that are gone wait again then. So
    /// the last job of a study completes it. Slurm is asked too, unless this is one task of many.
    fn finds_lost_trials(&self, storage: &mut dyn Storage) -> Result<bool, StorageError> {
        let is_one_of_many = SlurmJob::current().is_some_and(|job| job.array.is_some());
        let reaping = if is_one_of_many {
            Reaping::at_start(self.study, self.args.grace)
        } else {
            Reaping::at_end(self.study, self.args.grace)
        };
        let spool = self.args.storage.spool();
        let report = reap_study(storage, spool.as_ref(), self.study, &reaping)?;
        for reaped in &report.lost {
            self.progress.note(self.output, &reaped_text(reaped));
        }
        Ok(!report.lost.is_empty())
    }

    /// What could not be recorded is kept in a file.
    fn explain(&self, error: RunError) -> CommandError {
        let RunError::NotRecorded { trial, source } = error else { return error.into() };
        if self.stops.pending() == Some(Interruption::Deadline) {
            self.counters.is_out_of_time.store(true, Ordering::Relaxed);
        }
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
        if self.stops.signal().is_some() || !self.counters.is_left() {
            return Ok(false);
        }
        let mut reason = self.reason_to_end(sampler, storage)?;
        let is_of_study = reason.as_ref().is_some_and(NothingToDo::is_of_study);
        if is_of_study && self.finds_lost_trials(storage)? {
            reason = self.reason_to_end(sampler, storage)?;
        }
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
        let failures = self.counters.failures.load(Ordering::Relaxed);
        if self.args.max_failures.is_some_and(|most| failures >= most.get()) {
            return Ok(Some(NothingToDo::TooManyFailures(failures)));
        }
        let longest = Duration::from_millis(self.counters.longest.load(Ordering::Relaxed));
        if let Some(left) = self.job_end.too_little_left(longest) {
            // There is no time for a trial, but for a look whether one is missing.
            if let Some(n_trials) = self.budget_reached(storage)? {
                return Ok(Some(NothingToDo::BudgetReached(n_trials)));
            }
            self.counters.is_out_of_time.store(true, Ordering::Relaxed);
            return Ok(Some(NothingToDo::JobEnds(left)));
        }
        if let Some(reason) = self.settings.budgets.reason_to_stop(storage, self.study)? {
            return Ok(Some(NothingToDo::Needless(reason)));
        }
        let is_left = may_begin(sampler, || read_history(storage, self.study))?;
        Ok((!is_left).then_some(NothingToDo::SearchExhausted))
    }

    /// How many trials the study has, if that is as many as it may have.
    fn budget_reached(&self, storage: &mut dyn Storage) -> Result<Option<u64>, StorageError> {
        let Some(most) = self.settings.budgets.max_trials else { return Ok(None) };
        let history = read_history(storage, self.study)?;
        let counted = history.trials().iter().filter(|trial| trial.state.counts_towards_budget());
        let n_trials = counted.count() as u64;
        Ok((n_trials >= most).then_some(n_trials))
    }

    /// Lets no worker begin any more; of several, one says so.
    fn end(&self, reason: &NothingToDo) {
        if self.counters.stop() {
            let study = &self.study.name;
            self.progress.result(self.output, &reason.text(study), || reason.json(study));
        }
    }

    /// What the objective logs is shown at `-v`; after a failure it is shown in any case.
    /// Of several trials at once, each line says whose it is.
    fn observe(&self, number: &mut Option<TrialNumber>, event: &Event) {
        match event {
            Event::Begun(begun) => *number = Some(*begun),
            Event::Logged(line) if self.output.is_verbose() => {
                let trial = number.filter(|_| self.args.jobs.get() > 1);
                let trial = trial.map(|number| format!("trial {number} ")).unwrap_or_default();
                let text = format!("  {trial}{}{}", source_prefix(line.source), line.text);
                self.progress.note(self.output, &text);
            }
            _ => {}
        }
    }

    fn report(&self, end: &TrialEnd) -> ExitCode {
        match end {
            TrialEnd::Finished(trial) => {
                self.report_finished(trial);
                let took = trial.duration.as_millis().try_into().unwrap_or(u64::MAX);
                self.counters.longest.fetch_max(took, Ordering::Relaxed);
                self.exit_code(trial)
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
                        "values": view::record::floats(values),
                        "kept_as": kept_as,
                    })
                });
                ExitCode::ClaimLost
            }
        }
    }

    /// Whether an interrupted trial is tried again.
    fn show_retry(&self, trial: &FinishedTrial) -> String {
        if let Some(retry) = trial.retry {
            return format!("\n  it waits again as trial {retry}");
        }
        let is_given_up = match trial.interruption {
            Some(Interruption::Scheduler) => true,
            Some(Interruption::Deadline) => self.args.job_end.on_deadline() == OnDeadline::Retry,
            Some(Interruption::User) | None => false,
        };
        let tries = self.tries(trial);
        match (is_given_up, trial.interruption) {
            (true, Some(Interruption::Deadline)) => format!(
                "\n  it has been tried {tries} and is not tried again\
                 \n  help: give its job more time, or let it go on where it was with --checkpoint-dir"
            ),
            (true, _) => format!("\n  it has been tried {tries} and is not tried again"),
            (false, _) => String::new(),
        }
    }

    /// How often a trial was tried that is not tried again.
    fn tries(&self, trial: &FinishedTrial) -> String {
        let counted = self.settings.retry.max_retries + 1;
        match self.checkpoints {
            Some(_) if trial.made_progress => format!("{MAX_ATTEMPTS} times"),
            Some(_) => format!("{counted} times without getting further"),
            None => format!("{counted} times"),
        }
    }

    fn exit_code(&self, trial: &FinishedTrial) -> ExitCode {
        let has_ended = matches!(trial.state, TrialState::Complete | TrialState::Pruned);
        if has_ended || trial.made_progress {
            self.counters.gets_on.store(true, Ordering::Relaxed);
        }
        match (trial.interruption, trial.state) {
            (Some(Interruption::Deadline), _) if trial.retry.is_some() => {
                self.counters.is_out_of_time.store(true, Ordering::Relaxed);
                ExitCode::Requeue
            }
            (Some(interruption), _) if interruption != Interruption::Deadline => {
                ExitCode::of(interruption)
            }
            (interruption, TrialState::Fail) => {
                let by_objective = u32::from(interruption.is_none());
                self.counters.failures.fetch_add(by_objective, Ordering::Relaxed);
                ExitCode::TrialFailed
            }
            _ => ExitCode::Done,
        }
    }

    fn report_finished(&self, trial: &FinishedTrial) {
        let mut text = format!("trial {:<4} {:<8} ", trial.number.0, trial.state);
        if !trial.values.is_empty() {
            text.push_str(&format!("{}  ", show_values(self.study, &trial.values)));
        }
        if trial.state == TrialState::Pruned {
            text.push_str(&format!("after {}  ", count_reports(trial)));
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
        if self.output.is_verbose() {
            text.push_str(&format!("\n  used {}", show_usage(&trial.usage)));
        }
        if let Some(failure) = &trial.failure {
            text.push_str(&format!("\n  {}: {}", failure.code, failure.message));
            text.push_str(&show_backtrace(failure));
            if let Some(help) = &failure.help {
                text.push_str(&format!("\n  help: {help}"));
            }
            text.push_str(&self.show_retry(trial));
            if !self.output.is_verbose() {
                text.push_str(&last_lines(trial));
            }
        }
        let record = TrialRecord::of_finished(self.study, trial);
        self.progress.print(self.output, &Rendered::new(text, record));
        self.progress.advance(trial, &self.study.directions);
    }
}
