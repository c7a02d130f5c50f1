//! A folder for temporary files of an objective in Python, which goes with the objective's process.

use crate::wire::protocol::Grant;
use std::io;
use trialbox_files::{FileError, Folder, remove_named_tree};

/// The path in the guest, where Python looks for a place for temporary files.
pub(crate) const SCRATCH_PATH: &str = "/tmp";

/// A folder of this user's alone. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct ScratchFolder(Folder);

impl ScratchFolder {
    /// Creates the folder where the system keeps temporary files.
    ///
    /// # Errors
    /// Fails if it cannot be written there.
    pub(crate) fn new() -> Result<Self, FileError> {
        Folder::temporary("trialbox-scratch").map(ScratchFolder)
    }

    /// Returns the grant of the folder.
    ///
    /// # Errors
    /// Fails if it is not there any more.
    pub(crate) fn grant(&self) -> io::Result<Grant> {
        Grant::of(self.0.path().to_owned(), SCRATCH_PATH.to_owned(), true)
    }

    /// Removes what a trial left, so that the next one does not find it.
    pub(crate) fn empty(&self) -> io::Result<()> {
        let names = self.0.names().map_err(FileError::into_reason)?;
        names.iter().try_for_each(|name| self.0.remove_tree(name, &mut || Ok(())))
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to remove.
        let _ = remove_named_tree(self.0.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_does_not_find_what_an_earlier_one_left() {
        let scratch = ScratchFolder::new().expect("a place for temporary files");
        let path = scratch.grant().expect("it is there").host;
        std::fs::create_dir(path.join("folder")).expect("our folder");
        std::fs::write(path.join("folder/file"), "left").expect("our folder");
        std::os::unix::fs::symlink("/etc", path.join("link")).expect("our folder");
        scratch.empty().expect("our folder");
        assert_eq!(std::fs::read_dir(&path).expect("it is there").count(), 0);
        drop(scratch);
        assert!(!path.exists());
    }
}
