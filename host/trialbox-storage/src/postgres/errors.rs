//! The errors of PostgreSQL: those that pass, and the remedies for the others.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio_postgres::error::{DbError, SqlState};
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;

/// An error of a server or of the way to it.
#[derive(Debug)]
pub(crate) enum ServerError {
    /// An error that the client met, or that the server sent.
    Client(tokio_postgres::Error),
    /// The server did not answer for this time.
    Silent(Duration),
    /// A cell that no column of Optuna's has.
    UnknownType(String),
}

/// The kinds of errors, by what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The server takes no connection now, or has just ended this one.
    Away,
    /// Another transaction was in the way. The same transaction may succeed next.
    Conflict,
    /// Another transaction wrote the same key, or removed a row that this one refers to. The same transaction may find
    /// that next, and do something else.
    Overtaken,
    /// Any other error.
    Lasting,
}

impl From<tokio_postgres::Error> for ServerError {
    fn from(error: tokio_postgres::Error) -> Self {
        ServerError::Client(error)
    }
}

impl ServerError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            ServerError::Silent(_) => ErrorKind::Away,
            ServerError::UnknownType(_) => ErrorKind::Lasting,
            ServerError::Client(error) => match error.as_db_error() {
                Some(error) => kind_of_state(error.code()),
                None if error.is_closed() => ErrorKind::Away,
                None => kind_of_io(error),
            },
        }
    }

    /// Returns whether the server said that the transaction failed. Without its word, a commit may have succeeded.
    pub(crate) fn is_refusal(&self) -> bool {
        self.db_error().is_some() && self.kind() != ErrorKind::Away
    }

    fn db_error(&self) -> Option<&DbError> {
        match self {
            ServerError::Client(error) => error.as_db_error(),
            ServerError::Silent(_) | ServerError::UnknownType(_) => None,
        }
    }

    /// Returns the storage's error, for an error that will not pass.
    pub(crate) fn into_storage(self, action: &str) -> StorageError {
        let help = self.db_error().and_then(|error| remedy(error.code())).map(str::to_owned);
        StorageError::Backend {
            action: action.to_owned(),
            help: help.map(Remedy::Advice),
            source: Box::new(self),
        }
    }
}

fn kind_of_state(state: &SqlState) -> ErrorKind {
    match state.code() {
        // too_many_connections; admin_shutdown, crash_shutdown, cannot_connect_now; a standby that was the primary.
        "53300" | "57P01" | "57P02" | "57P03" | "25006" => ErrorKind::Away,
        // serialization_failure, deadlock_detected; lock_not_available, query_canceled by a timeout.
        "40001" | "40P01" | "55P03" | "57014" => ErrorKind::Conflict,
        // foreign_key_violation, unique_violation; duplicate_object and duplicate_table of two creations.
        "23503" | "23505" | "42710" | "42P07" => ErrorKind::Overtaken,
        // Connection exceptions.
        code if code.starts_with("08") => ErrorKind::Away,
        _ => ErrorKind::Lasting,
    }
}

/// Returns the kind of an error below the protocol. A name that cannot be resolved is a lasting one.
fn kind_of_io(error: &tokio_postgres::Error) -> ErrorKind {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::TimedOut
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::WouldBlock
                // The socket of a local server that is starting.
                | io::ErrorKind::NotFound => ErrorKind::Away,
                _ => ErrorKind::Lasting,
            };
        }
        source = error.source();
    }
    ErrorKind::Lasting
}

/// Returns the remedy for an error that the server sent.
fn remedy(state: &SqlState) -> Option<&'static str> {
    match state.code() {
        "28P01" | "28000" => Some(
            "check the user's name and its password, which belongs in ~/.pgpass or in the file that PGPASSFILE names",
        ),
        "3D000" => Some("create the database first: createdb NAME"),
        "42501" => Some(
            "the user needs the rights to read and to write Optuna's tables, and to create them once",
        ),
        "42P01" | "42703" => {
            Some("the tables are not those of Optuna 3.2 to 5.0: take another database")
        }
        "22021" => Some("PostgreSQL stores no NUL character: choose a name without one"),
        "22003" => {
            Some("PostgreSQL's columns hold whole numbers up to 2147483647: report smaller steps")
        }
        "53100" => Some(
            "the server's disk is full: free some space there, then run the same command again",
        ),
        _ => None,
    }
}

/// Formats the server's own sentence, or the reason below it.
impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Silent(time) => write!(f, "no answer within {} s", time.as_secs()),
            ServerError::UnknownType(found) => {
                write!(f, "expected a type of Optuna's tables, found {found}")
            }
            ServerError::Client(error) => match error.as_db_error() {
                Some(error) => write!(f, "{} (SQLSTATE {})", error.message(), error.code().code()),
                None => {
                    let reason =
                        error.source().map_or(String::new(), |source| format!(": {source}"));
                    write!(f, "{error}{reason}")
                }
            },
        }
    }
}

impl Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_pass_are_told_from_those_that_last() {
        for (code, want) in [
            ("53300", ErrorKind::Away),
            ("57P03", ErrorKind::Away),
            ("08006", ErrorKind::Away),
            ("25006", ErrorKind::Away),
            ("40001", ErrorKind::Conflict),
            ("40P01", ErrorKind::Conflict),
            ("57014", ErrorKind::Conflict),
            ("23505", ErrorKind::Overtaken),
            ("28P01", ErrorKind::Lasting),
            ("42P01", ErrorKind::Lasting),
        ] {
            assert_eq!(kind_of_state(&SqlState::from_code(code)), want, "{code}");
        }
    }
}
