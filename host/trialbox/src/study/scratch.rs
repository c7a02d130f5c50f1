//! A study of one trial in this process's memory, for commands that call an objective and record nothing.

use crate::clock::SystemClock;
use crate::error::CommandError;
use crate::study::owner::new_owner;
use trialbox_core::run::{FinishedTrial, TrialEnd, run_trial};
use trialbox_core::seam::pruner::Pruner;
use trialbox_core::seam::storage::{BeginTrial, EnqueueTrial, Studies as _, Trials as _};
use trialbox_core::session::event::Event;
use trialbox_core::session::objective::Objective;
use trialbox_core::session::{KnownTrials, OnDeadline, SessionLimits, TrialContext};
use trialbox_core::study::record::NewStudy;
use trialbox_core::{Clock as _, Json, Sampler, StudyRecord};
use trialbox_storage::MemoryStorage;

/// The terms of the trial.
pub(crate) struct Scratch<'a> {
    /// The study, which is created anew.
    pub(crate) study: NewStudy,
    /// The values that some parameters get.
    pub(crate) params: Vec<(String, Json)>,
    /// The sampler of all other parameters.
    pub(crate) sampler: &'a dyn Sampler,
    pub(crate) seed: u64,
    pub(crate) pruner: &'a dyn Pruner,
    pub(crate) limits: SessionLimits,
}

impl Scratch<'_> {
    /// Runs the trial and returns it with its study.
    ///
    /// # Errors
    /// Fails as [`run_trial`] does.
    pub(crate) fn run(
        self,
        objective: &mut dyn Objective,
        observer: &mut dyn FnMut(Event),
    ) -> Result<(StudyRecord, FinishedTrial), CommandError> {
        self.with(|context, storage, request| {
            let known = &mut KnownTrials::default();
            match run_trial(context, storage, objective, request, known, observer)? {
                TrialEnd::Finished(trial) => Ok((context.study.clone(), *trial)),
                // These ends need another process, or a budget, and the storage has neither.
                TrialEnd::BudgetReached { .. }
                | TrialEnd::Stopped(_)
                | TrialEnd::ClaimLost { .. } => unreachable!("no other process has this study"),
            }
        })
    }

    /// Creates the study and calls `work` with it.
    ///
    /// # Errors
    /// Fails as `work` does.
    pub(crate) fn with<T>(
        self,
        work: impl FnOnce(&TrialContext, &mut MemoryStorage, &BeginTrial) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let mut storage = MemoryStorage::new();
        let study = storage.create_study(&self.study)?;
        if !self.params.is_empty() {
            let trial = EnqueueTrial { params: self.params, ..EnqueueTrial::default() };
            storage.enqueue_trial(study.id, &trial)?;
        }
        let clock = SystemClock::new();
        let context = TrialContext {
            study: &study,
            seed: self.seed,
            sampler: self.sampler,
            held: &[],
            pruner: self.pruner,
            clock: &clock,
            limits: self.limits,
            retry: None,
            on_deadline: OnDeadline::default(),
            provenance: &[],
        };
        let request = BeginTrial {
            owner: new_owner(),
            has_heartbeat: true,
            max_trials: None,
            at: clock.utc_now(),
        };
        work(&context, &mut storage, &request)
    }
}
