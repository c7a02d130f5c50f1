//! The seam for time, which only the binary reads.

use crate::study::trial::UtcDateTime;
use std::time::Duration;

/// The time of day, and a time that only runs forward.
pub trait Clock {
    /// Returns the time of day in UTC, for the database.
    fn utc_now(&self) -> UtcDateTime;

    /// Returns the time since a fixed moment before the first call, for measuring and waiting.
    fn elapsed(&self) -> Duration;
}
