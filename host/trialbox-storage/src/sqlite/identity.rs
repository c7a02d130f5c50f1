//! The identity of a database file. A file that is deleted, replaced or emptied while a process has it open takes
//! commits without an error, and no other process ever sees them.

use crate::lock::file::with_suffix;
use rusqlite::Connection;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The length of the header of a database (<https://sqlite.org/fileformat2.html>, section 1.3).
const HEADER_BYTES: u64 = 100;

/// The files of a database, as they were when it was opened.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    path: PathBuf,
    database: FileId,
    /// The write-ahead log, from the first commit to it on.
    log: Option<FileId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// A file that is no longer the one that was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// Another file has the name, or none.
    #[error("`{0}` was deleted or replaced while this process had it open")]
    Replaced(PathBuf),
    /// The file has no header any more.
    #[error("`{0}` was emptied while this process had it open")]
    Emptied(PathBuf),
    /// The file could not be examined.
    #[error("cannot examine `{0}`: {1}")]
    Unknown(PathBuf, #[source] io::Error),
}

impl Identity {
    /// Returns the identity of the file that has a name now. No file is opened: closing it would release the locks of
    /// this process.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let (database, _) = file_id(path)?;
        Ok(Identity { path: path.to_owned(), database, log: None })
    }

    /// Checks before a transaction that no other file has taken a name. SQLite would continue in the file that has lost
    /// its name, with a journal beside the other one.
    pub(crate) fn check_names(&self) -> Result<(), Lost> {
        require_same(&self.path, self.database)?;
        let Some(known) = self.log else { return Ok(()) };
        let log = with_suffix(&self.path, "-wal");
        match file_id(&log) {
            Ok((found, _)) if found != known => Err(Lost::Replaced(log)),
            // A log that is missing is found missing after the commit, if SQLite writes to one then.
            _ => Ok(()),
        }
    }

    /// Checks after a commit that the files still have their names.
    pub(crate) fn check(&mut self, connection: &Connection) -> Result<(), Lost> {
        let bytes = require_same(&self.path, self.database)?;
        if bytes < HEADER_BYTES {
            return Err(Lost::Emptied(self.path.clone()));
        }
        if !uses_wal(connection) {
            self.log = None;
            return Ok(());
        }
        let log = with_suffix(&self.path, "-wal");
        match self.log {
            Some(known) => require_same(&log, known).map(|_| ()),
            None => {
                let (found, _) = look(&log)?;
                self.log = Some(found);
                Ok(())
            }
        }
    }
}

/// Returns whether a connection writes to a write-ahead log. The statement is prepared once: a trial commits twice.
fn uses_wal(connection: &Connection) -> bool {
    let Ok(mut statement) = connection.prepare_cached("PRAGMA journal_mode") else { return false };
    let mode = statement.query_row([], |row| row.get::<_, String>(0));
    mode.as_deref() == Ok("wal")
}

/// Returns the length of a file that must be the known one.
fn require_same(path: &Path, known: FileId) -> Result<u64, Lost> {
    let (found, bytes) = look(path)?;
    if found == known { Ok(bytes) } else { Err(Lost::Replaced(path.to_owned())) }
}

fn look(path: &Path) -> Result<(FileId, u64), Lost> {
    file_id(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Lost::Replaced(path.to_owned()),
        _ => Lost::Unknown(path.to_owned(), error),
    })
}

/// Returns a file's identity and its length.
fn file_id(path: &Path) -> io::Result<(FileId, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((FileId { device: metadata.dev(), inode: metadata.ino() }, metadata.len()))
}
