//! What `fuzz` reaches into: the host's side of a conversation, without a process on the other.

use crate::host::call::{Call, nonsense, to_evaluation};
use crate::wire::protocol::{FrameBuffer, FromGuest};
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::{CallAborted, TrialSession};

/// Takes `bytes` for all that a guest process says during a trial, received in pieces of `piece_bytes`, which is at
/// least 1. One that goes silent has failed.
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
        while let Some(message) = frames.next().map_err(|error| nonsense(&error))? {
            if let FromGuest::Ended { end, .. } = message {
                return Ok(to_evaluation(end));
            }
            Call::answer(f64::INFINITY, message, session)?;
        }
    }
    Err(nonsense(&std::io::Error::other("it went silent")))
}
