//! A transaction, as the SQL of this room sees it: statements with parameters, and rows.
//!
//! The texts are the same for all databases, with a word of the [`Dialect`] where databases differ. Parameters and
//! cells have SQLite's types, into which the cells of other databases are translated.

use crate::postgres::errors::ServerError;
use rusqlite::types::{FromSql, FromSqlError, ToSql, ValueRef};
use std::ops::ControlFlow;
use trialbox_core::study::trial::TrialId;
use trialbox_core::{StorageError, StudyId};

/// An error inside a transaction.
#[derive(Debug)]
pub(crate) enum TxError {
    /// An error of SQLite, or a cell of another type than expected.
    Sqlite(rusqlite::Error),
    /// An error of PostgreSQL or of the way to it.
    Server(ServerError),
    /// An error of a storage.
    Storage(StorageError),
    /// A statement changed another number of rows than it must.
    Rows {
        /// The rows, as the end of "expected to write …".
        what: &'static str,
        /// The number of rows that it changed.
        found: usize,
    },
    /// Another process took the lock file while this one was suspended; nothing was written.
    LockLost,
    /// Another process had to take the lock file, which this one does not hold; nothing was written.
    LockFileNeeded,
}

impl From<rusqlite::Error> for TxError {
    fn from(error: rusqlite::Error) -> Self {
        TxError::Sqlite(error)
    }
}

impl From<ServerError> for TxError {
    fn from(error: ServerError) -> Self {
        TxError::Server(error)
    }
}

impl From<StorageError> for TxError {
    fn from(error: StorageError) -> Self {
        TxError::Storage(error)
    }
}

/// The words in which databases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Returns a column that holds a word, which some databases give a type of its own.
    pub(crate) fn word(self, column: &str) -> String {
        match self {
            Dialect::Sqlite => column.to_owned(),
            Dialect::Postgres => format!("CAST({column} AS TEXT)"),
        }
    }

    /// Returns the join of trials with their rows. SQLite joins in the order of the text if it is told to, and reads
    /// the trials through their index.
    pub(crate) fn join(self) -> &'static str {
        match self {
            Dialect::Sqlite => "CROSS JOIN",
            Dialect::Postgres => "JOIN",
        }
    }

    /// Returns the place of a part in a text, which is 0 if the text lacks it.
    pub(crate) fn place(self, text: &str, part: &str) -> String {
        match self {
            Dialect::Sqlite => format!("instr({text}, {part})"),
            Dialect::Postgres => format!("strpos({text}, {part})"),
        }
    }

    /// Returns the age of a time that the database's own clock wrote, in seconds.
    pub(crate) fn age(self, column: &str) -> String {
        match self {
            Dialect::Sqlite => format!("(julianday('now') - julianday({column})) * 86400.0"),
            // Optuna stores the time of the session's zone, without the zone.
            Dialect::Postgres => format!(
                "CAST(extract(epoch FROM CAST(clock_timestamp() AS TIMESTAMP) - {column}) AS FLOAT)"
            ),
        }
    }

    /// Returns the query for the WAITING trial with the lowest number of the study `?1`, after the trial `?2`.
    pub(crate) fn next_waiting(self) -> &'static str {
        match self {
            // SQLite takes the other columns from the row of the minimum.
            Dialect::Sqlite => {
                "SELECT trial_id FROM (SELECT trial_id, min(number) FROM trials
                 WHERE study_id = ?1 AND trial_id > ?2 AND state = 'WAITING')"
            }
            Dialect::Postgres => {
                "SELECT trial_id FROM trials WHERE study_id = ?1 AND trial_id > ?2 AND state = 'WAITING'
                 ORDER BY number LIMIT 1"
            }
        }
    }

    /// Returns whether a transaction that writes has the database for itself. Where it has not, it locks rows.
    pub(crate) fn has_one_writer(self) -> bool {
        self == Dialect::Sqlite
    }

    /// Returns the order in which a table is read fastest as a whole; `None` where that is not worth the while.
    pub(crate) fn order_of_table(self) -> Option<&'static str> {
        match self {
            Dialect::Sqlite => Some("r.rowid"),
            Dialect::Postgres => None,
        }
    }
}

/// A transaction.
pub(crate) trait Transaction {
    fn dialect(&self) -> Dialect;

    /// Executes a statement and returns the number of rows that it changed.
    fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> Result<usize, TxError>;

    /// Hands the rows of a query to `take`, until it breaks.
    fn each_row(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        take: &mut TakeRow<'_>,
    ) -> Result<(), TxError>;

    /// Executes statements without parameters.
    fn execute_script(&self, sql: &str) -> Result<(), TxError>;

    /// Returns whether an earlier run of this transaction may have been committed: the connection was lost meanwhile.
    fn is_repeated(&self) -> bool {
        false
    }
}

/// The function that gets the rows of a query.
pub(crate) type TakeRow<'a> = dyn FnMut(Row<'_>) -> Result<ControlFlow<()>, TxError> + 'a;

/// The cells of a row.
pub(crate) trait Cells {
    fn cell(&self, index: usize) -> Result<ValueRef<'_>, TxError>;

    /// Returns the name of a column, if there is one.
    fn column(&self, index: usize) -> Option<&str>;
}

/// A row of a query.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(pub(crate) &'a dyn Cells);

impl<'a> Row<'a> {
    pub(crate) fn value(self, index: usize) -> Result<ValueRef<'a>, TxError> {
        self.0.cell(index)
    }

    pub(crate) fn column(self, index: usize) -> Option<&'a str> {
        self.0.column(index)
    }

    /// Reads a cell as a type, with the errors of SQLite's own rows.
    pub(crate) fn get<T: FromSql>(self, index: usize) -> Result<T, TxError> {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
        };
        let value = self.value(index)?;
        let found = value.data_type();
        let error = match T::column_result(value) {
            Ok(value) => return Ok(value),
            Err(FromSqlError::InvalidType) => {
                let column = self.column(index).unwrap_or_default();
                InvalidColumnType(index, column.to_owned(), found)
            }
            Err(FromSqlError::OutOfRange(value)) => IntegralValueOutOfRange(index, value),
            Err(FromSqlError::Utf8Error(error)) => Utf8Error(index, error),
            Err(FromSqlError::Other(error)) => FromSqlConversionFailure(index, found, error),
            Err(error) => FromSqlConversionFailure(index, found, Box::new(error)),
        };
        Err(error.into())
    }
}

impl dyn Transaction + '_ {
    /// Reads the first row of a query, if it has one.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(Row<'_>) -> Result<T, TxError>,
    ) -> Result<Option<T>, TxError> {
        let mut first = None;
        self.each_row(sql, params, &mut |row| {
            first = Some(read(row)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }

    /// Reads the only row of a query.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(Row<'_>) -> Result<T, TxError>,
    ) -> Result<T, TxError> {
        match self.first(sql, params, read)? {
            Some(found) => Ok(found),
            None => Err(rusqlite::Error::QueryReturnedNoRows.into()),
        }
    }

    /// Reads all rows of a query.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(Row<'_>) -> Result<T, TxError>,
    ) -> Result<Vec<T>, TxError> {
        let mut found = Vec::new();
        self.each_row(sql, params, &mut |row| {
            found.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Executes a statement that must change one row. A schema can swallow rows without an error.
    pub(crate) fn write_one(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        what: &'static str,
    ) -> Result<(), TxError> {
        match self.execute(sql, params)? {
            1 => Ok(()),
            found => Err(TxError::Rows { what, found }),
        }
    }

    /// Keeps other writers from the trials of a study until this transaction ends: from numbering, starting and
    /// deleting them. Python's Optuna takes the same lock before it numbers a trial. What is read afterwards stays
    /// true. A transaction locks the study before a trial.
    pub(crate) fn lock_study(&self, study: StudyId) -> Result<(), TxError> {
        self.lock("SELECT 1 FROM studies WHERE study_id = ?1 FOR UPDATE", study.0)
    }

    /// Keeps other writers from a trial until this transaction ends. Python's Optuna takes the same lock before it
    /// changes a trial's state.
    pub(crate) fn lock_trial(&self, trial: TrialId) -> Result<(), TxError> {
        self.lock("SELECT 1 FROM trials WHERE trial_id = ?1 FOR UPDATE", trial.0)
    }

    fn lock(&self, sql: &str, id: i64) -> Result<(), TxError> {
        if self.dialect().has_one_writer() {
            return Ok(());
        }
        self.first(sql, &[&id], |_| Ok(()))?;
        Ok(())
    }

    /// Fails if this transaction may have been committed before, and would add the same rows again.
    pub(crate) fn refuse_repetition(&self) -> Result<(), TxError> {
        if self.is_repeated() { Err(StorageError::InDoubt.into()) } else { Ok(()) }
    }
}
