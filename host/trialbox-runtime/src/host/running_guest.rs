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

/// How often the session may write and beat its heart while the guest has nothing to ask.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A running guest process, or a thread in the place of one. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct RunningGuest {
    pub(crate) body: GuestHandle,
    stream: UnixStream,
    pub(crate) frames: FrameBuffer,
}

/// The outcome of waiting for a message.
pub(crate) enum Received {
    /// Something came that may be a message.
    Messages,
    /// Nothing came in time, or a signal did.
    Nothing,
    /// The guest process has closed its end.
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
        let body = match config.isolation {
            Isolation::Process => GuestHandle::new_process(&config.program, theirs),
            Isolation::Thread => GuestHandle::new_thread(theirs, config.engine().stack_bytes),
        };
        let body = body.map_err(cannot)?;
        let mut guest = RunningGuest { body, stream, frames: FrameBuffer::new(&config.limits) };
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

    /// Waits for bytes, at most as long as told and not beyond a signal.
    pub(crate) fn receive(&mut self, wait: Duration, stops: &Cancellation) -> io::Result<Received> {
        let mut fds = vec![PollFd::new(&self.stream, PollFlags::IN)];
        fds.extend(
            stops
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
    pub(crate) fn wait_loaded(
        &mut self,
        artifact: &Artifact,
        config: &SandboxConfig,
    ) -> Result<Loaded, Rejection> {
        let deadline = Deadline::new(config.limits.duration(Limit::CompileTime));
        loop {
            if let Some(interruption) = config.stops.pending() {
                let message = match interruption {
                    Interruption::Deadline => {
                        "the job's time was over before the objective was compiled"
                    }
                    _ => "interrupted while the objective was compiled",
                };
                let message = message.to_owned();
                return Err(Rejection { code: RejectionCode::Died, message, help: None });
            }
            if deadline.is_over() {
                return Err(compile_limit(config, Limit::CompileTime, "takes too long"));
            }
            let wait = deadline.remaining().into_iter().chain(config.stops.remaining());
            let wait = wait.min().unwrap_or(TICK);
            let received =
                self.receive(wait, &config.stops).map_err(|error| died(&error.to_string()))?;
            if matches!(received, Received::Closed) {
                let death = self.cause_of_death();
                if death.code == FailureCode::Memory {
                    return Err(compile_limit(
                        config,
                        Limit::CompileMemory,
                        "takes too much memory",
                    ));
                }
                return Err(died(&death.message));
            }
            while let Some(message) =
                self.frames.next().map_err(|error| died(&error.to_string()))?
            {
                match message {
                    FromGuest::NeedModule => {
                        let module = ToGuest::Module(artifact.bytes.clone());
                        self.send(&module).map_err(|error| died(&error.to_string()))?;
                    }
                    FromGuest::Loaded(loaded) => return Ok(loaded),
                    FromGuest::Rejected(rejection) => return Err(rejection),
                    // What `describe` prints is nobody's business.
                    FromGuest::Output { .. } => {}
                    other => return Err(died(&format!("it sent {other:?} while loading"))),
                }
            }
        }
    }

    /// Why the process closed its socket in the middle of a trial.
    pub(crate) fn post_mortem(mut self) -> Failure {
        self.cause_of_death()
    }

    fn cause_of_death(&mut self) -> Failure {
        let end = self.body.end(self.has_hung_up());
        let words = end.words.chars().map(|c| if c.is_control() { ' ' } else { c });
        let words: String = words.collect();
        let words = words.trim();
        if words.contains("memory allocation of") {
            return Failure::new(
                FailureCode::Memory,
                format!("the guest process ran out of memory: {words}"),
            )
            .with_help("give the job more memory");
        }
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        Failure::new(FailureCode::Died, format!("{}{said}", end.how))
    }

    /// Whether the other end of the socket is closed.
    fn has_hung_up(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::RDHUP)];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && !fds[0].revents().is_empty()
    }
}

/// Getting the objective ready took more than it may.
fn compile_limit(config: &SandboxConfig, limit: Limit, what: &str) -> Rejection {
    let allowed = config.limits.get(limit).unwrap_or_default();
    let hit = LimitHit { limit, allowed, used: None };
    Rejection::new(
        RejectionCode::CompileLimit,
        format!("compiling and describing the objective {what}: {hit}"),
        format!("raise {} if you trust its author", limit.flag()),
    )
}

/// Returns the rejection for a guest process that failed before a trial.
pub(crate) fn died(message: &str) -> Rejection {
    Rejection {
        code: RejectionCode::Died,
        message: format!("the guest process failed: {message}"),
        help: None,
    }
}
