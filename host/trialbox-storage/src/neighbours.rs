//! The database's file and those that SQLite keeps beside it, which must be files.

use std::ffi::OsString;
use std::path::Path;
use trialbox_files::{FileError, Folder, check_named};

/// The endings of the files that SQLite opens beside a database.
const ENDINGS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Checks that the database and its neighbours are regular files or missing.
///
/// SQLite opens a journal to see whether a transaction was cut short. It would wait for a FIFO forever, and a directory
/// keeps every transaction from starting. Another user of the folder can put one there.
///
/// # Errors
/// [`FileError::WrongKind`] for the first that is neither.
pub(crate) fn check(database: &Path) -> Result<(), FileError> {
    check_named(database)?;
    // SQLite keeps them beside the file itself, not beside a link to it.
    let Ok(database) = database.canonicalize() else { return Ok(()) };
    let (Some(parent), Some(name)) = (database.parent(), database.file_name()) else {
        return Ok(());
    };
    let folder = Folder::open_named(parent)?;
    for ending in ENDINGS {
        let mut neighbour = OsString::from(name);
        neighbour.push(ending);
        folder.check_regular(&neighbour)?;
    }
    Ok(())
}
