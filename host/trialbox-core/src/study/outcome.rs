//! The outcome of a trial: its final state, its values and its retry.

use crate::study::trial::{TrialState, UtcDateTime};

/// A legal outcome of a trial, as judged by [`crate::run`].
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// One value for each objective, none of them NaN.
    Complete(Vec<f64>),
    /// The last reported value of a single objective, if it has one and it is not NaN.
    Pruned(Option<f64>),
    /// No value.
    Fail,
}

impl Outcome {
    /// Returns the state in which the trial finishes.
    pub fn state(&self) -> TrialState {
        match self {
            Outcome::Complete(_) => TrialState::Complete,
            Outcome::Pruned(_) => TrialState::Pruned,
            Outcome::Fail => TrialState::Fail,
        }
    }

    /// Returns the values that are stored.
    pub fn values(&self) -> &[f64] {
        match self {
            Outcome::Complete(values) => values,
            Outcome::Pruned(value) => value.as_slice(),
            Outcome::Fail => &[],
        }
    }
}

/// The end of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The final state and the values.
    pub outcome: Outcome,
    /// The time at which the trial finishes.
    pub at: UtcDateTime,
    /// The policy for a retry; `None` for no retry.
    pub retry: Option<RetryPolicy>,
}

impl Ending {
    /// Creates an ending without a retry.
    pub fn new(outcome: Outcome, at: UtcDateTime) -> Self {
        Ending { outcome, at, retry: None }
    }
}

/// The limit on retries of a lost trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The largest number of retries of one trial.
    pub max_retries: u32,
}
