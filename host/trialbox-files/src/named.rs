//! Files that the user named: links on the way and at the end are the user's word, and FIFOs are still not waited for.

use crate::error::FileError;
use crate::folder::{Folder, READING, SMALL, kind_of, open_regular};
use crate::kind::FileKind;
use crate::place::place;
use rustix::fd::AsFd as _;
use rustix::fs::{CWD, Mode, OFlags};
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::SystemTime;

/// Opens a regular file that the user named. A link is followed.
///
/// # Errors
/// [`FileError::WrongKind`] for a FIFO, a device, a socket or a folder; it never waits for one.
pub fn open_named(path: &Path) -> Result<File, FileError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open_regular(CWD, path.as_os_str(), flags, Mode::empty(), path)
}

/// Checks that a path that the user named leads to a regular file or to nothing yet, without opening it.
///
/// # Errors
/// [`FileError::WrongKind`] for anything else.
pub fn check_named(path: &Path) -> Result<(), FileError> {
    match rustix::fs::stat(path).map(|stat| kind_of(&stat)) {
        Ok(FileKind::Regular) | Err(_) => Ok(()),
        Ok(found) => {
            let expected = FileKind::Regular;
            Err(FileError::WrongKind { path: path.to_owned(), expected, found })
        }
    }
}

/// Checks that a regular file stands under a path, or nothing, without opening it. A link at its end is neither.
///
/// # Errors
/// [`FileError::WrongKind`] for anything else.
pub fn check_regular(path: &Path) -> Result<(), FileError> {
    let expected = FileKind::Regular;
    match rustix::fs::lstat(path).map(|stat| kind_of(&stat)) {
        Ok(FileKind::Regular) | Err(_) => Ok(()),
        Ok(found) => Err(FileError::WrongKind { path: path.to_owned(), expected, found }),
    }
}

/// Reads a regular file of at most `limit` bytes that the user named.
///
/// # Errors
/// As [`open_named`]; [`FileError::TooLarge`] for a longer file, which is not read beyond the limit.
pub fn read_named(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    open_named(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| FileError::Io { operation: "read", path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Reads a regular file of at most `limit` bytes, with the time of its last change. A link at the end of the path is
/// not followed.
///
/// # Errors
/// As [`Folder::read`].
pub fn read_with_time(path: &Path, limit: u64) -> Result<(Vec<u8>, SystemTime), FileError> {
    let flags = OFlags::RDONLY | READING;
    let file = open_regular(CWD, path.as_os_str(), flags, Mode::empty(), path)?;
    let failed = |source| FileError::Io { operation: "read", path: path.to_owned(), source };
    let modified = file.metadata().and_then(|found| found.modified()).map_err(failed)?;
    let mut bytes = Vec::with_capacity(SMALL);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok((bytes, modified))
}

/// Gives a file another name in its folder, in place of another file of that name. No link is followed at their ends.
///
/// # Errors
/// Those of the file system.
pub fn rename_named(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat(CWD, from, CWD, to)?)
}

/// Writes a file that the user named: aside, synced, renamed, with the permissions given or those of the umask. A link
/// under the name is replaced; links on the way are followed.
///
/// # Errors
/// Fails if the folder cannot be written, or something else than a file or a link stands under the name.
pub fn write_named(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<(), FileError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = Folder::open_named(parent.unwrap_or(Path::new(".")))?;
    let Some(name) = path.file_name() else {
        return Err(FileError::WrongKind {
            path: path.to_owned(),
            expected: FileKind::Regular,
            found: FileKind::Directory,
        });
    };
    folder.check_replaceable(name)?;
    let mut aside = folder.aside(name)?;
    if let Some(mode) = mode {
        aside.set_mode(mode)?;
    }
    aside.write_bytes(bytes)?;
    aside.replace()
}

/// Creates a folder that the user named, with its parents.
///
/// # Errors
/// Fails if one of them cannot be created.
pub fn create_folders(path: &Path, mode: u32) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|source| FileError::Io {
        operation: "create",
        path: path.to_owned(),
        source,
    })
}

/// Creates an empty file that the user or the caller named, with these permissions as far as the umask allows them.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if anything stands under the name, also a link that leads nowhere.
pub fn create_named(path: &Path, mode: u32) -> Result<File, FileError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(mode)) {
        Ok(file) => Ok(File::from(file)),
        Err(error) => {
            Err(FileError::Io { operation: "create", path: path.to_owned(), source: error.into() })
        }
    }
}

/// Gives a file another name in its folder, which must be free, on file systems without hard links too. The old name
/// may still exist afterwards.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn place_named(from: &Path, to: &Path) -> io::Result<()> {
    let (Some(name), Some(new)) = (from.file_name(), to.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = Folder::open_named(parent.unwrap_or(Path::new(".")));
    place(folder.map_err(FileError::into_reason)?.as_fd(), name, new)
}

/// Removes a folder with all that is in it. No link is followed, and a missing folder is as good.
///
/// # Errors
/// Those of the file system.
pub fn remove_named_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Folder::open_named(parent)?.remove_tree(name, &mut || Ok(()))
}

/// Writes to a device of the system or to a descriptor of this process, such as `/dev/stdout` or `/dev/fd/63`.
///
/// # Errors
/// Fails if a FIFO has no reader, and if the write fails.
pub fn write_to_device(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed =
        |source: io::Error| FileError::Io { operation: "write", path: path.to_owned(), source };
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|error| failed(error.into()))?;
    // The reader is there, and may be slow.
    let flags = rustix::fs::fcntl_getfl(&file).map_err(|error| failed(error.into()))?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)
        .map_err(|error| failed(error.into()))?;
    File::from(file).write_all(bytes).map_err(failed)
}
