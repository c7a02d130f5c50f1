//! The tables, their version, and the creation of a new database.

use crate::location::Options;
use crate::sql::transaction::{Dialect, Transaction, TxError};
use crate::sqlite::open::{Access, open};
use rusqlite::TransactionBehavior;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;
use trialbox_files::{FileError, Folder, place_named};

const CREATE_SQL: &str = include_str!("create.sql");

/// The revision that Optuna 3.2 to 5.0 share.
pub(crate) const REVISION: &str = "v3.2.0.a";

/// All tables of Optuna's.
pub(crate) const OPTUNAS_TABLES: [&str; 13] = [
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

/// The earlier revisions, whose databases Optuna can upgrade.
pub(crate) const OLDER_REVISIONS: [&str; 9] = [
    "v0.9.0.a", "v1.2.0.a", "v1.3.0.a", "v2.4.0.a", "v2.6.0.a", "v3.0.0.a", "v3.0.0.b", "v3.0.0.c",
    "v3.0.0.d",
];

/// Creates a whole database aside and links it into place, so that no process sees half of one. Of several processes
/// that do so at the same time, the first wins and the others use its file.
pub(crate) fn create_file(path: &Path, options: &Options) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let random = rand::random::<u64>();
    let aside =
        path.with_file_name(format!(".{name}.{host}.{}.{random:016x}.tmp", std::process::id()));
    let mut created = write_database(&aside, options);
    crate::failpoint!("create.before_link");
    if created.is_ok() {
        created = match place_named(&aside, path) {
            // Another process was first, and all use its file.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        };
    }
    crate::failpoint!("create.after_link");
    // A rename has removed it already; after a link or an error it is still there.
    let _ = fs::remove_file(&aside);
    created?;
    sync_folder(path)
}

/// Syncs the folder of a file: the name of a new file survives a power cut only once its folder is on the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    Ok(Folder::open_named(folder)?.sync()?)
}

fn write_database(path: &Path, options: &Options) -> io::Result<()> {
    // SQLite would give the file the mode 0644, whatever the umask is, and its journal that of the database: a group
    // that shares a study sets its umask to 002. The system's own words ("Permission denied") also say more than
    // SQLite's ("unable to open"), and SQLite would follow a link.
    trialbox_files::create_named(path, 0o666).map_err(FileError::into_reason)?;
    write_tables(path, options).map_err(io::Error::other)
}

fn write_tables(path: &Path, options: &Options) -> rusqlite::Result<()> {
    let mut connection = open(path, Access::Create, options)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(CREATE_SQL)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

/// Creates the tables, unless another process has created them meanwhile.
pub(crate) fn create_tables(tx: &dyn Transaction) -> Result<(), TxError> {
    if read_tables(tx)?.contains("studies") {
        return Ok(());
    }
    match tx.dialect() {
        Dialect::Sqlite => tx.execute_script(CREATE_SQL),
        Dialect::Postgres => tx.execute_script(&tables_of_postgres()),
    }
}

/// The types that columns have on PostgreSQL, as SQLAlchemy makes them: enumerations and times.
const TYPES_OF_POSTGRES: [(&str, &str); 5] = [
    ("direction VARCHAR(8)", "direction studydirection"),
    ("state VARCHAR(8)", "state trialstate"),
    ("intermediate_value_type VARCHAR(7)", "intermediate_value_type trialintermediatevaluetype"),
    ("value_type VARCHAR(7)", "value_type trialvaluetype"),
    (" DATETIME", " TIMESTAMP WITHOUT TIME ZONE"),
];

/// The enumerations, with their members in SQLAlchemy's order.
const ENUMS_OF_POSTGRES: &str = "\
CREATE TYPE studydirection AS ENUM ('NOT_SET', 'MINIMIZE', 'MAXIMIZE');
CREATE TYPE trialstate AS ENUM ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING');
CREATE TYPE trialvaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG');
CREATE TYPE trialintermediatevaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG', 'NAN');
";

/// Returns the statements that create the tables on PostgreSQL.
fn tables_of_postgres() -> String {
    let mut sql = CREATE_SQL.to_owned();
    for (here, there) in TYPES_OF_POSTGRES {
        sql = sql.replace(here, there);
    }
    // The first column of a table is its key, except in `version_info`, which has one row.
    let (mut is_first, mut tables) = (false, String::from(ENUMS_OF_POSTGRES));
    for line in sql.lines() {
        let is_key = is_first && !line.contains("version_");
        tables.push_str(&if is_key { line.replace("INTEGER", "SERIAL") } else { line.to_owned() });
        tables.push('\n');
        is_first = line.starts_with("CREATE TABLE");
    }
    tables
}

/// The state of an open database's schema.
pub(crate) enum Version {
    /// The current schema.
    Current,
    /// The current schema without its revision: Rustuna and other programs leave the revision for Optuna to write.
    Unstamped,
    /// No tables.
    Empty,
    /// Some of the tables. Optuna creates them one by one, so the error counts only if no process continues.
    Unfinished(StorageError),
}

/// Checks that a database is Optuna's, in the version that trialbox knows.
pub(crate) fn check(tx: &dyn Transaction, url: &str) -> Result<Version, TxError> {
    let tables = read_tables(tx)?;
    if tables.is_empty() {
        return Ok(Version::Empty);
    }
    if !tables.contains("studies") || !tables.contains("version_info") {
        return without_main_tables(tx, &tables, url);
    }
    let mut revisions: Vec<String> = Vec::new();
    if tables.contains("alembic_version") {
        revisions = tx.all("SELECT version_num FROM alembic_version", &[], |row| row.get(0))?;
    }
    match &revisions[..] {
        [revision] if revision == REVISION => Ok(with_all_tables(&tables, url)),
        [revision] => Err(wrong_revision(revision, &tables, url).into()),
        [] => is_stampable(tx, url),
        _ => Err(StorageError::WrongDatabase {
            problem: format!(
                "expected 1 row in `alembic_version` of `{url}`, found {}",
                revisions.len()
            ),
            help: Remedy::Advice(format!(
                "leave only `{REVISION}` there, if that is what created the tables"
            )),
        }
        .into()),
    }
}

/// Reads the names of the tables that a statement of ours can mean.
fn read_tables(tx: &dyn Transaction) -> Result<BTreeSet<String>, TxError> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
        Dialect::Postgres => {
            "SELECT CAST(relname AS TEXT) FROM pg_catalog.pg_class
             WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.pg_table_is_visible(oid)
               AND relnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace
                                        WHERE nspname IN ('pg_catalog', 'information_schema'))"
        }
    };
    Ok(tx.all(sql, &[], |row| row.get(0))?.into_iter().collect())
}

/// Checks that no table is missing. Optuna creates missing tables, but another program may have lost one with its rows.
fn with_all_tables(tables: &BTreeSet<String>, url: &str) -> Version {
    match OPTUNAS_TABLES.iter().find(|table| !tables.contains(**table)) {
        None => Version::Current,
        Some(missing) => Version::Unfinished(StorageError::WrongDatabase {
            problem: format!("`{url}` lacks the table `{missing}` of Optuna's"),
            help: Remedy::Examine { url: url.to_owned() },
        }),
    }
}

/// Tells a database that another program owns from one whose tables Optuna is still creating. A server's database may
/// hold the tables of several programs, unless they need the same names.
fn without_main_tables(
    tx: &dyn Transaction,
    tables: &BTreeSet<String>,
    url: &str,
) -> Result<Version, TxError> {
    let optunas: Vec<&str> =
        tables.iter().map(String::as_str).filter(|table| OPTUNAS_TABLES.contains(table)).collect();
    let is_server = tx.dialect() == Dialect::Postgres;
    if is_server && optunas.is_empty() {
        return Ok(Version::Empty);
    }
    let all = tables.iter().map(String::as_str);
    let found: Vec<&str> = if is_server { optunas } else { all.take(5).collect() };
    let kind = if is_server { "PostgreSQL" } else { "SQLite" };
    let problem = format!(
        "`{url}` is a {kind} database, but not Optuna's: it has the tables {}",
        found.join(", ")
    );
    let error = StorageError::WrongDatabase { problem, help: Remedy::OtherFile };
    if is_server || tables.iter().all(|table| OPTUNAS_TABLES.contains(&table.as_str())) {
        Ok(Version::Unfinished(error))
    } else {
        Err(error.into())
    }
}

/// Returns whether a revision is MLflow's, which keeps it in a table of the same name.
pub(crate) fn is_mlflows(revision: &str, tables: &BTreeSet<String>) -> bool {
    let is_hash = revision.len() == 12 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash && ["experiments", "runs"].iter().all(|table| tables.contains(*table))
}

fn wrong_revision(revision: &str, tables: &BTreeSet<String>, url: &str) -> StorageError {
    if is_mlflows(revision, tables) {
        return StorageError::WrongDatabase {
            problem: format!(
                "`{url}` is also MLflow's: the revision {revision} in `alembic_version` is that of MLflow's tables"
            ),
            help: Remedy::OtherFile,
        };
    }
    if OLDER_REVISIONS.contains(&revision) {
        return StorageError::WrongDatabase {
            problem: format!(
                "`{url}` has the schema of an older Optuna (revision {revision}); trialbox needs \
                 {REVISION}"
            ),
            help: Remedy::UpgradeSchema { url: url.to_owned() },
        };
    }
    StorageError::WrongDatabase {
        problem: format!(
            "`{url}` has a schema that trialbox does not know (revision {revision}; known is \
             {REVISION})"
        ),
        help: Remedy::Advice("use a newer trialbox".to_owned()),
    }
}

/// Checks that a schema without a revision is the current one. Schema 12 is, once all its tables exist.
fn is_stampable(tx: &dyn Transaction, url: &str) -> Result<Version, TxError> {
    let schema: Option<i64> =
        tx.first("SELECT schema_version FROM version_info", &[], |row| row.get(0))?;
    let column = match tx.dialect() {
        Dialect::Sqlite => "SELECT 1 FROM pragma_table_info('trial_values') WHERE name = 'value_type'",
        Dialect::Postgres => {
            "SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
             WHERE c.relname = 'trial_values' AND pg_catalog.pg_table_is_visible(c.oid)
               AND a.attname = 'value_type'"
        }
    };
    let has_current_columns = tx.first(column, &[], |_| Ok(()))?.is_some();
    if schema == Some(12) && has_current_columns {
        return Ok(Version::Unstamped);
    }
    Ok(Version::Unfinished(StorageError::WrongDatabase {
        problem: format!("`{url}` does not say which version of Optuna's schema it has"),
        help: Remedy::IdentifySchema { url: url.to_owned() },
    }))
}

/// Writes the revision, as Optuna would at its next start.
pub(crate) fn stamp(tx: &dyn Transaction) -> Result<(), TxError> {
    tx.execute_script(&format!(
        "CREATE TABLE IF NOT EXISTS alembic_version (
           version_num VARCHAR(32) NOT NULL,
           CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
         );
         INSERT INTO alembic_version
         SELECT '{REVISION}' WHERE NOT EXISTS (SELECT 1 FROM alembic_version);"
    ))
}
