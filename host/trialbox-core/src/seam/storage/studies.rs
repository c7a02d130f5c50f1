//! Studies: creating, changing and deleting them.

use crate::seam::storage::StorageError;
use crate::study::record::{NewStudy, StudyDirection, StudyId, StudyRecord, StudySummary};
use crate::study::trial::FrozenTrial;
use crate::value::json::Json;

/// The studies of a database.
pub trait Studies {
    /// Creates a study without trials.
    ///
    /// # Errors
    /// [`StorageError::DuplicateStudy`] when a study has that name; [`StorageError::NameTooLong`].
    fn create_study(&mut self, study: &NewStudy) -> Result<StudyRecord, StorageError> {
        self.import_study(study, &[])
    }

    /// Creates a study with these trials, renumbered from 0 in the order given.
    ///
    /// # Errors
    /// As [`Self::create_study`]; [`StorageError::NanValue`].
    fn import_study(
        &mut self,
        study: &NewStudy,
        trials: &[FrozenTrial],
    ) -> Result<StudyRecord, StorageError>;

    /// Reads a study without its trials.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`], which lists the studies of the database.
    fn open_study(&mut self, name: &str) -> Result<StudyRecord, StorageError>;

    /// Reads all studies, in the order in which they were created.
    ///
    /// # Errors
    /// Only of the database.
    fn list_studies(&mut self) -> Result<Vec<StudySummary>, StorageError>;

    /// Adds the user attributes that the study does not have yet, and returns the study as it then is. Of several
    /// processes that set a default at the same time, the first one's value holds for all.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when the study was deleted meanwhile.
    fn set_study_defaults(
        &mut self,
        study: StudyId,
        user_attrs: &[(String, Json)],
    ) -> Result<StudyRecord, StorageError>;

    /// Sets attributes of the study, replacing those it has, and returns the study as it then is.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when the study was deleted meanwhile; [`StorageError::NameTooLong`].
    fn set_study_attrs(
        &mut self,
        study: StudyId,
        attrs: &StudyAttrs,
    ) -> Result<StudyRecord, StorageError>;

    /// Gives the study other directions while none of its trials has a value or an intermediate value, and returns the
    /// study as it then is; `None` if a trial has one.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when the study was deleted meanwhile.
    fn set_directions(
        &mut self,
        study: StudyId,
        directions: &[StudyDirection],
    ) -> Result<Option<StudyRecord>, StorageError>;

    /// Gives the study another name. Its trials and attributes stay as they are.
    ///
    /// # Errors
    /// [`StorageError::DuplicateStudy`], [`StorageError::NameTooLong`], [`StorageError::NoSuchStudy`].
    fn rename_study(&mut self, study: StudyId, name: &str) -> Result<(), StorageError>;

    /// Deletes the study with all that belongs to it.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when the study was deleted meanwhile.
    fn delete_study(&mut self, study: StudyId) -> Result<(), StorageError>;
}

/// Attributes of a study that are to be set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StudyAttrs {
    /// User attributes: those that users attach, and those that all jobs of the study share.
    pub user: Vec<(String, Json)>,
    /// System attributes: those of samplers and of Optuna.
    pub system: Vec<(String, Json)>,
}
