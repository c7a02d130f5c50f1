//! The repairs: after a copy, in one transaction, and only what can be proven.

use super::schema::{GUARD, check_guard, has_guard};
use super::{Finding, Findings, Fix, Options, Report, check_database, examine, file};
use crate::lock::file::{HeldLock, LockError};
use crate::lock::wait::LockWait;
use crate::sqlite::{GUARD_SQL, is_on_network, lock_file_of};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::StorageError;
use trialbox_core::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use trialbox_core::study::trial::format_datetime;

/// One repair can show the next: a state in lower case hides that the trial needs no value, and of several
/// values only the last can go.
const MAX_ROUNDS: usize = 16;

/// What was repaired, and what is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Repaired {
    /// What was found and is no more.
    pub done: Vec<Finding>,
    /// The database as it was before; `None` if nothing in it was changed.
    pub copy: Option<PathBuf>,
    /// What is found now.
    pub report: Report,
}

/// Repairs what can be proven, and looks again. Before the database is changed, a copy is made beside it.
///
/// # Errors
/// A database that cannot be written or copied; then nothing is changed.
pub fn repair(path: &Path, options: &Options) -> Result<Repaired, StorageError> {
    let before = examine(path, options);
    let in_database =
        |finding: &&Finding| finding.fix.as_ref().is_some_and(|fix| !is_file_fix(fix));
    let (mut done, mut copy) = (Vec::new(), None);
    if before.findings.iter().any(|finding| in_database(&finding)) {
        let target = copy_path(path, options);
        done = repair_database(path, &target, options)?;
        copy = Some(target);
    }
    for finding in before.findings {
        if let Some(Fix::RemoveFile(file)) = &finding.fix
            && fs::remove_file(file).is_ok()
        {
            done.push(finding);
        }
    }
    Ok(Repaired { done, copy, report: examine(path, options) })
}

/// Why nothing was repaired.
type Refusal = Box<dyn std::error::Error + Send + Sync>;

fn is_file_fix(fix: &Fix) -> bool {
    matches!(fix, Fix::RemoveFile(_))
}

/// `NAME.before-repair-20261123T192159`, with a count if that is taken.
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
    let failed = |source: Refusal| StorageError::Backend {
        action: format!("repair the database `{}`", path.display()),
        help: Some("the database is as it was".to_owned()),
        source,
    };
    let mut patience = LockWait::new(&options.storage, path);
    let lock = lock_file_of(path, options.storage.lock, is_on_network(path))
        .map(|lock| lock.acquire(&mut patience));
    let lock = lock.transpose().map_err(|error| match error {
        LockError::Io(error) => failed(error.into()),
        LockError::Busy { holder } => {
            failed(format!("{} holds the lock", holder.as_deref().unwrap_or("somebody")).into())
        }
    })?;
    repair_locked(path, target, options, lock.as_ref()).map_err(failed)
}

/// `lock`: what keeps others out besides SQLite, where that is needed.
fn repair_locked(
    path: &Path,
    target: &Path,
    options: &Options,
    lock: Option<&HeldLock>,
) -> Result<Vec<Finding>, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.storage.timeout.min(Duration::from_millis(i32::MAX as u64)))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // As Optuna has it; a row of something deleted must not keep others from being repaired.
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    copy_database(path, target)?;
    let had_guard = has_guard(&transaction)?;
    let mut guard = Findings::default();
    check_guard(&mut guard, &transaction, options);
    // It would refuse to let a state be corrected.
    transaction.execute_batch(&format!("DROP TRIGGER IF EXISTS {GUARD}"))?;
    let mut done = repair_rows(&transaction, options)?;
    if had_guard || options.storage.guard {
        transaction.execute_batch(GUARD_SQL)?;
    }
    done.extend(guard.list);
    if lock.is_some_and(|lock| !lock.is_ours()) {
        return Err("this process stood still for so long that others took its lock".into());
    }
    transaction.commit()?;
    Ok(done)
}

/// Repairs until there is nothing left to repair.
fn repair_rows(connection: &Connection, options: &Options) -> rusqlite::Result<Vec<Finding>> {
    let mut done = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let mut findings = Findings::default();
        check_database(&mut findings, connection, options);
        // The guard comes at the end.
        let is_fixable = |fix: &Option<Fix>| fix.as_ref().is_some_and(|fix| *fix != Fix::MakeGuard);
        let fixable: Vec<Finding> =
            findings.list.into_iter().filter(|finding| is_fixable(&finding.fix)).collect();
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

/// Copies the database, for its owner's eyes until the copy has the permissions of the original. What could
/// not be copied whole is deleted.
fn copy_database(path: &Path, target: &Path) -> Result<(), Refusal> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
    let copied = write_copy(path, target).map_err(Refusal::from).and_then(|()| {
        let permissions = fs::metadata(path)?.permissions();
        fs::set_permissions(target, permissions).map_err(Refusal::from)
    });
    if copied.is_err() {
        let _ = fs::remove_file(target);
    }
    copied
}

/// A copy through SQLite, which knows what belongs to the database, while our transaction keeps writers out.
/// Any other way to read the file would end with giving away the lock.
fn write_copy(path: &Path, target: &Path) -> rusqlite::Result<()> {
    let source = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut copy = Connection::open(target)?;
    let backup = rusqlite::backup::Backup::new(&source, &mut copy)?;
    backup.run_to_completion(i32::MAX, Duration::ZERO, None)
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
        // Made at the end; removed outside of the transaction.
        Fix::MakeGuard | Fix::RemoveFile(_) => {}
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
    let sql = "UPDATE trials SET state = 'FAIL', datetime_complete = ?2 WHERE trial_id = ?1 AND state = 'RUNNING'";
    connection.execute(sql, params![trial_id, format_datetime(options.now)])?;
    Ok(())
}
