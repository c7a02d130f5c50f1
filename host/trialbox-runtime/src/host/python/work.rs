//! The folder of an archived objective, unpacked for its guest process.

use crate::wire::protocol::Grant;
use crate::wire::python::WORK_PATH;
use std::io::{self, Write as _};
use trialbox_core::study::artifact::{Archive, ArchivedFile};
use trialbox_files::{FileError, Folder, remove_named_tree};

/// A folder of this user's alone with the files of an archive. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct WorkFolder(Folder);

impl WorkFolder {
    /// Writes the files where the system keeps temporary files.
    ///
    /// # Errors
    /// Fails if they cannot be written there.
    pub(crate) fn new(archive: &Archive) -> Result<Self, FileError> {
        let work = WorkFolder(Folder::temporary("trialbox-work")?);
        archive.files.iter().try_for_each(|file| write(&work.0, file))?;
        Ok(work)
    }

    /// Returns the grant of the folder, for reading.
    ///
    /// # Errors
    /// Fails if it is not there any more.
    pub(crate) fn grant(&self) -> io::Result<Grant> {
        Grant::of(self.0.path().to_owned(), WORK_PATH.to_owned(), false)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to remove.
        let _ = remove_named_tree(self.0.path());
    }
}

/// Writes a file, whose path was checked when the archive was read.
fn write(root: &Folder, file: &ArchivedFile) -> Result<(), FileError> {
    let (folders, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let mut inside = None;
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        inside = Some(inside.as_ref().unwrap_or(root).open_or_create_folder(folder.as_ref())?);
    }
    let folder = inside.as_ref().unwrap_or(root);
    // No sync: the files go with the process.
    folder.create_new(name.as_ref())?.write_all(&file.bytes).map_err(|source| FileError::Io {
        operation: "write",
        path: folder.path().join(name),
        source,
    })
}
