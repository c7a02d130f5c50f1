//! The folders through which a path leads, by identity: two names of one folder are the same folder.

use rustix::fd::AsFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

/// The number of links that the kernel follows in a path, see path_resolution(7).
pub(crate) const MAX_LINKS: usize = 40;

/// The identity of a file or folder, which all its names share, also those by a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Returns the identity of a folder. It is opened, because an automounter mounts what is opened.
    ///
    /// # Errors
    /// Fails if no folder is there.
    pub fn of_folder(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Not `open`, which is a system call of its own that a confined process lacks.
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Identity::of_open(&folder)
    }

    /// Returns the identity of an open file or folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of_open(file: impl AsFd) -> io::Result<Self> {
        Ok(Identity::from(&rustix::fs::fstat(file)?))
    }

    /// Returns the numbers of the file system and of the file in it.
    pub fn numbers(self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Returns the identity of the file or folder at a path, after following links.
    ///
    /// # Errors
    /// Fails if nothing is there.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Identity::from(&rustix::fs::stat(path)?))
    }
}

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Self {
        Identity { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// The way to a file or folder: every folder in which a name decides where the path leads.
#[derive(Debug)]
pub struct Way {
    folders: Vec<Identity>,
    end: PathBuf,
}

impl Way {
    /// Follows a path, of which the last parts need not exist.
    ///
    /// # Errors
    /// Fails if the path leads in a circle, or a folder on it cannot be searched.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut way = Way { folders: vec![], end: PathBuf::from("/") };
        let mut pending = vec![];
        push(&mut pending, &std::path::absolute(path)?);
        let mut n_links = 0;
        while let Some(step) = pending.pop() {
            match step {
                Step::Root => way.end = PathBuf::from("/"),
                Step::Up => {
                    way.end.pop();
                }
                Step::Down(name) => {
                    if let Some(target) = way.descend(name)? {
                        n_links += 1;
                        if n_links > MAX_LINKS {
                            return Err(Errno::LOOP.into());
                        }
                        push(&mut pending, &target);
                    }
                }
            }
        }
        way.note_folder()?;
        Ok(way)
    }

    /// Returns whether a name in a folder decides where the path leads, or the path leads to the folder.
    pub fn leads_through(&self, folder: Identity) -> bool {
        self.folders.contains(&folder)
    }

    /// Returns the path without links.
    pub fn end(&self) -> &Path {
        &self.end
    }

    /// Notes the current place, if it is a folder.
    fn note_folder(&mut self) -> io::Result<()> {
        match rustix::fs::lstat(&self.end) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                self.folders.push(Identity::from(&stat));
                Ok(())
            }
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes to an entry of the current folder, or returns where a link leads instead.
    fn descend(&mut self, name: OsString) -> io::Result<Option<PathBuf>> {
        self.note_folder()?;
        let next = self.end.join(name);
        match rustix::fs::readlink(&next, vec![]) {
            Ok(target) => Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes())))),
            // It is no link, or nothing is there yet.
            Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => {
                self.end = next;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A part of a path.
pub(crate) enum Step {
    Root,
    Up,
    Down(OsString),
}

/// Adds the parts of a path to those that are still to be followed, of which the last is the next.
pub(crate) fn push(pending: &mut Vec<Step>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::RootDir => pending.push(Step::Root),
            Component::ParentDir => pending.push(Step::Up),
            Component::Normal(name) => pending.push(Step::Down(name.to_owned())),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
}
