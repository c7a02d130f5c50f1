//! A lock between machines whose file system has none that can be trusted: a file beside the database.
//!
//! What every network file system does keep is an atomic change of its names, and that a file opened after
//! another machine has closed it shows what that one wrote. So the lock is a hard link to a file that only
//! this attempt knows (open(2) describes the trick: the link count tells the truth even when the server's
//! answer is lost), and its holder opens the database after taking it and closes the database before releasing it.
//!
//! A holder that died leaves its lock behind. Another process breaks the lock if it can show that the holder is gone,
//! or has seen the file stand still for a minute by its own clock; a living holder touches the file. Only one at a
//! time breaks, behind a lock of its own, or a slow breaker could take the next holder's lock for the dead
//! one's. A holder that was suspended for longer finds out before it commits ([`HeldLock::is_ours`]).

use crate::lock::wait::LockWait;
use crate::platform::process::{Life, ProcessId};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use trialbox_core::Json;

/// A holder may miss a few touches, on a busy machine or server, before its lock is broken.
const TIMING: Timing =
    Timing { stale_after: Duration::from_secs(60), touch_interval: Duration::from_secs(10) };

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
    pub(crate) fn acquire(&self, patience: &mut LockWait) -> Result<HeldLock, LockError> {
        let token = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        let own = self.file_of(&token);
        write_new(&own, &describe(&token))?;
        let mut seen: Option<Sighting> = None;
        loop {
            match try_link(&own, &self.path) {
                Ok(Some(kind)) => return Ok(self.held(own, token, kind)),
                Ok(None) => {}
                Err(error) => {
                    let _ = fs::remove_file(&own);
                    return Err(error.into());
                }
            }
            seen = Sighting::again(seen, &self.path);
            if let Some(sighting) = &seen
                && sighting.is_stale(self.timing.stale_after)
            {
                self.break_lock(sighting, &token);
            }
            if !patience.wait() {
                let _ = fs::remove_file(&own);
                return Err(LockError::Busy { holder: seen.and_then(|seen| seen.holder()) });
            }
        }
    }

    /// Removes a dead holder's lock, unless another process is doing so.
    fn break_lock(&self, dead: &Sighting, token: &str) {
        let breaking = with_suffix(&self.path, ".breaking");
        let Ok(()) = write_new(&breaking, &describe(token)) else {
            // Another process is doing so, unless it died, too.
            let since = fs::metadata(&breaking).and_then(|metadata| metadata.modified());
            let age = since.ok().and_then(|since| SystemTime::now().duration_since(since).ok());
            if age.is_some_and(|age| age >= self.timing.stale_after) {
                let _ = fs::remove_file(&breaking);
            }
            return;
        };
        if read_lock(&self.path).is_some_and(|found| found.text == dead.text) {
            tracing::warn!("broke the lock of {}", dead.holder().unwrap_or_default());
            let _ = fs::remove_file(&self.path);
            self.sweep();
        }
        let _ = fs::remove_file(&breaking);
    }

    /// Removes what holders and waiters left behind that are known to be gone.
    fn sweep(&self) {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return;
        };
        let prefix = format!("{}.", name.to_string_lossy());
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        for file in files.filter(|file| file.file_name().to_string_lossy().starts_with(&prefix)) {
            let process = read_lock(&file.path()).and_then(|found| found.process());
            if process.is_some_and(|process| matches!(process.life(), Life::Gone(_))) {
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// Starts to touch a lock that was just taken.
    fn held(&self, own: PathBuf, token: String, kind: LinkKind) -> HeldLock {
        let (stop, stopped) = channel();
        let lock = self.path.clone();
        let touched = match kind {
            LinkKind::Linked => own.clone(),
            LinkKind::Separate => lock.clone(),
        };
        let interval = self.timing.touch_interval;
        let keeper = std::thread::spawn(move || keep_alive(&touched, interval, &stopped));
        HeldLock { lock, own, token, keeper: Some((stop, keeper)) }
    }

    /// The file that only the attempt with this token knows.
    fn file_of(&self, token: &str) -> PathBuf {
        with_suffix(&self.path, &format!(".{token}"))
    }
}

impl HeldLock {
    /// Returns whether the lock is still this holder's. It is not if the holder was suspended for so long that others
    /// took it for dead.
    pub(crate) fn is_ours(&self) -> bool {
        read_lock(&self.lock).is_some_and(|found| found.token.as_deref() == Some(&self.token))
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

/// A sighting of another process's lock, with the time since which the lock has looked so.
struct Sighting {
    text: String,
    process: Option<ProcessId>,
    modified: SystemTime,
    since: Instant,
}

impl Sighting {
    /// Looks again: the same sighting if nothing has changed.
    fn again(before: Option<Sighting>, path: &Path) -> Option<Sighting> {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
        let found = read_lock(path)?;
        match before {
            Some(before) if before.text == found.text && before.modified == modified => {
                Some(before)
            }
            _ => Some(Sighting {
                process: found.process(),
                text: found.text,
                modified,
                since: Instant::now(),
            }),
        }
    }

    fn is_stale(&self, stale_after: Duration) -> bool {
        let is_gone =
            self.process.as_ref().is_some_and(|process| matches!(process.life(), Life::Gone(_)));
        is_gone || self.since.elapsed() >= stale_after
    }

    fn holder(&self) -> Option<String> {
        self.process.as_ref().map(|process| format!("process {} on {}", process.pid, process.host))
    }
}

struct LockText {
    text: String,
    token: Option<String>,
}

impl LockText {
    /// The process that wrote it.
    fn process(&self) -> Option<ProcessId> {
        Json::parse(&self.text).ok().as_ref().and_then(ProcessId::from_json)
    }
}

fn read_lock(path: &Path) -> Option<LockText> {
    let text = fs::read_to_string(path).ok()?;
    let token = Json::parse(&text)
        .ok()
        .and_then(|json| json.get("token").and_then(Json::as_str).map(str::to_owned));
    Some(LockText { text, token })
}

/// Who holds the lock, for other machines and for people.
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

/// Others must be able to read who holds the lock, whatever the user's habits are.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = fs::File::options().write(true).create_new(true).open(path)?;
    let _ = file.set_permissions(fs::Permissions::from_mode(0o644));
    file.write_all(text.as_bytes())
}

/// What the lock is.
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

/// The path with something appended to its last part.
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

    fn patience(timeout: Duration) -> LockWait {
        LockWait::new(&Options { timeout, ..Options::default() }, Path::new("s.db"))
    }

    fn files(lock: &LockFile) -> usize {
        fs::read_dir(lock.path.parent().expect("a folder")).expect("it is there").count()
    }

    #[test]
    fn a_lock_is_held_by_one_and_leaves_nothing_behind() {
        let lock = lock("one");
        let held = lock.acquire(&mut patience(Duration::from_secs(60))).expect("it is free");
        assert!(held.is_ours());
        let second = lock.acquire(&mut patience(Duration::ZERO));
        let Err(LockError::Busy { holder: Some(holder) }) = second else { panic!("it is held") };
        assert!(holder.starts_with(&format!("process {}", std::process::id())), "{holder}");
        drop(held);
        assert_eq!(files(&lock), 0);
        lock.acquire(&mut patience(Duration::ZERO)).expect("it is free again");
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
        let held =
            lock.acquire(&mut patience(Duration::from_secs(60))).expect("its holder is dead");
        assert!(held.is_ours());
        assert_eq!(files(&lock), 2);
    }

    #[test]
    fn a_holder_whose_lock_was_taken_over_knows_it_and_leaves_the_others_alone() {
        let lock = lock("taken");
        let held = lock.acquire(&mut patience(Duration::ZERO)).expect("it is free");
        fs::remove_file(&lock.path).expect("it is there");
        let other = lock.acquire(&mut patience(Duration::ZERO)).expect("it is free");
        assert!(!held.is_ours() && other.is_ours());
        drop(held);
        assert!(other.is_ours());
    }

    /// Writes the lock of a process on another machine, of which only the file says whether it is alive.
    fn write_strangers_lock(lock: &LockFile) {
        let process = ProcessId { host: "elsewhere".to_owned(), ..ProcessId::current() };
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
        let held = lock.acquire(&mut patience(Duration::ZERO)).expect("it is free");
        let other = lock.acquire(&mut patience(Duration::from_millis(2500)));
        assert!(matches!(other, Err(LockError::Busy { .. })), "{other:?}");
        assert!(held.is_ours());
    }

    #[test]
    fn a_strangers_lock_that_stands_still_is_broken_after_its_time() {
        let lock = quick(lock("still"), Duration::from_millis(300));
        write_strangers_lock(&lock);
        let early = lock.acquire(&mut patience(Duration::from_millis(100)));
        let Err(LockError::Busy { holder: Some(holder) }) = early else { panic!("{early:?}") };
        assert!(holder.ends_with(" on elsewhere"), "{holder}");
        let started = Instant::now();
        let held = lock.acquire(&mut patience(Duration::from_secs(20))).expect("it stands still");
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
}
