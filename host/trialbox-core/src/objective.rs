//! The seam for objectives, and what can come of calling one.

use crate::json::Json;
use crate::session::TrialSession;
use std::fmt;

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
    /// A call did not return because the trial cannot go on ([`crate::session::Stop::Halt`]).
    Halted,
}

/// Why a trial ended as FAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable code of its kind.
    pub code: FailureCode,
    /// One sentence for people, without a full stop.
    pub message: String,
    /// What they can do about it, if we know.
    pub help: Option<String>,
}

impl Failure {
    /// A failure of which there is no more to say than what happened.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), help: None }
    }

    /// Adds what to do about it.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What is stored with the trial, as the system attribute [`FAILURE_ATTR`]. Under 2 kB, which is what
    /// Optuna's dashboard and every database show and hold with ease.
    pub fn to_json(&self) -> Json {
        const MAX_CHARS: usize = 1000;
        let mut message: String = self.message.chars().take(MAX_CHARS).collect();
        if self.message.chars().nth(MAX_CHARS).is_some() {
            message.push('…');
        }
        Json::object([("code", Json::from(self.code.as_str())), ("message", Json::from(message))])
    }
}

/// The system attribute that says why a trial is FAIL.
pub const FAILURE_ATTR: &str = "trialbox:failure";

/// The kinds of failure. Each has a stable text, which scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// The objective said that it failed.
    Guest,
    /// The guest's code trapped: a panic, a division by zero, an access out of bounds.
    Trap,
    /// The trial's time was over.
    Time,
    /// The guest asked for more memory than it may have.
    Memory,
    /// The guest's stack was exhausted.
    Stack,
    /// The guest called `exit` instead of returning.
    Exit,
    /// A suggestion with an impossible range, or one that contradicts the study.
    Suggest,
    /// A value that is fixed for this trial, but that the distribution cannot take.
    FixedParam,
    /// Another call with arguments that make no sense.
    Call,
    /// Values that are no result: NaN, or too many or too few of them.
    Value,
    /// Data passed between guest and host that is malformed or too large.
    Data,
    /// The guest process died.
    Died,
    /// The trial was interrupted by the scheduler or the user.
    Interrupted,
    /// The process that ran the trial is gone, and somebody else noticed.
    Lost,
}

impl FailureCode {
    /// The stable text.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureCode::Guest => "E-GUEST",
            FailureCode::Trap => "E-TRAP",
            FailureCode::Time => "E-TIME",
            FailureCode::Memory => "E-MEM",
            FailureCode::Stack => "E-STACK",
            FailureCode::Exit => "E-EXIT",
            FailureCode::Suggest => "E-SUGGEST",
            FailureCode::FixedParam => "E-FIXED-PARAM",
            FailureCode::Call => "E-CALL",
            FailureCode::Value => "E-VALUE",
            FailureCode::Data => "E-DATA",
            FailureCode::Died => "E-DIED",
            FailureCode::Interrupted => "E-INTERRUPTED",
            FailureCode::Lost => "E-LOST",
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who stopped a trial before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The scheduler, or whoever else sends SIGTERM.
    Scheduler,
    /// The user, with Ctrl-C.
    User,
}

/// How serious the guest thinks a line of its log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the objective's author.
    Debug,
    /// For whoever runs it.
    Info,
    /// Something that may spoil the result.
    Warning,
    /// Something that did.
    Error,
}
