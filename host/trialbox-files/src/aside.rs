//! A file that is written aside and then takes its name.

use crate::error::FileError;
use crate::folder::Folder;
use rustix::fs::AtFlags;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};

/// A new file under a random name, which takes its final name when it is whole.
///
/// Dropping it without [`Aside::replace`] or [`Aside::publish`] removes it.
#[derive(Debug)]
pub struct Aside<'a> {
    folder: &'a Folder,
    file: File,
    name: OsString,
    aside: OsString,
}

impl<'a> Aside<'a> {
    pub(crate) fn new(folder: &'a Folder, file: File, name: &OsStr, aside: OsString) -> Self {
        Aside { folder, file, name: name.to_owned(), aside }
    }

    /// Syncs the file and gives it its name, in place of an earlier file or link of that name.
    ///
    /// # Errors
    /// Fails if the disk is full, or a directory stands under the name; nothing of the new file is left then.
    pub fn replace(self) -> Result<(), FileError> {
        self.sync()?;
        rustix::fs::renameat(self.folder, &self.aside, self.folder, &self.name)
            .map_err(|error| self.folder.io_error("replace", &self.name, error.into()))?;
        self.folder.sync()
    }

    /// Syncs the file and gives it its name, unless the name is taken.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken, also by a link that leads nowhere.
    pub fn publish(self) -> Result<(), FileError> {
        self.sync()?;
        rustix::fs::linkat(self.folder, &self.aside, self.folder, &self.name, AtFlags::empty())
            .map_err(|error| self.folder.io_error("create", &self.name, error.into()))?;
        self.folder.sync()
    }

    fn sync(&self) -> Result<(), FileError> {
        self.file.sync_all().map_err(|error| self.folder.io_error("write", &self.name, error))
    }
}

impl Write for Aside<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        // After `replace` the name is gone, and after a failure it is all that can be done.
        let _ = rustix::fs::unlinkat(self.folder, &self.aside, AtFlags::empty());
    }
}
