//! Experiments of two nodes with each other's files and clocks.
//!
//! SQLite relies on byte-range locks and reads through caches. The lock file of trialbox relies on names instead.

use super::meeting::Meeting;
use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::{Duration, Instant, SystemTime};

/// The number of messages in each direction that measure the clocks.
const CLOCK_ROUNDS: usize = 2;

/// The number of names that both tasks try to create.
const NAME_ROUNDS: usize = 20;

/// The time that a released lock may take to be free on the other node: the release may go through a server.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

const OLD: &str = "old";
const NEW: &str = "new";

/// The results of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Found {
    /// The messages with the other side's time.
    pub(crate) messages: Vec<Message>,
    /// The result of requesting a lock that the other side held.
    pub(crate) lock: Option<LockSeen>,
    /// True if the lock was free after the other side had released it.
    pub(crate) lock_afterwards: Option<bool>,
    /// The reads of a file that the other side rewrote.
    pub(crate) cache: Option<CacheSeen>,
    /// For each name that both sides tried to create, true if this side created it.
    pub(crate) names: Option<Vec<bool>>,
    /// The error of a file system without hard links.
    pub(crate) no_links: Option<String>,
}

/// The times of a message in seconds since 1970: sent by the sender's clock, seen by the receiver's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Message {
    /// The time of sending, by the sender's clock.
    pub(crate) sent: f64,
    /// The time of receipt, by the receiver's clock.
    pub(crate) seen: f64,
}

/// The result of requesting a lock that the other side held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LockSeen {
    /// Refused, as it should be.
    Refused,
    /// Granted to both sides.
    Given,
    /// The file system has no such locks. Holds the system's error.
    Impossible(String),
}

/// True where a read returned the new contents of a file, directly after the other side had written, synced and closed
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CacheSeen {
    /// A read through a descriptor that was open all the time.
    pub(crate) kept: bool,
    /// A read through the same descriptor after locking it, as SQLite reads.
    pub(crate) locked: bool,
    /// A read after reopening the file.
    pub(crate) reopened: bool,
}

impl Found {
    /// Runs the experiments together with the other side. Results from before an error stay.
    pub(super) fn run(&mut self, meeting: &Meeting<'_>) -> Result<()> {
        meeting.meet("hello")?;
        for round in 0..CLOCK_ROUNDS {
            self.messages.push(exchange_times(meeting, round)?);
        }
        for holder in [0, 1] {
            if holder == meeting.rank() {
                hold_lock(meeting)?;
                rewrite(meeting)?;
            } else {
                self.request_lock(meeting)?;
                self.cache = Some(read_rewritten(meeting)?);
            }
        }
        self.race_for_names(meeting)
    }

    /// Requests the lock while the other side holds it, and again after the release.
    fn request_lock(&mut self, meeting: &Meeting<'_>) -> Result<()> {
        let held = meeting.receive("held")?;
        if !held.is_empty() {
            self.lock = Some(LockSeen::Impossible(held));
            return Ok(());
        }
        let file = open_to_lock(meeting, 1 - meeting.rank())?;
        self.lock = Some(match try_lock(&file) {
            Ok(true) => LockSeen::Given,
            Ok(false) => LockSeen::Refused,
            Err(error) => LockSeen::Impossible(error.to_string()),
        });
        unlock(&file);
        meeting.send("asked", "")?;
        meeting.receive("free")?;
        self.lock_afterwards = Some(wait_for_lock(&file));
        meeting.send("done", "")
    }

    /// Tries to create the same names as the other side, by links as the lock file is created.
    fn race_for_names(&mut self, meeting: &Meeting<'_>) -> Result<()> {
        let mut names = Vec::new();
        for round in 0..NAME_ROUNDS {
            let folder = meeting.folder()?;
            let own = format!("claim-{round}.{}", meeting.rank());
            folder.create_new(OsStr::new(&own)).context("failed to write a file")?;
            meeting.meet(&format!("ready-{round}"))?;
            match folder.link(OsStr::new(&own), OsStr::new(&format!("name-{round}"))) {
                Ok(()) => names.push(true),
                // NFS may lose the answer to a successful link and refuse the repetition (open(2)).
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let own = fs::metadata(meeting.path(&own));
                    names.push(own.is_ok_and(|metadata| metadata.nlink() == 2));
                }
                Err(error) => {
                    self.no_links = Some(error.to_string());
                    return Ok(());
                }
            }
        }
        self.names = Some(names);
        Ok(())
    }
}

/// Exchanges one message in each direction: rank 0 sends first.
fn exchange_times(meeting: &Meeting<'_>, round: usize) -> Result<Message> {
    let step = format!("clock-{round}");
    if meeting.rank() == 0 {
        meeting.send(&step, &now().to_string())?;
    }
    let sent = meeting.receive(&step)?;
    let sent = sent.parse().with_context(|| format!("expected a time, found `{sent}`"))?;
    let message = Message { sent, seen: now() };
    if meeting.rank() == 1 {
        meeting.send(&step, &now().to_string())?;
    }
    Ok(message)
}

/// Returns the seconds since 1970.
fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}

/// Holds a lock while the other side requests it, then releases it.
fn hold_lock(meeting: &Meeting<'_>) -> Result<()> {
    let file = open_to_lock(meeting, meeting.rank())?;
    match try_lock(&file) {
        Ok(true) => meeting.send("held", "")?,
        // No other process has opened this new file.
        Ok(false) => return meeting.send("held", "a new file is locked already"),
        Err(error) => return meeting.send("held", &error.to_string()),
    }
    meeting.receive("asked")?;
    unlock(&file);
    meeting.send("free", "")?;
    meeting.receive("done").map(drop)
}

fn open_to_lock(meeting: &Meeting<'_>, holder: u8) -> Result<File> {
    let name = format!("lock-of-{holder}");
    meeting.folder()?.open_lock_file(OsStr::new(&name)).context("failed to open a file")
}

/// Requests the lock on all bytes, and returns whether it was granted.
fn try_lock(file: &File) -> io::Result<bool> {
    match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn unlock(file: &File) {
    // The other side notices a failure.
    let _ = fcntl_lock(file, FlockOperation::NonBlockingUnlock);
}

/// Waits until the lock is free; returns false after a timeout.
fn wait_for_lock(file: &File) -> bool {
    let started = Instant::now();
    loop {
        if try_lock(file).unwrap_or(false) {
            unlock(file);
            return true;
        }
        if started.elapsed() >= RELEASE_TIMEOUT {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes a file, and rewrites it when the other side has it open.
fn rewrite(meeting: &Meeting<'_>) -> Result<()> {
    let name = format!("text-of-{}", meeting.rank());
    write_in_place(meeting, &name, OLD).context("failed to write a file")?;
    meeting.send("written", "")?;
    meeting.receive("opened")?;
    write_in_place(meeting, &name, NEW).context("failed to write a file again")?;
    meeting.send("rewritten", "")
}

/// Writes over the start of a file, as SQLite writes to a database.
fn write_in_place(meeting: &Meeting<'_>, name: &str, text: &str) -> Result<()> {
    let mut file = meeting.folder()?.open_lock_file(OsStr::new(name))?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

/// Reads the file that the other side rewrites, in three ways.
fn read_rewritten(meeting: &Meeting<'_>) -> Result<CacheSeen> {
    let name = format!("text-of-{}", 1 - meeting.rank());
    meeting.receive("written")?;
    let file = open_existing(meeting, &name)?;
    is_new(&file)?;
    meeting.send("opened", "")?;
    meeting.receive("rewritten")?;
    let kept = is_new(&file)?;
    let locked = try_lock(&file).unwrap_or(false) && is_new(&file)?;
    unlock(&file);
    let file = open_existing(meeting, &name)?;
    Ok(CacheSeen { kept, locked, reopened: is_new(&file)? })
}

fn open_existing(meeting: &Meeting<'_>, name: &str) -> Result<File> {
    meeting.folder()?.open_to_change(OsStr::new(name)).context("the other task wrote a file")
}

/// Returns whether a file has the new contents.
fn is_new(file: &File) -> Result<bool> {
    let mut bytes = [0; NEW.len()];
    file.read_exact_at(&mut bytes, 0).context("failed to read a file that the other task wrote")?;
    Ok(bytes == NEW.as_bytes())
}
