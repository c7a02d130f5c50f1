//! The entrance for fuzzing: the host's side of a conversation, with bytes or a script on the other side.

use crate::host::call::{Call, CallEnd, protocol_error, to_evaluation};
use crate::host::config::SandboxConfig;
use crate::host::interrupt::Cancellation;
use crate::host::isolation::{GuestHandle, GuestThread, Isolation};
use crate::host::running_guest::{RunningGuest, died};
use crate::wire::protocol::{FrameBuffer, FromGuest};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::session::door::{CheckpointState, Loaded, Rejection};
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::{CallAborted, TrialSession};
use trialbox_core::study::artifact::{Artifact, ArtifactKind};
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::{Limit, Limits};

/// Answers a guest process that sends `bytes` during a trial, received in pieces of `piece_bytes`, which is at least 1.
/// A guest process that stops sending has failed.
pub fn converse(bytes: &[u8], piece_bytes: usize, session: &mut TrialSession) -> Evaluation {
    match listen(bytes, piece_bytes, session) {
        Ok(evaluation) => evaluation,
        Err(CallAborted::Fail(failure)) => Evaluation::Fail(failure),
        Err(CallAborted::Halt) => Evaluation::Halted,
    }
}

fn listen(
    bytes: &[u8],
    piece_bytes: usize,
    session: &mut TrialSession,
) -> Result<Evaluation, CallAborted> {
    let mut frames = FrameBuffer::default();
    for piece in bytes.chunks(piece_bytes) {
        frames.extend(piece);
        while let Some(message) = frames.next().map_err(|error| protocol_error(&error))? {
            if let FromGuest::Ended { end, .. } = message {
                return Ok(to_evaluation(end));
            }
            Call::answer(f64::INFINITY, message, session)?;
        }
    }
    Err(protocol_error(&std::io::Error::other("expected the end of the trial, found no message")))
}

/// The times that [`Action::SendOften`] sends its bytes.
const OFTEN: usize = 3000;

/// An action of a guest process in [`run_with`] and [`load_with`].
#[derive(Debug, Clone)]
pub enum Action {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes a few thousand times.
    SendOften(Vec<u8>),
    /// Does nothing for a millisecond.
    Pause,
    /// Reads at most so many bytes.
    Read(usize),
    /// Reads everything that has arrived.
    ReadAll,
    /// Closes the socket for reading.
    StopReading,
    /// Closes the socket for writing.
    StopWriting,
    /// Ends. A script without this action is followed by silence.
    Exit,
}

/// Runs a trial with a guest process that acts by a script, and with this time limit.
pub fn run_with(script: Vec<Action>, limit: Duration, session: &mut TrialSession) -> Evaluation {
    let config = config(limit);
    let mut guest = match scripted(script, &config) {
        Ok(guest) => guest,
        Err(rejection) => {
            return Evaluation::Fail(Failure::new(FailureCode::Died, rejection.message));
        }
    };
    match Call::new(&mut guest, &config, CheckpointState::Unavailable).run(session) {
        CallEnd::Returned(end) => to_evaluation(end),
        CallEnd::Ended(evaluation) => evaluation,
        CallEnd::Died => Evaluation::Fail(guest.post_mortem(&config.limits)),
    }
}

/// Loads a component of a megabyte with a guest process that acts by a script, and with this time limit.
///
/// # Errors
/// Fails if the guest process does not say that it has loaded it.
pub fn load_with(script: Vec<Action>, limit: Duration) -> Result<Loaded, Rejection> {
    let config = config(limit);
    let artifact = Arc::new(Artifact {
        path: "fuzzed.wasm".into(),
        stored: None,
        kind: ArtifactKind::Component,
        bytes: vec![0; 1 << 20],
        sha256: String::new(),
        contract_version: String::new(),
        imports: vec![],
        exports: vec![],
        archive: None,
    });
    scripted(script, &config)?.wait_loaded(&artifact, &config)
}

/// Loads an objective whose guest process sends one message with this payload.
///
/// # Errors
/// Fails if the message does not say that the objective is loaded.
pub fn describe(payload: &[u8]) -> Result<Loaded, Rejection> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let frame = [&length.to_le_bytes(), payload].concat();
    load_with(vec![Action::Send(frame), Action::Exit], Duration::from_secs(60))
}

fn config(limit: Duration) -> SandboxConfig {
    let mut limits = Limits::default();
    let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    limits.set(Limit::TrialTime, Some(millis));
    limits.set(Limit::CompileTime, Some(millis));
    SandboxConfig {
        program: "fuzzed".into(),
        isolation: Isolation::Thread,
        cache: None,
        python: None,
        grants: vec![],
        env: vec![],
        deterministic: false,
        limits,
        cancellation: Cancellation::default(),
    }
}

/// Starts a thread that acts by a script in the place of a guest process.
fn scripted(script: Vec<Action>, config: &SandboxConfig) -> Result<RunningGuest, Rejection> {
    let cannot = |error: std::io::Error| died(&error.to_string());
    let (ours, theirs) = UnixStream::pair().map_err(cannot)?;
    let thread = GuestThread::spawn(64 << 10, move |interrupt| {
        let ended = act(script, &theirs);
        // Silence until the host has had enough.
        while ended.is_some() && !interrupt.is_interrupted() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    let handle = GuestHandle::Thread(thread.map_err(cannot)?);
    RunningGuest::new(handle, ours, &config.limits).map_err(cannot)
}

/// Acts by a script. Returns `None` if that ends early, because the host is gone or the script says so.
fn act(script: Vec<Action>, mut host: &UnixStream) -> Option<()> {
    host.set_read_timeout(Some(Duration::from_millis(1))).ok()?;
    let mut buffer = [0; 4096];
    for action in script {
        match action {
            Action::Send(bytes) => host.write_all(&bytes).ok()?,
            Action::SendOften(bytes) => host.write_all(&bytes.repeat(OFTEN)).ok()?,
            Action::Pause => std::thread::sleep(Duration::from_millis(1)),
            Action::Read(length) => drop(host.read(&mut buffer[..length])),
            Action::ReadAll => while host.read(&mut buffer).is_ok_and(|length| length > 0) {},
            Action::StopReading => host.shutdown(Shutdown::Read).ok()?,
            Action::StopWriting => host.shutdown(Shutdown::Write).ok()?,
            Action::Exit => return None,
        }
    }
    Some(())
}
