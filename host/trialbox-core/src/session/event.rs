//! The events of a trial, for observers.

use crate::session::transcript::LogLine;
use crate::study::trial::{Param, TrialNumber};
use crate::value::json::Json;

/// An event of a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The trial started. This is always the first event.
    Begun(TrialNumber),
    /// A parameter was suggested for the first time.
    Suggested {
        /// Its name.
        name: &'a str,
        /// Its value, and the distribution that the objective asked for.
        param: &'a Param,
    },
    /// A value was reported.
    Reported {
        /// The step.
        step: i64,
        /// The value.
        value: f64,
    },
    /// The objective asked whether it should stop, and got this answer.
    Judged {
        /// True if it should stop.
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
