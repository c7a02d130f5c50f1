//! Transactions on a SQLite file that other processes write at the same time.

use crate::foreign::{self, GUARD_SQL, Schema};
use crate::location::{Create, Options};
use crate::lock::file::{HeldLock, LockFile, with_suffix};
use crate::lock::text::LockError;
use crate::lock::wait::{LockWait, holder_of};
use crate::neighbours::Neighbours;
use crate::rows::unreadable;
use crate::schema::{self, Version};
use crate::sql::cell::problem;
use crate::sql::transaction::{Transaction, TxError};
use crate::sqlite::errors::{
    backend, cannot_copy, cannot_create, cannot_lock, cannot_look, in_the_way, missing,
    not_a_database, not_a_file, not_optunas,
};
use crate::sqlite::exclusion::{Exclusion, is_on_network, lock_file_of};
use crate::sqlite::identity::{Identity, Lost};
use crate::sqlite::open::{self, limit_work, longest_work, open};
use rusqlite::{Connection, ErrorCode};
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;

/// The time without a change after which an incomplete database counts as abandoned. Optuna creates its tables within a
/// second on a local disk; a busy network file system takes a few.
const BEING_CREATED: Duration = Duration::from_secs(5);

/// The longest time for which a network file system remembers a name that another machine removed: NFS's by default
/// (nfs(5), `acdirmax`). SQLite takes a journal that is remembered for one that is there, and fails to open it.
const LONGEST_MEMORY: Duration = Duration::from_secs(60);

/// A database, with the means that keep its transactions apart from those of other processes.
#[derive(Debug)]
pub(crate) struct SqliteDatabase {
    path: PathBuf,
    url: String,
    options: Options,
    neighbours: Neighbours,
    access: Access,
    /// The last schema in which no foreign object was found. A new connection reads the schema anew, and most find this
    /// one.
    known_schema: Option<Schema>,
    /// True if other machines may have the database open.
    is_shared: bool,
}

#[derive(Debug)]
enum Access {
    /// One connection for all transactions. SQLite's locks hold between all processes that have the file open.
    Kept(Box<Kept>),
    /// A new connection for each transaction, inside a lock file. SQLite's locks do not reach other machines, and a
    /// page cache must not outlive another machine's transaction.
    Reopened(LockFile),
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    guard_is_there: bool,
    /// The version of the schema in which no foreign object was found.
    checked_schema: Option<i64>,
    identity: Identity,
}

/// A use of a connection, of the identity of its file, and of the means that keep other processes out meanwhile.
type Body<'a, T> = dyn Fn(&Connection, &mut Identity, &Exclusion<'_>) -> Result<T, TxError> + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

impl SqliteDatabase {
    /// Opens a database, or creates it if the options allow that.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, StorageError> {
        let url = format!("sqlite:///{}", path.display());
        trialbox_files::check_named(path).map_err(|error| not_a_file(&error))?;
        if !path.try_exists().map_err(|error| cannot_look(path, error))? {
            if options.create == Create::Never {
                return Err(missing(path));
            }
            create(path, options)?;
        }
        // All processes must find the same lock file beside the database, whichever symbolic link they follow.
        let (shown, path) = (path, path.canonicalize().map_err(|error| cannot_look(path, error))?);
        let neighbours = Neighbours::of(&path);
        let is_shared = is_on_network(&path);
        let access = match lock_file_of(&path, options, is_shared)? {
            None => {
                // With a lock file only its holder looks. A network file system may remember a journal that was seen
                // at the wrong moment, and SQLite would then fail to open it (SQLITE_CANTOPEN) after it is gone.
                let action = format!("open the database `{}`", shown.display());
                neighbours.check().map_err(|error| in_the_way(&action, error))?;
                let connection = connect_patiently(&path, shown, options)?;
                refuse_wal(is_shared && uses_wal(&connection), &path)?;
                let identity = Identity::of(&path).map_err(|error| cannot_look(&path, error))?;
                Access::Kept(Box::new(Kept {
                    connection,
                    guard_is_there: false,
                    checked_schema: None,
                    identity,
                }))
            }
            Some(lock) => Access::Reopened(lock),
        };
        let mut database = SqliteDatabase {
            path,
            url,
            options: options.clone(),
            neighbours,
            access,
            known_schema: None,
            is_shared,
        };
        database.check_version(shown)?;
        Ok(database)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs a transaction that holds the write lock from its beginning, so that its reads stay true until it commits.
    /// `point` names it for fault injection. The body may run several times; only its last run counts.
    pub(crate) fn write<T>(
        &mut self,
        point: &str,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        self.transact(Kind::Write, point, action, &|connection| body(connection))
    }

    /// Runs a transaction that sees the database at one moment.
    pub(crate) fn read<T>(
        &mut self,
        action: &str,
        body: impl Fn(&dyn Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        self.transact(Kind::Read, "read", action, &|connection| body(connection))
    }

    /// Runs transactions that wait at most this long for other processes.
    pub(crate) fn within<T>(&mut self, limit: Duration, body: impl FnOnce(&mut Self) -> T) -> T {
        let timeout = self.options.timeout;
        self.options.timeout = timeout.min(limit);
        let result = body(self);
        self.options.timeout = timeout;
        result
    }

    /// Writes a copy of the database, as it is at one moment, to a file that must not exist. The copy gets its name
    /// only when it is complete.
    pub(crate) fn copy_to(&mut self, target: &Path) -> Result<(), StorageError> {
        let action = format!("copy the database to `{}`", target.display());
        let aside = with_suffix(target, &format!(".{:016x}.tmp", rand::random::<u64>()));
        let Some(aside_text) = aside.to_str() else {
            return Err(cannot_copy(&action, std::io::Error::other("the name is not UTF-8")));
        };
        let copied = self.transact_plainly(&action, &|connection, _, exclusion| {
            connection.execute("VACUUM INTO ?1", [aside_text])?;
            exclusion.check()
        });
        let placed = match copied {
            Ok(()) => place_copy(&aside, target).map_err(|error| cannot_copy(&action, error)),
            Err(error) => Err(error),
        };
        // A rename has removed it already.
        let _ = std::fs::remove_file(&aside);
        placed
    }

    fn transact<T>(
        &mut self,
        kind: Kind,
        point: &str,
        action: &str,
        body: &dyn Fn(&Connection) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        let wants_guard = self.options.guard && kind == Kind::Write && self.lacks_guard();
        let options = self.options.clone();
        let (path, url) = (self.path.clone(), self.url.clone());
        let (checked, known) = (self.checked_schema(), self.known_schema.take());
        let (done, version, schema) =
            self.transact_plainly(action, &|connection, identity, exclusion| {
                crate::failpoint!("{point}.before_begin");
                connection.execute_batch(match kind {
                    Kind::Read => "BEGIN",
                    Kind::Write => "BEGIN IMMEDIATE",
                })?;
                let rollback = RollBack(connection);
                if let Exclusion::Sqlite(_) = exclusion {
                    exclusion.check()?;
                }
                let (version, schema) = check_schema(connection, checked, known.as_ref(), &url)?;
                let value = body(connection)?;
                if wants_guard && !schema.as_ref().is_some_and(Schema::has_guard) {
                    connection.execute_batch(GUARD_SQL)?;
                }
                if kind == Kind::Write {
                    crate::failpoint!("{point}.before_commit");
                }
                commit(connection, exclusion, LockWait::new(&options, &path))?;
                drop(rollback);
                if kind == Kind::Write {
                    crate::failpoint!("{point}.after_commit");
                    identity.check(connection).map_err(|lost| file_lost(action, lost))?;
                }
                Ok((value, version, schema))
            })?;
        if let Access::Kept(kept) = &mut self.access {
            kept.guard_is_there |= wants_guard;
            kept.checked_schema = Some(version);
        }
        self.known_schema = schema.or(known);
        Ok(done)
    }

    /// Uses a connection, and repeats that while other processes hold the database.
    fn transact_plainly<T>(&mut self, action: &str, body: &Body<T>) -> Result<T, StorageError> {
        let mut patience = LockWait::new(&self.options, &self.path);
        loop {
            if matches!(self.access, Access::Reopened(_)) {
                patience = patience.for_lock_file();
            }
            match self.with_connection(action, &mut patience, body) {
                Err(TxError::LockFileNeeded) => self.take_lock_file()?,
                Err(TxError::Sqlite(error)) if self.may_pass(&error, &patience) => {
                    if !patience.wait() {
                        return Err(self.explain(action, &patience, TxError::Sqlite(error)));
                    }
                }
                Err(TxError::LockLost) if patience.wait() => {}
                other => return other.map_err(|error| self.explain(action, &patience, error)),
            }
        }
    }

    /// Returns whether an error can be another after a wait.
    fn may_pass(&self, error: &rusqlite::Error, patience: &LockWait) -> bool {
        let may_be_remembered = matches!(self.access, Access::Reopened(_))
            && error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
            && patience.waited() < LONGEST_MEMORY;
        is_busy(error) || may_be_remembered
    }

    /// Lends a connection: the one that is kept, or a new one inside the lock file.
    fn with_connection<T>(
        &mut self,
        action: &str,
        patience: &mut LockWait,
        body: &Body<T>,
    ) -> Result<T, TxError> {
        match &mut self.access {
            Access::Kept(kept) => {
                kept.identity.check_names().map_err(|lost| file_lost(action, lost))?;
                self.neighbours.check().map_err(|error| in_the_way(action, error))?;
                limit_work(&mut kept.connection, &self.options)?;
                body(&kept.connection, &mut kept.identity, &Exclusion::Sqlite(&self.path))
            }
            Access::Reopened(lock) => {
                let held =
                    acquire(lock, &self.path, &format!("{action} in `{}`", self.url), patience)?;
                if self.is_shared {
                    refuse_wal(has_write_ahead_log(&self.path), &self.path)?;
                }
                self.neighbours.check().map_err(|error| in_the_way(action, error))?;
                let connection = open(&self.path, open::Access::Write, &self.options)
                    .map_err(|error| backend(&format!("{action} in `{}`", self.url), error))?;
                let mut identity =
                    Identity::of(&self.path).map_err(|error| cannot_look(&self.path, error))?;
                let done = body(&connection, &mut identity, &Exclusion::File(&held));
                // The connection is closed before the lock is released: its page cache must not outlive the lock.
                drop(connection);
                drop(held);
                done
            }
        }
    }

    fn checked_schema(&self) -> Option<i64> {
        match &self.access {
            Access::Kept(kept) => kept.checked_schema,
            Access::Reopened(_) => None,
        }
    }

    /// Changes from SQLite's own locks to the lock file, which a process elsewhere needs.
    fn take_lock_file(&mut self) -> Result<(), StorageError> {
        if let Some(lock) = lock_file_of(&self.path, &self.options, self.is_shared)? {
            tracing::info!("`{}` has a lock file now", self.path.display());
            self.access = Access::Reopened(lock);
        }
        Ok(())
    }

    fn lacks_guard(&self) -> bool {
        match &self.access {
            Access::Kept(kept) => !kept.guard_is_there,
            Access::Reopened(_) => true,
        }
    }

    /// Checks that the tables exist in the version that trialbox knows. Adds missing ones if the options allow that.
    fn check_version(&mut self, path: &Path) -> Result<(), StorageError> {
        let url = self.url.clone();
        let action = format!("read the database `{}`", path.display());
        let mut patience = LockWait::new(&self.options, &self.path);
        loop {
            let version = self.read(&action, |tx| schema::check(tx, &url));
            let refused = match version.map_err(|error| not_optunas(path, error))? {
                Version::Current => return Ok(()),
                Version::Unstamped => {
                    return self.write("stamp", "write the schema's revision", schema::stamp);
                }
                Version::Empty if self.options.create == Create::MissingOrEmpty => {
                    return self.write("create_tables", "create the tables", |tx| {
                        schema::create_tables(tx)
                    });
                }
                Version::Empty => StorageError::WrongDatabase {
                    problem: format!("the database `{}` is empty", path.display()),
                    help: Remedy::Advice(
                        "`trialbox study create` fills it; if it held a study, look for a copy first"
                            .to_owned(),
                    ),
                },
                Version::Unfinished(error) => error,
            };
            // Optuna creates its tables one by one, and fails if another process creates one of them meanwhile.
            if !self.is_being_created() || !patience.wait() {
                return Err(refused);
            }
        }
    }

    /// Returns whether another process may still be creating the database: its file has just changed.
    fn is_being_created(&self) -> bool {
        match file_age(&self.path) {
            Some(age) => age < BEING_CREATED,
            None => false,
        }
    }

    fn explain(&self, action: &str, patience: &LockWait, error: TxError) -> StorageError {
        match error {
            TxError::Storage(error) => error,
            TxError::Server(error) => error.into_storage(action),
            TxError::LockLost | TxError::LockFileNeeded => busy(action, patience, None),
            TxError::Rows { what, found } => StorageError::Backend {
                action: format!("{action} in `{}`", self.url),
                help: Some(Remedy::Examine { url: self.url.clone() }),
                source: format!("expected to write {what}, found {found} rows written").into(),
            },
            TxError::Sqlite(error) if is_busy(&error) => {
                busy(&format!("{action} in `{}`", self.url), patience, holder_of(&self.path))
            }
            // The column has another type than Optuna writes there.
            TxError::Sqlite(
                error @ (rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::Utf8Error(..)),
            ) => {
                let problem = problem(&error, None).unwrap_or_else(|| error.to_string());
                unreadable(format!("failed to {action}: {problem}"))
            }
            TxError::Sqlite(error)
                if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
            {
                let after = longest_work(&self.options);
                StorageError::Unfinished { action: format!("{action} in `{}`", self.url), after }
            }
            // A table lacks a column, or is not there.
            TxError::Sqlite(error @ rusqlite::Error::SqlInputError { .. }) => {
                StorageError::Backend {
                    action: format!("{action} in `{}`", self.url),
                    help: Some(Remedy::Examine { url: self.url.clone() }),
                    source: Box::new(error),
                }
            }
            TxError::Sqlite(error) => backend(&format!("{action} in `{}`", self.url), error),
        }
    }
}

/// A guard that rolls back an open transaction when it is dropped. After some errors, SQLite has done so already.
struct RollBack<'a>(&'a Connection);

impl Drop for RollBack<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

/// Refuses a schema with foreign objects, and returns its version, and the schema if it was read. `checked` is a
/// version for this connection that has none, `known` a schema that has none.
///
/// Another user may change the schema at any time, so every transaction looks.
fn check_schema(
    connection: &Connection,
    checked: Option<i64>,
    known: Option<&Schema>,
    url: &str,
) -> Result<(i64, Option<Schema>), TxError> {
    let version =
        connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))?;
    if checked == Some(version) {
        return Ok((version, None));
    }
    let schema = Schema::read(connection)?;
    if known != Some(&schema) {
        foreign::refuse(&schema.foreign_objects(), url)?;
    }
    Ok((version, Some(schema)))
}

/// Commits a transaction. Readers may delay that, and then only the commit is repeated.
///
/// A process that was suspended for long may have been taken for dead, and another process may write: then the
/// transaction must not be committed.
fn commit(
    connection: &Connection,
    exclusion: &Exclusion<'_>,
    mut patience: LockWait,
) -> Result<(), TxError> {
    loop {
        exclusion.check()?;
        match connection.execute_batch("COMMIT") {
            Err(error) if is_busy(&error) && !connection.is_autocommit() && patience.wait() => {}
            other => return Ok(other?),
        }
    }
}

/// Creates a database. Where its processes need a lock file, they see that before they see the database.
fn create(path: &Path, options: &Options) -> Result<(), StorageError> {
    let real = real_path(path);
    let lock = lock_file_of(&real, options, is_on_network(&real))?;
    let held = match &lock {
        Some(lock) => {
            let mut patience = LockWait::new(options, path).for_lock_file();
            let action = format!("create `{}`", path.display());
            Some(acquire(lock, path, &action, &mut patience)?)
        }
        None => None,
    };
    let created = schema::create_file(path, options).map_err(|error| cannot_create(path, error));
    drop(held);
    created
}

/// Returns the path of a file that does not exist yet, through the links of its folder.
fn real_path(path: &Path) -> PathBuf {
    let Some(name) = path.file_name() else { return path.to_owned() };
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    match folder.unwrap_or(Path::new(".")).canonicalize() {
        Ok(folder) => folder.join(name),
        Err(_) => path.to_owned(),
    }
}

fn acquire(
    lock: &LockFile,
    path: &Path,
    action: &str,
    patience: &mut LockWait,
) -> Result<HeldLock, StorageError> {
    lock.acquire(patience).map_err(|error| match error {
        LockError::Busy { holder } => busy(action, patience, holder),
        LockError::Io(error) => cannot_lock(path, error),
    })
}

/// Connects to a database, and waits for other processes: setting up a connection reads the database.
fn connect_patiently(
    path: &Path,
    shown: &Path,
    options: &Options,
) -> Result<Connection, StorageError> {
    let mut patience = LockWait::new(options, path);
    loop {
        match open(path, open::Access::Write, options) {
            Err(error) if is_busy(&error) && patience.wait() => {}
            Err(error) if is_busy(&error) => {
                let action = format!("open `{}`", shown.display());
                return Err(busy(&action, &patience, holder_of(path)));
            }
            other => return other.map_err(|error| not_a_database(shown, error)),
        }
    }
}

/// Syncs a complete copy of a database and gives it its name.
pub(crate) fn place_copy(aside: &Path, target: &Path) -> std::io::Result<()> {
    trialbox_files::open_named(aside)?.sync_all()?;
    trialbox_files::place_named(aside, target)
}

/// Returns the time since a file was changed; `None` if that cannot be read or is in the future.
fn file_age(path: &Path) -> Option<Duration> {
    std::fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}

/// Returns whether a database has a write-ahead log, by asking SQLite: closing a second descriptor of the file, as
/// [`has_write_ahead_log`] does, would release the locks of this process's connection.
fn uses_wal(connection: &Connection) -> bool {
    let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
    matches!(mode.as_deref(), Ok("wal"))
}

/// Returns whether a file's header announces a write-ahead log. Call this inside the lock file, where no connection of
/// this process has the file open: closing the file would release the locks of that connection.
fn has_write_ahead_log(path: &Path) -> bool {
    use std::io::Read as _;
    let mut header = [0; 20];
    let Ok(mut file) = trialbox_files::open_named(path) else { return false };
    // SQLite's file format, section 1.3.3: the read version at offset 19 is 2 for a write-ahead log.
    file.read_exact(&mut header).is_ok() && header[19] == 2
}

/// Rejects a write-ahead log on a network file system. Its index is in memory that machines do not share: writers on
/// two machines lose each other's rows without an error (<https://sqlite.org/wal.html>, section 1).
fn refuse_wal(has_log: bool, path: &Path) -> Result<(), StorageError> {
    if !has_log {
        return Ok(());
    }
    Err(StorageError::WrongDatabase {
        problem: format!(
            "`{}` lies on a network file system and has a write-ahead log, which loses rows there",
            path.display()
        ),
        help: Remedy::Advice(format!(
            "stop all jobs of the study, then on one machine: sqlite3 {} 'PRAGMA journal_mode=DELETE'",
            path.display()
        )),
    })
}

/// Returns the error of a change that is in a file which no other process will open.
fn file_lost(action: &str, lost: Lost) -> StorageError {
    StorageError::Backend {
        action: action.to_owned(),
        help: Some(Remedy::Advice("bring the file back, then record the result again".to_owned())),
        source: Box::new(lost),
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn busy(action: &str, patience: &LockWait, holder: Option<String>) -> StorageError {
    StorageError::Busy { action: action.to_owned(), waited: patience.waited(), holder }
}

#[cfg(test)]
mod tests;
