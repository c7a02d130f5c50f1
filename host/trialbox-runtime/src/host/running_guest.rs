//! A running guest process: its socket, and its last words.

use crate::host::config::SandboxConfig;
use crate::host::deadline::Deadline;
use crate::host::interrupt::Cancellation;
use crate::host::isolation::{GuestHandle, Isolation};
use crate::host::outgoing::Outgoing;
use crate::wire::contract::CHECKPOINT_PATH;
use crate::wire::protocol::{FrameBuffer, FromGuest, Grant, LoadRequest, PythonRequest, ToGuest};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::session::door::{CheckpointDir, Loaded, Rejection, RejectionCode};
use trialbox_core::session::objective::Interruption;
use trialbox_core::study::artifact::Artifact;
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::{Limit, LimitHit, Limits};
use trialbox_core::value::text::{clean, shorten};

/// The interval at which the session may write and send heartbeats while the guest makes no call.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A running guest process, or a thread in its place. Dropping it ends the guest.
#[derive(Debug)]
pub(crate) struct RunningGuest {
    pub(crate) handle: GuestHandle,
    /// Non-blocking: the host process waits for many things, in [`Self::receive`] alone.
    stream: UnixStream,
    frames: FrameBuffer,
    outgoing: Outgoing,
    has_component: bool,
}

/// The outcome of waiting for a message.
pub(crate) enum Received {
    /// Bytes have arrived, which may complete a message, or an earlier message can be handled now.
    Messages,
    /// The time is over, a signal has arrived, or a part of an answer was sent.
    Nothing,
    /// The guest process has closed the socket.
    Closed,
}

impl RunningGuest {
    /// Starts a guest process and asks it to load the objective.
    pub(crate) fn spawn(
        artifact: &Arc<Artifact>,
        config: &SandboxConfig,
        checkpoint: Option<&CheckpointDir>,
    ) -> Result<Self, Rejection> {
        let cannot = |error: io::Error| died(&format!("cannot start the guest process: {error}"));
        let (stream, theirs) = UnixStream::pair().map_err(cannot)?;
        let handle = match config.isolation {
            Isolation::Process => GuestHandle::new_process(&config.program, theirs),
            Isolation::Thread => GuestHandle::new_thread(theirs, config.engine().stack_bytes),
        };
        let mut guest =
            RunningGuest::new(handle.map_err(cannot)?, stream, &config.limits).map_err(cannot)?;
        let checkpoint =
            checkpoint.map(|dir| Grant::of(dir.host.clone(), CHECKPOINT_PATH.to_owned(), true));
        let request = LoadRequest {
            sha256: artifact.sha256.clone(),
            cache: config.cache.as_ref().map(|cache| cache.request(&artifact.sha256)),
            grants: config.grants.clone(),
            checkpoint: checkpoint.transpose().map_err(cannot)?.map(Box::new),
            env: config.env.clone(),
            engine: config.engine(),
            limits: config.limits_of_process(),
            compile_memory_bytes: config.compile_memory_bytes(),
        };
        let message = match &config.python {
            Some(runtime) => ToGuest::LoadPython(Box::new(PythonRequest {
                load: request,
                runtime: runtime.files.clone(),
                file_name: artifact.file_name(),
            })),
            None => ToGuest::Load(request),
        };
        guest.send(&message).map_err(cannot)?;
        Ok(guest)
    }

    /// Wraps a guest at the other end of a socket.
    ///
    /// # Errors
    /// Fails if the socket cannot be made non-blocking.
    pub(crate) fn new(
        handle: GuestHandle,
        stream: UnixStream,
        limits: &Limits,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(RunningGuest {
            handle,
            stream,
            frames: FrameBuffer::new(limits),
            outgoing: Outgoing::default(),
            has_component: false,
        })
    }

    /// Sends one message, or the part of it that the guest process has room for. [`Self::receive`] sends the rest.
    pub(crate) fn send(&mut self, message: &ToGuest) -> io::Result<()> {
        self.outgoing.push(message)?;
        self.outgoing.send_some(&mut self.stream)
    }

    /// Returns the next message that has arrived and can be handled. A guest process that has not read an answer gets
    /// no other, so its messages wait.
    ///
    /// # Errors
    /// Fails if the bytes are not a message.
    pub(crate) fn next_message(&mut self) -> io::Result<Option<FromGuest>> {
        if self.outgoing.is_empty() { self.frames.next() } else { Ok(None) }
    }

    /// Waits for bytes from the guest process, or for room for bytes to it, until the time is over or a signal arrives.
    pub(crate) fn receive(
        &mut self,
        wait: Duration,
        cancellation: &Cancellation,
    ) -> io::Result<Received> {
        let is_sending = !self.outgoing.is_empty();
        if !is_sending && self.frames.is_ready() {
            return Ok(Received::Messages);
        }
        let events = if is_sending { PollFlags::OUT } else { PollFlags::IN };
        let mut fds = vec![PollFd::new(&self.stream, events)];
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
        if is_sending {
            return Ok(match self.outgoing.send_some(&mut self.stream) {
                Ok(()) => Received::Nothing,
                Err(_) => Received::Closed,
            });
        }
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Ok(Received::Closed),
            Ok(length) => {
                self.frames.extend(&buffer[..length]);
                Ok(Received::Messages)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionReset => Ok(Received::Closed),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Received::Nothing),
                _ => Err(error),
            },
        }
    }

    /// Waits until the objective is ready, within the limits for compiling.
    ///
    /// # Errors
    /// Fails if the objective is rejected, a limit is reached, or the process is interrupted.
    pub(crate) fn wait_loaded(
        &mut self,
        artifact: &Arc<Artifact>,
        config: &SandboxConfig,
    ) -> Result<Loaded, Rejection> {
        let deadline = Deadline::new(config.limits.duration(Limit::CompileTime));
        loop {
            if let Some(interruption) = config.cancellation.pending() {
                return Err(interrupted(interruption));
            }
            if deadline.is_over() {
                let allowed = config.limits.get(Limit::CompileTime).unwrap_or_default();
                let hit = LimitHit { limit: Limit::CompileTime, allowed, used: None };
                return Err(Rejection::of_compile_limit("takes too long", hit));
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
    fn handle_loading(&mut self, artifact: &Arc<Artifact>) -> Result<Option<Loaded>, Rejection> {
        let failed = |error: io::Error| died(&error.to_string());
        while let Some(message) = self.next_message().map_err(failed)? {
            match message {
                FromGuest::NeedModule if self.has_component => {
                    return Err(died("expected one request for the component, found another"));
                }
                FromGuest::NeedModule => {
                    self.has_component = true;
                    self.outgoing.push_component(artifact).map_err(failed)?;
                }
                FromGuest::Loaded(loaded) => return Ok(Some(loaded)),
                FromGuest::Rejected(rejection) => return Err(rejection_of(rejection)),
                // Output of `describe` belongs to no trial and is dropped.
                FromGuest::Output { .. } => {}
                other => {
                    let found = other.name();
                    return Err(died(&format!("expected the loaded objective, found {found}")));
                }
            }
        }
        Ok(None)
    }

    fn cause_of_failed_load(&mut self, config: &SandboxConfig) -> Rejection {
        let failure = self.cause_of_death(&config.limits);
        if failure.code == FailureCode::Memory {
            let allowed = config.compile_memory_bytes();
            let hit = LimitHit { limit: Limit::CompileMemory, allowed, used: None };
            return Rejection::of_compile_limit("takes too much memory", hit);
        }
        died(&failure.message)
    }

    /// Returns the reason for which the process closed its socket in the middle of a trial.
    pub(crate) fn post_mortem(mut self, limits: &Limits) -> Failure {
        self.cause_of_death(limits)
    }

    /// Ends the process and returns its failure.
    fn cause_of_death(&mut self, limits: &Limits) -> Failure {
        let end = self.handle.end(self.has_hung_up());
        let stderr: String =
            end.stderr.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let stderr = stderr.trim();
        // Rust's standard library prints this before it aborts.
        if stderr.contains("memory allocation of") {
            let allowed = limits.get(Limit::Memory).unwrap_or_default();
            let hit = LimitHit { limit: Limit::Memory, allowed, used: None };
            return Failure::of_limit(
                FailureCode::Memory,
                "the guest process ran out of memory:",
                hit,
            )
            .with_help("raise the limit, or give the job more memory");
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

/// The kinds of rejection that only the guest process can see, and so may report.
const CODES_OF_GUEST: [RejectionCode; 7] = [
    RejectionCode::Runtime,
    RejectionCode::Invalid,
    RejectionCode::Abi,
    RejectionCode::Capability,
    RejectionCode::Feature,
    RejectionCode::CompileLimit,
    RejectionCode::Died,
];

/// The most characters of a text that a guest process reports while it loads the objective.
const MAX_REPORTED_CHARS: usize = 16 << 10;

/// Returns a reported rejection as the host passes it on. The host does not trust the guest process: other codes are
/// refused, because they speak of the file as the host read it, and texts are cleaned and cut.
fn rejection_of(reported: Rejection) -> Rejection {
    let cleaned = |text: &str| shorten(clean(text).trim(), MAX_REPORTED_CHARS);
    let message = cleaned(&reported.message);
    if message.is_empty() || !CODES_OF_GUEST.contains(&reported.code) {
        return died(&format!(
            "it reported {} while it loaded the objective",
            reported.code.as_str()
        ));
    }
    let help = reported.help.map(|help| cleaned(&help)).filter(|help| !help.is_empty());
    Rejection { code: reported.code, message, help, limit: reported.limit }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_process_cannot_report_what_only_the_host_can_see() {
        let forged = Rejection::new(RejectionCode::Read, "cannot read /etc/shadow", "run as root");
        assert_eq!(rejection_of(forged).code, RejectionCode::Died);
        let silent = Rejection::new(RejectionCode::Abi, "\u{1b}[2J ", "");
        assert_eq!(rejection_of(silent).code, RejectionCode::Died);
        let short = Rejection::new(RejectionCode::Invalid, "", "\u{1b}[31mred");
        let found = rejection_of(Rejection { message: "é".repeat(20_000), ..short });
        assert_eq!(found.message, format!("{}…", "é".repeat(MAX_REPORTED_CHARS)));
        assert_eq!(found.help.as_deref(), Some("red"));
    }
}
