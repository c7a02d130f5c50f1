//! The seam for objectives, and the ways in which a call of one can end.

use crate::session::TrialSession;
use crate::study::failure::Failure;

/// Something that can be evaluated at the parameters that a session suggests: a sandboxed guest, or a
/// closure in a test.
pub trait Objective {
    /// Runs one trial. Whatever goes wrong inside is data, never an error of the host's.
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation;
}

impl<F: FnMut(&mut TrialSession) -> Evaluation> Objective for F {
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation {
        self(session)
    }
}

/// How a call of the objective ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Evaluation {
    /// It returned its values; whether they fit the study is not yet judged.
    Complete(Vec<f64>),
    /// It stopped early, as it was told.
    Pruned,
    /// It broke, or broke a rule.
    Fail(Failure),
    /// It was stopped before its end, by no fault of its own.
    Interrupted(Interruption),
    /// A call did not return because the trial cannot go on ([`crate::session::CallAborted::Halt`]).
    Halted,
}

impl Evaluation {
    /// Who stopped it, if somebody did.
    pub fn interruption(&self) -> Option<Interruption> {
        match self {
            Evaluation::Interrupted(interruption) => Some(*interruption),
            _ => None,
        }
    }
}

/// Who stopped a trial before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The scheduler, or whoever else sends SIGTERM or another signal that asks the process to go.
    Scheduler,
    /// The user, with Ctrl-C.
    User,
    /// Nobody: the time of the job that runs it was nearly over.
    Deadline,
}
