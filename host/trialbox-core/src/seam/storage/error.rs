//! The errors of a storage.

use crate::space::distribution::UnstorableValue;
use crate::study::claim::ClaimLoss;
use crate::study::ledger::{self, IllegalTransition, check_name_length};
use crate::study::trial::{Param, TrialNumber};
use crate::value::text::counted;
use std::path::PathBuf;
use std::time::Duration;

/// The reason why a storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No study has that name.
    #[error("there is no study `{name}`")]
    NoSuchStudy {
        /// The name asked for.
        name: String,
        /// The first few studies of the database.
        known: Vec<String>,
    },
    /// No trial of the study has that number.
    #[error("study `{study}` has no trial {number}; it has {}", counted(*n_trials, "trial"))]
    NoSuchTrial {
        /// The study's name.
        study: String,
        /// The number asked for.
        number: TrialNumber,
        /// The number of the study's trials, which are numbered from 0.
        n_trials: u64,
    },
    /// A study has that name already.
    #[error("there is already a study `{name}`")]
    DuplicateStudy {
        /// The name asked for.
        name: String,
    },
    /// A name that the schema's columns cannot hold on every database.
    #[error("the {what} is {chars} characters long; at most 512 are allowed")]
    NameTooLong {
        /// The kind of name: `study name`, `parameter name`, …
        what: &'static str,
        /// The name's length.
        chars: usize,
    },
    /// A parameter's value that the databases of Optuna cannot hold.
    #[error("the value of parameter `{name}` cannot be stored: {problem}")]
    UnstorableParam {
        /// The parameter.
        name: String,
        /// The value.
        problem: UnstorableValue,
    },
    /// The trial is not, or no longer, this attempt's to write.
    #[error("trial {number} no longer belongs to this worker: {reason}")]
    ClaimLost {
        /// The trial.
        number: TrialNumber,
        /// The event that ended the claim.
        reason: ClaimLoss,
    },
    /// A final value that is NaN, which the databases of Optuna cannot hold.
    #[error("a final value must be a number, but it is NaN")]
    NanValue,
    /// A row that neither Optuna nor trialbox can read.
    #[error("a row of the database cannot be read: {what}")]
    UnreadableRow {
        /// The row, and what is wrong with it.
        what: String,
    },
    /// Other processes held the database's lock for as long as this one may wait.
    #[error("failed to {action}: waited {} s for the database's lock", waited.as_secs())]
    Busy {
        /// The action, as the end of "failed to …".
        action: String,
        /// The time waited.
        waited: Duration,
        /// The process that holds the lock, in words; `None` if it is not known.
        holder: Option<String>,
    },
    /// The server took no connection for as long as this process may wait.
    #[error("failed to {action}: no connection after {} s", waited.as_secs())]
    Away {
        /// The action, as the end of "failed to …".
        action: String,
        /// The time waited.
        waited: Duration,
        /// The last refusal.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection was lost while a change was committed that must not be made twice.
    #[error("the connection was lost while the change was committed: it may have been made")]
    InDoubt,
    /// The database worked on a transaction for as long as it may.
    #[error("failed to {action}: SQLite had not finished after {} s", after.as_secs())]
    Unfinished {
        /// The action, as the end of "failed to …".
        action: String,
        /// The time allowed.
        after: Duration,
    },
    /// The storage cannot do this.
    #[error("`{url}` cannot {what}")]
    Unsupported {
        /// The storage.
        url: String,
        /// The action, as the end of "cannot …".
        what: &'static str,
    },
    /// A file that is not a database of Optuna's, or of another version.
    #[error("{problem}")]
    WrongDatabase {
        /// The file, and what is wrong with it.
        problem: String,
        /// The remedy.
        help: Remedy,
    },
    /// An address of a kind that trialbox does not know.
    #[error(
        "unsupported storage URL `{url}`: expected a path, `sqlite:///FILE` or `postgresql://HOST/DATABASE`"
    )]
    UnknownUrl {
        /// The address as given, with passwords removed.
        url: String,
    },
    /// An option in an address that the database's drivers do not know, or that gives the address another meaning.
    #[error("unsupported option `{option}` in the storage URL: expected {expected}")]
    UnknownUrlOption {
        /// The option's name.
        option: String,
        /// The options that are known.
        expected: &'static str,
    },
    /// The database failed.
    #[error("failed to {action}")]
    Backend {
        /// The action, as the end of "failed to …".
        action: String,
        /// The remedy, if known.
        help: Option<Remedy>,
        /// The database's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The remedy for an error of a storage.
///
/// Most remedies name an option of the command that failed. Only the binary knows how its options are called, so a
/// remedy is data here, and the binary puts it into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// A sentence that names no option.
    Advice(String),
    /// Create a database, or say where it is.
    CreateDatabase,
    /// Create a folder that does not exist, or choose another place.
    CreateFolder(PathBuf),
    /// Choose another place than a folder that cannot be written.
    LeaveFolder(PathBuf),
    /// Choose another place for the database.
    OtherPlace,
    /// Choose another database than this file, which is not Optuna's and was not touched.
    OtherFile,
    /// Make a folder writable, in which the lock file is created, or do without the lock file.
    WritableFolder(PathBuf),
    /// Keep to the lock file of this database, or remove it first.
    KeepLockFile(PathBuf),
    /// Let Optuna upgrade a copy of the database from an older schema.
    UpgradeSchema {
        /// The database.
        url: String,
    },
    /// Execute a statement that removes a part of the schema which the user does not need.
    RunSql {
        /// The database.
        url: String,
        /// The statement, without quotes.
        sql: String,
    },
    /// Examine the database, which shows the problem and the way out.
    Examine {
        /// The database.
        url: String,
    },
    /// Let Optuna find out which version of its schema the database has.
    IdentifySchema {
        /// The database.
        url: String,
    },
}

impl From<IllegalTransition> for StorageError {
    fn from(illegal: IllegalTransition) -> Self {
        match illegal {
            IllegalTransition::ClaimLost { number, reason } => {
                StorageError::ClaimLost { number, reason }
            }
            IllegalTransition::NanValue => StorageError::NanValue,
            IllegalTransition::UnstorableParam { name, problem } => {
                StorageError::UnstorableParam { name, problem }
            }
            IllegalTransition::NameTooLong { what, chars } => {
                StorageError::NameTooLong { what, chars }
            }
        }
    }
}

/// Rejects a name that some database's column could not hold.
///
/// # Errors
/// [`StorageError::NameTooLong`].
pub fn check_name(what: &'static str, name: &str) -> Result<(), StorageError> {
    Ok(check_name_length(what, name)?)
}

/// Rejects a parameter that some database could not hold: see [`ledger::check_param`].
///
/// # Errors
/// [`StorageError::NameTooLong`]; [`StorageError::UnstorableParam`].
pub fn check_param(name: &str, param: &Param) -> Result<(), StorageError> {
    Ok(ledger::check_param(name, param)?)
}
