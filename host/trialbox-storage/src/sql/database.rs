//! The databases that have SQL.

use crate::postgres::connection::ServerDatabase;
use crate::sql::transaction::{Transaction, TxError};
use crate::sqlite::connection::SqliteDatabase;
use std::path::Path;
use std::time::Duration;
use trialbox_core::StorageError;

/// A database.
#[derive(Debug)]
pub(crate) enum Database {
    File(Box<SqliteDatabase>),
    Server(Box<ServerDatabase>),
}

impl Database {
    pub(crate) fn url(&self) -> &str {
        match self {
            Database::File(file) => file.url(),
            Database::Server(server) => server.url(),
        }
    }

    /// Runs a transaction that writes, alone or under the locks that its body takes. `point` names it for fault
    /// injection. The body may run several times; only its last run counts.
    pub(crate) fn write<T>(
        &mut self,
        point: &str,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        match self {
            Database::File(file) => file.write(point, action, body),
            Database::Server(server) => server.write(point, action, body),
        }
    }

    /// Runs a transaction that sees the database at one moment.
    pub(crate) fn read<T>(
        &mut self,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        match self {
            Database::File(file) => file.read(action, body),
            Database::Server(server) => server.read(action, body),
        }
    }

    /// Runs a transaction that writes, and waits at most this long for other processes.
    pub(crate) fn write_within<T>(
        &mut self,
        limit: Duration,
        point: &str,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        match self {
            Database::File(file) => file.within(limit, |file| file.write(point, action, body)),
            Database::Server(server) => {
                server.within(limit, |server| server.write(point, action, body))
            }
        }
    }

    /// Runs a transaction that reads, and waits at most this long for other processes.
    pub(crate) fn read_within<T>(
        &mut self,
        limit: Duration,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        match self {
            Database::File(file) => file.within(limit, |file| file.read(action, body)),
            Database::Server(server) => server.within(limit, |server| server.read(action, body)),
        }
    }

    /// Writes a copy of the database, as it is at one moment, to a file that must not exist.
    pub(crate) fn copy_to(&mut self, target: &Path) -> Result<(), StorageError> {
        match self {
            Database::File(file) => file.copy_to(target),
            Database::Server(server) => server.copy_to(target),
        }
    }
}
