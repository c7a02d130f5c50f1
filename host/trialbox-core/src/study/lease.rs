//! A lease: a RUNNING trial with the evidence that its worker is alive.

use crate::study::claim::OWNER_TRIAL;
use crate::study::trial::{TrialId, TrialNumber};
use crate::value::json::Json;
use std::time::Duration;

/// The system attribute in which observers note when they saw which heartbeat of a RUNNING trial.
pub const WATCH_ATTR: &str = "trialbox:watch";

/// A RUNNING trial as an observer sees it that asks whether the trial's worker is alive.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedTrial {
    /// The database's key.
    pub id: TrialId,
    /// The trial's number.
    pub number: TrialNumber,
    /// The owner as it is stored; `None` if the trial was not started by trialbox.
    pub owner: Option<Json>,
    /// The last heartbeat; `None` if the trial never had one.
    pub heartbeat: Option<Heartbeat>,
    /// The value of [`WATCH_ATTR`].
    pub watch: Option<Json>,
}

impl LeasedTrial {
    /// Returns the owner, unless Optuna copied it from the trial of which this one is a retry.
    pub fn owner_of_this(&self) -> Option<&Json> {
        let owner = self.owner.as_ref()?;
        let number = owner.get(OWNER_TRIAL)?.as_i64()?;
        if number == i64::from(self.number.0) { Some(owner) } else { None }
    }

    /// Returns whether this is the lease that an observer saw earlier: the same owner and the same heartbeat, whatever
    /// its age is by now.
    pub fn is_unchanged_since(&self, seen: &LeasedTrial) -> bool {
        self.owner == seen.owner && self.stamp() == seen.stamp()
    }

    fn stamp(&self) -> Option<&str> {
        self.heartbeat.as_ref().map(|heartbeat| heartbeat.stamp.as_str())
    }
}

/// A heartbeat. Two heartbeats are the same if their stamps are.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// The stamp as it is stored. The clock of another machine may have written it, so only a change of it is
    /// evidence.
    pub stamp: String,
    /// The age by the reader's clock; negative if that clock is behind.
    pub age_secs: f64,
}

/// A heartbeat further in the future than this was written by a clock that cannot be compared with the reader's.
const CLOCK_TOLERANCE_SECS: f64 = 60.0;

impl Heartbeat {
    /// Returns whether the heartbeat is younger than `age`, as far as the two clocks agree.
    pub fn is_recent(&self, age: Duration) -> bool {
        (-CLOCK_TOLERANCE_SECS..age.as_secs_f64()).contains(&self.age_secs)
    }
}

/// A trial that was finished as FAIL because its worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostTrial {
    /// The trial's number.
    pub number: TrialNumber,
    /// The number of the retry; `None` if the trial had all its retries.
    pub retry: Option<TrialNumber>,
}
