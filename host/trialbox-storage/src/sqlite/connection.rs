//! Transactions on a SQLite file that other processes write at the same time.

use crate::location::{Create, LockMode, Options};
use crate::lock::file::{HeldLock, LockError, LockFile, with_suffix};
use crate::lock::wait::{LockWait, holder_of};
use crate::platform::mount::{Locks, mount_of};
use crate::rows::unreadable;
use crate::schema::{self, Version};
use crate::sqlite::errors::{
    TxError, backend, cannot_copy, cannot_create, cannot_lock, cannot_look, not_a_database,
};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::StorageError;

/// Refuses changes of a trial's state that Optuna's own code takes for granted do not happen, but does not
/// prevent: two claims of one waiting trial, a second ending. Optuna sees an `IntegrityError`, which it
/// already treats as a lost race.
pub(crate) const GUARD_SQL: &str = "\
CREATE TRIGGER IF NOT EXISTS trialbox_guard_state BEFORE UPDATE OF state ON trials
WHEN (NEW.state = 'RUNNING' AND OLD.state <> 'WAITING') OR OLD.state IN ('COMPLETE', 'PRUNED', 'FAIL')
BEGIN SELECT RAISE(ABORT, 'trialbox: state transition refused'); END";

/// The time without a change after which an incomplete database is taken for abandoned.
const BEING_MADE: Duration = Duration::from_secs(5);

/// A database, and how its transactions are kept apart from others'.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    url: String,
    options: Options,
    access: Access,
    /// Whether other machines may have it open.
    is_shared: bool,
}

#[derive(Debug)]
enum Access {
    /// SQLite's locks hold between all who have the file open: one connection serves for good.
    Kept(Box<Kept>),
    /// They do not reach other machines: a lock file is held around opening, transacting and closing, so that no page
    /// cache outlives another machine's transaction.
    Reopened(LockFile),
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    guard_is_there: bool,
}

/// What is done with a connection, and with the lock file that is held meanwhile, if one is.
type Body<'a, T> = dyn Fn(&Connection, Option<&HeldLock>) -> Result<T, TxError> + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

impl Database {
    /// Opens a database, or makes it if the options say so.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, StorageError> {
        let url = format!("sqlite:///{}", path.display());
        if !path.try_exists().map_err(|error| cannot_look(path, error))? {
            if options.create == Create::Never {
                return Err(missing(path));
            }
            schema::create_file(path).map_err(|error| cannot_create(path, error))?;
        }
        // All who open the file must find the same lock file beside it, by whichever link they came.
        let (shown, path) = (path, path.canonicalize().map_err(|error| cannot_look(path, error))?);
        let is_shared = is_on_network(&path);
        let access = match lock_file_of(&path, options.lock, is_shared) {
            None => {
                let connection = connect_patiently(&path, shown, options)?;
                // By SQLite itself: closing a second descriptor of the file would give up this process's locks.
                let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
                let has_log = mode.is_ok_and(|mode: String| mode == "wal");
                refuse_wal(is_shared && has_log, &path)?;
                Access::Kept(Box::new(Kept { connection, guard_is_there: false }))
            }
            Some(lock) => Access::Reopened(lock),
        };
        let mut database = Database { path, url, options: options.clone(), access, is_shared };
        database.check_version(shown)?;
        Ok(database)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A transaction that holds the write lock from its beginning: what it reads stays true until it commits.
    /// `point` names it for fault injection. The body may run several times; only its last run counts.
    pub(crate) fn write<T>(
        &mut self,
        point: &str,
        action: &str,
        body: impl Fn(&Connection) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        self.transact(Kind::Write, point, action, &body)
    }

    /// A transaction that sees one moment of the database.
    pub(crate) fn read<T>(
        &mut self,
        action: &str,
        body: impl Fn(&Connection) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        self.transact(Kind::Read, "read", action, &body)
    }

    /// Does something with the database that is to wait no longer than this for others.
    pub(crate) fn within<T>(&mut self, limit: Duration, body: impl FnOnce(&mut Self) -> T) -> T {
        let timeout = self.options.timeout;
        self.options.timeout = timeout.min(limit);
        let result = body(self);
        self.options.timeout = timeout;
        result
    }

    /// Writes a copy of the database, as it is at one moment, to a file that must not be there. It is
    /// written aside and renamed, so it is there wholly or not at all.
    pub(crate) fn copy_to(&mut self, target: &Path) -> Result<(), StorageError> {
        let action = format!("copy the database to `{}`", target.display());
        let failed = |error| cannot_copy(&action, error);
        let aside = with_suffix(target, &format!(".{:08x}.tmp", rand::random::<u32>()));
        let Some(aside_text) = aside.to_str() else {
            return Err(failed(std::io::Error::other("the name is not UTF-8")));
        };
        let copied = self.transact_plainly(&action, &|connection, _| {
            Ok(connection.execute("VACUUM INTO ?1", [aside_text]).map(|_| ())?)
        });
        let placed = copied.and_then(|()| {
            std::fs::File::open(&aside).and_then(|file| file.sync_all()).map_err(failed)?;
            schema::put_in_place(&aside, target).map_err(failed)
        });
        // Gone already if it was renamed.
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
        let path = self.path.clone();
        let done = self.transact_plainly(action, &|connection, lock| {
            crate::failpoint!("{point}.before_begin");
            connection.execute_batch(match kind {
                Kind::Read => "BEGIN",
                Kind::Write => "BEGIN IMMEDIATE",
            })?;
            let rollback = RollBack(connection);
            let value = body(connection)?;
            if wants_guard {
                connection.execute_batch(GUARD_SQL)?;
            }
            if kind == Kind::Write {
                crate::failpoint!("{point}.before_commit");
            }
            commit(connection, lock, LockWait::new(&options, &path))?;
            drop(rollback);
            if kind == Kind::Write {
                crate::failpoint!("{point}.after_commit");
            }
            Ok(value)
        })?;
        if let (Access::Kept(kept), true) = (&mut self.access, wants_guard) {
            kept.guard_is_there = true;
        }
        Ok(done)
    }

    /// Does something with a connection, again and again while others hold the database.
    fn transact_plainly<T>(&mut self, action: &str, body: &Body<T>) -> Result<T, StorageError> {
        let mut patience = LockWait::new(&self.options, &self.path);
        if matches!(self.access, Access::Reopened(_)) {
            patience = patience.for_lock_file();
        }
        loop {
            match self.with_connection(action, &mut patience, body) {
                Err(TxError::Sqlite(error)) if is_busy(&error) && patience.wait() => {}
                Err(TxError::LockLost) if patience.wait() => {}
                other => return other.map_err(|error| self.explain(action, &patience, error)),
            }
        }
    }

    /// Lends a connection: the one that is kept, or a new one inside the lock file.
    fn with_connection<T>(
        &self,
        action: &str,
        patience: &mut LockWait,
        body: &Body<T>,
    ) -> Result<T, TxError> {
        match &self.access {
            Access::Kept(kept) => body(&kept.connection, None),
            Access::Reopened(lock) => {
                let held = lock.acquire(patience).map_err(|error| match error {
                    LockError::Busy { holder } => {
                        busy(&format!("{action} in `{}`", self.url), patience, holder)
                    }
                    LockError::Io(error) => cannot_lock(&self.path, error),
                })?;
                if self.is_shared {
                    refuse_wal(has_write_ahead_log(&self.path), &self.path)?;
                }
                let connection = connect(&self.path)?;
                let done = body(&connection, Some(&held));
                // Closed before the lock is let go: its cache must not outlive it.
                drop(connection);
                drop(held);
                done
            }
        }
    }

    fn lacks_guard(&self) -> bool {
        match &self.access {
            Access::Kept(kept) => !kept.guard_is_there,
            Access::Reopened(_) => true,
        }
    }

    /// Whether the tables are there and of the version that we know; what is missing is added if it may be.
    fn check_version(&mut self, path: &Path) -> Result<(), StorageError> {
        let url = self.url.clone();
        let action = format!("read the database `{}`", path.display());
        let mut patience = LockWait::new(&self.options, &self.path);
        loop {
            let version = self.read(&action, |tx| schema::check(tx, &url));
            let refused = match version.map_err(|error| not_ours(path, error))? {
                Version::Current => return Ok(()),
                Version::Unstamped => {
                    return self.write("stamp", "write the schema's revision", schema::stamp);
                }
                Version::Empty if self.options.create == Create::MissingOrEmpty => {
                    return self.write("create_tables", "make the tables", |tx| {
                        Ok(schema::create_tables(tx)?)
                    });
                }
                Version::Empty => StorageError::WrongDatabase {
                    problem: format!("the database `{}` is empty", path.display()),
                    help: "`trialbox study create` fills it; if it held a study, look for a copy first"
                        .to_owned(),
                },
                Version::Unfinished(error) => error,
            };
            // Optuna makes its tables one by one, and dies of it if we help.
            if !self.is_being_made() || !patience.wait() {
                return Err(refused);
            }
        }
    }

    /// Returns whether another process may still be creating the database: its file has just changed.
    fn is_being_made(&self) -> bool {
        let modified = std::fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age < BEING_MADE)
    }

    fn explain(&self, action: &str, patience: &LockWait, error: TxError) -> StorageError {
        match error {
            TxError::Storage(error) => error,
            TxError::LockLost => busy(action, patience, None),
            TxError::Sqlite(error) if is_busy(&error) => {
                busy(&format!("{action} in `{}`", self.url), patience, holder_of(&self.path))
            }
            // A column of another type than Optuna writes there.
            TxError::Sqlite(
                error @ (rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::FromSqlConversionFailure(..)),
            ) => unreadable(format!("failed to {action}: {error}")),
            TxError::Sqlite(error) => backend(&format!("{action} in `{}`", self.url), error),
        }
    }
}

/// Rolls back what is open when it is dropped. Some errors have done so already.
struct RollBack<'a>(&'a Connection);

impl Drop for RollBack<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

/// Commits; readers may hold that up, and what was written so far need not be written again. A process that
/// was suspended may have been taken for dead, and others be writing: then it must not.
fn commit(
    connection: &Connection,
    lock: Option<&HeldLock>,
    mut patience: LockWait,
) -> Result<(), TxError> {
    loop {
        if lock.is_some_and(|lock| !lock.is_ours()) {
            return Err(TxError::LockLost);
        }
        match connection.execute_batch("COMMIT") {
            Err(error) if is_busy(&error) && !connection.is_autocommit() && patience.wait() => {}
            other => return Ok(other?),
        }
    }
}

/// Connects; to set a connection up the database must be read, which others may hold up.
fn connect_patiently(
    path: &Path,
    shown: &Path,
    options: &Options,
) -> Result<Connection, StorageError> {
    let mut patience = LockWait::new(options, path);
    loop {
        match connect(path) {
            Err(error) if is_busy(&error) && patience.wait() => {}
            Err(error) if is_busy(&error) => {
                let action = format!("open `{}`", shown.display());
                return Err(busy(&action, &patience, holder_of(path)));
            }
            other => return other.map_err(|error| not_a_database(shown, error)),
        }
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // `LockWait` waits.
    connection.busy_timeout(Duration::ZERO)?;
    // As Optuna has it, whose deletions rely on it.
    connection.pragma_update(None, "foreign_keys", false)?;
    // A committed result must not go with the system's caches; the few writes of a trial can afford it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// The lock file to hold around transactions, where one is needed: `is_shared` as [`is_on_network`] has it.
pub(crate) fn lock_file_of(path: &Path, mode: LockMode, is_shared: bool) -> Option<LockFile> {
    let is_needed = match mode {
        LockMode::Sqlite => false,
        LockMode::File => true,
        LockMode::Auto => is_shared,
    };
    is_needed.then(|| LockFile::of(path))
}

/// Whether other machines may have the file open, and their locks not reach us.
pub(crate) fn is_on_network(path: &Path) -> bool {
    match mount_of(path) {
        Ok(mount) if mount.locks == Locks::Unknown => {
            let fs_type = &mount.fs_type;
            tracing::info!("`{}` lies on `{fs_type}`, which is taken for local", path.display());
            false
        }
        mount => mount.is_ok_and(|mount| mount.locks == Locks::Network),
    }
}

/// Whether the file says that it has a write-ahead log. To be called inside the lock file, where no
/// connection of this process has the file open: closing it would give up their locks.
fn has_write_ahead_log(path: &Path) -> bool {
    use std::io::Read as _;
    let mut header = [0; 20];
    let is_read =
        std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut header)).is_ok();
    // SQLite's file format, section 1.3.3: the read version at offset 19 is 2 for a write-ahead log.
    is_read && header[19] == 2
}

/// A write-ahead log lives in memory that machines do not share: with one, writers on two machines lose each
/// other's rows without an error.
fn refuse_wal(has_log: bool, path: &Path) -> Result<(), StorageError> {
    if !has_log {
        return Ok(());
    }
    Err(StorageError::WrongDatabase {
        problem: format!(
            "`{}` lies on a network file system and has a write-ahead log, which loses rows there",
            path.display()
        ),
        help: format!(
            "stop all jobs of the study, then on one machine: sqlite3 {} 'PRAGMA journal_mode=DELETE'",
            path.display()
        ),
    })
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn busy(action: &str, patience: &LockWait, holder: Option<String>) -> StorageError {
    let holder = holder.map_or_else(
        || "see who holds it with `fuser`".to_owned(),
        |holder| format!("it is held by {holder}"),
    );
    StorageError::Busy {
        action: action.to_owned(),
        waited: patience.waited(),
        help: format!("wait longer with --storage-timeout; {holder}"),
    }
}

fn missing(path: &Path) -> StorageError {
    StorageError::WrongDatabase {
        problem: format!("there is no database `{}`", path.display()),
        help: "`trialbox run` and `trialbox study create` make one; --storage says where it is"
            .to_owned(),
    }
}

/// Turns SQLite's error about a file that is not a database into one that says so.
fn not_ours(path: &Path, error: StorageError) -> StorageError {
    match error {
        StorageError::Backend { source, .. } => match source.downcast::<rusqlite::Error>() {
            Ok(error) => not_a_database(path, *error),
            Err(source) => StorageError::Backend {
                action: format!("read the database `{}`", path.display()),
                help: None,
                source,
            },
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_with_a_write_ahead_log_is_refused_where_machines_share_it() {
        let folder = std::env::temp_dir().join(format!("trialbox-wal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        for (mode, has_log) in [("delete", false), ("wal", true)] {
            let path = folder.join(mode);
            let connection = Connection::open(&path).expect("a database");
            connection.pragma_update(None, "journal_mode", mode).expect("a mode");
            connection.execute_batch("CREATE TABLE t (a)").expect("a table");
            drop(connection);
            assert_eq!(has_write_ahead_log(&path), has_log, "{mode}");
        }
        assert!(!has_write_ahead_log(&folder.join("missing")));
        let path = Path::new("/net/s.db");
        assert!(refuse_wal(false, path).is_ok());
        match refuse_wal(true, path) {
            Err(StorageError::WrongDatabase { problem, help }) => {
                assert_eq!(
                    problem,
                    "`/net/s.db` lies on a network file system and has a write-ahead log, which loses rows there"
                );
                assert!(help.ends_with("sqlite3 /net/s.db 'PRAGMA journal_mode=DELETE'"), "{help}");
            }
            other => panic!("{other:?}"),
        }
    }
}
