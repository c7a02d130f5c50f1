//! Files below a folder, found as a guest finds them: by handle, and never out of the folder.

use crate::error::FileError;
use crate::folder::{Folder, READING, kind_of, open_regular};
use crate::kind::FileKind;
use crate::way::{MAX_LINKS, Step, push};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// A file or folder below a folder.
#[derive(Debug)]
pub enum Beneath {
    /// A regular file, open for reading.
    File(File),
    /// A folder.
    Folder,
}

impl Folder {
    /// Opens a file or folder below this one. Links are followed as long as they stay below it, as WASI does in a
    /// granted folder. `RESOLVE_BENEATH` of openat2(2) has the same rule, but does not tell which link breaks it.
    ///
    /// # Errors
    /// [`FileError::LeadsOut`] for a link or a path that leaves the folder; [`FileError::WrongKind`] for a FIFO, a
    /// device or a socket, which is not opened.
    pub fn open_beneath(&self, path: &Path) -> Result<Beneath, FileError> {
        let mut walk = Walk { root: self, opened: vec![], names: PathBuf::new() };
        let mut pending = Vec::new();
        let mut way_out = FileError::LeadsOut { path: path.to_owned(), target: None };
        let mut n_links = 0;
        push(&mut pending, path);
        while let Some(step) = pending.pop() {
            let name = match step {
                Step::Root => return Err(way_out),
                Step::Up if walk.opened.pop().is_none() => return Err(way_out),
                Step::Up => {
                    walk.names.pop();
                    continue;
                }
                Step::Down(name) => name,
            };
            match walk.kind(&name)? {
                FileKind::Link => {
                    n_links += 1;
                    if n_links > MAX_LINKS {
                        return Err(walk.io_error("open", &name, Errno::LOOP));
                    }
                    let target = walk.link_target(&name)?;
                    push(&mut pending, &target);
                    way_out = FileError::LeadsOut { path: walk.path(&name), target: Some(target) };
                }
                FileKind::Directory => walk.enter(name)?,
                FileKind::Regular if pending.is_empty() => {
                    return Ok(Beneath::File(walk.open_file(&name)?));
                }
                FileKind::Regular => return Err(walk.io_error("open", &name, Errno::NOTDIR)),
                found => {
                    let expected = FileKind::Regular;
                    return Err(FileError::WrongKind { path: walk.path(&name), expected, found });
                }
            }
        }
        Ok(Beneath::Folder)
    }
}

/// A walk below a folder. A step up returns to the handle from which the walk came down, so it never leaves the root.
struct Walk<'a> {
    root: &'a Folder,
    opened: Vec<OwnedFd>,
    /// The names of the opened folders.
    names: PathBuf,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        match self.opened.last() {
            Some(folder) => folder.as_fd(),
            None => self.root.as_fd(),
        }
    }

    fn path(&self, name: &OsStr) -> PathBuf {
        self.root.path().join(&self.names).join(name)
    }

    fn kind(&self, name: &OsStr) -> Result<FileKind, FileError> {
        rustix::fs::statat(self.here(), name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|stat| kind_of(&stat))
            .map_err(|error| self.io_error("find", name, error))
    }

    fn link_target(&self, name: &OsStr) -> Result<PathBuf, FileError> {
        let target = rustix::fs::readlinkat(self.here(), name, vec![])
            .map_err(|error| self.io_error("read", name, error))?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    fn enter(&mut self, name: OsString) -> Result<(), FileError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(self.here(), &name, flags, Mode::empty())
            .map_err(|error| self.io_error("open", &name, error))?;
        self.opened.push(folder);
        self.names.push(name);
        Ok(())
    }

    fn open_file(&self, name: &OsStr) -> Result<File, FileError> {
        let flags = OFlags::RDONLY | READING;
        open_regular(self.here(), name, flags, Mode::empty(), &self.path(name))
    }

    fn io_error(&self, operation: &'static str, name: &OsStr, error: Errno) -> FileError {
        FileError::Io { operation, path: self.path(name), source: io::Error::from(error) }
    }
}
