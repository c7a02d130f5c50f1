//! The tables, their version, and the creation of a new database.

use crate::location::Options;
use crate::sqlite::errors::TxError;
use crate::sqlite::open::{Access, open};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;
use trialbox_files::{FileError, Folder, create_named};

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

/// The time after which a process that gives a file its name counts as dead.
const LONGEST_PLACING: Duration = Duration::from_secs(5);

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
        created = match put_in_place(&aside, path) {
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

/// Gives a file its name, and fails if a file of that name exists. This is a rename that replaces nothing, or a hard
/// link on network file systems without such renames, or what [`place_alone`] does on those without either. After a
/// link, the old name still exists.
pub(crate) fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    put_in_place_by(
        |from, to| Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?),
        |from, to| fs::hard_link(from, to),
        from,
        to,
    )
}

fn put_in_place_by(
    rename_new: impl Fn(&Path, &Path) -> io::Result<()>,
    link: impl Fn(&Path, &Path) -> io::Result<()>,
    from: &Path,
    to: &Path,
) -> io::Result<()> {
    use io::ErrorKind::{AlreadyExists, PermissionDenied, TooManyLinks, Unsupported};
    match rename_new(from, to) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == AlreadyExists => return Err(error),
        Err(_) => {}
    }
    match link(from, to) {
        // File systems without hard links answer so (link(2)).
        Err(error) if matches!(error.kind(), PermissionDenied | Unsupported | TooManyLinks) => {
            place_alone(from, to)
        }
        linked => linked,
    }
}

/// Renames a file to a name that is free, while an exclusive file of another name keeps other processes from doing so.
fn place_alone(from: &Path, to: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let right = to.with_file_name(format!(".{name}.creating.tmp"));
    let started = Instant::now();
    while let Err(error) = create_named(&right, 0o600) {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(error.into_reason());
        }
        // The other process needs two more calls, unless it died.
        if started.elapsed() >= LONGEST_PLACING {
            let _ = fs::remove_file(&right);
        }
        std::thread::sleep(LONGEST_PLACING / 500);
    }
    let placed = match to.symlink_metadata() {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => rename(from, to),
    };
    let _ = fs::remove_file(&right);
    placed
}

/// Renames a file within its folder.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (Some(name), Some(new)) = (from.file_name(), to.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = to.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let renamed = Folder::open_named(folder).and_then(|folder| folder.rename(name, new));
    renamed.map_err(FileError::into_reason)
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
    create_tables(&transaction)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

/// Creates the tables, unless another process has created them meanwhile.
pub(crate) fn create_tables(tx: &Connection) -> rusqlite::Result<()> {
    if tx.table_exists(None, "studies")? { Ok(()) } else { tx.execute_batch(CREATE_SQL) }
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
    if !tables.contains("studies") || !tables.contains("version_info") {
        return without_main_tables(&tables, url);
    }
    let mut revisions: Vec<String> = Vec::new();
    if tables.contains("alembic_version") {
        let mut statement = connection.prepare("SELECT version_num FROM alembic_version")?;
        revisions = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    }
    match &revisions[..] {
        [revision] if revision == REVISION => Ok(with_all_tables(&tables, url)),
        [revision] => Err(wrong_revision(revision, &tables, url).into()),
        [] => is_stampable(connection, url),
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

/// Tells a database that another program owns from one whose tables Optuna is still creating.
fn without_main_tables(tables: &BTreeSet<String>, url: &str) -> Result<Version, TxError> {
    let found: Vec<&str> = tables.iter().take(5).map(String::as_str).collect();
    let problem = format!(
        "`{url}` is a SQLite database, but not Optuna's: it has the tables {}",
        found.join(", ")
    );
    let error = StorageError::WrongDatabase { problem, help: Remedy::OtherFile };
    if tables.iter().all(|table| OPTUNAS_TABLES.contains(&table.as_str())) {
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
        help: Remedy::IdentifySchema { url: url.to_owned() },
    }))
}

/// Writes the revision, as Optuna would at its next start.
pub(crate) fn stamp(tx: &Connection) -> Result<(), TxError> {
    tx.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS alembic_version (
           version_num VARCHAR(32) NOT NULL,
           CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
         );
         INSERT INTO alembic_version
         SELECT '{REVISION}' WHERE NOT EXISTS (SELECT 1 FROM alembic_version);"
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn folder(test: &str) -> std::path::PathBuf {
        let folder =
            std::env::temp_dir().join(format!("trialbox-schema-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn without_hard_links_and_renames_that_replace_nothing_one_of_many_is_first() {
        use rustix::io::Errno;
        for errno in [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK] {
            let folder = folder("linkless");
            let first = AtomicU32::new(0);
            std::thread::scope(|scope| {
                for n in 0..8 {
                    let (folder, first) = (&folder, &first);
                    scope.spawn(move || {
                        let from = folder.join(n.to_string());
                        fs::write(&from, n.to_string()).expect("a file");
                        let refused = |_: &Path, _: &Path| Err(errno.into());
                        let to = folder.join("s.db");
                        match put_in_place_by(|_, _| Err(Errno::INVAL.into()), refused, &from, &to)
                        {
                            Ok(()) => _ = first.fetch_add(1, Ordering::Relaxed),
                            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AlreadyExists),
                        }
                    });
                }
            });
            assert_eq!(first.into_inner(), 1, "{errno}");
            assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 8);
        }
    }

    #[test]
    fn an_error_that_says_nothing_about_links_is_reported() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::NotFound] {
            let folder = folder("full");
            let from = folder.join("aside");
            fs::write(&from, "").expect("a file");
            let refused = |_: &Path, _: &Path| Err(kind.into());
            let placed = put_in_place_by(refused, refused, &from, &folder.join("s.db"));
            assert_eq!(placed.expect_err("no link").kind(), kind);
            assert!(!folder.join("s.db").exists());
        }
    }
}
