//! Transactions on a server, each on a connection of its own.

use crate::location::{Create, Options};
use crate::lock::file::with_suffix;
use crate::lock::wait::LockWait;
use crate::postgres::address::ServerAddress;
use crate::postgres::errors::{ErrorKind, ServerError};
use crate::postgres::transaction::{ServerTransaction, Wire};
use crate::schema::{self, Version};
use crate::sql::copy::copy_tables;
use crate::sql::transaction::{Transaction, TxError};
use crate::sqlite::connection::place_copy;
use crate::sqlite::errors::{backend, cannot_copy, cannot_create};
use crate::sqlite::open::{Access, open};
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;

/// The lock of all processes that create the tables: the letters `trialbox`.
const CREATION_LOCK: i64 = 0x7472_6961_6c62_6f78;

/// The time for an answer while a transaction writes. Another transaction may hold a row meanwhile, for milliseconds.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

/// The least time for an answer while a transaction reads: the largest studies take seconds.
const LEAST_READ: Duration = Duration::from_secs(30);

/// The time for which an unfinished schema is looked at again: Optuna writes its revision in a second transaction.
const BEING_CREATED: Duration = Duration::from_secs(3);

/// The number of times that a transaction is repeated because of a row that another one wrote.
const MAX_OVERTAKEN: u32 = 20;

/// The time for ending a connection in order.
const GOODBYE: Duration = Duration::from_secs(1);

/// A database of a server.
#[derive(Debug)]
pub(crate) struct ServerDatabase {
    url: String,
    config: Config,
    options: Options,
    runtime: Runtime,
    /// The longest wait for an answer of a transaction that writes.
    longest_write: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

/// The end of an attempt that failed.
struct Failure {
    error: TxError,
    /// True if the transaction may be committed all the same.
    is_in_doubt: bool,
}

impl From<TxError> for Failure {
    fn from(error: TxError) -> Self {
        Failure { error, is_in_doubt: false }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        TxError::from(error).into()
    }
}

impl ServerDatabase {
    /// Opens a database, and creates the tables if the options allow that.
    pub(crate) fn open(address: &ServerAddress, options: &Options) -> Result<Self, StorageError> {
        let config = address.config(&|name| std::env::var(name).ok())?;
        let url = address.shown().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(
            |error| StorageError::Backend {
                action: format!("connect to `{url}`"),
                help: None,
                source: Box::new(error),
            },
        )?;
        let mut database = ServerDatabase {
            url,
            config,
            options: options.clone(),
            runtime,
            longest_write: LONGEST_WRITE,
        };
        database.check_version()?;
        Ok(database)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs a transaction that writes. Each statement sees what others have committed, so the body locks first what it
    /// reads and relies on. `point` names it for fault injection. The body may run several times; only its last run
    /// counts.
    pub(crate) fn write<T>(
        &mut self,
        point: &str,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        self.transact(Kind::Write, point, action, &body)
    }

    /// Runs a transaction that sees the database at one moment.
    pub(crate) fn read<T>(
        &mut self,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        self.transact(Kind::Read, "read", action, &body)
    }

    /// Runs transactions that wait at most this long.
    pub(crate) fn within<T>(&mut self, limit: Duration, body: impl FnOnce(&mut Self) -> T) -> T {
        let (timeout, longest_write) = (self.options.timeout, self.longest_write);
        self.options.timeout = timeout.min(limit);
        self.longest_write = limit;
        let result = body(self);
        (self.options.timeout, self.longest_write) = (timeout, longest_write);
        result
    }

    /// Writes a copy of Optuna's tables, as they are at one moment, to a file of SQLite's that must not exist.
    pub(crate) fn copy_to(&mut self, target: &Path) -> Result<(), StorageError> {
        let action = format!("copy `{}` to `{}`", self.url, target.display());
        let aside = with_suffix(target, &format!(".{:016x}.tmp", rand::random::<u64>()));
        let copied = self.write_copy(&aside);
        let placed = match copied {
            Ok(()) => place_copy(&aside, target).map_err(|error| cannot_copy(&action, error)),
            Err(error) => Err(error),
        };
        // A rename has removed it already.
        let _ = std::fs::remove_file(&aside);
        placed
    }

    fn write_copy(&mut self, aside: &Path) -> Result<(), StorageError> {
        schema::create_file(aside, &self.options).map_err(|error| cannot_create(aside, error))?;
        let file = open(aside, Access::Write, &self.options)
            .map_err(|error| backend(&format!("write `{}`", aside.display()), error))?;
        self.read("copy the tables", |tx| copy_tables(tx, &file))
    }

    fn transact<T>(
        &self,
        kind: Kind,
        point: &str,
        action: &str,
        body: &dyn Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        let mut patience = LockWait::for_server(&self.options, &self.url);
        let (mut is_repeated, mut n_overtaken) = (false, 0);
        loop {
            let failure = match self.attempt(kind, point, is_repeated, body) {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            is_repeated |= failure.is_in_doubt;
            let error = match failure.error {
                TxError::Server(error) => error,
                other => return Err(self.explain(action, other)),
            };
            n_overtaken += u32::from(error.kind() == ErrorKind::Overtaken);
            let may_pass = error.kind() != ErrorKind::Lasting && n_overtaken <= MAX_OVERTAKEN;
            if !may_pass || !patience.wait() {
                let in_doubt = is_repeated.then_some(StorageError::InDoubt);
                return Err(in_doubt.unwrap_or_else(|| self.give_up(action, &patience, error)));
            }
        }
    }

    /// Runs a transaction once.
    fn attempt<T>(
        &self,
        kind: Kind,
        point: &str,
        is_repeated: bool,
        body: &dyn Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, Failure> {
        crate::failpoint!("{point}.before_begin");
        let wire = self.wire(kind);
        let (client, connection) = self.connect(&wire)?;
        let transaction = ServerTransaction { wire, client: &client, is_repeated };
        let done = run(&transaction, kind, point, body);
        // A transaction that was not committed ends with its connection.
        drop(client);
        self.hang_up(connection);
        done
    }

    fn connect(&self, wire: &Wire<'_>) -> Result<(Client, JoinHandle<()>), ServerError> {
        let (client, connection) = wire.wait_for(self.config.connect(NoTls))?;
        // Its error is that of the statement that waits for an answer.
        let task = async {
            let _ = connection.await;
        };
        Ok((client, self.runtime.spawn(task)))
    }

    /// Ends a connection in order, so that the server frees it immediately.
    fn hang_up(&self, mut connection: JoinHandle<()>) {
        let goodbye = async { tokio::time::timeout(GOODBYE, &mut connection).await.is_ok() };
        if !self.runtime.block_on(goodbye) {
            connection.abort();
        }
    }

    fn wire(&self, kind: Kind) -> Wire<'_> {
        let limit = match kind {
            Kind::Read => self.options.timeout.max(LEAST_READ),
            Kind::Write => self.longest_write,
        };
        Wire { runtime: &self.runtime, limit, stopping: &self.options.stopping }
    }

    fn explain(&self, action: &str, error: TxError) -> StorageError {
        let action = format!("{action} in `{}`", self.url);
        match error {
            TxError::Storage(error) => error,
            TxError::Server(error) => error.into_storage(&action),
            TxError::Rows { what, found } => StorageError::Backend {
                action,
                help: None,
                source: format!("expected to write {what}, found {found} rows written").into(),
            },
            TxError::Sqlite(error) => {
                StorageError::UnreadableRow { what: format!("failed to {action}: {error}") }
            }
            // Only files have them.
            TxError::LockLost | TxError::LockFileNeeded => {
                StorageError::Backend { action, help: None, source: "the lock file".into() }
            }
        }
    }

    /// Returns the error of a transaction that is not tried again.
    fn give_up(&self, action: &str, patience: &LockWait, error: ServerError) -> StorageError {
        let (action, waited) = (format!("{action} in `{}`", self.url), patience.waited());
        match error.kind() {
            ErrorKind::Away => StorageError::Away { action, waited, source: Box::new(error) },
            ErrorKind::Conflict => StorageError::Busy { action, waited, holder: None },
            ErrorKind::Overtaken | ErrorKind::Lasting => error.into_storage(&action),
        }
    }

    /// Checks that the tables exist in the version that trialbox knows. Creates them if the options allow that.
    fn check_version(&mut self) -> Result<(), StorageError> {
        let url = self.url.clone();
        let mut patience = LockWait::for_server(&self.options, &url);
        loop {
            let is_young = patience.waited() < BEING_CREATED;
            match self.read("read the tables", |tx| schema::check(tx, &url))? {
                Version::Current => return Ok(()),
                Version::Empty if self.options.create == Create::Never => {
                    return Err(missing(&url));
                }
                Version::Empty => {
                    return self.write("create_tables", "create the tables", |tx| {
                        tx.first(
                            "SELECT pg_advisory_xact_lock(?1) IS NULL",
                            &[&CREATION_LOCK],
                            |_| Ok(()),
                        )?;
                        schema::create_tables(tx)
                    });
                }
                // Another process may be about to write it, and would fail.
                Version::Unstamped if is_young && patience.wait() => {}
                Version::Unstamped => {
                    return self.write("stamp", "write the schema's revision", schema::stamp);
                }
                Version::Unfinished(_) if is_young && patience.wait() => {}
                Version::Unfinished(error) => return Err(error),
            }
        }
    }
}

/// Runs a transaction on an open connection.
fn run<T>(
    transaction: &ServerTransaction<'_>,
    kind: Kind,
    point: &str,
    body: &dyn Fn(&dyn Transaction) -> Result<T, TxError>,
) -> Result<T, Failure> {
    // The server's limits are at most 24 days.
    let limit = transaction.wire.limit.as_millis().min(i32::MAX.cast_unsigned().into());
    let level = match kind {
        Kind::Read => "REPEATABLE READ READ ONLY",
        Kind::Write => "READ COMMITTED READ WRITE",
    };
    // A process that is suspended inside of a transaction would keep all others from the study.
    transaction.execute_script(&format!(
        "BEGIN ISOLATION LEVEL {level};
         SET LOCAL statement_timeout = {limit};
         SET LOCAL idle_in_transaction_session_timeout = {limit};"
    ))?;
    let done = body(transaction)?;
    if kind == Kind::Write {
        crate::failpoint!("{point}.before_commit");
    }
    let committed = transaction.wire.wait_for(transaction.client.batch_execute("COMMIT"));
    if let Err(error) = committed {
        let is_in_doubt = kind == Kind::Write && !error.is_refusal();
        return Err(Failure { error: error.into(), is_in_doubt });
    }
    if kind == Kind::Write {
        crate::failpoint!("{point}.after_commit");
    }
    Ok(done)
}

/// Returns the error of a database without Optuna's tables.
fn missing(url: &str) -> StorageError {
    StorageError::WrongDatabase {
        problem: format!("`{url}` has no tables of Optuna's"),
        help: Remedy::CreateDatabase,
    }
}
