//! What two nodes do to each other's files and clocks.
//!
//! Byte-range locks are what SQLite trusts, caches what it reads through, and names what the lock file trusts
//! instead of them.

use super::meeting::Meeting;
use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::{Duration, Instant, SystemTime};

/// How often messages go to and fro between the clocks.
const CLOCK_ROUNDS: usize = 2;

/// How often both try to make one name.
const NAME_ROUNDS: usize = 20;

/// How long a lock may take to be free after it was let go: its news may have to go over a server.
const RELEASE: Duration = Duration::from_secs(10);

const OLD: &str = "old";
const NEW: &str = "new";

/// What one of the two saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// The other's messages about its clock.
    pub(crate) messages: Vec<Message>,
    /// What came of asking for a lock that the other held.
    pub(crate) lock: Option<LockSeen>,
    /// Whether it was to be had when the other had let it go.
    pub(crate) lock_afterwards: Option<bool>,
    /// What could be read of a file that the other rewrote.
    pub(crate) cache: Option<CacheSeen>,
    /// Of the names that both tried to make, those that this one made.
    pub(crate) names: Option<Vec<bool>>,
    /// Why a name could not be tried.
    pub(crate) no_links: Option<String>,
}

/// When a message was sent by the sender's clock, and when it was seen by the reader's, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) sent: f64,
    pub(crate) seen: f64,
}

/// What came of asking for a lock that the other held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LockSeen {
    /// It was refused, as it should be.
    Refused,
    /// It was given.
    Given,
    /// There are no such locks; what the system said.
    Impossible(String),
}

/// Whether the new contents of a file were seen, at once after the other had written, synced and closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheSeen {
    /// Through a descriptor that was open all the time.
    pub(crate) kept: bool,
    /// Through the same, after locking it: this is how SQLite reads.
    pub(crate) locked: bool,
    /// After opening it again.
    pub(crate) reopened: bool,
}

impl Found {
    /// Makes the experiments, together with the other. What was seen before an error stays.
    pub(super) fn fill(&mut self, meeting: &Meeting<'_>) -> Result<()> {
        meeting.meet("hello")?;
        for round in 0..CLOCK_ROUNDS {
            self.messages.push(exchange_times(meeting, round)?);
        }
        for holder in [0, 1] {
            if holder == meeting.rank() {
                hold_lock(meeting)?;
                rewrite(meeting)?;
            } else {
                self.ask_for_lock(meeting)?;
                self.cache = Some(read_what_is_rewritten(meeting)?);
            }
        }
        self.race_for_names(meeting)
    }

    fn ask_for_lock(&mut self, meeting: &Meeting<'_>) -> Result<()> {
        let held = meeting.hear("held")?;
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
        meeting.say("asked", "")?;
        meeting.hear("free")?;
        self.lock_afterwards = Some(wait_for_lock(&file));
        meeting.say("done", "")
    }

    /// Both try to make the same name by a link, as the lock file is made.
    fn race_for_names(&mut self, meeting: &Meeting<'_>) -> Result<()> {
        let mut names = Vec::new();
        for round in 0..NAME_ROUNDS {
            let own = meeting.path(&format!("claim-{round}.{}", meeting.rank()));
            fs::write(&own, "").context("failed to write a file")?;
            meeting.meet(&format!("ready-{round}"))?;
            let made = fs::hard_link(&own, meeting.path(&format!("name-{round}")));
            match made {
                Ok(()) => names.push(true),
                // The answer to a link that was made may be lost, and its repetition refused (open(2)).
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    names.push(fs::metadata(&own).is_ok_and(|metadata| metadata.nlink() == 2));
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

/// First 0 sends and 1 reads, then the other way.
fn exchange_times(meeting: &Meeting<'_>, round: usize) -> Result<Message> {
    let step = format!("clock-{round}");
    let send = || meeting.say(&step, &now().to_string());
    if meeting.rank() == 0 {
        send()?;
    }
    let sent = meeting.hear(&step)?;
    let message = Message { sent: sent.parse().context("a time that is no number")?, seen: now() };
    if meeting.rank() == 1 {
        send()?;
    }
    Ok(message)
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}

fn hold_lock(meeting: &Meeting<'_>) -> Result<()> {
    let file = open_to_lock(meeting, meeting.rank())?;
    match try_lock(&file) {
        Ok(true) => meeting.say("held", "")?,
        // A new file that nobody else knows of.
        Ok(false) => return meeting.say("held", "a file of nobody else's is locked already"),
        Err(error) => return meeting.say("held", &error.to_string()),
    }
    meeting.hear("asked")?;
    unlock(&file);
    meeting.say("free", "")?;
    meeting.hear("done").map(drop)
}

fn open_to_lock(meeting: &Meeting<'_>, holder: u8) -> Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    options.open(meeting.path(&format!("lock-of-{holder}"))).context("failed to open a file")
}

/// Asks for the lock on all bytes; whether it was given.
fn try_lock(file: &File) -> io::Result<bool> {
    match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn unlock(file: &File) {
    // Where it fails, the other finds out.
    let _ = fcntl_lock(file, FlockOperation::NonBlockingUnlock);
}

fn wait_for_lock(file: &File) -> bool {
    let started = Instant::now();
    loop {
        if try_lock(file).unwrap_or(false) {
            unlock(file);
            return true;
        }
        if started.elapsed() >= RELEASE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes a file, and again when the other has it open.
fn rewrite(meeting: &Meeting<'_>) -> Result<()> {
    let path = meeting.path(&format!("text-of-{}", meeting.rank()));
    let write = |text: &str| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write(OLD).context("failed to write a file")?;
    meeting.say("written", "")?;
    meeting.hear("opened")?;
    write(NEW).context("failed to write a file again")?;
    meeting.say("rewritten", "")
}

fn read_what_is_rewritten(meeting: &Meeting<'_>) -> Result<CacheSeen> {
    let path = meeting.path(&format!("text-of-{}", 1 - meeting.rank()));
    let open = || OpenOptions::new().read(true).write(true).open(&path);
    meeting.hear("written")?;
    let file = open().context("failed to open a file of the other's")?;
    is_new(&file)?;
    meeting.say("opened", "")?;
    meeting.hear("rewritten")?;
    let kept = is_new(&file)?;
    let locked = try_lock(&file).unwrap_or(false) && is_new(&file)?;
    unlock(&file);
    let file = open().context("failed to open a file of the other's again")?;
    Ok(CacheSeen { kept, locked, reopened: is_new(&file)? })
}

fn is_new(file: &File) -> Result<bool> {
    let mut bytes = [0; NEW.len()];
    file.read_exact_at(&mut bytes, 0).context("failed to read a file of the other's")?;
    Ok(bytes == NEW.as_bytes())
}
