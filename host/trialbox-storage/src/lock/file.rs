//! A lock between machines whose file system has no lock that can be trusted: a file beside the database.
//!
//! Every network file system keeps two promises: a change of its names is atomic, and a file that is opened after
//! another machine has closed it shows what that machine wrote. So the lock is a hard link to a file that only this
//! attempt knows (open(2) describes the trick: the link count tells the truth even when the server's answer is lost).
//! Its holder opens the database after taking the lock and closes the database before releasing it.
//!
//! A holder that died leaves its lock behind. Another process breaks it if the holder's process is known to be gone,
//! or if the file stood still for a minute by the breaker's own clock; a living holder touches its file. A holder that
//! this machine's process table shows alive is never broken, however long it stands still.
//!
//! The right to break a lock is a file named after the dead holder's token. A breaker that dies leaves its right
//! behind, and the next one inherits it by a file named after the *breaker's* token. Tokens never recur, so no right is
//! ever taken away while it matters: a lock has one breaker at a time. A holder that was suspended for longer than a
//! minute finds out before it commits ([`HeldLock::is_ours`]).
//!
//! Two windows remain, because no file system compares and changes a name in one step: a holder on another machine that
//! is suspended for more than a minute between that last look and the end of its commit, or between its look and the
//! removal of its lock.

use crate::lock::wait::LockWait;
use crate::platform::process::{Life, ProcessId};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use trialbox_core::Json;
use trialbox_files::{FileError, Folder};

/// A holder may miss a few touches, on a busy machine or server, before its lock is broken.
const TIMING: Timing =
    Timing { stale_after: Duration::from_secs(60), touch_interval: Duration::from_secs(10) };

/// The most that is read of a lock, in bytes. Ours have about 300.
const MAX_BYTES: u64 = 64 << 10;

/// A file of a waiter that is older than this by the file server's own clock is litter.
const LITTER_AGE: Duration = Duration::from_secs(24 * 3600);

/// The lock of one database.
#[derive(Debug, Clone)]
pub(crate) struct LockFile {
    path: PathBuf,
    timing: Timing,
}

/// The times after which a lock is touched and broken.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// The time for which a lock must stand still before another process breaks it.
    stale_after: Duration,
    /// The time between two touches of a holder.
    touch_interval: Duration,
}

/// The reason why a lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Others hold it for longer than we may wait; who, as far as the file tells.
    Busy { holder: Option<String> },
    /// The folder cannot be written.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        LockError::Io(error)
    }
}

/// The lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldLock {
    lock: PathBuf,
    own: PathBuf,
    token: String,
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
}

impl LockFile {
    /// Returns the lock of a database: `study.db.lock`.
    pub(crate) fn of(database: &Path) -> Self {
        LockFile { path: with_suffix(database, ".lock"), timing: TIMING }
    }

    /// Waits for the lock.
    pub(crate) fn acquire(&self, wait: &mut LockWait) -> Result<HeldLock, LockError> {
        let token = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        let own = self.file_of(&token);
        write_new(&own, &describe(&token))?;
        let taken = self.take(&own, &token, wait);
        if taken.is_err() {
            let _ = fs::remove_file(&own);
        }
        let kind = taken?;
        self.held(own, token, kind)
    }

    /// Links the attempt's own file to the lock as soon as the lock is free, or its holder dead.
    fn take(&self, own: &Path, token: &str, wait: &mut LockWait) -> Result<LinkKind, LockError> {
        let mut holder: Option<Sighting> = None;
        let mut breaker: Option<Sighting> = None;
        loop {
            if let Some(kind) = try_link(own, &self.path)? {
                return Ok(kind);
            }
            holder = Sighting::again(holder, &self.path)?;
            if let Some(dead) = &holder
                && dead.is_stale(self.timing.stale_after)
            {
                self.break_lock(dead, token, &mut breaker)?;
            }
            if !wait.wait() {
                return Err(LockError::Busy { holder: holder.and_then(|seen| seen.holder()) });
            }
        }
    }

    /// Removes a dead holder's lock, unless another process has the right to.
    ///
    /// `breaker` is the sighting of the process that has it, kept from one call to the next.
    fn break_lock(
        &self,
        dead: &Sighting,
        token: &str,
        breaker: &mut Option<Sighting>,
    ) -> Result<(), LockError> {
        let Some(rights) = self.take_right(dead, token, breaker)? else { return Ok(()) };
        let now = Sighting::again(None, &self.path)?;
        // The text and the time: a holder that was only suspended may have touched its lock meanwhile.
        if now.is_some_and(|now| now.text == dead.text && now.modified == dead.modified) {
            fs::remove_file(&self.path).map_err(|error| self.unbreakable(dead, error))?;
            tracing::warn!("broke the lock of {}", dead.holder().unwrap_or_default());
            self.sweep();
        }
        // Only now: while the lock stood, each of them kept others from breaking it too.
        for right in rights {
            let _ = fs::remove_file(right);
        }
        Ok(())
    }

    /// Takes the right to break a lock: directly, or from breakers that died. Returns the files of all rights on the
    /// way, or `None` if a living process has it.
    fn take_right(
        &self,
        dead: &Sighting,
        token: &str,
        breaker: &mut Option<Sighting>,
    ) -> Result<Option<Vec<PathBuf>>, LockError> {
        let mut rights = Vec::new();
        let Some(mut inherited_from) = dead.token.clone() else {
            // A lock without a token is not one of ours, or was cut short by a full disk.
            return self
                .take_right_of("unknown", token, &mut rights)
                .map(|it| it.then_some(rights));
        };
        while !self.take_right_of(&inherited_from, token, &mut rights)? {
            let Some(right) = rights.last() else { return Ok(None) };
            let Some(seen) = Sighting::again(breaker.take(), right)? else { return Ok(None) };
            let next = seen.token.clone().filter(|_| seen.is_stale(self.timing.stale_after));
            *breaker = Some(seen);
            match next {
                Some(next) => inherited_from = next,
                None => return Ok(None),
            }
        }
        Ok(Some(rights))
    }

    /// Tries to create the right that is named after a token, and returns whether it is this attempt's now.
    fn take_right_of(
        &self,
        dead: &str,
        token: &str,
        rights: &mut Vec<PathBuf>,
    ) -> Result<bool, LockError> {
        // A token comes from a file that others can write: it becomes a part of a name.
        let dead: String =
            dead.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '-').take(64).collect();
        let right = with_suffix(&self.path, &format!(".breaking-{dead}"));
        rights.push(right.clone());
        match write_new(&right, &describe(token)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Explains a dead lock that cannot be removed, as in a sticky folder, where only its owner may.
    fn unbreakable(&self, dead: &Sighting, error: io::Error) -> LockError {
        let holder = dead.holder().unwrap_or_else(|| "an unknown process".to_owned());
        let path = self.path.display();
        let text = format!(
            "cannot remove `{path}`, which {holder} left when it died: {error}; its owner can remove it"
        );
        LockError::Io(io::Error::new(error.kind(), text))
    }

    /// Removes files of holders and waiters that are known to be gone, and those that are a day old.
    fn sweep(&self) {
        let Some((folder, name)) = folder_and_name(&self.path) else { return };
        let Ok(folder) = Folder::open_named(folder) else { return };
        let prefix = format!("{}.", name.to_string_lossy());
        let mut files = folder.names().unwrap_or_default();
        files.retain(|file| file.to_string_lossy().starts_with(&prefix));
        // The file server's clock, about: the breaker has just written its own file.
        let newest = files.iter().filter_map(|file| folder.modified(file).ok()).max();
        for file in files {
            let process = read_in(&folder, &file).ok().and_then(|found| found.process());
            let is_gone = process.is_some_and(|process| matches!(process.life(), Life::Gone(_)));
            if is_gone || is_litter(&folder, &file, newest) {
                let _ = folder.remove_file(&file);
            }
        }
    }

    /// Starts to touch a lock that was just taken.
    ///
    /// # Errors
    /// Releases the lock and fails where no thread can be started, as under a low `ulimit -u`.
    fn held(&self, own: PathBuf, token: String, kind: LinkKind) -> Result<HeldLock, LockError> {
        let (stop, stopped) = channel();
        let lock = self.path.clone();
        let touched = match kind {
            LinkKind::Linked => own.clone(),
            LinkKind::Separate => lock.clone(),
        };
        let interval = self.timing.touch_interval;
        let mut held = HeldLock { lock, own, token, keeper: None };
        // An error drops `held`, which removes the lock.
        let keeper =
            std::thread::Builder::new().spawn(move || keep_alive(&touched, interval, &stopped))?;
        held.keeper = Some((stop, keeper));
        Ok(held)
    }

    /// Returns the file that only the attempt with this token knows.
    fn file_of(&self, token: &str) -> PathBuf {
        with_suffix(&self.path, &format!(".{token}"))
    }
}

impl HeldLock {
    /// Returns whether the lock is still this holder's. It is not if the holder was suspended for so long that others
    /// took it for dead.
    pub(crate) fn is_ours(&self) -> bool {
        match read_lock(&self.lock) {
            Ok(Some(found)) => found.token.as_deref() == Some(&self.token),
            _ => false,
        }
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        if let Some((stop, keeper)) = self.keeper.take() {
            drop(stop);
            let _ = keeper.join();
        }
        if self.is_ours() {
            let _ = fs::remove_file(&self.lock);
        }
        let _ = fs::remove_file(&self.own);
    }
}

/// Touches the lock until told to stop, so that strangers see that its holder lives.
fn keep_alive(own: &Path, interval: Duration, stopped: &Receiver<()>) {
    while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        if let Ok(file) = fs::File::options().write(true).open(own) {
            let _ = file.set_modified(SystemTime::now());
        }
    }
}

/// A sighting of another process's file, with the time since which it has looked so.
struct Sighting {
    text: String,
    token: Option<String>,
    process: Option<ProcessId>,
    modified: SystemTime,
    since: Instant,
}

impl Sighting {
    /// Looks again: the same sighting if nothing has changed, `None` if the file is gone.
    ///
    /// # Errors
    /// Fails if something else than a file stands there, which no wait removes.
    fn again(before: Option<Sighting>, path: &Path) -> Result<Option<Sighting>, LockError> {
        let Some(found) = read_lock(path)? else { return Ok(None) };
        match before {
            Some(before) if before.text == found.text && before.modified == found.modified => {
                Ok(Some(before))
            }
            _ => Ok(Some(Sighting {
                process: found.process(),
                text: found.text,
                token: found.token,
                modified: found.modified,
                since: Instant::now(),
            })),
        }
    }

    /// Returns whether the process is gone, or has not touched its file for the time given. A process that this
    /// machine shows alive may be suspended; it is not gone.
    fn is_stale(&self, stale_after: Duration) -> bool {
        match self.process.as_ref().map_or(Life::Unknown, ProcessId::life) {
            Life::Gone(_) => true,
            Life::Alive => false,
            Life::Unknown => self.since.elapsed() >= stale_after,
        }
    }

    fn holder(&self) -> Option<String> {
        self.process.as_ref().map(|process| format!("process {} on {}", process.pid, process.host))
    }
}

struct LockText {
    text: String,
    token: Option<String>,
    modified: SystemTime,
}

impl LockText {
    /// Returns the process that wrote the file.
    fn process(&self) -> Option<ProcessId> {
        Json::parse(&self.text).ok().as_ref().and_then(ProcessId::from_json)
    }
}

/// Reads a lock, or returns `None` if there is none.
///
/// # Errors
/// Fails for a link, a FIFO or anything else that is not a file of ours, without waiting for it.
fn read_lock(path: &Path) -> io::Result<Option<LockText>> {
    let Some((folder, name)) = folder_and_name(path) else { return Ok(None) };
    match Folder::open_named(folder).and_then(|folder| read_in(&folder, name)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(FileError::Io { source, .. }) => Err(source),
        Err(error) => Err(error.into()),
    }
}

fn read_in(folder: &Folder, name: &OsStr) -> Result<LockText, FileError> {
    let bytes = folder.read(name, MAX_BYTES)?;
    let modified = folder.modified(name)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let token = match Json::parse(&text) {
        Ok(json) => json.get("token").and_then(Json::as_str).map(str::to_owned),
        Err(_) => None,
    };
    Ok(LockText { text, token, modified })
}

/// Returns whether a file is a day older than the newest one. Both times are the file server's, so no clocks are
/// compared.
fn is_litter(folder: &Folder, name: &OsStr, newest: Option<SystemTime>) -> bool {
    let (Some(newest), Ok(modified)) = (newest, folder.modified(name)) else { return false };
    newest.duration_since(modified).is_ok_and(|age| age >= LITTER_AGE)
}

/// Splits a path into its folder and its last part.
fn folder_and_name(path: &Path) -> Option<(&Path, &OsStr)> {
    let name = path.file_name()?;
    let folder = path.parent()?;
    Some((if folder == Path::new("") { Path::new(".") } else { folder }, name))
}

/// Returns the text of a lock: its holder, for other machines and for people.
fn describe(token: &str) -> String {
    let mut members = vec![("token", Json::from(token))];
    members.extend(ProcessId::current().to_members());
    for (key, variable) in
        [("slurm_job_id", "SLURM_JOB_ID"), ("slurm_restart_count", "SLURM_RESTART_COUNT")]
    {
        members.extend(std::env::var(variable).ok().map(|value| (key, Json::from(value))));
    }
    format!("{}\n", Json::object(members))
}

/// Creates a file that must not exist. Other users must be able to read the holder, whatever this user's umask is.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = fs::File::options().write(true).create_new(true).open(path)?;
    let _ = file.set_permissions(fs::Permissions::from_mode(0o644));
    file.write_all(text.as_bytes())
}

/// The form of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkKind {
    /// Another name of the attempt's own file.
    Linked,
    /// A file by itself, where the file system has no hard links.
    Separate,
}

/// Tries to create the lock, and returns its kind if it is this attempt's then. With hard links the link count
/// decides, because over a network the answer to a successful link may be lost and its repetition fail.
fn try_link(own: &Path, lock: &Path) -> io::Result<Option<LinkKind>> {
    try_link_by(|own, lock| fs::hard_link(own, lock), own, lock)
}

fn try_link_by(
    link: impl Fn(&Path, &Path) -> io::Result<()>,
    own: &Path,
    lock: &Path,
) -> io::Result<Option<LinkKind>> {
    use io::ErrorKind::{AlreadyExists, PermissionDenied, Unsupported};
    match link(own, lock) {
        Ok(()) => Ok(Some(LinkKind::Linked)),
        Err(error) if error.kind() == AlreadyExists => {
            let is_ours = fs::metadata(own)?.nlink() == 2;
            Ok(is_ours.then_some(LinkKind::Linked))
        }
        // File systems without hard links answer so; an exclusive creation is the next best.
        Err(error) if matches!(error.kind(), PermissionDenied | Unsupported) => {
            match write_new(lock, &fs::read_to_string(own)?) {
                Ok(()) => Ok(Some(LinkKind::Separate)),
                Err(error) if error.kind() == AlreadyExists => Ok(None),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Returns a path with something appended to its last part.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Options;

    fn lock(test: &str) -> LockFile {
        let folder =
            std::env::temp_dir().join(format!("trialbox-lock-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        LockFile::of(&folder.join("s.db"))
    }

    fn wait(timeout: Duration) -> LockWait {
        LockWait::new(&Options { timeout, ..Options::default() }, Path::new("s.db"))
    }

    fn files(lock: &LockFile) -> usize {
        fs::read_dir(lock.path.parent().expect("a folder")).expect("it is there").count()
    }

    #[test]
    fn a_lock_is_held_by_one_and_leaves_nothing_behind() {
        let lock = lock("one");
        let held = lock.acquire(&mut wait(Duration::from_secs(60))).expect("it is free");
        assert!(held.is_ours());
        let second = lock.acquire(&mut wait(Duration::ZERO));
        let Err(LockError::Busy { holder: Some(holder) }) = second else { panic!("it is held") };
        assert!(holder.starts_with(&format!("process {}", std::process::id())), "{holder}");
        drop(held);
        assert_eq!(files(&lock), 0);
        lock.acquire(&mut wait(Duration::ZERO)).expect("it is free again");
    }

    #[test]
    fn a_dead_holders_lock_is_broken_at_once_and_its_files_are_removed() {
        let lock = lock("dead");
        let mut child = std::process::Command::new("true").spawn().expect("true runs");
        let dead = ProcessId { pid: child.id(), start_ticks: Some(1), ..ProcessId::current() };
        child.wait().expect("it ends");
        // Another that waited for the lock and was killed.
        let mut other = vec![("token", Json::from("u"))];
        other.extend(dead.to_members());
        fs::write(with_suffix(&lock.path, ".u"), Json::object(other).to_string()).expect("a file");
        let mut members = vec![("token", Json::from("t"))];
        members.extend(dead.to_members());
        let own = with_suffix(&lock.path, ".t");
        fs::write(&own, Json::object(members).to_string()).expect("a file");
        fs::hard_link(&own, &lock.path).expect("a link");
        let held = lock.acquire(&mut wait(Duration::from_secs(60))).expect("its holder is dead");
        assert!(held.is_ours());
        assert_eq!(files(&lock), 2);
    }

    #[test]
    fn a_holder_whose_lock_was_taken_over_knows_it_and_leaves_the_others_alone() {
        let lock = lock("taken");
        let held = lock.acquire(&mut wait(Duration::ZERO)).expect("it is free");
        fs::remove_file(&lock.path).expect("it is there");
        let other = lock.acquire(&mut wait(Duration::ZERO)).expect("it is free");
        assert!(!held.is_ours() && other.is_ours());
        drop(held);
        assert!(other.is_ours());
    }

    /// Writes the lock of a process on another machine, of which only the file says whether it is alive.
    fn write_strangers_lock(lock: &LockFile) {
        let process = ProcessId {
            host: "elsewhere".to_owned(),
            boot_id: Some("another boot".to_owned()),
            ..ProcessId::current()
        };
        let mut members = vec![("token", Json::from("t"))];
        members.extend(process.to_members());
        fs::write(&lock.path, Json::object(members).to_string()).expect("a file");
    }

    fn quick(lock: LockFile, stale_after: Duration) -> LockFile {
        LockFile { timing: Timing { stale_after, touch_interval: stale_after / 50 }, ..lock }
    }

    #[test]
    fn a_lock_that_is_touched_is_never_broken() {
        let lock = quick(lock("touched"), Duration::from_secs(1));
        let held = lock.acquire(&mut wait(Duration::ZERO)).expect("it is free");
        let other = lock.acquire(&mut wait(Duration::from_millis(2500)));
        assert!(matches!(other, Err(LockError::Busy { .. })), "{other:?}");
        assert!(held.is_ours());
    }

    #[test]
    fn a_strangers_lock_that_stands_still_is_broken_after_its_time() {
        let lock = quick(lock("still"), Duration::from_millis(300));
        write_strangers_lock(&lock);
        let early = lock.acquire(&mut wait(Duration::from_millis(100)));
        let Err(LockError::Busy { holder: Some(holder) }) = early else { panic!("{early:?}") };
        assert!(holder.ends_with(" on elsewhere"), "{holder}");
        let started = Instant::now();
        let held = lock.acquire(&mut wait(Duration::from_secs(20))).expect("it stands still");
        assert!(started.elapsed() >= Duration::from_millis(300));
        assert!(held.is_ours());
    }

    #[test]
    fn without_hard_links_the_lock_is_a_file_of_its_own_that_one_creates() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported] {
            let lock = lock("linkless");
            let [a, b] = ["a", "b"].map(|token| lock.file_of(token));
            fs::write(&a, "a").expect("a file");
            fs::write(&b, "b").expect("a file");
            let refused = |_: &Path, _: &Path| Err(kind.into());
            let first = try_link_by(refused, &a, &lock.path).expect("it is created");
            assert_eq!(first, Some(LinkKind::Separate));
            assert_eq!(try_link_by(refused, &b, &lock.path).expect("it is there"), None);
            assert_eq!(fs::read_to_string(&lock.path).expect("it is there"), "a");
        }
    }

    #[test]
    fn an_error_of_the_link_that_says_nothing_about_links_is_reported() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::NotFound] {
            let lock = lock("full");
            let own = lock.file_of("a");
            fs::write(&own, "a").expect("a file");
            let refused = |_: &Path, _: &Path| Err(kind.into());
            let error = try_link_by(refused, &own, &lock.path).expect_err("there is no lock");
            assert_eq!(error.kind(), kind);
            assert!(!lock.path.exists());
        }
    }

    /// A token whose process ran on this machine and is gone.
    fn dead_text(token: &str) -> String {
        let dead = ProcessId { start_ticks: Some(1), ..ProcessId::current() };
        let mut members = vec![("token", Json::from(token))];
        members.extend(dead.to_members());
        Json::object(members).to_string()
    }

    #[test]
    fn a_holder_that_lives_on_this_machine_is_never_broken() {
        let lock = quick(lock("alive"), Duration::from_millis(50));
        fs::write(&lock.path, describe("t")).expect("a file");
        let other = lock.acquire(&mut wait(Duration::from_millis(300)));
        assert!(matches!(other, Err(LockError::Busy { holder: Some(_) })), "{other:?}");
        assert!(lock.path.exists());
    }

    #[test]
    fn the_right_of_a_dead_breaker_is_inherited_and_all_rights_go_with_the_lock() {
        let lock = lock("inherited");
        fs::write(&lock.path, dead_text("holder")).expect("a file");
        let right = with_suffix(&lock.path, ".breaking-holder");
        fs::write(&right, dead_text("breaker")).expect("a file");
        let held = lock.acquire(&mut wait(Duration::from_secs(60))).expect("all are dead");
        assert!(held.is_ours());
        assert_eq!(files(&lock), 2, "the lock and the holder's own file");
    }

    #[test]
    fn a_living_breaker_keeps_its_right() {
        let lock = lock("breaker");
        fs::write(&lock.path, dead_text("holder")).expect("a file");
        let right = with_suffix(&lock.path, ".breaking-holder");
        fs::write(&right, describe("breaker")).expect("a file");
        let other = lock.acquire(&mut wait(Duration::from_millis(200)));
        assert!(matches!(other, Err(LockError::Busy { .. })), "{other:?}");
        assert!(lock.path.exists() && right.exists());
    }

    #[test]
    fn a_lock_that_was_touched_since_it_was_judged_is_not_broken() {
        let lock = lock("judged");
        fs::write(&lock.path, dead_text("holder")).expect("a file");
        let dead = Sighting::again(None, &lock.path).expect("a file").expect("it is there");
        let file = fs::File::options().write(true).open(&lock.path).expect("it is there");
        file.set_modified(SystemTime::now() + Duration::from_secs(5)).expect("it can be touched");
        lock.break_lock(&dead, "breaker", &mut None).expect("nothing fails");
        assert!(lock.path.exists());
        assert_eq!(files(&lock), 1, "the right is given back");
    }

    #[test]
    fn what_is_no_file_in_the_place_of_a_lock_is_named_immediately() {
        let lock = lock("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &lock.path, kind, mode, 0).expect("a FIFO");
        let Err(LockError::Io(error)) = lock.acquire(&mut wait(Duration::from_secs(60))) else {
            panic!("a FIFO was taken for a lock");
        };
        let path = lock.path.display();
        assert_eq!(
            error.to_string(),
            format!("`{path}`: expected a regular file, found a named pipe")
        );
        assert_eq!(files(&lock), 1);
    }

    #[test]
    fn breaking_sweeps_files_that_are_a_day_old_and_no_others() {
        let lock = lock("litter");
        fs::write(&lock.path, dead_text("holder")).expect("a file");
        let (old, new) = (lock.file_of("old"), lock.file_of("new"));
        for file in [&old, &new] {
            fs::write(file, "").expect("a file");
        }
        let file = fs::File::options().write(true).open(&old).expect("it is there");
        let yesterday = SystemTime::now() - LITTER_AGE - Duration::from_secs(60);
        file.set_modified(yesterday).expect("it can be touched");
        let _held = lock.acquire(&mut wait(Duration::from_secs(60))).expect("its holder is dead");
        assert!(!old.exists() && new.exists());
    }
}
