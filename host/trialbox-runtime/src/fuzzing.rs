//! The entrance for fuzzing: the host's side of a conversation, without a process on the other side.

use crate::host::call::{Call, protocol_error, to_evaluation};
use crate::wire::protocol::{FrameBuffer, FromGuest};
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::{CallAborted, TrialSession};

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
