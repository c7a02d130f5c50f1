//! The seam for storages, in the four parts that callers need: studies, trials, leases and reading.
//!
//! Every method of the four traits is one transaction: it happens wholly or not at all, and no lock outlives it. Times
//! are arguments, because the clock belongs to the caller. Only heartbeats take the database's own time, as Optuna's
//! do. The transitions of a trial that a storage must keep are values in [`crate::study::ledger`].

mod error;
mod leases;
mod reader;
mod studies;
mod trials;

pub use crate::study::batch::TrialBatch;
pub use crate::study::claim::{
    BegunTrial, Claim, ClaimLoss, OWNER_ATTR, OWNER_TOKEN, OWNER_TRIAL, owner_of,
};
pub use crate::study::enqueue::{EnqueueTrial, FIXED_PARAMS_ATTR};
pub use crate::study::lease::{Heartbeat, LeasedTrial, LostTrial, WATCH_ATTR};
pub use crate::study::outcome::{Ending, Outcome, RetryPolicy};
pub use crate::study::trial::OWN_PREFIX;
pub use error::{Remedy, StorageError, check_name, check_param};
pub use leases::Leases;
pub use reader::Reader;
pub use studies::{Studies, StudyAttrs};
pub use trials::{BeginTrial, TrialStart, Trials};

/// A database of studies. Each worker owns its own connection.
pub trait Storage: Studies + Trials + Leases + Reader + Send {}

impl<S: Studies + Trials + Leases + Reader + Send> Storage for S {}
