//! Leases: the evidence that a running trial's worker is alive, and the end of a trial whose worker died.

use crate::seam::storage::StorageError;
use crate::study::lease::{LeasedTrial, LostTrial};
use crate::study::outcome::RetryPolicy;
use crate::study::record::StudyId;
use crate::study::trial::{TrialId, UtcDateTime};
use crate::value::json::Json;

/// The running trials of a database, as a search for dead workers sees them.
pub trait Leases {
    /// Reads the RUNNING trials of a study, each with the evidence that its worker is alive.
    ///
    /// # Errors
    /// Only of the database.
    fn running_trials(&mut self, study: StudyId) -> Result<Vec<LeasedTrial>, StorageError>;

    /// Stores with RUNNING trials the heartbeats that an observer saw
    /// ([`WATCH_ATTR`](crate::study::lease::WATCH_ATTR)). Trials that have finished meanwhile are skipped.
    ///
    /// # Errors
    /// Only of the database.
    fn note_watches(&mut self, watches: &[(TrialId, Json)]) -> Result<(), StorageError>;

    /// Finishes a trial whose worker died as FAIL, and appends its retry. Does nothing and returns `None` if the trial
    /// is no longer as it was seen.
    ///
    /// # Errors
    /// Only of the database.
    fn fail_lost_trial(
        &mut self,
        lost: &LeasedTrial,
        failure: &Json,
        retry: Option<RetryPolicy>,
        at: UtcDateTime,
    ) -> Result<Option<LostTrial>, StorageError>;
}
