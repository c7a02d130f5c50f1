//! The points in time at which a call of the objective must be over.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time at which the job ends. It may move while a trial runs.
#[derive(Debug, Default)]
pub struct SharedDeadline(Mutex<Option<Instant>>);

impl SharedDeadline {
    /// Sets the deadline; `None` removes it.
    pub fn set(&self, at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Returns the time that is left, or `None` without a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        let at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Returns whether the deadline has passed.
    pub fn is_over(&self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }
}

/// The time limit of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    started: Instant,
    timeout: Option<Duration>,
}

impl Deadline {
    /// Starts the clock of a limit.
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Deadline { started: Instant::now(), timeout }
    }

    /// Returns the time that is left, or `None` without a limit.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.timeout.map(|timeout| timeout.saturating_sub(self.started.elapsed()))
    }

    /// Returns whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_deadline_can_be_set_moved_and_removed() {
        let deadline = SharedDeadline::default();
        assert_eq!(deadline.remaining(), None);
        assert!(!deadline.is_over());
        deadline.set(Some(Instant::now()));
        assert!(deadline.is_over());
        deadline.set(Some(Instant::now() + Duration::from_secs(3600)));
        assert!(!deadline.is_over());
        assert!(deadline.remaining() > Some(Duration::from_secs(3000)));
        deadline.set(None);
        assert_eq!(deadline.remaining(), None);
    }
}
