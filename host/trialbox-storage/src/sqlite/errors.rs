//! SQLite's and the system's errors in our words: what was being done, and what can be done about it.

use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};
use trialbox_core::StorageError;

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
