//! Repairs a database: after a copy, in one transaction, and only rows whose right contents can be proven.

use super::schema::{check_guard, has_guard};
use super::{Finding, Findings, Fix, Options, Report, check_database, examine, file};
use crate::foreign::{GUARD, GUARD_SQL};
use crate::location::LockMode;
use crate::lock::file::{HeldLock, LockFile};
use crate::lock::text::LockError;
use crate::lock::wait::LockWait;
use crate::sqlite::open::{Access, open};
use crate::sqlite::{is_on_network, lock_file_of};
use rusqlite::{Connection, TransactionBehavior, params};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;
use trialbox_core::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use trialbox_core::study::trial::format_datetime;

/// The largest number of rounds. One repair can expose the next: a state in lower case hides that the trial needs no
/// value, and of several values only the last can be deleted.
const MAX_ROUNDS: usize = 16;

/// The result of a repair.
#[derive(Debug, Clone, PartialEq)]
pub struct Repaired {
    /// The repaired findings.
    pub done: Vec<Finding>,
    /// The copy from before the repair; `None` if the database was not changed.
    pub copy: Option<PathBuf>,
    /// The examination after the repair.
    pub report: Report,
}

/// Repairs a database and examines it again. Before the database is changed, a copy is made beside it.
///
/// # Errors
/// Fails if the database cannot be written or copied; then nothing is changed.
pub fn repair(path: &Path, options: &Options) -> Result<Repaired, StorageError> {
    // Locks lie beside the file itself, not beside a link to it.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let options = &options.with_spool(path);
    let before = examine(path, options);
    let (mut done, mut copy) = (Vec::new(), None);
    let mut fixes = before.findings.iter().filter_map(|finding| finding.fix.as_ref());
    if fixes.any(Fix::is_in_database) {
        let target = copy_path(path, options);
        done = repair_database(path, &target, options)?;
        copy = Some(target);
    }
    for finding in before.findings {
        if let Some(fix) = &finding.fix
            && repair_beside(path, fix, options)
        {
            done.push(finding);
        }
    }
    Ok(Repaired { done, copy, report: examine(path, options) })
}

/// The reason why nothing was repaired.
type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Returns the name of the copy, `NAME.before-repair-20261123T192159`, with a number after it if a file has that name.
fn copy_path(path: &Path, options: &Options) -> PathBuf {
    let time = options.now.strftime("%Y%m%dT%H%M%S");
    let first = file::beside(path, &format!(".before-repair-{time}"));
    let others = (2..).map(|n| file::beside(path, &format!(".before-repair-{time}-{n}")));
    std::iter::once(first).chain(others).find(|name| !name.exists()).unwrap_or_default()
}

fn repair_database(
    path: &Path,
    target: &Path,
    options: &Options,
) -> Result<Vec<Finding>, StorageError> {
    let repaired = match acquire(path, options) {
        Ok(lock) => repair_locked(path, target, options, lock.as_ref()),
        Err(refusal) => Err(refusal),
    };
    repaired.map_err(|source| StorageError::Backend {
        action: format!("repair the database `{}`", path.display()),
        help: Some(Remedy::Advice("the database was not changed".to_owned())),
        source,
    })
}

/// Acquires the lock file, where SQLite's own locks do not reach all machines.
fn acquire(path: &Path, options: &Options) -> Result<Option<HeldLock>, Refusal> {
    let mut storage = options.storage.clone();
    if LockFile::is_in_use(path) {
        // To be rid of a lock file is no reason to do without it now.
        storage.lock = LockMode::Auto;
    }
    let Some(lock) = lock_file_of(path, &storage, is_on_network(path))? else { return Ok(None) };
    lock.acquire(&mut LockWait::new(&storage, path)).map(Some).map_err(refusal)
}

fn refusal(error: LockError) -> Refusal {
    match error {
        LockError::Io(error) => error.into(),
        LockError::Busy { holder: Some(holder) } => format!("{holder} holds the lock").into(),
        LockError::Busy { holder: None } => "an unknown process holds the lock".into(),
    }
}

/// Repairs something beside the database, and returns whether that worked.
fn repair_beside(path: &Path, fix: &Fix, options: &Options) -> bool {
    match fix {
        Fix::RemoveFile(file) => fs::remove_file(file).is_ok(),
        Fix::RetireLock => {
            let lock = LockFile::of(path, "", &options.storage.holders);
            match lock.retire(&mut LockWait::new(&options.storage, path)) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!("the lock file stays: {}", refusal(error));
                    false
                }
            }
        }
        _ => false,
    }
}

/// Repairs the database while `lock` keeps other machines out, where that is needed.
fn repair_locked(
    path: &Path,
    target: &Path,
    options: &Options,
    lock: Option<&HeldLock>,
) -> Result<Vec<Finding>, Refusal> {
    let mut connection = open(path, Access::Write, &options.storage)?;
    connection.busy_timeout(options.storage.timeout.min(Duration::from_millis(i32::MAX as u64)))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    copy_database(path, target, &options.storage)?;
    let had_guard = has_guard(&transaction)?;
    // The guard is dropped below, so a check after the repairs would find it missing.
    let mut guard = Findings::default();
    check_guard(&mut guard, &transaction, options);
    // The guard would refuse the correction of a state.
    transaction.execute_batch(&format!("DROP TRIGGER IF EXISTS {GUARD}"))?;
    let mut done = repair_rows(&transaction, options)?;
    if had_guard || options.storage.guard {
        transaction.execute_batch(GUARD_SQL)?;
    }
    done.extend(guard.list);
    // Another machine may have written since it took the lock, so the transaction is rolled back.
    if lock.is_some_and(|lock| !lock.is_ours()) {
        return Err(
            "this process was suspended for so long that another process took its lock".into()
        );
    }
    transaction.commit()?;
    Ok(done)
}

/// Repairs rows until a check finds none that can be repaired.
fn repair_rows(connection: &Connection, options: &Options) -> rusqlite::Result<Vec<Finding>> {
    let mut done = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let mut findings = Findings::default();
        check_database(&mut findings, connection, options);
        // The guard is created after all repairs.
        findings
            .list
            .retain(|finding| finding.fix.as_ref().is_some_and(|fix| *fix != Fix::MakeGuard));
        let fixable = findings.list;
        // A round that repairs the same rows again has no effect.
        if fixable.is_empty() || done.ends_with(&fixable) {
            break;
        }
        for finding in &fixable {
            if let Some(fix) = &finding.fix {
                apply(connection, fix, options)?;
            }
        }
        done.extend(fixable);
    }
    Ok(done)
}

/// Copies the database. Only its owner can read the copy until the copy has the permissions of the original. An
/// incomplete copy is deleted.
fn copy_database(path: &Path, target: &Path, options: &crate::Options) -> Result<(), Refusal> {
    let file = trialbox_files::create_named(target, 0o600)?;
    let copied = write_copy(path, target, options)
        .and_then(|()| Ok(file.set_permissions(fs::metadata(path)?.permissions())?));
    if copied.is_err() {
        let _ = fs::remove_file(target);
    }
    copied
}

/// Copies the contents with SQLite, which includes the write-ahead log, while the open transaction keeps writers out.
///
/// Any other way to read the file would release the locks of the transaction when the file is closed.
fn write_copy(path: &Path, target: &Path, options: &crate::Options) -> Result<(), Refusal> {
    let source = open(path, Access::Read, options)?;
    let mut copy = open(target, Access::Create, options)?;
    let backup = rusqlite::backup::Backup::new(&source, &mut copy)?;
    backup.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    Ok(())
}

fn apply(connection: &Connection, fix: &Fix, options: &Options) -> rusqlite::Result<()> {
    match fix {
        Fix::Number { trial_id, number } => {
            let sql = "UPDATE trials SET number = ?2 WHERE trial_id = ?1 AND number IS NULL";
            connection.execute(sql, params![trial_id, number])?;
        }
        Fix::DeleteValue { value_id } => {
            connection.execute("DELETE FROM trial_values WHERE trial_value_id = ?1", [value_id])?;
        }
        Fix::ClearNumber { column, row_id } => {
            let sql = format!(
                "UPDATE {} SET {} = NULL WHERE {} = ?1",
                column.table, column.name, column.id
            );
            connection.execute(&sql, [row_id])?;
        }
        Fix::UpperCase { column, row_id, word } => {
            let sql = format!(
                "UPDATE {} SET {} = ?2 WHERE {} = ?1",
                column.table, column.name, column.id
            );
            connection.execute(&sql, params![row_id, word])?;
        }
        Fix::EndTrial { trial_id, because } => end_trial(connection, *trial_id, because, options)?,
        // The guard is created at the end, files are deleted outside of the transaction.
        Fix::MakeGuard | Fix::RemoveFile(_) | Fix::RetireLock => {}
    }
    Ok(())
}

fn end_trial(
    connection: &Connection,
    trial_id: i64,
    because: &str,
    options: &Options,
) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO trial_system_attributes (trial_id, \"key\", value_json) VALUES (?1, ?2, ?3)
        ON CONFLICT (trial_id, \"key\") DO UPDATE SET value_json = excluded.value_json";
    let failure = Failure::new(FailureCode::Lost, because).to_json(&[]).to_string();
    connection.execute(sql, params![trial_id, FAILURE_ATTR, failure])?;
    let sql = "UPDATE trials SET state = 'FAIL', datetime_complete = ?2
        WHERE trial_id = ?1 AND state = 'RUNNING'";
    connection.execute(sql, params![trial_id, format_datetime(options.now)])?;
    Ok(())
}
