//! The reason why a trial failed, for people and for programs.

use crate::study::limits::LimitHit;
use crate::value::json::Json;
use crate::value::text::{clean, shorten};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The system attribute that holds the reason why a trial failed.
pub const FAILURE_ATTR: &str = "trialbox:failure";

const MAX_MESSAGE_CHARS: usize = 1000;

/// Of a backtrace, and of the log.
const MAX_LINES: usize = 10;

const MAX_LINE_CHARS: usize = 120;

/// The reason why a trial failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code of its kind.
    pub code: FailureCode,
    /// A sentence for people, without a full stop.
    pub message: String,
    /// The next step for the user, where one is known.
    pub help: Option<String>,
    /// The limit that was reached, if one was.
    pub limit: Option<LimitHit>,
    /// The functions that were running, innermost first, as far as the component names them.
    pub backtrace: Vec<String>,
}

impl Failure {
    /// Creates a failure from its message, which may quote the guest. Characters that could move the cursor or recolour
    /// a terminal are left out, and so is all text beyond 1000 characters.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        // Cleaned first: a cut could split an escape sequence, whose rest would pass for text.
        let message = shorten(&clean(&message.into()), MAX_MESSAGE_CHARS);
        Failure { code, message, help: None, limit: None, backtrace: Vec::new() }
    }

    /// Creates the failure of a limit that was reached. `what` is the beginning of a sentence that [`LimitHit`] ends,
    /// such as `the objective asked for memory of`.
    pub fn of_limit(code: FailureCode, what: &str, hit: LimitHit) -> Self {
        let mut failure = Failure::new(code, format!("{what} {hit}"));
        failure.limit = Some(hit);
        failure
    }

    /// Adds the functions that were running, innermost first.
    pub fn with_backtrace(mut self, names: &[String]) -> Self {
        let names = names.iter().take(MAX_LINES);
        self.backtrace = names.map(|name| shorten(&clean(name), MAX_LINE_CHARS)).collect();
        self
    }

    /// Adds the next step for the user.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns the JSON that is stored with the trial, as the system attribute [`FAILURE_ATTR`]. It has at most about
    /// 4 kB, which Optuna's dashboard and every database can show and hold. `log` is the end of the trial's log.
    pub fn to_json(&self, log: &[&str]) -> Json {
        let mut members = vec![
            ("code", Json::from(self.code.as_str())),
            ("message", Json::from(self.message.as_str())),
        ];
        if let Some(limit) = self.limit {
            members.push(("limit", limit.to_json()));
        }
        if !self.backtrace.is_empty() {
            members.push(("backtrace", first_lines(&self.backtrace)));
        }
        if !log.is_empty() {
            members.push(("log", first_lines(log)));
        }
        Json::object(members)
    }
}

fn first_lines(lines: &[impl AsRef<str>]) -> Json {
    let lines = lines.iter().take(MAX_LINES);
    Json::Array(lines.map(|line| shorten(line.as_ref(), MAX_LINE_CHARS).into()).collect())
}

/// The kinds of failure. Each has a stable text, which scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureCode {
    /// The objective said that it failed.
    Guest,
    /// The objective panicked or aborted.
    Panic,
    /// The guest's code trapped: a division by zero, an access out of bounds.
    Trap,
    /// The time limit of the trial was reached.
    Time,
    /// It executed more instructions than it may.
    Fuel,
    /// The guest asked for more memory than it may have.
    Memory,
    /// The guest asked for a larger table than it may have.
    Table,
    /// Another limit of the sandbox was reached, such as that of open resources.
    Limit,
    /// The guest's stack was exhausted.
    Stack,
    /// The guest called `exit` instead of returning.
    Exit,
    /// A suggestion with an impossible range, or one that contradicts the study.
    Suggest,
    /// A value that is fixed for this trial, but that the distribution cannot take.
    FixedParam,
    /// Another call with invalid arguments.
    Call,
    /// Values that are no result: NaN, or too many or too few of them.
    Value,
    /// Data passed between guest and host that is malformed.
    Data,
    /// Data passed between guest and host that is too large.
    DataSize,
    /// It would leave more in the study than a trial may.
    Budget,
    /// The guest process died.
    Died,
    /// The sampler or the pruner panicked, which is a bug of trialbox.
    Host,
    /// The trial was interrupted by the scheduler or the user.
    Interrupted,
    /// The worker died, and another process noticed.
    Lost,
    /// The user cancelled the trial while it waited.
    Cancelled,
}

impl FailureCode {
    /// Returns the stable text.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureCode::Guest => "E-GUEST",
            FailureCode::Panic => "E-PANIC",
            FailureCode::Trap => "E-TRAP",
            FailureCode::Time => "E-TIME",
            FailureCode::Fuel => "E-FUEL",
            FailureCode::Memory => "E-MEM",
            FailureCode::Table => "E-TABLE",
            FailureCode::Limit => "E-LIMIT",
            FailureCode::Stack => "E-STACK",
            FailureCode::Exit => "E-EXIT",
            FailureCode::Suggest => "E-SUGGEST",
            FailureCode::FixedParam => "E-FIXED-PARAM",
            FailureCode::Call => "E-CALL",
            FailureCode::Value => "E-VALUE",
            FailureCode::Data => "E-DATA",
            FailureCode::DataSize => "E-DATA-SIZE",
            FailureCode::Budget => "E-BUDGET",
            FailureCode::Died => "E-DIED",
            FailureCode::Host => "E-HOST",
            FailureCode::Interrupted => "E-INTERRUPTED",
            FailureCode::Lost => "E-LOST",
            FailureCode::Cancelled => "E-CANCELLED",
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_quotes_a_guest_is_harmless_to_a_terminal() {
        let failure = Failure::new(FailureCode::Guest, "a\u{1b}]0;title\u{7}\u{9b}2J\r\nb");
        assert_eq!(failure.message, "a\nb");
    }

    #[test]
    fn a_message_that_quotes_a_guest_at_length_is_cut() {
        let failure = Failure::new(FailureCode::Guest, "é".repeat(5000));
        assert_eq!(failure.message, format!("{}…", "é".repeat(1000)));
    }
}
