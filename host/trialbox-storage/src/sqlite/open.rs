//! The one way to open a connection. A database is foreign data: another user may have written it, and SQLite runs what
//! its schema holds.
//!
//! Everything here holds for one connection, so programs that use the database beside trialbox notice none of it.

use crate::location::{Options, WaitCancellation};
use crate::lock::wait::LAST_PATIENCE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::{Duration, Instant};

/// The purposes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Creates a database.
    Create,
    /// Reads and writes a database that exists.
    Write,
    /// Reads.
    Read,
    /// Reads a file that no process changes, without a lock and without files beside it.
    ReadAtRest,
}

/// The longest text, blob or row. A study's attributes hold kilobytes, rarely megabytes; without a limit, one cell
/// takes a gigabyte of memory.
const MAX_BYTES: i32 = 64 << 20;

/// The limits of a connection. trialbox's longest statement has 10 columns, 6 parameters and a list of
/// [`MAX_LISTED_IDS`](crate::sql::reader::MAX_LISTED_IDS) trials; SQLite also parses the schema under these limits.
const LIMITS: [(Limit, i32); 12] = [
    (Limit::SQLITE_LIMIT_LENGTH, MAX_BYTES),
    // The text of a table or trigger counts too.
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 1_000_000),
    // SQLite's default: other programs may keep tables in the same file, and SQLite parses them all.
    (Limit::SQLITE_LIMIT_COLUMN, 2000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 8),
    (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 8),
    // A copy of the database is attached while it is written.
    (Limit::SQLITE_LIMIT_ATTACHED, 1),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 32),
    // The guard calls no other trigger.
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// The number of statements that stay prepared: all those of a worker's loop.
const KEPT_STATEMENTS: usize = 64;

/// The number of instructions of SQLite's between two looks at the clock: less than a millisecond.
const INSTRUCTIONS_BETWEEN_LOOKS: i32 = 10_000;

/// The time that a transaction may always work, however short the wait for other processes is. Reading the largest
/// studies takes seconds.
const LEAST_WORK: Duration = Duration::from_secs(30);

/// Opens a connection.
pub(crate) fn open(path: &Path, access: Access, options: &Options) -> rusqlite::Result<Connection> {
    let no_mutex = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = match access {
        Access::Create => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            Connection::open_with_flags(path, flags | no_mutex)
        }
        Access::Write => {
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | no_mutex)
        }
        Access::Read => {
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | no_mutex)
        }
        Access::ReadAtRest => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let uri = format!("file:{}?immutable=1", escape(path));
            Connection::open_with_flags(uri, flags | no_mutex)
        }
    }?;
    limit_work(&mut connection, options)?;
    distrust(&connection)?;
    connection.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
    // `LockWait` does the waiting: SQLite's own has no jitter, and cannot be interrupted.
    connection.busy_timeout(Duration::ZERO)?;
    // A sort must not depend on the room in another folder.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Optuna leaves foreign keys off, and its deletions rely on that.
    connection.pragma_update(None, "foreign_keys", false)?;
    if access != Access::ReadAtRest {
        // A committed result must survive a power cut. A trial has few transactions, so it can afford the syncs.
        connection.pragma_update(None, "synchronous", "FULL")?;
    }
    Ok(connection)
}

/// Refuses what a schema or a damaged page could make SQLite do (<https://sqlite.org/security.html>, section 1.1).
fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    for (limit, value) in LIMITS {
        connection.set_limit(limit, value)?;
    }
    for (config, is_on) in [
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    ] {
        connection.set_db_config(config, is_on)?;
    }
    connection.pragma_update(None, "cell_size_check", true)?;
    // A file that shrinks under a memory map ends the process with SIGBUS.
    connection.execute_batch("PRAGMA mmap_size = 0")
}

/// Limits the time of the next transaction: to the timeout of the options, and to a few seconds once the process was
/// told to end. SQLite then fails with an interrupt.
pub(crate) fn limit_work(connection: &mut Connection, options: &Options) -> rusqlite::Result<()> {
    let mut work = Work {
        started: Instant::now(),
        limit: longest_work(options),
        stopping: options.stopping.clone(),
        stopped_at: None,
    };
    connection.progress_handler(INSTRUCTIONS_BETWEEN_LOOKS, Some(move || work.is_over()))
}

/// Returns the longest time of a transaction.
pub(crate) fn longest_work(options: &Options) -> Duration {
    options.timeout.max(LEAST_WORK)
}

/// A transaction that SQLite works on.
struct Work {
    started: Instant,
    limit: Duration,
    stopping: WaitCancellation,
    stopped_at: Option<Instant>,
}

impl Work {
    fn is_over(&mut self) -> bool {
        if self.stopped_at.is_none() && self.stopping.is_set() {
            self.stopped_at = Some(Instant::now());
        }
        let is_last = self.stopped_at.is_some_and(|since| since.elapsed() >= LAST_PATIENCE);
        is_last || self.started.elapsed() >= self.limit
    }
}

/// The bytes that stand for others in SQLite's URIs.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-');

/// Returns a path as SQLite's URIs hold it.
fn escape(path: &Path) -> String {
    percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ErrorCode;

    fn opened(options: &Options) -> Connection {
        // SQLite takes this name for a database in memory.
        open(Path::new(":memory:"), Access::Create, options).expect("memory")
    }

    #[test]
    fn a_connection_has_its_limits() {
        let connection = opened(&Options::default());
        for (limit, value) in LIMITS {
            assert_eq!(connection.limit(limit).expect("a limit"), value, "{limit:?}");
        }
        for (pragma, want) in [("trusted_schema", 0), ("temp_store", 2), ("foreign_keys", 0)] {
            let found: i64 = connection
                .pragma_query_value(None, pragma, |row| row.get(0))
                .expect("a pragma with a value");
            assert_eq!(found, want, "{pragma}");
        }
        for refused in [
            "SELECT zeroblob(100000000)",
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = ''",
            "CREATE VIEW v AS SELECT 1; SELECT * FROM v",
        ] {
            connection.execute_batch(refused).expect_err(refused);
        }
    }

    #[test]
    fn a_statement_without_end_ends_with_the_process() {
        let stopping = WaitCancellation::when(|| true);
        let connection = opened(&Options { stopping, ..Options::default() });
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
        let error = connection.query_row(endless, [], |row| row.get::<_, i64>(0));
        let code = error.expect_err("it has no end").sqlite_error_code();
        assert_eq!(code, Some(ErrorCode::OperationInterrupted));
    }
}
