//! Files that the user named: links on the way and at the end are the user's word, and FIFOs are still not waited for.

use crate::error::FileError;
use crate::folder::{Folder, open_regular};
use crate::kind::FileKind;
use rustix::fs::{CWD, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Opens a regular file that the user named. A link is followed.
///
/// # Errors
/// [`FileError::WrongKind`] for a FIFO, a device, a socket or a folder; it never waits for one.
pub fn open_named(path: &Path) -> Result<File, FileError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open_regular(CWD, path.as_os_str(), flags, Mode::empty(), path)
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
