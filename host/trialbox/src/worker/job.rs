//! The workers of one `trialbox run`.

use crate::clock::SystemClock;
use crate::cluster::job_end::JobEnd;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::plan::{ReadyObjective, RunPlan};
use crate::study::owner::new_owner;
use crate::study::provenance::share_provenance;
use crate::study::recovery::{reap_study, reaped_text, spool_result};
use crate::view::output::Output;
use crate::view::progress::Progress;
use crate::worker::checkpoint::{Checkpointed, Checkpoints};
use crate::worker::counters::Counters;
use crate::worker::held::Held;
use std::cell::Cell;
use trialbox_core::run::RunError;
use trialbox_core::run::next::{NextError, NextTrial, ProcessBounds, Step, run_next};
use trialbox_core::session::door::Rejection;
use trialbox_core::session::event::Event;
use trialbox_core::session::objective::Interruption;
use trialbox_core::session::{KnownTrials, SessionLimits, TrialContext};
use trialbox_core::{Json, Sampler, Storage, StorageError, StudyRecord};
use trialbox_program::Share;
use trialbox_runtime::Cancellation;
use trialbox_samplers::PartialFixedSampler;

/// The work of this process, which its workers share.
pub(crate) struct Job<'a> {
    pub(crate) plan: &'a RunPlan,
    pub(crate) output: &'a Output,
    pub(crate) stops: &'a Cancellation,
    pub(crate) job_end: &'a JobEnd,
    pub(crate) checkpoints: Option<&'a Checkpoints>,
    pub(crate) study: &'a StudyRecord,
    pub(crate) provenance: &'a [(String, Json)],
    pub(crate) counters: &'a Counters,
    pub(crate) held: &'a Held,
    pub(crate) progress: &'a Progress,
    pub(crate) clock: SystemClock,
}

impl Job<'_> {
    /// Runs the workers: the first with the objective that is ready, each of the others with its own.
    pub(crate) fn run_workers(
        &self,
        ready: ReadyObjective,
        storage: Box<dyn Storage>,
    ) -> CommandResult {
        let run_another = |share: Option<&Share>| {
            let ready = self.plan.objective.load_with(share)?;
            self.run_worker(ready, self.plan.database.open()?, share)
        };
        std::thread::scope(|scope| {
            let share = |worker: u32| self.plan.shares.get(worker as usize);
            let others: Vec<_> = (1..self.plan.workers.get())
                .map(|worker| scope.spawn(move || run_another(share(worker))))
                .collect();
            let mut result = self.run_worker(ready, storage, share(0));
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
        share: Option<&Share>,
    ) -> CommandResult {
        let plan = self.plan;
        let mut provenance = self.provenance.to_vec();
        provenance.extend(share.into_iter().flat_map(share_provenance));
        ready.door.set_terms(plan.limits, plan.deterministic)?;
        let (sampler, pruner) = (self.sampler(), plan.pruner.build());
        let context = TrialContext {
            study: self.study,
            seed: plan.seed,
            sampler: sampler.as_ref(),
            held: &plan.fixed,
            pruner: pruner.as_ref(),
            clock: &self.clock,
            limits: SessionLimits {
                limits: plan.limits,
                constraint_format: plan.constraint_format,
                strict_fixed_params: !plan.is_lenient,
            },
            retry: Some(plan.retry),
            on_deadline: plan.on_deadline,
            provenance: &provenance,
        };
        let mut objective = Checkpointed::new(ready.door.as_mut(), self.checkpoints, self.stops);
        let (mut exit, mut known) = (ExitCode::Done, KnownTrials::default());
        // A worker that is told to stop, or that has no trial left, does not touch the database again.
        while self.stops.signal().is_none() && self.counters.is_left() {
            match self.step(&context, storage.as_mut(), &mut objective, &mut known)? {
                Step::Finished(trial) => {
                    exit = exit.worst(self.report(&trial));
                    objective.resolve(&trial);
                    if let Err(error) = self.held.note(&trial) {
                        self.counters.stop();
                        return Err(error);
                    }
                }
                Step::ClaimLost(claim) => exit = exit.worst(self.report_lost(&claim)),
                Step::Recovered => {}
                Step::NotStarted => break,
                Step::Stop(reason) => {
                    self.end(&reason);
                    break;
                }
            }
        }
        // The process ends soon. Freeing the trials of a large study one by one takes longer than that.
        std::mem::forget(known);
        // The end of the job's time is reported with the trial that it stops.
        Ok(self.stops.signal().map_or(exit, |interruption| exit.worst(ExitCode::of(interruption))))
    }

    /// Runs the next trial, if one may start.
    fn step(
        &self,
        context: &TrialContext,
        storage: &mut dyn Storage,
        objective: &mut Checkpointed,
        known: &mut KnownTrials,
    ) -> Result<Step, CommandError> {
        let has_right = Cell::new(false);
        let mut rejection: Option<Rejection> = None;
        let mut request = NextTrial {
            budgets: &self.plan.budgets,
            bounds: self.bounds(),
            known,
            recover: &mut |storage| self.recover(storage),
            prepare: &mut |objective: &mut Checkpointed| {
                has_right.set(self.counters.take());
                if !has_right.get() {
                    return None;
                }
                rejection = objective.prepare().err();
                rejection.is_none().then(new_owner)
            },
        };
        let mut number = None;
        let mut observer = |event: Event| self.observe(&mut number, &event);
        let step = run_next(&mut request, context, storage, objective, &mut observer);
        if let Some(rejection) = rejection {
            self.counters.stop();
            return Err(rejection.into());
        }
        match step {
            Ok(step) => {
                if has_right.get() && step == Step::Recovered {
                    self.counters.put_back();
                }
                Ok(step)
            }
            Err(NextError::Storage(error)) => Err(error.into()),
            Err(NextError::Host(panic)) => {
                self.counters.stop();
                Err(panic.into())
            }
            Err(NextError::Run(error)) => {
                self.counters.stop();
                Err(self.explain(error))
            }
        }
    }

    fn bounds(&self) -> ProcessBounds {
        let n_failures = self.counters.n_failures();
        ProcessBounds {
            timeout: self.plan.timeout,
            until: self.plan.until,
            too_many_failures: self
                .plan
                .max_failures
                .filter(|most| n_failures >= most.get())
                .map(|_| n_failures),
            too_little_time: self.job_end.too_little_left(self.counters.longest()),
        }
    }

    /// Fails and requeues lost trials; returns whether there were any.
    fn recover(&self, storage: &mut dyn Storage) -> Result<bool, StorageError> {
        let (spool, look) = (self.plan.spool.as_ref(), &self.plan.last_look);
        let report = reap_study(storage, spool, self.study, look)?;
        for reaped in &report.lost {
            self.progress.note(self.output, &reaped_text(reaped));
        }
        Ok(!report.lost.is_empty())
    }

    /// Turns an error of a trial into one of the command. A result that could not be recorded goes to a file.
    fn explain(&self, error: RunError) -> CommandError {
        let RunError::NotRecorded { trial, source } = error else { return error.into() };
        if self.stops.pending() == Some(Interruption::Deadline) {
            self.counters.note_out_of_time();
        }
        let place = spool_result(self.plan.spool.as_ref(), &self.study.name, &trial);
        let mut error = CommandError::from(RunError::NotRecorded { trial, source });
        error.help = Some(match error.help {
            Some(help) => format!("{place}; {help}"),
            None => place,
        });
        error
    }

    fn sampler(&self) -> Box<dyn Sampler> {
        let sampler = self.plan.sampler.build();
        #[cfg(feature = "failpoints")]
        let sampler = Box::new(crate::worker::faults::Faulty(sampler));
        if self.plan.fixed.is_empty() {
            return sampler;
        }
        Box::new(PartialFixedSampler::new(self.plan.fixed.clone(), sampler))
    }
}
