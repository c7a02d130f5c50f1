//! A door to an objective in a guest process, which the sandbox starts, prepares, calls and replaces.

use crate::host::call::{Call, CallEnd, to_evaluation};
use crate::host::config::SandboxConfig;
use crate::host::isolation::Isolation;
use crate::host::python::WorkFolder;
use crate::host::running_guest::{RunningGuest, died};
use crate::host::scratch::{SCRATCH_PATH, ScratchFolder};
use crate::wire::protocol::GuestLimits;
use std::sync::Arc;
use trialbox_core::session::TrialSession;
use trialbox_core::session::door::{CheckpointDir, CheckpointState, Door, Loaded, Rejection};
use trialbox_core::session::objective::{Evaluation, Objective};
use trialbox_core::study::artifact::{Artifact, ArtifactKind};
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::Limits;

/// An objective in its guest process.
#[derive(Debug)]
pub(crate) struct Sandbox {
    artifact: Arc<Artifact>,
    config: SandboxConfig,
    checkpoint: Option<CheckpointDir>,
    guest: Option<RunningGuest>,
    /// The place for temporary files, which follows the guest process out: fields are dropped in their order.
    scratch: Option<ScratchFolder>,
    /// The files of an archive.
    _work: Option<WorkFolder>,
}

impl Sandbox {
    /// Starts the guest process, which loads the objective while the caller does something else.
    ///
    /// # Errors
    /// Fails if no process can be started.
    pub(crate) fn start(
        artifact: Arc<Artifact>,
        mut config: SandboxConfig,
    ) -> Result<Self, Rejection> {
        let has_own = config.grants.iter().any(|grant| grant.guest == SCRATCH_PATH);
        let scratch = match artifact.kind {
            ArtifactKind::Python if !has_own => {
                let scratch = ScratchFolder::new().map_err(|error| died(&error.to_string()))?;
                config.grants.push(scratch.grant().map_err(|error| died(&error.to_string()))?);
                Some(scratch)
            }
            ArtifactKind::Component | ArtifactKind::Python => None,
        };
        let work = match &artifact.archive {
            Some(archive) => {
                let work = WorkFolder::new(archive).map_err(|error| died(&error.to_string()))?;
                config.grants.push(work.grant().map_err(|error| died(&error.to_string()))?);
                Some(work)
            }
            None => None,
        };
        let guest = Some(RunningGuest::spawn(&artifact, &config, None)?);
        Ok(Sandbox { artifact, config, checkpoint: None, guest, scratch, _work: work })
    }
}

impl Door for Sandbox {
    fn describe(&mut self) -> Result<Loaded, Rejection> {
        let loaded = match &mut self.guest {
            Some(guest) => guest.wait_loaded(&self.artifact, &self.config),
            None => Err(died("the host already ended it")),
        };
        if loaded.is_err() {
            self.guest = None;
        }
        loaded
    }

    fn confinement(&self, loaded: &Loaded) -> String {
        if self.config.isolation == Isolation::Thread {
            return "WebAssembly alone; it runs on a thread of this process".to_owned();
        }
        if loaded.landlock_abi == 0 && !loaded.seccomp && !loaded.empty_root {
            return "WebAssembly alone; this kernel offers no Landlock, seccomp or empty root"
                .to_owned();
        }
        let landlock = match loaded.landlock_abi {
            0 => "no Landlock".to_owned(),
            abi => format!("Landlock {abi}"),
        };
        let seccomp = match (loaded.seccomp, loaded.second_filter) {
            (true, true) => "seccomp in two stages",
            (true, false) => "seccomp in one stage",
            (false, _) => "no seccomp",
        };
        let root = if loaded.empty_root { "an empty root" } else { "no empty root" };
        format!("WebAssembly, and by the kernel with {landlock}, {seccomp} and {root}")
    }

    fn set_terms(&mut self, limits: Limits, deterministic: bool) -> Result<(), Rejection> {
        let (before, room) = (self.config.engine(), self.config.limits_of_process());
        self.config.limits = limits;
        self.config.deterministic = deterministic;
        if self.config.engine() != before || !room.have_room_for(&GuestLimits::from(&limits)) {
            self.guest = None;
            // A trial that has started must not wait for the compiler.
            self.prepare()?;
        }
        Ok(())
    }

    fn set_checkpoint(&mut self, checkpoint: Option<CheckpointDir>) {
        // A guest process gets its rights when it starts, so a process with other rights must be a new one.
        if self.checkpoint.is_some() || checkpoint.is_some() {
            self.guest = None;
        }
        self.checkpoint = checkpoint;
    }

    fn prepare(&mut self) -> Result<(), Rejection> {
        if self.guest.is_none() {
            let checkpoint = self.checkpoint.as_ref();
            let mut guest = RunningGuest::spawn(&self.artifact, &self.config, checkpoint)?;
            guest.wait_loaded(&self.artifact, &self.config)?;
            self.guest = Some(guest);
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.guest = None;
    }
}

impl Sandbox {
    /// Returns the failure of a trial whose runtime was removed or changed.
    fn runtime_failure(&self) -> Option<Failure> {
        let problem = self.config.python.as_ref()?.problem()?;
        Some(Failure::new(FailureCode::Died, problem))
    }
}

impl Objective for Sandbox {
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation {
        let checkpoint = CheckpointState::from(self.checkpoint.as_ref());
        if let Err(rejection) = self.prepare() {
            return match self.config.cancellation.pending() {
                Some(interruption) => Evaluation::Interrupted(interruption),
                None => Evaluation::Fail(Failure::new(FailureCode::Died, rejection.message)),
            };
        }
        if let Some(scratch) = &self.scratch
            && let Err(error) = scratch.empty()
        {
            let message = format!("temporary files of an earlier trial cannot be removed: {error}");
            return Evaluation::Fail(Failure::new(FailureCode::Died, message));
        }
        let Some(guest) = &mut self.guest else { unreachable!("a guest was just prepared") };
        match Call::new(guest, &self.config, checkpoint).run(session) {
            CallEnd::Returned(end) => match to_evaluation(end) {
                // An import that fails for want of the library is not the objective's fault.
                Evaluation::Fail(failure) => {
                    Evaluation::Fail(self.runtime_failure().unwrap_or(failure))
                }
                other => other,
            },
            // The process is in the middle of a call and cannot be called again. Dropping it ends it.
            CallEnd::Ended(evaluation) => {
                self.guest = None;
                evaluation
            }
            CallEnd::Died => {
                let guest = self.guest.take();
                let failure = guest.map(|guest| guest.post_mortem(&self.config.limits));
                Evaluation::Fail(
                    failure.unwrap_or_else(|| {
                        Failure::new(FailureCode::Died, "the guest process died")
                    }),
                )
            }
        }
    }
}
