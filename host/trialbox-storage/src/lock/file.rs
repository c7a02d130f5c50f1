//! A lock between machines whose file system has no lock that can be trusted: a file beside the database.
//!
//! Every network file system keeps two promises: a change of its names is atomic, and a file that is opened after
//! another machine has closed it shows what that machine wrote. The protocol needs neither hard links nor a clock that
//! two machines share. `model/lock.pml` is its model, which Spin searches for two processes in COMMIT.
//!
//! - The lock, `study.db.lock`, stays beside the database and says whether it is held. Its presence tells all processes
//!   that SQLite's own locks do not suffice here, also those for which the file system looks local.
//! - A process that finds the lock free creates `study.db.lock.after-TOKEN`, named after the token of the last holder;
//!   one process can. It looks at the lock again, and renames its file to the lock. If its file is gone meanwhile,
//!   because others took the process for dead, the rename fails.
//! - The holder opens the database after taking the lock and closes the database before releasing it. It releases by
//!   writing into the file that it has open, which harms no one if the file has lost its name.
//! - A lock is free too if its holder is known to be gone, or if it stood still for a minute by the observer's own
//!   clock; a living holder touches its lock. A holder that the process table of this machine or the batch system shows
//!   alive keeps it.
//! - Where the last holder may still be committing, its successor waits until a commit would be over, and the lock says
//!   "claimed" so long.
//!
//! A holder that was suspended finds out before it commits ([`HeldLock::is_ours`]). One window remains: a holder on
//! another machine that is suspended for more than a minute between that look and the end of its commit.

use crate::lock::holder::HolderProbe;
use crate::lock::keeper::{Keeper, Kept};
use crate::lock::text::{LockError, LockText, Sighting, Timing, Word, folder_and_name};
use crate::lock::wait::LockWait;
use crate::platform::process::{Life, ProcessId};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use trialbox_core::Json;
use trialbox_files::{FileError, Folder, create_named, rename_named};

/// A holder may miss a few touches, on a busy machine or server, before its lock is broken.
const TIMING: Timing = Timing {
    stale_after: Duration::from_secs(60),
    touch_interval: Duration::from_secs(10),
    settle: Duration::from_secs(2),
};

/// A file of a waiter that is older than this by the file server's own clock is litter.
const LITTER_AGE: Duration = Duration::from_secs(24 * 3600);

/// The lock of one database.
#[derive(Debug, Clone)]
pub(crate) struct LockFile {
    database: PathBuf,
    path: PathBuf,
    reason: String,
    timing: Timing,
    probe: HolderProbe,
    /// The members that name this process.
    process: Vec<(&'static str, Json)>,
    keeper: Keeper,
}

/// The lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldLock {
    lock: PathBuf,
    /// The file that says in a sticky folder that there is a lock.
    kind: PathBuf,
    file: File,
    /// The place of the word in the file.
    word_at: u64,
    token: String,
    is_settled: bool,
    keeper: Option<Kept>,
}

impl LockFile {
    /// Returns the lock of a database, `study.db.lock`. The reason for having one is written into it.
    pub(crate) fn of(database: &Path, reason: &str, probe: &HolderProbe) -> Self {
        LockFile {
            database: database.to_owned(),
            path: path_of(database),
            reason: reason.to_owned(),
            timing: TIMING,
            probe: probe.clone(),
            process: ProcessId::current().to_members(),
            keeper: Keeper::default(),
        }
    }

    /// Returns whether a process had to take the lock of this database: then all have to.
    pub(crate) fn is_in_use(database: &Path) -> bool {
        [path_of(database), kind_of(database)].iter().any(|path| fs::symlink_metadata(path).is_ok())
    }

    /// Waits for the lock.
    pub(crate) fn acquire(&self, wait: &mut LockWait) -> Result<HeldLock, LockError> {
        let mut last: Option<Sighting> = None;
        let mut rival: Option<Sighting> = None;
        loop {
            last = Sighting::again(last, &self.path)?;
            if self.is_free(&mut last)
                && let Some(held) = self.take(last.as_ref(), &mut rival, wait)?
            {
                return Ok(held);
            }
            if !wait.wait() {
                return Err(LockError::Busy { holder: last.and_then(|seen| seen.holder()) });
            }
        }
    }

    /// Removes the lock, so that SQLite's own locks decide again, until a process that cannot rely on them comes.
    pub(crate) fn retire(&self, wait: &mut LockWait) -> Result<(), LockError> {
        let held = self.acquire(wait)?;
        for path in [&self.path, &kind_of(&self.database)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        drop(held);
        Ok(())
    }

    fn is_free(&self, last: &mut Option<Sighting>) -> bool {
        match last {
            None => true,
            Some(seen) => seen.found.is_released() || seen.is_abandoned(&self.timing, &self.probe),
        }
    }

    /// Tries to become the successor of the last holder.
    fn take(
        &self,
        last: Option<&Sighting>,
        rival: &mut Option<Sighting>,
        wait: &mut LockWait,
    ) -> Result<Option<HeldLock>, LockError> {
        let claim = self.claim_after(last);
        let Some(mut held) = self.create(&claim, last)? else {
            self.remove_abandoned(&claim, rival)?;
            return Ok(None);
        };
        crate::failpoint!("lock.before_look");
        let now = LockText::read(&self.path)?;
        let is_same = match (last, &now) {
            (None, None) => true,
            (Some(last), Some(now)) => last.is_same(now),
            _ => false,
        };
        crate::failpoint!("lock.before_rename");
        let renamed = if is_same { rename_named(&claim, &self.path) } else { Ok(()) };
        // The lock decides: a server may have lost its answer, and another process may have renamed our file.
        if !held.is_ours() {
            held.withdraw(&claim);
            return match renamed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(self.irreplaceable(last, error))
                }
                _ => Ok(None),
            };
        }
        if let Ok(file) = held.file.try_clone() {
            held.keeper = Some(self.keeper.keep(file, self.timing.touch_interval));
        }
        let is_plain = is_same && renamed.is_ok();
        if let Some(dead) = last.filter(|last| !last.found.is_released()) {
            tracing::warn!("broke the lock of {}", dead.holder().unwrap_or_default());
            self.sweep();
        }
        if !(is_plain && self.is_settled_after(last)) {
            self.settle(last.is_none(), wait)?;
        }
        held.is_settled = true;
        // It is no more than a hint: a successor that cannot see it waits a little.
        let _ = held.write(Word::Held);
        Ok(Some(held))
    }

    /// Returns whether no process can be committing that had the database before.
    fn is_settled_after(&self, last: Option<&Sighting>) -> bool {
        match last {
            Some(last) => last.is_settled(),
            // Before the first lock, SQLite's locks may have decided for processes of the file server itself.
            None => !self.database.exists() || kind_of(&self.database).exists(),
        }
    }

    /// Waits until a commit of a process from before is over.
    ///
    /// # Errors
    /// The wait ends; then the lock stays unsettled.
    fn settle(&self, is_first: bool, wait: &mut LockWait) -> Result<(), LockError> {
        let started = Instant::now();
        let mut quiet_since = started;
        while quiet_since.elapsed() < self.timing.settle {
            // SQLite keeps a journal beside the database while it commits. One of a dead process stays.
            if is_first
                && has_journal(&self.database)
                && started.elapsed() < self.timing.stale_after
            {
                if !wait.wait() {
                    return Err(LockError::Busy { holder: None });
                }
                quiet_since = Instant::now();
            }
            std::thread::sleep(self.timing.settle / 50);
        }
        Ok(())
    }

    /// Returns the name of the file that only one successor of a holder can create.
    fn claim_after(&self, last: Option<&Sighting>) -> PathBuf {
        // A token comes from a file that others can write: it becomes a part of a name.
        let token = last.map_or(Some("nothing"), |last| last.found.token()).unwrap_or("unknown");
        let token = token.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '-').take(64);
        with_suffix(&self.path, &format!(".after-{}", token.collect::<String>()))
    }

    /// Creates a claim, or returns `None` if another process has made one.
    fn create(&self, claim: &Path, last: Option<&Sighting>) -> Result<Option<HeldLock>, LockError> {
        let token = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        let reason = last.and_then(|last| last.found.reason()).unwrap_or(&self.reason);
        let line = self.describe(&token, reason);
        let file = match create_new(claim) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let held = HeldLock {
            lock: self.path.clone(),
            kind: kind_of(&self.database),
            word_at: line.len() as u64,
            file,
            token,
            is_settled: false,
            keeper: None,
        };
        if let Err(error) = held.write_whole(&line) {
            let _ = fs::remove_file(claim);
            return Err(error.into());
        }
        Ok(Some(held))
    }

    /// Removes the claim of a process that died or stands still. If it is another's by now, that one tries again.
    fn remove_abandoned(
        &self,
        claim: &Path,
        rival: &mut Option<Sighting>,
    ) -> Result<(), LockError> {
        *rival = Sighting::again(rival.take(), claim)?;
        if let Some(seen) = rival
            && seen.is_abandoned(&self.timing, &self.probe)
        {
            match fs::remove_file(claim) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unremovable(claim, seen, error));
                }
                _ => *rival = None,
            }
        }
        Ok(())
    }

    /// Explains a lock that cannot be replaced, as in a sticky folder, where only its owner may.
    fn irreplaceable(&self, last: Option<&Sighting>, error: io::Error) -> LockError {
        match last {
            Some(last) => unremovable(&self.path, last, error),
            None => error.into(),
        }
    }

    /// Removes files of processes that are known to be gone, and those that are a day old.
    fn sweep(&self) {
        let Some((folder, name)) = folder_and_name(&self.path) else { return };
        let Ok(folder) = Folder::open_named(folder) else { return };
        let prefix = format!("{}.", name.to_string_lossy());
        let mut files = folder.names().unwrap_or_default();
        // The lock itself was just written: it has the time of the file server's clock.
        let newest = folder.modified(name).ok();
        files.retain(|file| file.to_string_lossy().starts_with(&prefix));
        for file in files {
            let process = LockText::read_in(&folder, &file).ok().and_then(|found| found.process());
            let is_gone = process.is_some_and(|process| matches!(process.life(), Life::Gone(_)));
            if is_gone || is_litter(&folder, &file, newest) {
                let _ = folder.remove_file(&file);
            }
        }
    }

    /// Returns the first line of a lock: its holder, for other machines and for people.
    fn describe(&self, token: &str, reason: &str) -> String {
        let mut members = vec![("token", Json::from(token))];
        members.extend(self.process.iter().cloned());
        members.extend(self.probe.members());
        members.push(("reason", Json::from(reason)));
        format!("{}\n", Json::object(members))
    }
}

impl HeldLock {
    /// Returns whether the lock is still this holder's. It is not if the holder was suspended for so long that others
    /// took it for dead.
    pub(crate) fn is_ours(&self) -> bool {
        match LockText::read(&self.lock) {
            Ok(Some(found)) => found.is_of(&self.token),
            _ => false,
        }
    }

    /// Gives up a claim. It is removed if it is still this attempt's.
    fn withdraw(&self, claim: &Path) {
        if let Ok(Some(found)) = LockText::read(claim)
            && found.is_of(&self.token)
        {
            let _ = fs::remove_file(claim);
        }
    }

    fn write_whole(&self, line: &str) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        // Other users must be able to read the holder, whatever this user's umask is.
        let _ = self.file.set_permissions(fs::Permissions::from_mode(0o644));
        (&self.file).write_all(format!("{line}{}", Word::Claimed.line()).as_bytes())
    }

    fn write(&self, word: Word) -> io::Result<()> {
        self.file.write_all_at(word.line().as_bytes(), self.word_at)
    }

    /// Releases the lock in a sticky folder, where other users cannot replace it: the lock goes, and a second file says
    /// that the database has one.
    fn release_by_name(&self) {
        let _ = create_new(&self.kind);
        if self.is_ours() {
            let _ = fs::remove_file(&self.lock);
        }
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // A touch after the release would look like one of the next holder.
        drop(self.keeper.take());
        let word = if self.is_settled { Word::Released } else { Word::Unsettled };
        if self.write(word).is_err() || (self.is_settled && is_in_sticky_folder(&self.lock)) {
            self.release_by_name();
        }
    }
}

/// Returns the lock of a database.
pub(crate) fn path_of(database: &Path) -> PathBuf {
    with_suffix(database, ".lock")
}

/// Returns the file that says in a sticky folder that the database has a lock file.
pub(crate) fn kind_of(database: &Path) -> PathBuf {
    with_suffix(database, ".lock-kind")
}

/// Returns whether only the owner of a file may rename or remove it, in the folder of a path.
fn is_in_sticky_folder(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    const STICKY: u32 = 0o1000;
    let Some((folder, _)) = folder_and_name(path) else { return false };
    fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & STICKY != 0)
}

/// Returns whether a rollback journal holds a transaction. Depending on its journal mode, SQLite deletes a journal
/// after a transaction, truncates it, or clears its header.
pub(crate) fn has_journal(database: &Path) -> bool {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let journal = with_suffix(database, "-journal");
    let Some((folder, name)) = folder_and_name(&journal) else { return false };
    let opened = Folder::open_named(folder).and_then(|folder| folder.open_file(name));
    let Ok(mut file) = opened else { return false };
    let mut start = [0; 8];
    file.read_exact(&mut start).is_ok() && start == MAGIC
}

/// Returns whether a file is a day older than the newest one. Both times are the file server's, so no clocks are
/// compared.
fn is_litter(folder: &Folder, name: &OsStr, newest: Option<SystemTime>) -> bool {
    let (Some(newest), Ok(modified)) = (newest, folder.modified(name)) else { return false };
    newest.duration_since(modified).is_ok_and(|age| age >= LITTER_AGE)
}

/// Explains a file of another process that cannot be removed.
fn unremovable(path: &Path, left_by: &Sighting, error: io::Error) -> LockError {
    let holder = left_by.holder().unwrap_or_else(|| "an unknown process".to_owned());
    let path = path.display();
    let text =
        format!("cannot replace `{path}`, which {holder} left: {error}; its owner can remove it");
    LockError::Io(io::Error::new(error.kind(), text))
}

/// Creates a file that must not exist. Other users must be able to read the holder.
fn create_new(path: &Path) -> io::Result<File> {
    create_named(path, 0o644).map_err(FileError::into_reason)
}

/// Returns a path with something appended to its last part.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
