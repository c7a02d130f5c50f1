//! Waiting for a database that other processes write: with jitter, up to a timeout, and with a notice.

use crate::location::{Options, WaitCancellation};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process that has waited for a time asks again within this part of it. A few processes hand the database on
/// without a long gap, hundreds do not use up their processors with asking, and no process needs to know their number.
const PART_OF_THE_WAIT: u32 = 2;

/// The first waits are this short: most transactions of others last a few milliseconds.
const SHORTEST_STEP: Duration = Duration::from_millis(1);

/// The longest; a herd of hundreds asks often enough together.
const LONGEST_STEP: Duration = Duration::from_millis(128);

/// A server that has no connection left forks for each attempt; hundreds of processes ask often enough together.
const LONGEST_STEP_OF_SERVER: Duration = Duration::from_secs(2);

/// The time between two warnings of a process that waits.
const NOTICE_INTERVAL: Duration = Duration::from_secs(10);

/// A lock file costs the server of a network file system several calls at each look.
const LONGEST_STEP_OF_LOCK_FILE: Duration = Duration::from_millis(250);

/// The time for which a process that was told to end still waits. Schedulers give it half a minute by default, some
/// sites less; a result that cannot be written by then is kept in a file.
pub(crate) const LAST_PATIENCE: Duration = Duration::from_secs(4);

/// One wait, from the first refusal to the end.
#[derive(Debug)]
pub(crate) struct LockWait {
    place: Place,
    started: Option<Instant>,
    timeout: Duration,
    stopping: WaitCancellation,
    stopped_at: Option<Instant>,
    longest_step: Duration,
    next_notice: Duration,
}

/// The database that is waited for.
#[derive(Debug)]
enum Place {
    File(PathBuf),
    /// A server, by its address without a password.
    Server(String),
}

impl LockWait {
    pub(crate) fn new(options: &Options, path: &Path) -> Self {
        LockWait::of(Place::File(path.to_owned()), options)
    }

    /// Starts a wait for a server, before its first answer: a network that swallows it takes time too.
    pub(crate) fn for_server(options: &Options, url: &str) -> Self {
        LockWait {
            started: Some(Instant::now()),
            longest_step: LONGEST_STEP_OF_SERVER,
            ..LockWait::of(Place::Server(url.to_owned()), options)
        }
    }

    fn of(place: Place, options: &Options) -> Self {
        LockWait {
            place,
            started: None,
            timeout: options.timeout,
            stopping: options.stopping.clone(),
            stopped_at: None,
            longest_step: LONGEST_STEP,
            next_notice: NOTICE_INTERVAL,
        }
    }

    /// Sets the pace of a lock file on a network file system.
    pub(crate) fn for_lock_file(self) -> Self {
        LockWait { longest_step: LONGEST_STEP_OF_LOCK_FILE, ..self }
    }

    /// Returns the time waited so far.
    pub(crate) fn waited(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed())
    }

    /// Waits a little; returns `false` when the wait is over. The wait is drawn at random up to a step that grows, so
    /// that a herd that was refused together does not come back together.
    pub(crate) fn wait(&mut self) -> bool {
        let waited = self.started.get_or_insert_with(Instant::now).elapsed();
        if self.is_over(waited) {
            return false;
        }
        if waited >= self.next_notice {
            self.next_notice += NOTICE_INTERVAL;
            self.warn(waited);
        }
        let left = self.timeout.saturating_sub(waited);
        let step = (waited / PART_OF_THE_WAIT).clamp(SHORTEST_STEP, self.longest_step);
        std::thread::sleep(step.mul_f64(rand::random::<f64>()).min(left));
        true
    }

    fn warn(&self, waited: Duration) {
        let (waited, timeout) = (waited.as_secs(), self.timeout.as_secs());
        match &self.place {
            Place::File(path) => {
                let holder =
                    holder_of(path).map_or(String::new(), |holder| format!(", by {holder}"));
                tracing::warn!(
                    "`{}` has been locked for {waited} s{holder}; waiting up to {timeout} s",
                    path.display()
                );
            }
            Place::Server(url) => {
                tracing::warn!(
                    "`{url}` has been away or full for {waited} s; waiting up to {timeout} s"
                );
            }
        }
    }

    fn is_over(&mut self, waited: Duration) -> bool {
        if self.stopped_at.is_none() && self.stopping.is_set() {
            self.stopped_at = Some(Instant::now());
        }
        let is_last = self.stopped_at.is_some_and(|since| since.elapsed() >= LAST_PATIENCE);
        waited >= self.timeout || is_last
    }
}

/// Returns the process of this machine that holds a lock on the file, from the kernel's list (proc_locks(5)). The file
/// is not opened: closing it again would give up this process's own locks on it.
pub(crate) fn holder_of(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    let (major, minor) = (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
    let file = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = fields.iter().position(|field| *field == file)?;
        let is_ours = fields.get(at.checked_sub(1)?)? == &std::process::id().to_string();
        (fields.contains(&"WRITE") && !is_ours).then(|| fields[at - 1].to_owned())
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = name.trim();
    Some(if name.is_empty() { format!("process {pid}") } else { format!("process {pid} ({name})") })
}
