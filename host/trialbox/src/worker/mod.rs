//! Workers: each runs one trial after the other. A worker sees a [`crate::plan::RunPlan`] and no flag.

pub(crate) mod checkpoint;
pub(crate) mod counters;
#[cfg(feature = "failpoints")]
mod faults;
pub(crate) mod held;
pub(crate) mod job;
mod report;
