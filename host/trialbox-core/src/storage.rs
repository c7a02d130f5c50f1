//! The seam for storages: what a worker does to a study, one transaction a method.

use crate::distribution::Distribution;
use crate::json::Json;
use crate::study::{NewStudy, StudyId, StudyRecord, StudySummary};
use crate::trial::{FrozenTrial, Param, TrialId, TrialNumber, TrialState, UtcDateTime};

/// A database of studies. A worker owns its own connection.
///
/// Every method is one transaction: it happens wholly or not at all, and no lock outlives it. Times are
/// arguments, because the clock belongs to the caller; only heartbeats take the database's own time, as
/// Optuna's do.
pub trait Storage: Send {
    /// The storage as messages name it, such as `sqlite:///study.db`.
    fn url(&self) -> &str;

    /// Makes a study.
    ///
    /// # Errors
    /// [`StorageError::DuplicateStudy`] when there is one of that name; [`StorageError::NameTooLong`].
    fn create_study(&mut self, study: &NewStudy) -> Result<StudyRecord, StorageError>;

    /// Reads a study without its trials.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`], which lists the studies there are.
    fn open_study(&mut self, name: &str) -> Result<StudyRecord, StorageError>;

    /// All studies, in the order in which they were made.
    ///
    /// # Errors
    /// Only of the database.
    fn list_studies(&mut self) -> Result<Vec<StudySummary>, StorageError>;

    /// Adds the user attributes that the study does not have yet, and returns the study as it then is: of
    /// several processes that set a default at once, all go on with the first one's.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when it was deleted meanwhile.
    fn set_study_defaults(
        &mut self,
        study: StudyId,
        user_attrs: &[(String, Json)],
    ) -> Result<StudyRecord, StorageError>;

    /// Sets user attributes of the study, replacing those it has, and returns the study as it then is.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when it was deleted meanwhile.
    fn set_study_user_attrs(
        &mut self,
        study: StudyId,
        user_attrs: &[(String, Json)],
    ) -> Result<StudyRecord, StorageError>;

    /// Appends a WAITING trial whose parameters are fixed to the external values given.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when it was deleted meanwhile.
    fn enqueue_trial(
        &mut self,
        study: StudyId,
        params: &[(String, Json)],
    ) -> Result<TrialNumber, StorageError>;

    /// Takes the lowest WAITING trial, or makes a new one with the next number; either way it is RUNNING,
    /// owned and with its first heartbeat when this returns.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when it was deleted meanwhile.
    fn begin_trial(
        &mut self,
        study: StudyId,
        request: &BeginTrial,
    ) -> Result<TrialStart, StorageError>;

    /// The distribution under which an earlier trial of the study recorded a parameter, if one did.
    ///
    /// # Errors
    /// Only of the database.
    fn recorded_distribution(
        &mut self,
        study: StudyId,
        trial: TrialId,
        param: &str,
    ) -> Result<Option<Distribution>, StorageError>;

    /// Adds to a running trial, and beats its heart.
    ///
    /// # Errors
    /// [`StorageError::ClaimLost`] when the trial is no longer ours to write.
    fn record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError>;

    /// Adds the last of a running trial and ends it, at once: readers cache ended trials, so nothing may
    /// be written after.
    ///
    /// # Errors
    /// [`StorageError::ClaimLost`] when the trial is no longer ours to write; then nothing is written.
    fn finish_trial(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        outcome: &Outcome,
        at: UtcDateTime,
    ) -> Result<(), StorageError>;

    /// All trials of a study, by number.
    ///
    /// # Errors
    /// [`StorageError::UnreadableRow`] names the first row that makes no sense.
    fn trials(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError>;
}

/// What a worker says when it takes a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct BeginTrial {
    /// Who takes it: JSON, stored with the trial as [`OWNER_ATTR`], unique to this attempt. Every later
    /// write is made only while the trial still has it.
    pub owner: Json,
    /// How many trials the whole study may have that are COMPLETE, PRUNED or RUNNING; `None` for no limit.
    pub max_trials: Option<u64>,
    /// When.
    pub at: UtcDateTime,
}

/// The system attribute that says which attempt a RUNNING trial belongs to.
pub const OWNER_ATTR: &str = "trialbox:owner";

/// The system attribute that holds the values a user fixed when enqueueing, external, by name: Optuna's.
pub const FIXED_PARAMS_ATTR: &str = "fixed_params";

/// What came of [`Storage::begin_trial`].
#[derive(Debug, Clone, PartialEq)]
pub enum TrialStart {
    /// A trial to run.
    Begun(Box<BegunTrial>),
    /// The study has all the trials it may have.
    BudgetReached {
        /// How many it has.
        n_trials: u64,
    },
}

/// A trial that is ours to run, with what it may bring from an earlier life.
#[derive(Debug, Clone, PartialEq)]
pub struct BegunTrial {
    /// What later writes need.
    pub claim: Claim,
    /// Values that a user fixed when enqueueing it: external, by name.
    pub fixed_params: Vec<(String, Json)>,
    /// Parameters that it already has, because it is a retry.
    pub params: Vec<(String, Param)>,
}

/// The right to write to a running trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The trial.
    pub id: TrialId,
    /// Its number.
    pub number: TrialNumber,
    /// The owner's token, as it was stored.
    pub owner: Json,
}

/// What is added to a running trial in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrialBatch {
    /// New parameters, in the order in which they were asked for.
    pub params: Vec<(String, Param)>,
    /// Reported values by step; a later value of a step replaces an earlier one.
    pub intermediate_values: Vec<(i64, f64)>,
    /// Attributes of the objective's; a later value of a key replaces an earlier one.
    pub user_attrs: Vec<(String, Json)>,
    /// Attributes of samplers, pruners and trialbox; as above.
    pub system_attrs: Vec<(String, Json)>,
}

impl TrialBatch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
            && self.intermediate_values.is_empty()
            && self.user_attrs.is_empty()
            && self.system_attrs.is_empty()
    }
}

/// A legal ending of a trial, as judged by [`crate::run`].
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
    /// The state that the trial ends in.
    pub fn state(&self) -> TrialState {
        match self {
            Outcome::Complete(_) => TrialState::Complete,
            Outcome::Pruned(_) => TrialState::Pruned,
            Outcome::Fail => TrialState::Fail,
        }
    }

    /// The values that are stored.
    pub fn values(&self) -> &[f64] {
        match self {
            Outcome::Complete(values) => values,
            Outcome::Pruned(value) => value.as_slice(),
            Outcome::Fail => &[],
        }
    }
}

/// Why a storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no study of that name.
    #[error("there is no study `{name}`")]
    NoSuchStudy {
        /// As asked for.
        name: String,
        /// The studies there are, the first few.
        known: Vec<String>,
    },
    /// There is a study of that name already.
    #[error("there is already a study `{name}`")]
    DuplicateStudy {
        /// As asked for.
        name: String,
    },
    /// A name that the schema's columns cannot hold on every database.
    #[error("the {what} is {chars} characters long; at most 512 are allowed")]
    NameTooLong {
        /// `study name`, `parameter name`, …
        what: &'static str,
        /// Its length.
        chars: usize,
    },
    /// The trial is not, or no longer, ours to write.
    #[error("trial {number} is no longer ours: {reason}")]
    ClaimLost {
        /// The trial.
        number: TrialNumber,
        /// What it is instead.
        reason: ClaimLoss,
    },
    /// A final value that is NaN, which no database of Optuna's can hold.
    #[error("a final value must be a number, but it is NaN")]
    NanValue,
    /// A row that neither Optuna nor we can make sense of.
    #[error("a row of the database makes no sense: {what}")]
    UnreadableRow {
        /// Which row, and what is wrong with it.
        what: String,
    },
    /// The file is no database of Optuna's, or one of another version.
    #[error("{problem}")]
    WrongDatabase {
        /// What it is.
        problem: String,
        /// What to do.
        help: String,
    },
    /// The address is none that we understand.
    #[error("`{url}` is no storage that trialbox can open")]
    UnknownUrl {
        /// As given, with passwords removed.
        url: String,
    },
    /// The database refused.
    #[error("failed to {action}")]
    Backend {
        /// What was being done, as the end of "failed to …".
        action: String,
        /// What to do about it, when we know.
        help: Option<String>,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What became of a trial that we had claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimLoss {
    /// It was deleted, or moved by a rename in the dashboard.
    Vanished,
    /// Somebody else ended it.
    Finished(TrialState),
    /// Somebody else owns it now.
    TakenOver,
}

impl std::fmt::Display for ClaimLoss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClaimLoss::Vanished => f.write_str("it was deleted"),
            ClaimLoss::Finished(state) => write!(f, "somebody else ended it as {state}"),
            ClaimLoss::TakenOver => f.write_str("another process has taken it over"),
        }
    }
}

/// Refuses a name that some database's column could not hold.
///
/// # Errors
/// [`StorageError::NameTooLong`].
pub fn check_name(what: &'static str, name: &str) -> Result<(), StorageError> {
    let chars = name.chars().count();
    if chars > crate::trial::MAX_NAME_CHARS {
        Err(StorageError::NameTooLong { what, chars })
    } else {
        Ok(())
    }
}
