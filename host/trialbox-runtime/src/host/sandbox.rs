//! The host's side of a sandboxed objective: starts the guest process, answers its calls from the trial's
//! session, and ends it when its time is over.

use crate::host::call::{Call, CallEnd, to_evaluation};
use crate::host::config::SandboxConfig;
use crate::host::isolation::Isolation;
use crate::host::precheck::ObjectiveFile;
use crate::host::running_guest::{RunningGuest, died};
use crate::wire::protocol::{CheckpointDir, CheckpointState, Loaded};
use crate::wire::rejection::Rejection;
use std::sync::Arc;
use trialbox_core::session::TrialSession;
use trialbox_core::session::objective::{Evaluation, Objective};
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::Limits;

/// An objective in its guest process.
#[derive(Debug)]
pub struct Sandbox {
    file: Arc<ObjectiveFile>,
    config: SandboxConfig,
    checkpoint: Option<CheckpointDir>,
    guest: Option<RunningGuest>,
}

impl Sandbox {
    /// Starts the guest process, which gets the objective ready while the caller does something else.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(file: Arc<ObjectiveFile>, config: SandboxConfig) -> Result<Self, Rejection> {
        let guest = RunningGuest::spawn(&file, &config, None)?;
        Ok(Sandbox { file, config, checkpoint: None, guest: Some(guest) })
    }

    /// Waits until the objective is ready.
    ///
    /// # Errors
    /// When the file is no objective after all, or takes too long to compile.
    pub fn wait_loaded(&mut self) -> Result<Loaded, Rejection> {
        let loaded = match &mut self.guest {
            Some(guest) => guest.wait_loaded(&self.file, &self.config),
            None => Err(died("the guest process was already ended")),
        };
        if loaded.is_err() {
            self.guest = None;
        }
        loaded
    }

    /// Sets the limits of the trials to come, and whether they must give the same bits on every machine. A study may
    /// decide that after the objective was loaded; where other code is needed then, it is loaded anew.
    ///
    /// # Errors
    /// As for [`Self::wait_loaded`], when it is.
    pub fn set_terms(&mut self, limits: Limits, deterministic: bool) -> Result<(), Rejection> {
        let before = self.config.engine();
        self.config.limits = limits;
        self.config.deterministic = deterministic;
        if self.config.engine() != before {
            self.guest = None;
            // Now, and not in a trial that has begun.
            self.prepare()?;
        }
        Ok(())
    }

    /// Gives the trial to come a directory of its own, or takes it away. What a guest process may see is settled when
    /// it starts: one that has such a directory, or is to have one, makes way for a new one.
    pub fn set_checkpoint(&mut self, checkpoint: Option<CheckpointDir>) {
        if self.checkpoint.is_some() || checkpoint.is_some() {
            self.guest = None;
        }
        self.checkpoint = checkpoint;
    }

    /// Where the objective's code runs.
    pub fn isolation(&self) -> Isolation {
        self.config.isolation
    }

    /// Makes sure that there is a guest process which is ready, in the place of one that was ended: a trial that has
    /// begun should not wait for the compiler.
    ///
    /// # Errors
    /// As for [`Self::wait_loaded`].
    pub fn prepare(&mut self) -> Result<(), Rejection> {
        if self.guest.is_none() {
            let checkpoint = self.checkpoint.as_ref();
            let mut guest = RunningGuest::spawn(&self.file, &self.config, checkpoint)?;
            guest.wait_loaded(&self.file, &self.config)?;
            self.guest = Some(guest);
        }
        Ok(())
    }

    /// Ends the guest process; the next trial gets a new one.
    pub fn restart(&mut self) {
        self.guest = None;
    }
}

impl Objective for Sandbox {
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation {
        let checkpoint = CheckpointState::from(self.checkpoint.as_ref());
        if let Err(rejection) = self.prepare() {
            return match self.config.stops.pending() {
                Some(interruption) => Evaluation::Interrupted(interruption),
                None => Evaluation::Fail(Failure::new(FailureCode::Died, rejection.message)),
            };
        }
        let Some(guest) = &mut self.guest else { unreachable!("a guest was just prepared") };
        match Call::new(guest, &self.config, checkpoint).run(session) {
            CallEnd::Returned(end) => to_evaluation(end),
            // The process is of no more use: dropping it ends it.
            CallEnd::Ended(evaluation) => {
                self.guest = None;
                evaluation
            }
            CallEnd::Died => {
                let failure = self.guest.take().map(RunningGuest::post_mortem);
                Evaluation::Fail(
                    failure.unwrap_or_else(|| {
                        Failure::new(FailureCode::Died, "the guest process died")
                    }),
                )
            }
        }
    }
}
