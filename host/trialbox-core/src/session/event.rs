//! What happens inside a trial, for whoever watches.

use crate::session::transcript::LogLine;
use crate::study::trial::{Param, TrialNumber};
use crate::value::json::Json;

/// Something that happened inside a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The trial was begun; the first event of all.
    Begun(TrialNumber),
    /// A parameter was asked for, the first time.
    Suggested {
        /// Its name.
        name: &'a str,
        /// Its value, and the distribution that the objective asked for.
        param: &'a Param,
    },
    /// A value was reported.
    Reported {
        /// Where the objective stands.
        step: i64,
        /// The value.
        value: f64,
    },
    /// The objective asked whether it should stop, and this was the answer.
    Judged {
        /// Whether it should.
        should_prune: bool,
    },
    /// A user attribute was set.
    Attached {
        /// Its key.
        key: &'a str,
        /// Its value.
        value: &'a Json,
    },
    /// A constraint was set.
    Constrained {
        /// Its name.
        name: &'a str,
        /// Its value.
        value: f64,
    },
    /// A line was logged or printed.
    Logged(&'a LogLine),
}
