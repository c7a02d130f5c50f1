//! Copying and removing a directory that a guest has written to. A guest that was wrongly taken for dead may still
//! write to it, so links are never followed: neither those found at first nor those that replace an entry during the
//! work.

mod content;

#[cfg(test)]
mod tests;

use crate::folder::Folder;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, fsync, linkat, mkdirat, openat, readlinkat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Directories nested deeper than this are refused: each takes a descriptor.
const MAX_DEPTH: usize = 64;

/// The number of entries that are inspected in a directory, where a sample is enough.
const MAX_LOOKED_AT: u32 = 100_000;

/// The number of times that a directory is emptied while other processes create files in it.
const MAX_PASSES: usize = 3;

impl Folder {
    /// Copies all that is in this directory to another one, which is empty, and syncs it. Returns how many files there
    /// were. A file that takes little of the disk, because it has holes or several names, takes no more as a copy.
    /// `go_on` is asked in between, and ends the work with its error.
    ///
    /// # Errors
    /// Whatever is neither file, link nor directory; nesting deeper than 64; those of the file system.
    pub fn copy_tree(
        &self,
        to: &Folder,
        go_on: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<u64> {
        let (from, root) = (self.as_fd(), to.as_fd());
        let mut copying =
            Copying { go_on, n_files: 0, root, path: PathBuf::new(), linked: HashMap::new() };
        copying.directory(from, root, 0)?;
        Ok(copying.n_files)
    }

    /// Removes an entry, if it is a directory with all that is in it. A missing entry is as good. `go_on` is asked in
    /// between, and ends the work with its error: the rest stays.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove_tree(
        &self,
        name: &OsStr,
        go_on: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        let name = CString::new(name.as_encoded_bytes())?;
        if !is_directory(self.as_fd(), &name)? {
            return gone(unlinkat(self, &name, AtFlags::empty()));
        }
        go_on()?;
        let top = match openat(self, &name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            top => top?,
        };
        let mut passes = 0;
        loop {
            let mut emptying = Emptying { top: top.as_fd(), n_raised: 0, go_on: &mut *go_on };
            emptying.empty(top.as_fd(), 0)?;
            passes = if emptying.n_raised > 0 { 0 } else { passes + 1 };
            match unlinkat(self, &name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY) if passes < MAX_PASSES => {}
                removed => return gone(removed),
            }
        }
    }

    /// Returns whether this directory has a file, at any depth, that `is_wanted` accepts. `go_on` is asked in between,
    /// and ends the work with its error.
    ///
    /// # Errors
    /// As for [`Folder::copy_tree`], but pipes and the like are passed over; more than 100,000 entries before there is
    /// one.
    pub fn any_file(
        &self,
        is_wanted: &mut dyn FnMut(&Stat) -> bool,
        go_on: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<bool> {
        Looking { is_wanted, go_on, n_left: MAX_LOOKED_AT }.directory(self.as_fd(), 0)
    }
}

struct Looking<'a> {
    is_wanted: &'a mut dyn FnMut(&Stat) -> bool,
    go_on: &'a mut dyn FnMut() -> io::Result<()>,
    n_left: u32,
}

impl Looking<'_> {
    fn directory(&mut self, directory: BorrowedFd<'_>, depth: usize) -> io::Result<bool> {
        check_depth(depth)?;
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !is_entry(name) {
                continue;
            }
            self.n_left = self.n_left.checked_sub(1).ok_or_else(|| {
                io::Error::other(format!("there are more than {MAX_LOOKED_AT} entries"))
            })?;
            (self.go_on)()?;
            match self.entry(directory, name, depth) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(false) => {}
                found => return found,
            }
        }
        Ok(false)
    }

    fn entry(&mut self, parent: BorrowedFd<'_>, name: &CStr, depth: usize) -> io::Result<bool> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match file_type(&stat) {
            FileType::RegularFile => Ok((self.is_wanted)(&stat)),
            FileType::Directory => {
                self.directory(openat(parent, name, DIRECTORY, Mode::empty())?.as_fd(), depth + 1)
            }
            _ => Ok(false),
        }
    }
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

struct Copying<'a> {
    go_on: &'a mut dyn FnMut() -> io::Result<()>,
    n_files: u64,
    root: BorrowedFd<'a>,
    /// The current place in it. No other process writes there.
    path: PathBuf,
    /// Files that have other names too, by device and inode: where their copies are.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Copying<'_> {
    fn directory(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        depth: usize,
    ) -> io::Result<()> {
        check_depth(depth)?;
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_entry(name) {
                match self.entry(from, to, name, depth) {
                    // A process that still writes there has renamed or removed it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    copied => copied?,
                }
            }
        }
        // Not every file system can sync a directory.
        let _ = fsync(to);
        Ok(())
    }

    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        depth: usize,
    ) -> io::Result<()> {
        (self.go_on)()?;
        match file_type(&statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?) {
            FileType::RegularFile => self.file(from, to, name),
            FileType::Directory => {
                let from = openat(from, name, DIRECTORY, Mode::empty())?;
                mkdirat(to, name, Mode::RWXU | Mode::RWXG | Mode::RWXO)?;
                let to = openat(to, name, DIRECTORY, Mode::empty())?;
                self.path.push(OsStr::from_bytes(name.to_bytes()));
                let copied = self.directory(from.as_fd(), to.as_fd(), depth + 1);
                self.path.pop();
                copied
            }
            FileType::Symlink => {
                Ok(symlinkat(readlinkat(from, name, Vec::new())?.as_c_str(), to, name)?)
            }
            _ => Err(refuse(name)),
        }
    }

    fn file(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        // It may have become something else meanwhile: a link is not followed, and a pipe not waited for.
        let reading = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source = File::from(openat(from, name, reading, Mode::empty())?);
        let stat = fstat(&source)?;
        if file_type(&stat) != FileType::RegularFile {
            return Err(refuse(name));
        }
        self.n_files += 1;
        let has_other_names = stat.st_nlink > 1;
        let identity = (stat.st_dev, stat.st_ino);
        if let Some(copy) = self.linked.get(&identity).filter(|_| has_other_names) {
            return Ok(linkat(self.root, copy, to, name, AtFlags::empty())?);
        }
        let writing = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
        let target = File::from(openat(to, name, writing, mode)?);
        content::copy(&source, &target, &stat, self.go_on)?;
        if has_other_names {
            self.linked.insert(identity, self.path.join(OsStr::from_bytes(name.to_bytes())));
        }
        Ok(())
    }
}

/// The removal of all that is in a directory.
struct Emptying<'a> {
    top: BorrowedFd<'a>,
    /// The number of directories that were moved to the top.
    n_raised: u64,
    go_on: &'a mut dyn FnMut() -> io::Result<()>,
}

impl Emptying<'_> {
    fn empty(&mut self, directory: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !is_entry(name) {
                continue;
            }
            (self.go_on)()?;
            if !is_directory(directory, name)? {
                gone(unlinkat(directory, name, AtFlags::empty()))?;
            } else if depth < MAX_DEPTH {
                self.remove(directory, name, depth)?;
            } else {
                // Each level takes a descriptor, so what lies deeper is emptied from the top, in another pass.
                let raised = format!(".{:016x}", rand::random::<u64>());
                gone(renameat(directory, name, self.top, raised))?;
                self.n_raised += 1;
            }
        }
        Ok(())
    }

    fn remove(&mut self, parent: BorrowedFd<'_>, name: &CStr, depth: usize) -> io::Result<()> {
        for pass in 1.. {
            let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
            self.empty(directory.as_fd(), depth + 1)?;
            match unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY) if pass < MAX_PASSES => {}
                removed => return gone(removed),
            }
        }
        Ok(())
    }
}

fn is_directory(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(file_type(&stat) == FileType::Directory),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn is_entry(name: &CStr) -> bool {
    name != c"." && name != c".."
}

fn check_depth(depth: usize) -> io::Result<()> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(io::Error::other(format!("directories are nested deeper than {MAX_DEPTH}")))
}

fn refuse(name: &CStr) -> io::Error {
    let name = name.to_string_lossy();
    io::Error::other(format!("`{}` is neither a file nor a directory", name.escape_debug()))
}
