//! The place of a storage, and the options for opening it.

use crate::lock::holder::HolderProbe;
use crate::postgres::address::ServerAddress;
use crate::{MemoryStorage, SqlStorage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::{Storage, StorageError};

/// Options for opening a storage.
#[derive(Debug, Clone)]
pub struct Options {
    /// The longest wait for a database that other processes are writing.
    pub timeout: Duration,
    /// The databases that opening creates.
    pub create: Create,
    /// The means that keep writers apart.
    pub lock: LockMode,
    /// True to install the guard in the database: a trigger that rejects illegal changes of a trial's state. It
    /// protects studies that Python's Optuna shares, which claims a waiting trial without comparing the state again.
    pub guard: bool,
    /// The condition under which waits are cancelled.
    pub stopping: WaitCancellation,
    /// The knowledge of the batch system about holders of lock files on other machines.
    pub holders: HolderProbe,
}

impl Default for Options {
    /// Returns a wait of five minutes, no creation, automatic locks and the guard.
    fn default() -> Self {
        Options {
            timeout: Duration::from_secs(300),
            create: Create::Never,
            lock: LockMode::Auto,
            guard: true,
            stopping: WaitCancellation::default(),
            holders: HolderProbe::default(),
        }
    }
}

/// The databases that opening creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// None: the database must exist.
    Never,
    /// A missing database. An empty file is rejected: it may be what a full disk left of a study.
    Missing,
    /// A missing database, or one in an empty file.
    MissingOrEmpty,
}

/// The means that keep writers of one database apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// A lock file where the file system is a network's or the database already has a lock file, SQLite's own locks
    /// elsewhere.
    Auto,
    /// SQLite's own locks alone. A database that already has a lock file is refused.
    Sqlite,
    /// A lock file beside the database, around SQLite's own locks.
    File,
}

/// A condition that long waits check again and again, such as that the process received a signal.
#[derive(Clone, Default)]
pub struct WaitCancellation(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl WaitCancellation {
    /// Creates a condition from a function.
    pub fn when(is_set: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        WaitCancellation(Some(Arc::new(is_set)))
    }

    /// Returns whether waits should be cancelled now.
    pub(crate) fn is_set(&self) -> bool {
        match &self.0 {
            Some(is_set) => is_set(),
            None => false,
        }
    }
}

impl std::fmt::Debug for WaitCancellation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WaitCancellation").field(&self.0.as_ref().map(|_| "…")).finish()
    }
}

/// The place of a storage. Each kind of storage is a variant, read in [`Location::parse`] and opened in
/// [`Location::open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The memory of this process.
    Memory,
    /// A SQLite file.
    File(PathBuf),
    /// A database of a PostgreSQL server.
    Server(ServerAddress),
}

impl Location {
    /// Reads an address as SQLAlchemy does, so that Python's Optuna opens the same file: `sqlite:///relative.db`,
    /// `sqlite:////absolute.db`, with options of Python's driver after a `?`. A path and `memory:` are addresses too.
    ///
    /// A server's address is `postgresql://USER@HOST:PORT/DATABASE`; what it leaves out comes from the environment when
    /// it is opened.
    ///
    /// The options of a file are for Python: they are checked, and none of them means anything to trialbox.
    ///
    /// # Errors
    /// [`StorageError::UnknownUrl`] for servers and other addresses that trialbox cannot open, and
    /// [`StorageError::UnknownUrlOption`].
    pub fn parse(url: &str) -> Result<Self, StorageError> {
        let unknown = || StorageError::UnknownUrl { url: without_password(url) };
        if matches!(url, "memory:" | ":memory:") {
            return Ok(Location::Memory);
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            let is_mistaken = |scheme: &str| url.starts_with(scheme) && !Path::new(url).exists();
            // A path with a colon is more likely an address with a slash too few.
            let is_address = ["sqlite:", "sqlite+pysqlite:", "file:", "postgresql:", "postgres:"]
                .into_iter()
                .any(is_mistaken);
            return if url.is_empty() || is_address {
                Err(unknown())
            } else {
                Ok(Location::File(PathBuf::from(url)))
            };
        };
        if let Some(server) = ServerAddress::parse(url) {
            return Ok(Location::Server(server?));
        }
        if !matches!(scheme, "sqlite" | "sqlite+pysqlite") {
            return Err(unknown());
        }
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        check_options(options)?;
        match rest.strip_prefix('/') {
            Some("" | ":memory:") => Ok(Location::Memory),
            Some(path) => Ok(Location::File(PathBuf::from(path))),
            None if rest.is_empty() => Ok(Location::Memory),
            // SQLAlchemy: three slashes before a relative path, four before an absolute one.
            None => Err(unknown()),
        }
    }

    /// Opens the storage.
    ///
    /// # Errors
    /// The errors of the backend.
    pub fn open(&self, options: &Options) -> Result<Box<dyn Storage>, StorageError> {
        match self {
            Location::Memory => Ok(Box::new(MemoryStorage::new())),
            Location::File(path) => Ok(Box::new(SqlStorage::open_file(path, options)?)),
            Location::Server(address) => Ok(Box::new(SqlStorage::open_server(address, options)?)),
        }
    }

    /// Returns the database's file, if the storage has one. Locks, spooled results and the checks of a database need
    /// it.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Location::Memory | Location::Server(_) => None,
            Location::File(path) => Some(path),
        }
    }

    /// Returns the address of the database's server, if it has one.
    pub fn server(&self) -> Option<&ServerAddress> {
        match self {
            Location::Memory | Location::File(_) => None,
            Location::Server(address) => Some(address),
        }
    }
}

/// The options of Python's driver that SQLAlchemy passes on, with values of the right type.
const PYTHONS_OPTIONS: [&str; 5] =
    ["timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"];

/// The names of [`PYTHONS_OPTIONS`], for messages.
const PYTHONS_OPTIONS_TEXT: &str =
    "`timeout`, `isolation_level`, `detect_types`, `check_same_thread` or `cached_statements`";

/// Checks the options of an address. Python's driver fails on others, except for `uri`, which makes the path an address
/// of SQLite's own.
fn check_options(options: &str) -> Result<(), StorageError> {
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, _) = option.split_once('=').unwrap_or((option, ""));
        if !PYTHONS_OPTIONS.contains(&name) {
            let (option, expected) = (name.to_owned(), PYTHONS_OPTIONS_TEXT);
            return Err(StorageError::UnknownUrlOption { option, expected });
        }
    }
    Ok(())
}

/// Returns the address as messages may show it: without a password, and without the query, which may hold one too.
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
    fn an_unsupported_address_is_shown_without_its_password() {
        for (url, shown) in [
            ("oracle://anna:secret@host/db", "oracle://anna:***@host/db"),
            ("mysql://anna:p@ss@host/db?password=secret", "mysql://anna:***@host/db"),
            ("redis://host:6379", "redis://host:6379"),
            ("sqlite:relative.db://", "sqlite:relative.db://"),
            ("", ""),
        ] {
            let error = Location::parse(url).expect_err(url);
            assert_eq!(
                error.to_string(),
                format!(
                    "unsupported storage URL `{shown}`: expected a path, `sqlite:///FILE` or \
                     `postgresql://HOST/DATABASE`"
                )
            );
        }
    }

    #[test]
    fn an_address_that_sqlalchemy_reads_otherwise_is_refused() {
        for url in [
            "sqlite:/x.db",
            "sqlite:x.db",
            "sqlite://x.db",
            "file:x.db",
            "SQLite:///x.db",
            "postgres:/x",
        ] {
            assert!(matches!(Location::parse(url), Err(StorageError::UnknownUrl { .. })), "{url}");
        }
        for (url, option) in
            [("sqlite:///x.db?mode=ro", "mode"), ("sqlite:///x.db?uri=true", "uri")]
        {
            match Location::parse(url) {
                Err(StorageError::UnknownUrlOption { option: found, .. }) => {
                    assert_eq!(found, option)
                }
                other => panic!("{url}: {other:?}"),
            }
        }
    }

    #[test]
    fn addresses_name_a_file_or_memory() {
        for (url, file) in [
            ("study.db", Some("study.db")),
            ("/data/study.db", Some("/data/study.db")),
            ("sqlite:///study.db", Some("study.db")),
            ("sqlite:////data/study.db", Some("/data/study.db")),
            ("memory:", None),
            ("sqlite://", None),
            ("sqlite:///:memory:", None),
            ("sqlite:///", None),
            (":memory:", None),
            ("sqlite:///study.db?timeout=60", Some("study.db")),
            ("sqlite:////data/study.db?timeout=60&check_same_thread=false", Some("/data/study.db")),
            ("sqlite+pysqlite:///study.db", Some("study.db")),
            ("sqlite:///my%20study.db", Some("my%20study.db")),
            ("studies/a?b.db", Some("studies/a?b.db")),
        ] {
            let location = Location::parse(url).expect(url);
            assert_eq!(location.file(), file.map(Path::new), "{url}");
        }
    }
}
