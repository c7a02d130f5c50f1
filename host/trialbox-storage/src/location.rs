//! Which backend an address means.

use crate::{MemoryStorage, SqliteStorage};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::{Storage, StorageError};

/// How to open a storage.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long to wait for a database that others are writing.
    pub timeout: Duration,
    /// Which databases to make.
    pub create: Create,
    /// What keeps writers apart.
    pub lock: LockMode,
    /// Whether to put the guard into the database, a trigger that refuses illegal changes of a trial's
    /// state. It makes Python's Optuna safer too, whose claim of a waiting trial is no compare-and-set.
    pub guard: bool,
    /// When waiting is no longer worth while.
    pub stopping: WaitCancellation,
}

impl Default for Options {
    /// Five minutes of patience, a database that must be there, locks and guard as they are best.
    fn default() -> Self {
        Options {
            timeout: Duration::from_secs(300),
            create: Create::Never,
            lock: LockMode::Auto,
            guard: true,
            stopping: WaitCancellation::default(),
        }
    }
}

/// Which databases to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// None: it must be there.
    Never,
    /// One that is missing. An empty file is refused: it may be what a full disk left of a study.
    Missing,
    /// One that is missing or an empty file.
    MissingOrEmpty,
}

/// What keeps writers of one database apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// A lock file where the file system is a network's, SQLite's own locks elsewhere.
    Auto,
    /// SQLite's own locks alone.
    Sqlite,
    /// A lock file beside the database, around SQLite's own locks.
    File,
}

/// A question that waits ask again and again: is the process to end?
#[derive(Clone, Default)]
pub struct WaitCancellation(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl WaitCancellation {
    /// Asks this function.
    pub fn when(is_set: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        WaitCancellation(Some(Arc::new(is_set)))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|is_set| is_set())
    }
}

impl std::fmt::Debug for WaitCancellation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WaitCancellation").field(&self.0.as_ref().map(|_| "…")).finish()
    }
}

/// Opens the storage at an address: a path, `sqlite:///relative.db`, `sqlite:////absolute.db`, or `memory:`.
///
/// # Errors
/// [`StorageError::UnknownUrl`], or what the backend says.
pub fn open(url: &str, options: &Options) -> Result<Box<dyn Storage>, StorageError> {
    match sqlite_path(url)? {
        None => Ok(Box::new(MemoryStorage::new())),
        Some(path) => Ok(Box::new(SqliteStorage::open(Path::new(path), options)?)),
    }
}

/// The file that an address means; none for one in memory.
///
/// # Errors
/// [`StorageError::UnknownUrl`].
pub fn sqlite_path(url: &str) -> Result<Option<&str>, StorageError> {
    if matches!(url, "memory:" | "sqlite://" | "sqlite:///:memory:") {
        return Ok(None);
    }
    match url.split_once("://") {
        // SQLAlchemy: three slashes before a relative path, four before an absolute one.
        Some(("sqlite", rest)) if rest.len() > 1 && rest.starts_with('/') => Ok(Some(&rest[1..])),
        Some(_) => Err(StorageError::UnknownUrl { url: without_password(url) }),
        None if url.is_empty() => Err(StorageError::UnknownUrl { url: String::new() }),
        None => Ok(Some(url)),
    }
}

/// The address as it may be shown: without a password, and without the query, which may hold one too.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    // The last `@`: a password may hold others.
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            format!("{scheme}://{}:***@{host}", user.split(':').next().unwrap_or_default())
        }
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_address_is_shown_without_its_password() {
        let error =
            open("postgresql://anna:secret@host/db", &Options::default()).err().expect("not yet");
        assert_eq!(
            error.to_string(),
            "`postgresql://anna:***@host/db` is no storage that trialbox can open"
        );
    }
}
