//! The means by which a transaction keeps others out: SQLite's own locks, or a lock file around them.

use crate::location::{LockMode, Options};
use crate::lock::file::{HeldLock, LockFile, path_of};
use crate::platform::mount::{Locks, mount_of};
use crate::sql::transaction::TxError;
use std::path::Path;
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;

/// The exclusion of other processes during one transaction.
pub(crate) enum Exclusion<'a> {
    /// SQLite's own locks on this database, as long as no process needs a lock file.
    Sqlite(&'a Path),
    /// A lock file.
    File(&'a HeldLock),
}

impl Exclusion<'_> {
    /// Checks that it holds still.
    ///
    /// With SQLite's locks, call this after the lock was taken and again before COMMIT: a process elsewhere that takes
    /// the lock file for the first time waits until no commit is under way.
    ///
    /// # Errors
    /// [`TxError::LockLost`] if this process was suspended and another took its lock. [`TxError::LockFileNeeded`] if a
    /// process came that SQLite's locks do not reach. Nothing may be committed then.
    pub(crate) fn check(&self) -> Result<(), TxError> {
        match self {
            Exclusion::Sqlite(database) if LockFile::is_in_use(database) => {
                Err(TxError::LockFileNeeded)
            }
            Exclusion::File(held) if !held.is_ours() => Err(TxError::LockLost),
            _ => Ok(()),
        }
    }
}

/// Returns the lock file to hold around transactions; `None` where SQLite's locks suffice. `is_shared` is the answer of
/// [`is_on_network`].
///
/// # Errors
/// Fails if SQLite's locks alone were asked for, and another process has to take the lock file.
pub(crate) fn lock_file_of(
    path: &Path,
    options: &Options,
    is_shared: bool,
) -> Result<Option<LockFile>, StorageError> {
    let is_in_use = LockFile::is_in_use(path);
    let reason = match options.lock {
        LockMode::Sqlite if is_in_use => return Err(in_use(path)),
        LockMode::Sqlite => return Ok(None),
        LockMode::File => "it was asked for".to_owned(),
        LockMode::Auto if is_shared => reason_of(path),
        // The first holder's reason stands.
        LockMode::Auto if is_in_use => "the database had a lock file".to_owned(),
        LockMode::Auto => return Ok(None),
    };
    Ok(Some(LockFile::of(path, &reason, &options.holders)))
}

/// Returns whether other machines may have the file open whose locks do not reach this one.
pub(crate) fn is_on_network(path: &Path) -> bool {
    match mount_of(path) {
        Ok(mount) if mount.locks == Locks::Unknown => {
            let fs_type = &mount.fs_type;
            tracing::info!("`{}` lies on `{fs_type}`, which is taken for local", path.display());
            false
        }
        Ok(mount) => mount.locks == Locks::Network,
        // Opening the file says what is wrong with it.
        Err(_) => false,
    }
}

fn reason_of(path: &Path) -> String {
    match mount_of(path) {
        Ok(mount) => format!("`{}` lies on {}", path.display(), mount.fs_type),
        Err(_) => format!("`{}` lies on a network file system", path.display()),
    }
}

fn in_use(path: &Path) -> StorageError {
    StorageError::WrongDatabase {
        problem: format!(
            "the database `{}` has the lock file `{}`: SQLite's locks do not reach all of its writers",
            path.display(),
            path_of(path).display()
        ),
        help: Remedy::KeepLockFile(path.to_owned()),
    }
}
