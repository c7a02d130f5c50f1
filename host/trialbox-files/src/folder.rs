//! A folder that is opened once and used through its handle, and files that are written aside in it.

use crate::error::FileError;
use crate::kind::FileKind;
use crate::place::place;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bits of a mode with which others than the owner may change a folder.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const OPEN_TO_OTHERS: u32 = 0o077;
const STICKY: u32 = 0o1000;

/// The permissions of a file that a group may share, as far as the umask allows it.
const SHARED: Mode = Mode::from_raw_mode(0o666);

/// The same for a folder.
const SHARED_FOLDER: Mode = Mode::from_raw_mode(0o777);

/// The flags with which a folder is opened that may have been replaced by a link.
const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The permissions of a file for this user alone.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The flags with which a file is opened that may have been replaced: no link is followed, no FIFO waited for.
pub(crate) const READING: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The room, in bytes, with which the reading of a file starts: std asks for 32 bytes first, and most of our files are
/// short.
pub(crate) const SMALL: usize = 1024;

/// A folder, held open: whatever becomes of its path, reads and writes go to the folder that was opened.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder. Its last component may not be a link; links before it are the user's or the system's way.
    ///
    /// # Errors
    /// [`FileError::WrongKind`] if anything but a folder stands there.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        // `O_DIRECTORY` with `O_NOFOLLOW` refuses a link with ENOTDIR or ELOOP, and a FIFO without waiting for it.
        Self::open_with(path, OFlags::NOFOLLOW)
    }

    /// Creates a folder for this user alone among the files that programs put aside.
    ///
    /// # Errors
    /// Fails if the system's folder for temporary files cannot be written.
    pub fn temporary(name: &str) -> Result<Self, FileError> {
        let name = format!("{name}-{:016x}", rand::random::<u64>());
        Self::open_named(&std::env::temp_dir())?.create_private_folder(OsStr::new(&name))
    }

    /// Opens a folder that the user named: a link as its last component is followed.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn open_named(path: &Path) -> Result<Self, FileError> {
        Self::open_with(path, OFlags::empty())
    }

    fn open_with(path: &Path, flags: OFlags) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | flags;
        match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(handle) => Ok(Folder { handle, path: path.to_owned() }),
            Err(error) => Err(explain_open(CWD, path.as_os_str(), path.to_owned(), error.into())),
        }
    }

    /// Opens a folder, and creates it (not its parents) if it does not exist, with the permissions of the umask.
    ///
    /// # Errors
    /// As [`Folder::open`], and if it cannot be created.
    pub fn open_or_create(path: &Path) -> Result<Self, FileError> {
        Self::create(path, Mode::from_raw_mode(0o777))?;
        Self::open(path)
    }

    /// Opens a folder that only this user can change, and creates it with its parents if it does not exist.
    ///
    /// # Errors
    /// [`FileError::NotPrivate`] if another user owns it or one of its ancestors, or could rename, replace or write to
    /// one of them. `/` and folders of root's count as safe, as do sticky folders such as `/tmp`.
    pub fn open_private(path: &Path) -> Result<Self, FileError> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
            && !parent.is_dir()
        {
            Self::open_private(parent)?;
        }
        Self::create(path, Mode::from_raw_mode(0o700))?;
        Self::open_existing_private(path)
    }

    /// Opens a folder that only this user can change.
    ///
    /// # Errors
    /// As [`Folder::open_private`], and if the folder does not exist.
    pub fn open_existing_private(path: &Path) -> Result<Self, FileError> {
        let folder = Self::open(path)?;
        folder.check_private()?;
        Ok(folder)
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// [`FileError::WrongKind`] if anything but a folder stands there, also for a link to a folder.
    pub fn open_folder(&self, name: &OsStr) -> Result<Self, FileError> {
        let (path, flags) = (self.path.join(name), FOLDER);
        match rustix::fs::openat(self, name, flags, Mode::empty()) {
            Ok(handle) => Ok(Folder { handle, path }),
            Err(error) => Err(explain_open(self.as_fd(), name, path, error.into())),
        }
    }

    /// Creates a folder in this one, with the permissions of the umask, and opens it.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken.
    pub fn create_folder(&self, name: &OsStr) -> Result<Self, FileError> {
        rustix::fs::mkdirat(self, name, SHARED_FOLDER)
            .map_err(|error| self.io_error("create", name, error.into()))?;
        self.open_folder(name)
    }

    /// Creates a folder in this one for this user alone, and opens it.
    ///
    /// # Errors
    /// As [`Folder::create_folder`].
    pub fn create_private_folder(&self, name: &OsStr) -> Result<Self, FileError> {
        rustix::fs::mkdirat(self, name, Mode::RWXU)
            .map_err(|error| self.io_error("create", name, error.into()))?;
        self.open_folder(name)
    }

    /// Opens a folder in this one, and creates it if it does not exist.
    ///
    /// # Errors
    /// As [`Folder::open_folder`], and if it cannot be created.
    pub fn open_or_create_folder(&self, name: &OsStr) -> Result<Self, FileError> {
        match self.create_folder(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.open_folder(name),
            created => created,
        }
    }

    /// Gives an entry a second name, which must be free.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken; any other kind if the file system has no hard links.
    pub fn link(&self, from: &OsStr, to: &OsStr) -> Result<(), FileError> {
        rustix::fs::linkat(self, from, self, to, AtFlags::empty())
            .map_err(|error| self.io_error("link", to, error.into()))
    }

    /// Creates a file under a random name and removes it.
    ///
    /// # Errors
    /// Fails if the folder cannot be written.
    pub fn check_writable(&self) -> Result<(), FileError> {
        let name = OsString::from(format!(".trialbox-probe-{:016x}", rand::random::<u64>()));
        self.create_new(&name)?;
        self.remove_file(&name)
    }

    /// Removes an empty folder in this one.
    ///
    /// # Errors
    /// Fails if it is not empty, or anything but a folder stands there.
    pub fn remove_folder(&self, name: &OsStr) -> Result<(), FileError> {
        rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR)
            .map_err(|error| self.io_error("remove", name, error.into()))
    }

    /// Gives an entry another name. A file of that name is replaced, as is an empty folder by a folder.
    ///
    /// # Errors
    /// Fails if there is no such entry, or a folder that is not empty has the name.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), FileError> {
        rustix::fs::renameat(self, from, self, to)
            .map_err(|error| self.io_error("rename", from, error.into()))
    }

    /// Returns the path by which the folder was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a file that will have this name once it is whole.
    ///
    /// # Errors
    /// Fails if no file can be created here.
    pub fn aside(&self, name: &OsStr) -> Result<Aside<'_>, FileError> {
        self.aside_with(name, SHARED)
    }

    /// Starts a file that only this user can read and change.
    ///
    /// # Errors
    /// As [`Folder::aside`].
    pub fn aside_private(&self, name: &OsStr) -> Result<Aside<'_>, FileError> {
        self.aside_with(name, PRIVATE)
    }

    fn aside_with(&self, name: &OsStr, mode: Mode) -> Result<Aside<'_>, FileError> {
        let mut aside = OsString::from(".");
        aside.push(name);
        aside.push(format!(".{:016x}.tmp", rand::random::<u64>()));
        let file = self.create_with(&aside, mode)?;
        Ok(Aside { folder: self, file, name: name.to_owned(), aside })
    }

    /// Writes a file: aside, synced, renamed. A file or link of that name is replaced.
    ///
    /// # Errors
    /// Fails if the disk is full or the folder cannot be written; an earlier file of that name is untouched then.
    pub fn write(&self, name: &OsStr, bytes: &[u8]) -> Result<(), FileError> {
        let mut aside = self.aside(name)?;
        aside.write_bytes(bytes)?;
        aside.replace()
    }

    /// Writes a file whose name must be free: aside, synced, placed.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken.
    pub fn write_new(&self, name: &OsStr, bytes: &[u8]) -> Result<(), FileError> {
        let mut aside = self.aside(name)?;
        aside.write_bytes(bytes)?;
        aside.publish()
    }

    /// Creates a file under a name that must be free, and opens it for writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if anything stands there, also a link that leads nowhere.
    pub fn create_new(&self, name: &OsStr) -> Result<File, FileError> {
        self.create_with(name, SHARED)
    }

    fn create_with(&self, name: &OsStr, mode: Mode) -> Result<File, FileError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self, name, flags, mode)
            .map(File::from)
            .map_err(|error| self.io_error("create", name, error.into()))
    }

    /// Opens an empty file that processes of this user lock, and creates it if it does not exist.
    ///
    /// # Errors
    /// As [`Folder::open_file`], and if it cannot be created.
    pub fn open_lock_file(&self, name: &OsStr) -> Result<File, FileError> {
        let flags = OFlags::RDWR | OFlags::CREATE | READING;
        open_regular(self.as_fd(), name, flags, PRIVATE, &self.path.join(name))
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`FileError::WrongKind`] for a link, a FIFO, a device, a socket or a folder; it never waits for one.
    pub fn open_file(&self, name: &OsStr) -> Result<File, FileError> {
        let flags = OFlags::RDONLY | READING;
        open_regular(self.as_fd(), name, flags, Mode::empty(), &self.path.join(name))
    }

    /// Opens a regular file for reading and writing.
    ///
    /// # Errors
    /// As [`Folder::open_file`].
    pub fn open_to_change(&self, name: &OsStr) -> Result<File, FileError> {
        let flags = OFlags::RDWR | READING;
        open_regular(self.as_fd(), name, flags, Mode::empty(), &self.path.join(name))
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Folder::open_file`]; [`FileError::TooLarge`] for a longer file, which is not read beyond the limit.
    pub fn read(&self, name: &OsStr, limit: u64) -> Result<Vec<u8>, FileError> {
        self.read_open(name, self.open_file(name)?, limit)
    }

    /// Reads a file as [`Folder::read`] does, if only this user can have written it.
    ///
    /// # Errors
    /// As [`Folder::read`]; [`FileError::NotPrivate`] if another user owns the file or may write to it.
    pub fn read_private(&self, name: &OsStr, limit: u64) -> Result<Vec<u8>, FileError> {
        self.read_unless(name, limit, problem_of_own)
    }

    /// Reads a file as [`Folder::read`] does, if only this user can read it.
    ///
    /// # Errors
    /// As [`Folder::read`]; [`FileError::NotPrivate`] if another user owns the file or has any right to it.
    pub fn read_secret(&self, name: &OsStr, limit: u64) -> Result<Vec<u8>, FileError> {
        self.read_unless(name, limit, problem_of_secret)
    }

    fn read_unless(
        &self,
        name: &OsStr,
        limit: u64,
        problem: fn(&Stat, u32) -> Option<String>,
    ) -> Result<Vec<u8>, FileError> {
        let file = self.open_file(name)?;
        let stat = rustix::fs::fstat(&file)
            .map_err(|error| self.io_error("examine", name, error.into()))?;
        if let Some(problem) = problem(&stat, rustix::process::geteuid().as_raw()) {
            return Err(FileError::NotPrivate {
                path: self.path.join(name),
                what: "file",
                problem,
            });
        }
        self.read_open(name, file, limit)
    }

    fn read_open(&self, name: &OsStr, file: File, limit: u64) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::with_capacity(SMALL);
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| self.io_error("read", name, error))?;
        if bytes.len() as u64 > limit {
            return Err(FileError::TooLarge { path: self.path.join(name), limit });
        }
        Ok(bytes)
    }

    /// Returns the time of a file's last change, by the clock of its file system.
    ///
    /// # Errors
    /// Fails if there is no such file.
    pub fn modified(&self, name: &OsStr) -> Result<SystemTime, FileError> {
        let stat = rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| self.io_error("examine", name, error.into()))?;
        let since_epoch = Duration::new(
            stat.st_mtime.try_into().unwrap_or_default(),
            stat.st_mtime_nsec.try_into().unwrap_or_default(),
        );
        Ok(SystemTime::UNIX_EPOCH + since_epoch)
    }

    /// Returns the names in the folder, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    pub fn names(&self) -> Result<Vec<OsString>, FileError> {
        let read = |error: rustix::io::Errno| self.io_error("list", OsStr::new(""), error.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(self).map_err(read)? {
            let name = entry.map_err(read)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a file, a link or the like, but no folder.
    ///
    /// # Errors
    /// Fails if it cannot be removed; a missing file is an error too.
    pub fn remove_file(&self, name: &OsStr) -> Result<(), FileError> {
        rustix::fs::unlinkat(self, name, AtFlags::empty())
            .map_err(|error| self.io_error("remove", name, error.into()))
    }

    /// Makes changes of names durable. Some network file systems cannot sync a folder; their servers do.
    ///
    /// # Errors
    /// Fails if the disk does.
    pub fn sync(&self) -> Result<(), FileError> {
        match rustix::fs::fsync(self) {
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::BADF) => Ok(()),
            Err(error) => Err(self.io_error("sync", OsStr::new(""), error.into())),
        }
    }

    fn io_error(&self, operation: &'static str, name: &OsStr, source: io::Error) -> FileError {
        FileError::Io { operation, path: self.path.join(name), source }
    }

    fn create(path: &Path, mode: Mode) -> Result<(), FileError> {
        match rustix::fs::mkdirat(CWD, path, mode) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(FileError::Io {
                operation: "create",
                path: path.to_owned(),
                source: error.into(),
            }),
        }
    }

    fn check_private(&self) -> Result<(), FileError> {
        let of_self = |error: io::Error| self.io_error("examine", OsStr::new(""), error);
        let own = rustix::fs::fstat(self).map_err(|error| of_self(error.into()))?;
        let user = rustix::process::geteuid().as_raw();
        if let Some(problem) = problem_of_own(&own, user) {
            return Err(not_private(&self.path, problem));
        }
        let full = std::fs::canonicalize(&self.path).map_err(of_self)?;
        let there = rustix::fs::lstat(&full).map_err(|error| of_self(error.into()))?;
        if (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino) {
            return Err(not_private(&self.path, "that was replaced meanwhile".to_owned()));
        }
        for ancestor in full.ancestors().skip(1) {
            let stat = rustix::fs::lstat(ancestor).map_err(|error| FileError::Io {
                operation: "examine",
                path: ancestor.to_owned(),
                source: error.into(),
            })?;
            if let Some(problem) = problem_of_ancestor(&stat, user) {
                return Err(not_private(ancestor, problem));
            }
        }
        Ok(())
    }

    /// Checks that a file may take the place of what stands under a name: a file, a link, or nothing.
    pub(crate) fn check_replaceable(&self, name: &OsStr) -> Result<(), FileError> {
        let expected = FileKind::Regular;
        match rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| kind_of(&stat)) {
            Ok(FileKind::Regular | FileKind::Link) | Err(_) => Ok(()),
            Ok(found) => Err(FileError::WrongKind { path: self.path.join(name), expected, found }),
        }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

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

impl Aside<'_> {
    /// Sets the permissions of the file, whatever the umask is.
    ///
    /// # Errors
    /// Fails if the file system has no permissions.
    pub fn set_mode(&self, mode: u32) -> Result<(), FileError> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode))
            .map_err(|error| self.folder.io_error("restrict", &self.name, error.into()))
    }

    /// Adds bytes to the file.
    ///
    /// # Errors
    /// Fails if the disk is full or a quota is reached.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|error| self.folder.io_error("write", &self.name, error))
    }

    /// Adds bytes to an empty file without writing blocks of zeros, which then take no room.
    ///
    /// # Errors
    /// As [`Aside::write_bytes`].
    pub fn write_sparse(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        const BLOCK: usize = 4096;
        let last = bytes.len().saturating_sub(1) / BLOCK;
        let written = bytes.chunks(BLOCK).enumerate().try_for_each(|(number, block)| {
            // The last block gives the file its length.
            if number != last && block.iter().all(|byte| *byte == 0) {
                return Ok(());
            }
            self.file.write_all_at(block, (number * BLOCK) as u64)
        });
        written.map_err(|error| self.folder.io_error("write", &self.name, error))
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

    /// Gives the file its name as [`Aside::replace`] does, without waiting for the disk: for messages, which need not
    /// survive a power cut.
    ///
    /// # Errors
    /// Fails if a directory stands under the name; nothing of the new file is left then.
    pub fn replace_unsynced(self) -> Result<(), FileError> {
        rustix::fs::renameat(self.folder, &self.aside, self.folder, &self.name)
            .map_err(|error| self.folder.io_error("replace", &self.name, error.into()))
    }

    /// Syncs the file and gives it its name, unless the name is taken.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken, also by a link that leads nowhere.
    pub fn publish(self) -> Result<(), FileError> {
        self.sync()?;
        place(self.folder.as_fd(), &self.aside, &self.name)
            .map_err(|error| self.folder.io_error("create", &self.name, error))?;
        self.folder.sync()
    }

    ///
    /// # Errors
    /// Fails if the disk does.
    pub fn sync(&self) -> Result<(), FileError> {
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

/// Opens a file relative to a folder, if it is a regular one.
pub(crate) fn open_regular(
    folder: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
    mode: Mode,
    path: &Path,
) -> Result<File, FileError> {
    let wrong =
        |found| FileError::WrongKind { path: path.to_owned(), expected: FileKind::Regular, found };
    let failed = |error: rustix::io::Errno| FileError::Io {
        operation: "read",
        path: path.to_owned(),
        source: error.into(),
    };
    let file = match rustix::fs::openat(folder, name, flags, mode) {
        Ok(file) => File::from(file),
        // A link is ELOOP, a socket ENXIO: the kind says more than the number.
        Err(error) => {
            let follows = !flags.contains(OFlags::NOFOLLOW);
            let at = if follows { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
            return Err(match rustix::fs::statat(folder, name, at).map(|stat| kind_of(&stat)) {
                Ok(found) if found != FileKind::Regular => wrong(found),
                _ => failed(error),
            });
        }
    };
    match kind_of(&rustix::fs::fstat(&file).map_err(failed)?) {
        FileKind::Regular => Ok(file),
        found => Err(wrong(found)),
    }
}

fn explain_open(
    folder: BorrowedFd<'_>,
    name: &OsStr,
    path: PathBuf,
    source: io::Error,
) -> FileError {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| kind_of(&stat)) {
        Ok(found) if found != FileKind::Directory => {
            FileError::WrongKind { path, expected: FileKind::Directory, found }
        }
        _ => FileError::Io { operation: "open", path, source },
    }
}

pub(crate) fn kind_of(stat: &Stat) -> FileKind {
    FileType::from_raw_mode(stat.st_mode).into()
}

fn not_private(path: &Path, problem: String) -> FileError {
    FileError::NotPrivate { path: path.to_owned(), what: "folder", problem }
}

/// Returns why others could change a file or folder that should be the user's alone.
fn problem_of_own(stat: &Stat, user: u32) -> Option<String> {
    if stat.st_uid != user {
        return Some(format!("of the user with the id {}", stat.st_uid));
    }
    (stat.st_mode & WRITABLE_BY_OTHERS != 0)
        .then(|| format!("with the mode {:o}", stat.st_mode & 0o7777))
}

/// Returns why others could know a file that should be the user's secret.
fn problem_of_secret(stat: &Stat, user: u32) -> Option<String> {
    let is_open = stat.st_mode & OPEN_TO_OTHERS != 0;
    problem_of_own(stat, user).or_else(|| {
        is_open.then(|| format!("that others may read, with the mode {:o}", stat.st_mode & 0o7777))
    })
}

/// Returns why others could put another folder in the place of one below this ancestor.
fn problem_of_ancestor(stat: &Stat, user: u32) -> Option<String> {
    if stat.st_uid != user && stat.st_uid != 0 && !is_unmapped(stat.st_uid) {
        return Some(format!("of the user with the id {}", stat.st_uid));
    }
    // In a sticky folder only the owner of an entry may rename or remove it.
    let is_safe = stat.st_mode & WRITABLE_BY_OTHERS == 0 || stat.st_mode & STICKY != 0;
    (!is_safe).then(|| format!("with the mode {:o}", stat.st_mode & 0o7777))
}

/// Returns whether an id stands for all users that this container does not know, root outside it among them.
fn is_unmapped(uid: u32) -> bool {
    // The default of `/proc/sys/kernel/overflowuid`, see user_namespaces(7).
    const OVERFLOW: u32 = 65534;
    uid == OVERFLOW
        && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !knows_all(&map))
}

/// Returns whether a `uid_map` is that of a machine, where every user has an id of its own.
fn knows_all(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_knows_all_users_and_a_container_does_not() {
        assert!(knows_all("         0          0 4294967295\n"));
        assert!(!knows_all("      1000       1000          1\n"));
        assert!(!knows_all(""));
    }
}
