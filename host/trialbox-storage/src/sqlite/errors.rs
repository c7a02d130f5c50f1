//! The errors of SQLite and of the system as storage errors: the action that failed, and the remedy.

use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;
use trialbox_files::FileError;

/// Returns the error of a database that does not exist and may not be created.
pub(crate) fn missing(path: &Path) -> StorageError {
    StorageError::WrongDatabase {
        problem: format!("there is no database `{}`", path.display()),
        help: Remedy::CreateDatabase,
    }
}

/// Returns the error of a database file that could not be created.
pub(crate) fn cannot_create(path: &Path, error: std::io::Error) -> StorageError {
    use std::io::ErrorKind;
    let help = match error.kind() {
        ErrorKind::NotFound => Remedy::CreateFolder(folder_of(path)),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Remedy::LeaveFolder(folder_of(path))
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => advice("free some space"),
        _ => Remedy::OtherPlace,
    };
    StorageError::Backend {
        action: format!("create the database `{}`", path.display()),
        help: Some(help),
        source: Box::new(error),
    }
}

/// Returns the error of a database file that could not be examined.
pub(crate) fn cannot_look(path: &Path, error: std::io::Error) -> StorageError {
    StorageError::Backend {
        action: format!("open the database `{}`", path.display()),
        help: Some(advice("check the path, and that the file and its folder can be read")),
        source: Box::new(error),
    }
}

/// Returns the error of a path at which no database can be.
pub(crate) fn not_a_file(error: &FileError) -> StorageError {
    StorageError::WrongDatabase { problem: error.to_string(), help: Remedy::OtherFile }
}

/// Returns the error of an action that something keeps from starting: it stands where SQLite keeps a file beside the
/// database. That may pass, and a result is kept until then.
pub(crate) fn in_the_way(action: &str, error: FileError) -> StorageError {
    StorageError::Backend {
        action: action.to_owned(),
        help: Some(advice(
            "SQLite keeps a file of this name beside the database: move away what is there",
        )),
        source: Box::new(error),
    }
}

/// Returns the error of a copy that could not be written.
pub(crate) fn cannot_copy(action: &str, error: std::io::Error) -> StorageError {
    StorageError::Backend {
        action: action.to_owned(),
        help: Some(advice("choose a file that does not exist, in a folder with free space")),
        source: Box::new(error),
    }
}

/// Returns the error of a lock file that could not be created.
pub(crate) fn cannot_lock(path: &Path, error: std::io::Error) -> StorageError {
    StorageError::Backend {
        action: format!("create a lock file beside the database `{}`", path.display()),
        help: Some(Remedy::WritableFolder(folder_of(path))),
        source: Box::new(error),
    }
}

/// Returns the error of a file that SQLite could not read. A file that is not a database gets a message of its own.
pub(crate) fn not_a_database(path: &Path, error: rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StorageError::WrongDatabase {
            problem: format!("`{}` is not a SQLite database", path.display()),
            help: Remedy::OtherFile,
        },
        _ => backend(&format!("read the database `{}`", path.display()), error),
    }
}

/// Names the database's path in an error that its first read met, and applies [`not_a_database`].
pub(crate) fn not_optunas(path: &Path, error: StorageError) -> StorageError {
    match error {
        StorageError::Backend { source, .. } => match source.downcast::<rusqlite::Error>() {
            Ok(error) => not_a_database(path, *error),
            Err(source) => StorageError::Backend {
                action: format!("read the database `{}`", path.display()),
                help: None,
                source,
            },
        },
        other => other,
    }
}

/// Returns SQLite's error with the action that failed.
pub(crate) fn backend(action: &str, error: rusqlite::Error) -> StorageError {
    let is_moved = error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED);
    let help = match error.sqlite_error_code() {
        _ if is_moved => Some("the file was moved, deleted or replaced meanwhile: bring it back"),
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
        help: help.map(advice),
        source: Box::new(error),
    }
}

fn advice(text: &str) -> Remedy {
    Remedy::Advice(text.to_owned())
}

/// Returns the folder that a file lies in, `.` for a bare name.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn help(error: StorageError) -> Option<Remedy> {
        match error {
            StorageError::Backend { help, .. } => help,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_help_for_an_error_of_sqlite_names_its_remedy() {
        for (code, want) in [
            (ffi::SQLITE_FULL, Some("free some space")),
            (ffi::SQLITE_READONLY_DBMOVED, Some("bring it back")),
            (ffi::SQLITE_READONLY, Some("must be writable")),
            (ffi::SQLITE_PERM, Some("must be writable")),
            (ffi::SQLITE_CANTOPEN, Some("check the path")),
            (ffi::SQLITE_CORRUPT, Some(".recover")),
            (ffi::SQLITE_INTERRUPT, None),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let help = help(backend("write", error));
            match (&help, want) {
                (Some(Remedy::Advice(help)), Some(want)) => assert!(help.contains(want), "{help}"),
                (None, None) => {}
                other => panic!("{code}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_help_for_a_database_that_cannot_be_created_names_its_remedy() {
        use std::io::ErrorKind;
        for (kind, want) in [
            (ErrorKind::NotFound, Remedy::CreateFolder("data".into())),
            (ErrorKind::PermissionDenied, Remedy::LeaveFolder("data".into())),
            (ErrorKind::ReadOnlyFilesystem, Remedy::LeaveFolder("data".into())),
            (ErrorKind::StorageFull, advice("free some space")),
            (ErrorKind::QuotaExceeded, advice("free some space")),
            (ErrorKind::NotADirectory, Remedy::OtherPlace),
        ] {
            let help = help(cannot_create(Path::new("data/s.db"), kind.into()));
            assert_eq!(help, Some(want), "{kind}");
        }
        let bare = help(cannot_create(Path::new("s.db"), ErrorKind::NotFound.into()));
        assert_eq!(bare, Some(Remedy::CreateFolder(".".into())));
    }
}
