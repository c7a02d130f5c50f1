//! The text of a lock file, and sightings of another process's lock.

use super::holder::{HolderProbe, HolderState};
use crate::platform::process::{Life, ProcessId};
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use trialbox_core::Json;
use trialbox_files::{FileError, Folder, read_with_time};

/// The most that is read of a lock, in bytes. Ours have about 400.
const MAX_BYTES: u64 = 64 << 10;

/// A holder whose job runs may lose a lock that stands still for this many times as long as other holders. It is less
/// than the longest wait for a database by default, so that the lock of a process that died in a long job is broken.
const PATIENCE_WITH_JOBS: u32 = 4;

/// The state of a lock, which is its second line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// Taken, but a process that held the database before may still be committing.
    Claimed,
    /// Taken.
    Held,
    /// Free.
    Released,
    /// Free, but a process that held the database before may still be committing.
    Unsettled,
}

impl Word {
    const ALL: [Word; 4] = [Word::Claimed, Word::Held, Word::Released, Word::Unsettled];

    /// Returns the line. All have one length: a holder overwrites it in place, which needs no room on the disk.
    pub(super) fn line(self) -> &'static str {
        match self {
            Word::Claimed => "claimed  \n",
            Word::Held => "held     \n",
            Word::Released => "released \n",
            Word::Unsettled => "unsettled\n",
        }
    }
}

/// The times of a lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// The time for which a lock must stand still before another process breaks it.
    pub(super) stale_after: Duration,
    /// The time between two touches of a holder.
    pub(super) touch_interval: Duration,
    /// The time in which a commit is over, in a process that is not suspended.
    pub(super) settle: Duration,
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

/// The contents of a lock.
#[derive(Debug, Clone)]
pub(crate) struct LockText {
    pub(super) text: String,
    pub(super) modified: SystemTime,
    /// The first line, read when it is needed: most looks find what they know.
    json: OnceCell<Json>,
    /// The state; `None` in a file that is none of ours.
    pub(crate) word: Option<Word>,
}

impl LockText {
    /// Reads a lock, or returns `None` if there is none.
    ///
    /// # Errors
    /// Fails for a link, a FIFO or anything else that is not a file of ours, without waiting for it.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        match read_with_time(path, MAX_BYTES) {
            Ok((bytes, modified)) => Ok(Some(LockText::new(&bytes, modified))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(FileError::Io { source, .. }) => Err(source),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn read_in(folder: &Folder, name: &OsStr) -> Result<Self, FileError> {
        let bytes = folder.read(name, MAX_BYTES)?;
        Ok(LockText::new(&bytes, folder.modified(name)?))
    }

    fn new(bytes: &[u8], modified: SystemTime) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let word = text.split_once('\n').map_or("", |(_, word)| word);
        let word = Word::ALL.into_iter().find(|known| known.line() == word);
        LockText { text, modified, json: OnceCell::new(), word }
    }

    fn json(&self) -> &Json {
        self.json.get_or_init(|| {
            let line = self.text.split('\n').next().unwrap_or_default();
            Json::parse(line).unwrap_or(Json::Null)
        })
    }

    /// Returns whether the attempt with this token wrote the lock, without reading the rest of the line.
    pub(super) fn is_of(&self, token: &str) -> bool {
        let rest =
            self.text.strip_prefix("{\"token\": \"").and_then(|rest| rest.strip_prefix(token));
        rest.is_some_and(|rest| rest.starts_with('"'))
    }

    /// Returns the token of the attempt that wrote the lock.
    pub(super) fn token(&self) -> Option<&str> {
        self.json().get("token")?.as_str()
    }

    /// Returns the process that wrote the lock.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        ProcessId::from_json(self.json())
    }

    /// Returns the reason why the database has a lock file, in the words of the process that made the first one.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.json().get("reason")?.as_str()
    }

    /// Returns whether the holder has released the lock.
    pub(crate) fn is_released(&self) -> bool {
        matches!(self.word, Some(Word::Released | Word::Unsettled))
    }
}

/// A sighting of another process's lock, with the time since which it has looked so.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) found: LockText,
    process: Option<ProcessId>,
    since: Instant,
    /// The last answer of the batch system.
    told: Option<(Instant, HolderState)>,
}

impl Sighting {
    /// Looks again: the same sighting if nothing has changed, `None` if the file is gone.
    ///
    /// # Errors
    /// Fails if something else than a file stands there, which no wait removes.
    pub(super) fn again(
        before: Option<Sighting>,
        path: &Path,
    ) -> Result<Option<Sighting>, LockError> {
        let Some(found) = LockText::read(path)? else { return Ok(None) };
        match before {
            Some(before) if before.is_same(&found) => Ok(Some(before)),
            _ => {
                let process = found.process();
                Ok(Some(Sighting { found, process, since: Instant::now(), told: None }))
            }
        }
    }

    /// Returns whether a lock still looks so. A holder that was suspended and continues touches its lock.
    pub(super) fn is_same(&self, now: &LockText) -> bool {
        self.found.text == now.text && self.found.modified == now.modified
    }

    /// Returns whether the process is gone, or has not touched its lock for too long. A process that is known to live,
    /// on this machine or to the batch system, may be suspended; it is not gone.
    pub(super) fn is_abandoned(&mut self, timing: &Timing, probe: &HolderProbe) -> bool {
        let still = self.since.elapsed();
        match self.life() {
            Life::Gone(_) => true,
            Life::Alive => false,
            Life::Unknown if still < timing.stale_after => false,
            Life::Unknown => match self.ask(timing.stale_after, probe) {
                HolderState::Gone(_) | HolderState::Unknown => true,
                HolderState::Stopped => false,
                HolderState::MayRun => still >= timing.stale_after * PATIENCE_WITH_JOBS,
            },
        }
    }

    /// Returns whether no process from before can be committing: the holder has said so, or died after it had.
    pub(super) fn is_settled(&self) -> bool {
        match self.found.word {
            Some(Word::Released) => true,
            Some(Word::Held) => self.is_known_gone(),
            _ => false,
        }
    }

    pub(super) fn is_known_gone(&self) -> bool {
        matches!(self.life(), Life::Gone(_))
    }

    pub(super) fn holder(&self) -> Option<String> {
        self.process.as_ref().map(|process| format!("process {} on {}", process.pid, process.host))
    }

    fn life(&self) -> Life {
        self.process.as_ref().map_or(Life::Unknown, ProcessId::life)
    }

    /// Asks the batch system, at most once in the time given: hundreds of processes may wait for one lock.
    fn ask(&mut self, interval: Duration, probe: &HolderProbe) -> HolderState {
        match &self.told {
            Some((at, state)) if at.elapsed() < interval => state.clone(),
            _ => {
                let state = probe.ask(self.found.json());
                self.told = Some((Instant::now(), state.clone()));
                state
            }
        }
    }
}

/// Splits a path into its folder and its last part.
pub(super) fn folder_and_name(path: &Path) -> Option<(&Path, &OsStr)> {
    let name = path.file_name()?;
    let folder = path.parent()?;
    Some((if folder == Path::new("") { Path::new(".") } else { folder }, name))
}
