//! Reading: the trials of a study, whole or in part.

use crate::seam::storage::StorageError;
use crate::space::distribution::Distribution;
use crate::study::record::StudyId;
use crate::study::trial::{FrozenTrial, TrialId, TrialNumber};
use std::path::Path;

/// The trials of a database, as samplers, pruners and users read them.
pub trait Reader {
    /// Returns the storage as messages name it, such as `sqlite:///study.db`.
    fn url(&self) -> &str;

    /// Reads one trial of a study.
    ///
    /// # Errors
    /// [`StorageError::NoSuchTrial`]; [`StorageError::UnreadableRow`].
    fn trial(&mut self, study: StudyId, number: TrialNumber) -> Result<FrozenTrial, StorageError>;

    /// Reads all trials of a study, by number.
    ///
    /// # Errors
    /// [`StorageError::UnreadableRow`] names the first row that cannot be read.
    fn trials(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError>;

    /// Reads all trials of a study, by number, as samplers and pruners see them: without user attributes, and with the
    /// system attributes of [`is_of_search`](crate::study::trial::is_of_search). The others are most of the bytes of a
    /// short trial.
    ///
    /// # Errors
    /// As [`Self::trials`].
    fn history(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError>;

    /// Reads only the states, times, values and system attributes of a study's trials, by number; of the attributes
    /// those that [`Self::history`] reads, constraints among them. This is a fraction of what [`Self::trials`] reads.
    ///
    /// # Errors
    /// As [`Self::trials`].
    fn outcomes(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError>;

    /// Reads the trials that are new or had not finished when `known` was read with [`Self::history`], by number and
    /// in the same form. Returns `None` if the study no longer has what is known: it was deleted and created again.
    /// Gives up after about a second while other processes hold the storage: callers can continue with what they
    /// know.
    ///
    /// # Errors
    /// As [`Self::trials`]; [`StorageError::Busy`].
    fn changed_trials(
        &mut self,
        study: StudyId,
        known: &[FrozenTrial],
    ) -> Result<Option<Vec<FrozenTrial>>, StorageError>;

    /// Reads the distribution under which another trial of the study recorded a parameter, if one did.
    ///
    /// # Errors
    /// Only of the database.
    fn recorded_distribution(
        &mut self,
        study: StudyId,
        trial: TrialId,
        param: &str,
    ) -> Result<Option<Distribution>, StorageError>;

    /// Writes a copy of the whole database, as it is at one moment, to a new file.
    ///
    /// # Errors
    /// Fails if the file exists or cannot be written; [`StorageError::Unsupported`] when the storage has no file.
    fn snapshot(&mut self, path: &Path) -> Result<(), StorageError>;
}
