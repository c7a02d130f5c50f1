//! The tables, their version, and how a new database comes to be.

use crate::sqlite::errors::TxError;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use trialbox_core::StorageError;

const CREATE_SQL: &str = include_str!("create.sql");

/// The revision that Optuna 3.2 to 5.0 share.
pub(crate) const REVISION: &str = "v3.2.0.a";

/// All of its tables.
const OPTUNAS_TABLES: [&str; 13] = [
    "alembic_version",
    "studies",
    "study_directions",
    "study_system_attributes",
    "study_user_attributes",
    "trial_heartbeats",
    "trial_intermediate_values",
    "trial_params",
    "trial_system_attributes",
    "trial_user_attributes",
    "trial_values",
    "trials",
    "version_info",
];

/// Revisions before it, whose databases Optuna can upgrade.
pub(crate) const OLDER_REVISIONS: [&str; 9] = [
    "v0.9.0.a", "v1.2.0.a", "v1.3.0.a", "v2.4.0.a", "v2.6.0.a", "v3.0.0.a", "v3.0.0.b", "v3.0.0.c",
    "v3.0.0.d",
];

/// Creates a whole database aside and links it into place, so that no process sees half of one. Of several processes
/// that do so at the same time, the first wins and the others use its file.
pub(crate) fn create_file(path: &Path) -> io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    let thread = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "-");
    let aside =
        path.with_file_name(format!(".{name}.{host}.{}.{thread}{nanos}.tmp", std::process::id()));
    let made = write_database(&aside);
    crate::failpoint!("create.before_link");
    let made = made.and_then(|()| match put_in_place(&aside, path) {
        // Others were first: then theirs it is.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    crate::failpoint!("create.after_link");
    // Gone already if it was renamed.
    let _ = fs::remove_file(&aside);
    made.and_then(|()| sync_folder(path))
}

/// Gives a file its name, unless there is one of that name: a rename that replaces nothing, or a link where a
/// network file system knows only these. After a link, the old name is there still.
pub(crate) fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::hard_link(from, to),
    }
}

/// The name of a new file is kept through a power cut only once its folder is written.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

fn write_database(path: &Path) -> io::Result<()> {
    let made = Connection::open(path).and_then(|mut connection| {
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        create_tables(&transaction)?;
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error)
    });
    made.map_err(|error| {
        // The system's own words ("Permission denied") say more than SQLite's ("unable to open").
        match fs::OpenOptions::new().write(true).create(true).truncate(false).open(path) {
            Err(system) => system,
            Ok(_) => io::Error::other(error),
        }
    })
}

/// Makes the tables, unless others have made them meanwhile.
pub(crate) fn create_tables(tx: &Connection) -> rusqlite::Result<()> {
    if tx.table_exists(None, "studies")? { Ok(()) } else { tx.execute_batch(CREATE_SQL) }
}

/// What an open database is.
pub(crate) enum Version {
    /// One that we can use.
    Current,
    /// One that we can use once it says what it is: Rustuna and others leave the revision for Optuna to write.
    Unstamped,
    /// One without any table.
    Empty,
    /// One whose tables are not all there, or not yet: Optuna makes them one by one, and what it is says the
    /// error only if no other process continues.
    Unfinished(StorageError),
}

/// Looks whether the database is Optuna's, in the version that we know.
pub(crate) fn check(connection: &Connection, url: &str) -> Result<Version, TxError> {
    let tables: BTreeSet<String> = connection
        .prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if tables.is_empty() {
        return Ok(Version::Empty);
    }
    let wrong =
        |problem: String, help: String| Err(StorageError::WrongDatabase { problem, help }.into());
    if !tables.contains("studies") || !tables.contains("version_info") {
        let found: Vec<&str> = tables.iter().take(5).map(String::as_str).collect();
        let problem = format!(
            "`{url}` is a SQLite database, but not Optuna's: it has the tables {}",
            found.join(", ")
        );
        let error =
            StorageError::WrongDatabase { problem, help: "choose another --storage".to_owned() };
        let all_are_optunas = tables.iter().all(|table| OPTUNAS_TABLES.contains(&table.as_str()));
        return if all_are_optunas { Ok(Version::Unfinished(error)) } else { Err(error.into()) };
    }
    let mut revisions: Vec<String> = Vec::new();
    if tables.contains("alembic_version") {
        let mut statement = connection.prepare("SELECT version_num FROM alembic_version")?;
        revisions = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    }
    match &revisions[..] {
        [revision] if revision == REVISION => Ok(Version::Current),
        [revision] if OLDER_REVISIONS.contains(&revision.as_str()) => wrong(
            format!(
                "`{url}` has the schema of an older Optuna (revision {revision}); trialbox needs {REVISION}"
            ),
            format!("make a copy, then upgrade it: optuna storage upgrade --storage {url}"),
        ),
        [revision] => wrong(
            format!(
                "`{url}` has a schema that trialbox does not know (revision {revision}; known is {REVISION})"
            ),
            "use a newer trialbox".to_owned(),
        ),
        [] => is_stampable(connection, url),
        _ => wrong(
            format!(
                "`{url}` has {} rows in `alembic_version`, where one is allowed",
                revisions.len()
            ),
            format!("leave only `{REVISION}` there, if that is what made the tables"),
        ),
    }
}

/// Schema 12 without a revision is the current one, once its tables are all there.
fn is_stampable(connection: &Connection, url: &str) -> Result<Version, TxError> {
    let schema: Option<i64> = connection
        .query_row("SELECT schema_version FROM version_info", [], |row| row.get(0))
        .optional()?;
    let has_current_columns =
        connection.column_exists(None, "trial_values", "value_type").unwrap_or(false);
    if schema == Some(12) && has_current_columns {
        return Ok(Version::Unstamped);
    }
    Ok(Version::Unfinished(StorageError::WrongDatabase {
        problem: format!("`{url}` does not say which version of Optuna's schema it has"),
        help: format!("let Optuna find out: optuna storage upgrade --storage {url}"),
    }))
}

/// Writes the revision, as Optuna itself would at its next start.
pub(crate) fn stamp(tx: &Connection) -> Result<(), TxError> {
    tx.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
         INSERT INTO alembic_version SELECT '{REVISION}' WHERE NOT EXISTS (SELECT 1 FROM alembic_version);"
    ))?;
    Ok(())
}
