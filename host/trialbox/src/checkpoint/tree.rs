//! Copying and removing a directory that a guest has written to, and that one which was wrongly taken for dead may
//! still be writing to: links are not followed, neither where they were made nor where they take the place of
//! something else in the middle of the work.

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, fsync, mkdirat, openat, readlinkat,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Directories nested deeper than this are refused: each takes a descriptor.
const MAX_DEPTH: usize = 64;

/// How much is copied at once, in bytes.
const PIECE: u64 = 64 << 20;

/// How many entries of a directory are looked at, where not all need to be.
const MAX_LOOKED_AT: u32 = 100_000;

/// How often a directory is emptied in which others make new files.
const MAX_PASSES: usize = 3;

/// Copies all that is in a directory to another one, which is empty, and syncs it. Returns how many files there were.
/// `go_on` is asked in between, and ends the work with its error.
///
/// # Errors
/// Whatever is neither file, link nor directory; nesting deeper than [`MAX_DEPTH`]; those of the file system.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    go_on: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<u64> {
    let open = |path: &Path| openat(CWD, path, DIRECTORY, Mode::empty());
    Copying { go_on, n_files: 0 }.directory(&open(from)?, &open(to)?, 0)
}

/// Removes a directory with all that is in it. One that is not there is as good.
///
/// # Errors
/// As for [`copy`].
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // Where it lies is the user's choice; a link is only refused further down.
    let parent = match openat(CWD, parent, DIRECTORY - OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        parent => parent?,
    };
    let name = std::ffi::CString::new(name.as_encoded_bytes())?;
    remove_at(&parent, &name, 0)
}

/// Whether a directory has a file, at any depth, of which `is_wanted` holds. Not more than [`MAX_LOOKED_AT`] entries
/// are looked at. `go_on` is asked in between, and ends the work with its error.
///
/// # Errors
/// As for [`copy`], but pipes and the like are passed over.
pub(super) fn any_file(
    path: &Path,
    is_wanted: &mut dyn FnMut(&Stat) -> bool,
    go_on: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<bool> {
    let directory = openat(CWD, path, DIRECTORY, Mode::empty())?;
    Looking { is_wanted, go_on, n_left: MAX_LOOKED_AT }.directory(&directory, 0)
}

struct Looking<'a> {
    is_wanted: &'a mut dyn FnMut(&Stat) -> bool,
    go_on: &'a mut dyn FnMut() -> io::Result<()>,
    n_left: u32,
}

impl Looking<'_> {
    fn directory(&mut self, directory: &OwnedFd, depth: usize) -> io::Result<bool> {
        check_depth(depth)?;
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !is_entry(name) {
                continue;
            }
            let Some(n_left) = self.n_left.checked_sub(1) else { return Ok(false) };
            self.n_left = n_left;
            (self.go_on)()?;
            match self.entry(directory, name, depth) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(false) => {}
                found => return found,
            }
        }
        Ok(false)
    }

    fn entry(&mut self, parent: &OwnedFd, name: &CStr, depth: usize) -> io::Result<bool> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match file_type(&stat) {
            FileType::RegularFile => Ok((self.is_wanted)(&stat)),
            FileType::Directory => {
                self.directory(&openat(parent, name, DIRECTORY, Mode::empty())?, depth + 1)
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
}

impl Copying<'_> {
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<u64> {
        check_depth(depth)?;
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_entry(name) {
                match self.entry(from, to, name, depth) {
                    // Whoever still writes there has renamed or removed it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    copied => copied?,
                }
            }
        }
        // Not every file system can sync a directory.
        let _ = fsync(to);
        Ok(self.n_files)
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> io::Result<()> {
        (self.go_on)()?;
        match file_type(&statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?) {
            FileType::RegularFile => self.file(from, to, name),
            FileType::Directory => {
                let from = openat(from, name, DIRECTORY, Mode::empty())?;
                mkdirat(to, name, Mode::RWXU | Mode::RWXG | Mode::RWXO)?;
                let to = openat(to, name, DIRECTORY, Mode::empty())?;
                self.directory(&from, &to, depth + 1).map(drop)
            }
            FileType::Symlink => {
                Ok(symlinkat(readlinkat(from, name, Vec::new())?.as_c_str(), to, name)?)
            }
            _ => Err(refuse(name)),
        }
    }

    fn file(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr) -> io::Result<()> {
        // It may have become something else meanwhile: a link is not followed, and a pipe not waited for.
        let reading = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source = File::from(openat(from, name, reading, Mode::empty())?);
        let stat = fstat(&source)?;
        if file_type(&stat) != FileType::RegularFile {
            return Err(refuse(name));
        }
        let writing = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
        let mut target = File::from(openat(to, name, writing, mode)?);
        // As long as it was: whoever appends to it for ever is not waited for either.
        let mut left = u64::try_from(stat.st_size).unwrap_or(0);
        while left > 0 {
            let copied = io::copy(&mut (&source).take(left.min(PIECE)), &mut target)?;
            left = if copied == 0 { 0 } else { left - copied };
            (self.go_on)()?;
        }
        target.sync_all()?;
        self.n_files += 1;
        Ok(())
    }
}

fn remove_at(parent: &OwnedFd, name: &CStr, depth: usize) -> io::Result<()> {
    check_depth(depth)?;
    let is_directory = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => file_type(&stat) == FileType::Directory,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !is_directory {
        return gone(unlinkat(parent, name, AtFlags::empty()));
    }
    for pass in 1.. {
        empty(&openat(parent, name, DIRECTORY, Mode::empty())?, depth)?;
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) if pass < MAX_PASSES => {}
            removed => return gone(removed),
        }
    }
    Ok(())
}

fn empty(directory: &OwnedFd, depth: usize) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if is_entry(entry.file_name()) {
            remove_at(directory, entry.file_name(), depth + 1)?;
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// Two fresh directories of a test's own, `from` and `to`.
    fn directories(test: &str) -> (PathBuf, PathBuf) {
        let folder =
            std::env::temp_dir().join(format!("trialbox-tree-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(&from).expect("a directory for temporary files");
        fs::create_dir(&to).expect("the same");
        (from, to)
    }

    fn copy_all(from: &Path, to: &Path) -> io::Result<u64> {
        copy(from, to, &mut || Ok(()))
    }

    #[test]
    fn files_and_directories_are_copied_and_removed() -> io::Result<()> {
        let (from, to) = directories("plain");
        fs::create_dir_all(from.join("a/b"))?;
        fs::write(from.join("a/b/weights"), b"one")?;
        fs::write(from.join("empty"), b"")?;
        assert_eq!(copy_all(&from, &to)?, 2);
        assert_eq!(fs::read(to.join("a/b/weights"))?, b"one");
        assert_eq!(fs::read(to.join("empty"))?, b"");
        remove(&from)?;
        assert!(!from.exists());
        remove(&from)?;
        remove(&from.join("a"))?;
        assert_eq!(fs::read(to.join("a/b/weights"))?, b"one");
        remove(to.parent().expect("the test's folder"))
    }

    #[test]
    fn links_stay_links_and_what_they_lead_to_is_neither_read_nor_removed() -> io::Result<()> {
        let (from, to) = directories("links");
        let secret = from.with_file_name("secret");
        fs::create_dir(&secret)?;
        fs::write(secret.join("key"), b"private")?;
        std::os::unix::fs::symlink(secret.join("key"), from.join("file"))?;
        std::os::unix::fs::symlink(&secret, from.join("directory"))?;
        assert_eq!(copy_all(&from, &to)?, 0);
        for name in ["file", "directory"] {
            assert!(to.join(name).symlink_metadata()?.is_symlink(), "{name}");
        }
        remove(&from)?;
        remove(&to)?;
        assert_eq!(fs::read(secret.join("key"))?, b"private");
        // Nor if the directory itself has become one.
        fs::create_dir(&to)?;
        std::os::unix::fs::symlink(&secret, &from)?;
        copy_all(&from, &to).expect_err("it is a link");
        remove(&from)?;
        assert_eq!(fs::read(secret.join("key"))?, b"private");
        remove(to.parent().expect("the test's folder"))
    }

    #[test]
    fn sockets_and_endless_nesting_are_refused() -> io::Result<()> {
        let (from, to) = directories("refused");
        let socket = std::os::unix::net::UnixListener::bind(from.join("socket"))?;
        let error = copy_all(&from, &to).expect_err("a socket").to_string();
        assert_eq!(error, "`socket` is neither a file nor a directory");
        drop(socket);
        remove(&from)?;
        fs::create_dir_all(from.join("d/".repeat(MAX_DEPTH)))?;
        copy_all(&from, &to)?;
        fs::create_dir_all(from.join("d/".repeat(MAX_DEPTH + 1)))?;
        let error = remove(&from).expect_err("too deep").to_string();
        assert_eq!(error, "directories are nested deeper than 64");
        fs::remove_dir_all(from.parent().expect("the test's folder"))
    }

    #[test]
    fn a_copy_ends_when_it_may_not_go_on() -> io::Result<()> {
        let (from, to) = directories("ended");
        fs::write(from.join("weights"), b"one")?;
        let error = copy(&from, &to, &mut || Err(io::ErrorKind::Interrupted.into()));
        assert_eq!(error.map_err(|error| error.kind()), Err(io::ErrorKind::Interrupted));
        assert_eq!(fs::read_dir(&to)?.count(), 0);
        remove(to.parent().expect("the test's folder"))
    }
}
