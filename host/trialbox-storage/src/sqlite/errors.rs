//! The errors of SQLite and of the system as storage errors: the action that failed, and the remedy.

use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};
use trialbox_core::StorageError;

/// An error inside a transaction.
#[derive(Debug)]
pub(crate) enum TxError {
    /// SQLite's error.
    Sqlite(rusqlite::Error),
    /// A storage's error.
    Storage(StorageError),
    /// Another process took the lock file while this one was suspended; nothing was written.
    LockLost,
}

impl From<rusqlite::Error> for TxError {
    fn from(error: rusqlite::Error) -> Self {
        TxError::Sqlite(error)
    }
}

impl From<StorageError> for TxError {
    fn from(error: StorageError) -> Self {
        TxError::Storage(error)
    }
}

pub(crate) fn cannot_create(path: &Path, error: std::io::Error) -> StorageError {
    let folder = folder_of(path);
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("make the folder `{}` first, or choose another --storage", folder.display())
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            format!("the folder `{}` cannot be written: choose another --storage", folder.display())
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "free some space".to_owned()
        }
        _ => "choose another --storage".to_owned(),
    };
    StorageError::Backend {
        action: format!("make the database `{}`", path.display()),
        help: Some(help),
        source: Box::new(error),
    }
}

pub(crate) fn cannot_look(path: &Path, error: std::io::Error) -> StorageError {
    StorageError::Backend {
        action: format!("open the database `{}`", path.display()),
        help: Some("check the path, and that the file and its folder can be read".to_owned()),
        source: Box::new(error),
    }
}

pub(crate) fn cannot_copy(action: &str, error: std::io::Error) -> StorageError {
    StorageError::Backend {
        action: action.to_owned(),
        help: Some("choose another file, where there is space and nothing yet".to_owned()),
        source: Box::new(error),
    }
}

pub(crate) fn cannot_lock(path: &Path, error: std::io::Error) -> StorageError {
    StorageError::Backend {
        action: format!("make a lock file beside the database `{}`", path.display()),
        help: Some(format!(
            "the folder `{}` must be writable; where all jobs run on one machine, --lock sqlite does without",
            folder_of(path).display()
        )),
        source: Box::new(error),
    }
}

pub(crate) fn not_a_database(path: &Path, error: rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StorageError::WrongDatabase {
            problem: format!("`{}` is not a SQLite database", path.display()),
            help: "choose another --storage; this file was not touched".to_owned(),
        },
        _ => backend(&format!("read the database `{}`", path.display()), error),
    }
}

pub(crate) fn backend(action: &str, error: rusqlite::Error) -> StorageError {
    let help = match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Some(
            "the file and its folder must be writable: SQLite keeps its journal beside the database",
        ),
        Some(ErrorCode::CannotOpen) => {
            Some("check the path, and that the file and its folder can be read and written")
        }
        Some(ErrorCode::DiskFull) => Some("free some space, then run the same command again"),
        Some(ErrorCode::DatabaseCorrupt) => Some("make a copy, then try `sqlite3 COPY .recover`"),
        _ => None,
    };
    StorageError::Backend {
        action: action.to_owned(),
        help: help.map(str::to_owned),
        source: Box::new(error),
    }
}

/// The folder that a file lies in.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn help(error: StorageError) -> Option<String> {
        match error {
            StorageError::Backend { help, .. } => help,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_help_for_an_error_of_sqlite_names_its_remedy() {
        for (code, want) in [
            (ffi::SQLITE_FULL, Some("free some space")),
            (ffi::SQLITE_READONLY, Some("must be writable")),
            (ffi::SQLITE_PERM, Some("must be writable")),
            (ffi::SQLITE_CANTOPEN, Some("check the path")),
            (ffi::SQLITE_CORRUPT, Some(".recover")),
            (ffi::SQLITE_INTERRUPT, None),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let help = help(backend("write", error));
            match want {
                Some(want) => {
                    assert!(help.as_ref().is_some_and(|help| help.contains(want)), "{help:?}")
                }
                None => assert_eq!(help, None, "{code}"),
            }
        }
    }

    #[test]
    fn the_help_for_a_database_that_cannot_be_created_names_its_remedy() {
        use std::io::ErrorKind;
        for (kind, want) in [
            (ErrorKind::NotFound, "the folder `data`"),
            (ErrorKind::PermissionDenied, "cannot be written"),
            (ErrorKind::ReadOnlyFilesystem, "cannot be written"),
            (ErrorKind::StorageFull, "free some space"),
            (ErrorKind::QuotaExceeded, "free some space"),
        ] {
            let help = help(cannot_create(Path::new("data/s.db"), kind.into()));
            assert!(help.as_ref().is_some_and(|help| help.contains(want)), "{kind}: {help:?}");
        }
    }
}
