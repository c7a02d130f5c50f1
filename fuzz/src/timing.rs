//! A guest process with hostile timing: a script of what it sends, reads and closes, and when, against the host's own
//! loop over a real socket.

use crate::conversation::run_recorded;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trialbox_core::session::TrialSession;
use trialbox_core::session::objective::Evaluation;
use trialbox_core::study::failure::FailureCode;
use trialbox_core::{Clock, UtcDateTime};
use trialbox_runtime::fuzzing::{Action, load_with, run_with};

/// The time limit on loading and on a trial.
const LIMIT: Duration = Duration::from_millis(20);

/// A time within which the host returns on the busiest machine, unless it waits for the guest.
const SOON: Duration = Duration::from_secs(8);

/// The codes that the host gives a trial whose guest process breaks the protocol, or a rule of the contract. The others
/// are for losses and interruptions, of which there are none, and some would let the trial run again.
const NEVER: [FailureCode; 2] = [FailureCode::Lost, FailureCode::Interrupted];

/// Checks that loading and a trial end in time and in order, whatever the guest process does, and when.
///
/// The first byte says which of the two it is; the others are the script, see `actions`.
pub fn timing(bytes: &[u8]) {
    let Some((kind, script)) = bytes.split_first() else { return };
    let actions = actions(script);
    let started = Instant::now();
    if kind % 2 == 0 {
        // An objective that is loaded, or a rejection with a sentence.
        if let Err(rejection) = load_with(actions, LIMIT) {
            assert!(!rejection.message.is_empty() && rejection.message.len() < 1 << 20);
        }
    } else {
        let mut code = None;
        let mut objective = |session: &mut TrialSession| {
            let evaluation = run_with(actions.clone(), LIMIT, session);
            if let Evaluation::Fail(failure) = &evaluation {
                code = Some(failure.code);
            }
            assert!(!matches!(evaluation, Evaluation::Interrupted(_)), "{evaluation:?}");
            evaluation
        };
        // Each look at this clock is ten seconds later, so that something is always due to be written.
        run_recorded(&mut objective, &LeapingClock::default());
        assert!(code.is_none_or(|code| !NEVER.contains(&code)), "{code:?}");
    }
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[derive(Default)]
struct LeapingClock(AtomicU64);

impl Clock for LeapingClock {
    fn utc_now(&self) -> UtcDateTime {
        UtcDateTime::ZERO
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(10 * self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Reads a script: each action is a byte for its kind, and for some a byte for a length and so many bytes.
fn actions(mut script: &[u8]) -> Vec<Action> {
    let mut actions = Vec::new();
    // A script of more actions does nothing that a shorter one cannot do, and takes long.
    while let Some((kind, rest)) = script.split_first()
        && actions.len() < 64
    {
        script = rest;
        let action = match kind % 10 {
            0 | 1 => Action::Send(frame(take(&mut script))),
            2 => Action::Send(take(&mut script).to_vec()),
            3 => Action::SendOften(frame(take(&mut script))),
            4 => Action::Pause,
            5 => Action::Read(usize::from(kind / 10)),
            6 => Action::ReadAll,
            7 => Action::StopReading,
            8 => Action::StopWriting,
            _ => Action::Exit,
        };
        actions.push(action);
    }
    actions
}

fn take<'a>(script: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, rest)) = script.split_first() else { return &[] };
    let (taken, rest) = rest.split_at(rest.len().min(usize::from(*length)));
    *script = rest;
    taken
}

/// Returns a payload with its length before it.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_has_its_turn_while_a_guest_process_asks_and_does_not_read() {
        let clock = LeapingClock::default();
        // The number of `should-prune`.
        let asks = Action::SendOften(frame(&[7]));
        let mut looks = 0;
        let mut objective = |session: &mut TrialSession| {
            let before = clock.0.load(Ordering::Relaxed);
            let evaluation = run_with(vec![asks.clone()], Duration::from_secs(1), session);
            looks = clock.0.load(Ordering::Relaxed) - before;
            assert!(
                matches!(&evaluation, Evaluation::Fail(failure) if failure.code == FailureCode::Time),
                "{evaluation:?}"
            );
            evaluation
        };
        run_recorded(&mut objective, &clock);
        // At least four ticks in a second, each of which looks at the clock.
        assert!(looks >= 4, "{looks}");
    }
}
