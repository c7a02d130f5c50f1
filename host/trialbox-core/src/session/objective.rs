//! The seam for objectives, and the ways in which a call of one can end.

use crate::session::TrialSession;
use crate::session::rejection::Rejection;
use crate::study::failure::Failure;

/// An objective that is evaluated at the parameters that a session suggests: a sandboxed guest, or a closure in a
/// test.
pub trait Objective {
    /// Runs one trial. A failure inside is data, never an error of the host.
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation;
}

impl<F: FnMut(&mut TrialSession) -> Evaluation> Objective for F {
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation {
        self(session)
    }
}

/// The end of a call of the objective.
#[derive(Debug, Clone, PartialEq)]
pub enum Evaluation {
    /// The objective returned values, which may not fit the study.
    Complete(Vec<f64>),
    /// The objective stopped early, as the pruner advised.
    Pruned,
    /// The objective failed, or broke a rule.
    Fail(Failure),
    /// The objective was stopped before its end, by no fault of its own.
    Interrupted(Interruption),
    /// The objective was never called: it could not be started. The trial is requeued, and its worker stops.
    NotStarted(Rejection),
    /// A call did not return because the trial cannot continue ([`crate::session::CallAborted::Halt`]).
    Halted,
}

impl Evaluation {
    /// Returns the cause of an interruption.
    pub fn interruption(&self) -> Option<Interruption> {
        match self {
            Evaluation::Interrupted(interruption) => Some(*interruption),
            _ => None,
        }
    }
}

/// The cause of an interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The scheduler, or another sender of SIGTERM or of a signal that asks the process to exit.
    Scheduler,
    /// The user, with Ctrl-C.
    User,
    /// The end of the job's time, which was near.
    Deadline,
}
