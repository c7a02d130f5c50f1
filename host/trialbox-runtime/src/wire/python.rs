//! The files of a runtime for Python.

use rustix::fs::{Stat, fstat};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use trialbox_files::{FileError, Folder};

/// The path of the standard library's folder in the guest.
pub(crate) const LIBRARY_PATH: &str = "/usr/local/lib";

/// The path of the recipe's folder in the guest that makes a snapshot.
pub(crate) const RECIPE_PATH: &str = "/trialbox";

/// The path of the folder of an objective in Python, in the guest.
pub const WORK_PATH: &str = "/work";

/// The identity of a file's content without reading it. A file that is written to, renamed over or copied gets another
/// one; only root and a changed clock can give it back.
///
/// The device is not a part: each node numbers the mounts of a network file system for itself, and would compute the
/// digests anew after each other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    inode: u64,
    pub(crate) bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Returns the stamp of an open file.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let stat: Stat = fstat(file.as_fd())?;
        Ok(Stamp {
            inode: stat.st_ino,
            bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        })
    }
}

/// A file and its stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StampedFile {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) stamp: Stamp,
}

impl StampedFile {
    /// Stamps a file.
    #[cfg(test)]
    pub(crate) fn of(folder: PathBuf, name: String) -> Result<Self, StampError> {
        let file = Folder::open(&folder)?.open_file(name.as_ref())?;
        let stamp = Stamp::of(&file).map_err(StampError::Unknown)?;
        Ok(StampedFile { folder, name, stamp })
    }

    /// Opens the file, if it is the one that was stamped.
    ///
    /// # Errors
    /// Fails if it cannot be opened, or is another one.
    pub(crate) fn open(&self) -> Result<File, StampError> {
        let file = Folder::open(&self.folder)?.open_file(self.name.as_ref())?;
        match Stamp::of(&file) {
            Ok(stamp) if stamp == self.stamp => Ok(file),
            Ok(_) => Err(StampError::Changed { path: self.folder.join(&self.name) }),
            Err(error) => Err(StampError::Unknown(error)),
        }
    }
}

/// A file that is not the one that was stamped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StampError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("`{}` has changed since it was checked", path.display())]
    Changed { path: PathBuf },
    #[error(transparent)]
    Unknown(io::Error),
}

/// A runtime for Python whose files the host process has checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuntimeFiles {
    /// The name and the version of the interpreter's distribution.
    pub(crate) label: String,
    /// The folder with the standard library.
    pub(crate) library: PathBuf,
    /// The standard library.
    pub(crate) library_file: StampedFile,
    /// The compiled code, one file for each kind of machine.
    pub(crate) codes: Vec<StampedFile>,
    /// The memory of an interpreter that has imported what objectives import.
    pub(crate) snapshot: StampedFile,
}
