//! The seam for storages: what a worker does to a study, one transaction a method.

use crate::space::distribution::Distribution;
use crate::study::record::{NewStudy, StudyId, StudyRecord, StudySummary};
use crate::study::stopping::StudyStop;
use crate::study::trial::{FrozenTrial, Param, TrialId, TrialNumber, TrialState, UtcDateTime};
use crate::value::json::Json;
use std::time::Duration;

/// A database of studies. A worker owns its own connection.
///
/// Every method is one transaction: it happens wholly or not at all, and no lock outlives it. Times are
/// arguments, because the clock belongs to the caller; only heartbeats take the database's own time, as
/// Optuna's do.
pub trait Storage: Send {
    /// The storage as messages name it, such as `sqlite:///study.db`.
    fn url(&self) -> &str;

    /// Makes a study without trials.
    ///
    /// # Errors
    /// [`StorageError::DuplicateStudy`] when there is one of that name; [`StorageError::NameTooLong`].
    fn create_study(&mut self, study: &NewStudy) -> Result<StudyRecord, StorageError> {
        self.import_study(study, &[])
    }

    /// Makes a study with these trials, numbered anew in the order given.
    ///
    /// # Errors
    /// As [`Self::create_study`]; [`StorageError::NanValue`].
    fn import_study(
        &mut self,
        study: &NewStudy,
        trials: &[FrozenTrial],
    ) -> Result<StudyRecord, StorageError>;

    /// Appends trials as they are, numbered on from the study's last; returns the first of the new numbers.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when it was deleted meanwhile; [`StorageError::NanValue`].
    fn add_trials(
        &mut self,
        study: StudyId,
        trials: &[FrozenTrial],
    ) -> Result<TrialNumber, StorageError>;

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

    /// Sets attributes of the study, replacing those it has, and returns the study as it then is.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when it was deleted meanwhile.
    fn set_study_attrs(
        &mut self,
        study: StudyId,
        attrs: &StudyAttrs,
    ) -> Result<StudyRecord, StorageError>;

    /// Gives the study another name. Its trials and attributes stay where they are.
    ///
    /// # Errors
    /// [`StorageError::DuplicateStudy`], [`StorageError::NameTooLong`], [`StorageError::NoSuchStudy`].
    fn rename_study(&mut self, study: StudyId, name: &str) -> Result<(), StorageError>;

    /// Deletes the study with all that belongs to it.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when it was deleted meanwhile.
    fn delete_study(&mut self, study: StudyId) -> Result<(), StorageError>;

    /// Appends a WAITING trial whose parameters are fixed to the external values given. Nothing is appended
    /// when `skip_if_exists` is set and a trial with the same values is there; then there is no number.
    ///
    /// # Errors
    /// [`StorageError::NoSuchStudy`] when it was deleted meanwhile.
    fn enqueue_trial(
        &mut self,
        study: StudyId,
        trial: &EnqueueTrial,
    ) -> Result<Option<TrialNumber>, StorageError>;

    /// Takes the lowest WAITING trial, or makes a new one with the next number; either way it is RUNNING,
    /// owned and with its first heartbeat when this returns. Neither happens while the study is stopped or has
    /// its trials, of which the same transaction makes sure.
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

    /// As [`Self::record`], but gives up after about a second when others hold the storage: whoever calls has
    /// better things to do than to wait.
    ///
    /// # Errors
    /// As [`Self::record`]; [`StorageError::Busy`], after which nothing is written.
    fn try_record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError> {
        self.record(claim, batch)
    }

    /// Adds the last of a running trial and ends it, at once: readers cache ended trials, so nothing may
    /// be written after. With [`Ending::retry`] a WAITING copy is appended in the same transaction; its
    /// number is returned.
    ///
    /// # Errors
    /// [`StorageError::ClaimLost`] when the trial is no longer ours to write; then nothing is written.
    fn finish_trial(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        ending: &Ending,
    ) -> Result<Option<TrialNumber>, StorageError>;

    /// The RUNNING trials of a study, with what tells whether somebody still works on them.
    ///
    /// # Errors
    /// Only of the database.
    fn running_trials(&mut self, study: StudyId) -> Result<Vec<LeasedTrial>, StorageError>;

    /// Notes with RUNNING trials what somebody saw of them ([`WATCH_ATTR`]); trials that have ended
    /// meanwhile are passed over.
    ///
    /// # Errors
    /// Only of the database.
    fn note_watches(&mut self, watches: &[(TrialId, Json)]) -> Result<(), StorageError>;

    /// Ends a trial that nobody works on any more as FAIL, and appends its retry, if it still is just as it
    /// was seen; otherwise nothing happens and there is no result.
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

    /// One trial of a study.
    ///
    /// # Errors
    /// [`StorageError::NoSuchTrial`]; [`StorageError::UnreadableRow`].
    fn trial(&mut self, study: StudyId, number: TrialNumber) -> Result<FrozenTrial, StorageError>;

    /// All trials of a study, by number.
    ///
    /// # Errors
    /// [`StorageError::UnreadableRow`] names the first row that makes no sense.
    fn trials(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError>;

    /// All trials of a study, by number, as samplers and pruners see them: without the system attributes under
    /// [`OWN_PREFIX`], which tell nothing of the search and are most of what is stored with a short trial.
    ///
    /// # Errors
    /// As [`Self::trials`].
    fn history(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError>;

    /// How the trials of a study stand, by number: their states, values and system attributes, and nothing else.
    /// Much less to read than all of [`Self::trials`], where trials report.
    ///
    /// # Errors
    /// As [`Self::trials`].
    fn outcomes(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError>;

    /// What has changed since `known` was read with [`Self::history`], in the same form: trials that are new, and trials that had not
    /// ended then, by number. Ended trials do not change. Gives up after about a second when others hold the
    /// storage, because whoever calls can go on with what is known.
    ///
    /// # Errors
    /// As [`Self::trials`]; [`StorageError::Busy`].
    fn changed_trials(
        &mut self,
        study: StudyId,
        known: &[FrozenTrial],
    ) -> Result<Vec<FrozenTrial>, StorageError>;

    /// Writes a copy of the whole database, as it is at one moment, to a file that is not there yet.
    ///
    /// # Errors
    /// When the file is there or cannot be written; when the storage has no file.
    fn snapshot(&mut self, path: &std::path::Path) -> Result<(), StorageError>;
}

/// Attributes of a study that are to be set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StudyAttrs {
    /// What users attach, and what every job of the study shares.
    pub user: Vec<(String, Json)>,
    /// What samplers and Optuna attach.
    pub system: Vec<(String, Json)>,
}

/// A trial that is to wait for somebody to run it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EnqueueTrial {
    /// The external values of the parameters that are fixed, by name.
    pub params: Vec<(String, Json)>,
    /// What the user attaches to it.
    pub user_attrs: Vec<(String, Json)>,
    /// Whether a trial with the same parameters makes this one needless.
    pub skip_if_exists: bool,
}

/// What a worker says when it takes a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct BeginTrial {
    /// Who takes it: a JSON object, unique to this attempt, stored with the trial as [`OWNER_ATTR`]. Every
    /// later write is made only while the trial still has it.
    pub owner: Json,
    /// Whether the owner will beat the trial's heart. One that does not is never taken for dead because of
    /// its silence.
    pub has_heartbeat: bool,
    /// How many trials the whole study may have that are COMPLETE, PRUNED or RUNNING; `None` for no limit.
    pub max_trials: Option<u64>,
    /// When.
    pub at: UtcDateTime,
}

/// The system attribute that says which attempt a RUNNING trial belongs to.
pub const OWNER_ATTR: &str = "trialbox:owner";

/// The member of an owner that holds the trial's number. Optuna copies the attributes of a trial that it
/// retries, the owner too: with another number in it, it says nothing about who runs the copy.
pub const OWNER_TRIAL: &str = "trial";

/// The owner as it is stored with a trial: it says which trial it means.
pub fn owner_of(owner: &Json, number: TrialNumber) -> Json {
    let mut members = match owner {
        Json::Object(members) => members.clone(),
        other => vec![("uuid".to_owned(), other.clone())],
    };
    members.push((OWNER_TRIAL.to_owned(), Json::from(number.0)));
    Json::Object(members)
}

/// The system attribute in which observers note when they saw which heartbeat of a RUNNING trial.
pub const WATCH_ATTR: &str = "trialbox:watch";

/// What begins the keys of our own attributes. A retry does not inherit them.
pub const OWN_PREFIX: &str = "trialbox:";

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
    /// Somebody has stopped the study ([`crate::study::stopping::STOP_ATTR`]).
    Stopped(StudyStop),
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
    /// The trial of which this is a retry, directly or not; otherwise the trial itself. Random numbers
    /// follow from it, so that a retry draws what the lost trial drew.
    pub origin: TrialNumber,
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

/// How a trial ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Its state and values.
    pub outcome: Outcome,
    /// When.
    pub at: UtcDateTime,
    /// Whether a copy of it is to wait for another try.
    pub retry: Option<RetryPolicy>,
}

impl Ending {
    /// An ending without another try.
    pub fn new(outcome: Outcome, at: UtcDateTime) -> Self {
        Ending { outcome, at, retry: None }
    }
}

/// How often a trial that was lost is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The number of retries of one trial, at most.
    pub max_retries: u32,
}

/// A RUNNING trial as somebody sees it who wonders whether its owner lives.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedTrial {
    /// The database's key.
    pub id: TrialId,
    /// Its number.
    pub number: TrialNumber,
    /// The owner as it is stored, if it is one of ours.
    pub owner: Option<Json>,
    /// The last heartbeat, if there ever was one.
    pub heartbeat: Option<Heartbeat>,
    /// [`WATCH_ATTR`].
    pub watch: Option<Json>,
}

impl LeasedTrial {
    /// The owner, if it speaks of this trial and not of one that this is a copy of.
    pub fn owner_of_this(&self) -> Option<&Json> {
        self.owner.as_ref().filter(|owner| {
            owner.get(OWNER_TRIAL).and_then(Json::as_i64) == Some(i64::from(self.number.0))
        })
    }
}

/// A heartbeat: two are the same if their stamps are.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// As it is stored: the clock of whoever wrote it, so it says little to others.
    pub stamp: String,
    /// Its age by the clock of whoever reads; negative if that clock is behind.
    pub age_secs: f64,
}

/// A heartbeat from the future, beyond this, was written by a clock that cannot be compared with ours.
const CLOCK_TOLERANCE_SECS: f64 = 60.0;

impl Heartbeat {
    /// Whether it is younger than `age`, as far as the two clocks agree.
    pub fn is_recent(&self, age: Duration) -> bool {
        (-CLOCK_TOLERANCE_SECS..age.as_secs_f64()).contains(&self.age_secs)
    }
}

/// A trial that was found lost, and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostTrial {
    /// Its number.
    pub number: TrialNumber,
    /// The number of its retry; none if it had its tries.
    pub retry: Option<TrialNumber>,
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
    /// There is no trial of that number.
    #[error("study `{study}` has no trial {number}; it has {n_trials} trials")]
    NoSuchTrial {
        /// The study's name.
        study: String,
        /// As asked for.
        number: TrialNumber,
        /// How many there are, numbered from 0.
        n_trials: u64,
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
    /// Others have been writing for as long as we may wait.
    #[error("failed to {action}: the database is locked by others for {} s", waited.as_secs())]
    Busy {
        /// What was being done, as the end of "failed to …".
        action: String,
        /// How long we waited.
        waited: Duration,
        /// Who holds it and what to do, as far as we know.
        help: String,
    },
    /// The storage cannot do this.
    #[error("`{url}` cannot {what}")]
    Unsupported {
        /// The storage.
        url: String,
        /// What was asked for, as the end of "cannot …".
        what: &'static str,
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
    if chars > crate::study::trial::MAX_NAME_CHARS {
        Err(StorageError::NameTooLong { what, chars })
    } else {
        Ok(())
    }
}
