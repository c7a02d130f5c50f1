//! A running guest process: its socket, and its last words.

use crate::host::config::SandboxConfig;
use crate::host::deadline::Deadline;
use crate::host::interrupt::Cancellation;
use crate::host::isolation::{GuestHandle, Isolation};
use crate::wire::protocol::{
    FrameBuffer, FromGuest, GuestLimits, LoadRequest, ToGuest, write_frame,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use trialbox_core::session::door::{CheckpointDir, Loaded, Rejection, RejectionCode};
use trialbox_core::session::objective::Interruption;
use trialbox_core::study::artifact::Artifact;
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::{Limit, LimitHit};

/// The interval at which the session may write and send heartbeats while the guest makes no call.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A running guest process, or a thread in its place. Dropping it ends the guest.
#[derive(Debug)]
pub(crate) struct RunningGuest {
    pub(crate) handle: GuestHandle,
    stream: UnixStream,
    pub(crate) frames: FrameBuffer,
}

/// The outcome of waiting for a message.
pub(crate) enum Received {
    /// Bytes have arrived, which may complete a message.
    Messages,
    /// The time is over, or a signal has arrived.
    Nothing,
    /// The guest process has closed the socket.
    Closed,
}

impl RunningGuest {
    /// Starts a guest process and asks it to load the objective.
    pub(crate) fn spawn(
        artifact: &Artifact,
        config: &SandboxConfig,
        checkpoint: Option<&CheckpointDir>,
    ) -> Result<Self, Rejection> {
        let cannot = |error: io::Error| died(&format!("cannot start the guest process: {error}"));
        let (stream, theirs) = UnixStream::pair().map_err(cannot)?;
        let handle = match config.isolation {
            Isolation::Process => GuestHandle::new_process(&config.program, theirs),
            Isolation::Thread => GuestHandle::new_thread(theirs, config.engine().stack_bytes),
        };
        let handle = handle.map_err(cannot)?;
        let mut guest = RunningGuest { handle, stream, frames: FrameBuffer::new(&config.limits) };
        let request = LoadRequest {
            sha256: artifact.sha256.clone(),
            cache_dirs: config.cache_dirs.clone(),
            grants: config.grants.clone(),
            checkpoint_dir: checkpoint.map(|dir| dir.host.clone()),
            env: config.env.clone(),
            engine: config.engine(),
            limits: GuestLimits::from(&config.limits).for_describing(),
            compile_memory_bytes: config.limits.get(Limit::CompileMemory).unwrap_or(u64::MAX),
        };
        guest.send(&ToGuest::Load(request)).map_err(cannot)?;
        Ok(guest)
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, message: &ToGuest) -> io::Result<()> {
        write_frame(&mut self.stream, message)
    }

    /// Waits for bytes, until the time is over or a signal arrives.
    pub(crate) fn receive(
        &mut self,
        wait: Duration,
        cancellation: &Cancellation,
    ) -> io::Result<Received> {
        let mut fds = vec![PollFd::new(&self.stream, PollFlags::IN)];
        fds.extend(
            cancellation
                .interrupts
                .iter()
                .flat_map(|found| found.as_fds())
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&wait)) {
            Err(rustix::io::Errno::INTR) => return Ok(Received::Nothing),
            other => other?,
        };
        if fds[0].revents().is_empty() {
            return Ok(Received::Nothing);
        }
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Ok(Received::Closed),
            Ok(length) => {
                self.frames.extend(&buffer[..length]);
                Ok(Received::Messages)
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Received::Closed),
            Err(error) => Err(error),
        }
    }

    /// Waits until the objective is ready, within the limits for compiling.
    ///
    /// # Errors
    /// Fails if the objective is rejected, a limit is reached, or the process is interrupted.
    pub(crate) fn wait_loaded(
        &mut self,
        artifact: &Artifact,
        config: &SandboxConfig,
    ) -> Result<Loaded, Rejection> {
        let deadline = Deadline::new(config.limits.duration(Limit::CompileTime));
        loop {
            if let Some(interruption) = config.cancellation.pending() {
                return Err(interrupted(interruption));
            }
            if deadline.is_over() {
                return Err(compile_limit(config, Limit::CompileTime, "takes too long"));
            }
            let wait = deadline.remaining().into_iter().chain(config.cancellation.remaining());
            let wait = wait.min().unwrap_or(TICK);
            match self.receive(wait, &config.cancellation) {
                Ok(Received::Nothing) => {}
                Ok(Received::Closed) => return Err(self.cause_of_failed_load(config)),
                Ok(Received::Messages) => {
                    if let Some(loaded) = self.handle_loading(artifact)? {
                        return Ok(loaded);
                    }
                }
                Err(error) => return Err(died(&error.to_string())),
            }
        }
    }

    /// Handles the messages that have arrived while the objective is loaded.
    fn handle_loading(&mut self, artifact: &Artifact) -> Result<Option<Loaded>, Rejection> {
        let failed = |error: io::Error| died(&error.to_string());
        while let Some(message) = self.frames.next().map_err(failed)? {
            match message {
                FromGuest::NeedModule => {
                    self.send(&ToGuest::Module(artifact.bytes.clone())).map_err(failed)?;
                }
                FromGuest::Loaded(loaded) => return Ok(Some(loaded)),
                FromGuest::Rejected(rejection) => return Err(rejection),
                // Output of `describe` belongs to no trial and is dropped.
                FromGuest::Output { .. } => {}
                other => {
                    return Err(died(&format!("expected the loaded objective, found {other:?}")));
                }
            }
        }
        Ok(None)
    }

    fn cause_of_failed_load(&mut self, config: &SandboxConfig) -> Rejection {
        let failure = self.cause_of_death();
        if failure.code == FailureCode::Memory {
            return compile_limit(config, Limit::CompileMemory, "takes too much memory");
        }
        died(&failure.message)
    }

    /// Returns the reason for which the process closed its socket in the middle of a trial.
    pub(crate) fn post_mortem(mut self) -> Failure {
        self.cause_of_death()
    }

    /// Ends the process and returns its failure.
    fn cause_of_death(&mut self) -> Failure {
        let end = self.handle.end(self.has_hung_up());
        let stderr: String =
            end.stderr.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let stderr = stderr.trim();
        // Rust's standard library prints this before it aborts.
        if stderr.contains("memory allocation of") {
            let message = format!("the guest process ran out of memory: {stderr}");
            return Failure::new(FailureCode::Memory, message)
                .with_help("give the job more memory");
        }
        let message = match stderr {
            "" => end.cause,
            stderr => format!("{}: {stderr}", end.cause),
        };
        Failure::new(FailureCode::Died, message)
    }

    /// Returns whether the other end of the socket is closed.
    fn has_hung_up(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::RDHUP)];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && !fds[0].revents().is_empty()
    }
}

fn interrupted(interruption: Interruption) -> Rejection {
    let message = match interruption {
        Interruption::Deadline => "the job's time was over before the objective was compiled",
        _ => "interrupted while the objective was compiled",
    };
    Rejection { code: RejectionCode::Died, message: message.to_owned(), help: None, limit: None }
}

/// Returns the rejection of an objective whose loading reached a limit.
fn compile_limit(config: &SandboxConfig, limit: Limit, what: &str) -> Rejection {
    let allowed = config.limits.get(limit).unwrap_or_default();
    let hit = LimitHit { limit, allowed, used: None };
    Rejection::new(
        RejectionCode::CompileLimit,
        format!("compiling and describing the objective {what}: {hit}"),
        "raise the limit if you trust the author of the objective",
    )
    .with_limit(hit)
}

/// Returns the rejection for a guest process that failed before a trial.
pub(crate) fn died(message: &str) -> Rejection {
    Rejection {
        code: RejectionCode::Died,
        message: format!("the guest process failed: {message}"),
        help: None,
        limit: None,
    }
}
