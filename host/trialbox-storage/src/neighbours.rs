//! The files that SQLite keeps beside a database, which must be files.

use crate::lock::file::with_suffix;
use std::path::{Path, PathBuf};
use trialbox_files::{FileError, check_named, check_regular};

/// The endings of the files that SQLite opens beside a database.
const ENDINGS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The names beside a database that SQLite opens.
///
/// SQLite opens a journal to see whether a transaction was cut short. It would wait for a FIFO forever, and a directory
/// keeps every transaction from starting. Another user of the folder can put one there at any time, so each transaction
/// looks: three calls that open nothing.
#[derive(Debug)]
pub(crate) struct Neighbours([PathBuf; 3]);

impl Neighbours {
    /// Returns those of a database, whose path ends with no link: SQLite keeps them beside the file itself.
    pub(crate) fn of(database: &Path) -> Self {
        Neighbours(ENDINGS.map(|ending| with_suffix(database, ending)))
    }

    /// Checks that each is a regular file or missing.
    ///
    /// # Errors
    /// [`FileError::WrongKind`] for the first that is neither.
    pub(crate) fn check(&self) -> Result<(), FileError> {
        self.0.iter().try_for_each(|path| check_regular(path))
    }
}

/// Checks that the database and its neighbours are regular files or missing.
///
/// # Errors
/// [`FileError::WrongKind`] for the first that is neither.
pub(crate) fn check(database: &Path) -> Result<(), FileError> {
    check_named(database)?;
    let Ok(database) = database.canonicalize() else { return Ok(()) };
    Neighbours::of(&database).check()
}
