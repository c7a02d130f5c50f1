//! Messages between two processes on two nodes: files of a folder, each written aside and renamed.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use trialbox_files::Folder;

/// The pause between two attempts to read a message: at first, and at most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The most that is read of a message, in bytes. A report has some kilobytes.
const MAX_BYTES: u64 = 16 << 20;

/// One side of the exchange.
#[derive(Debug)]
pub(super) struct Meeting<'a> {
    folder: &'a Path,
    rank: u8,
    timeout: Duration,
}

impl<'a> Meeting<'a> {
    /// Returns the side with this `rank`, 0 or 1. The `timeout` holds for each wait.
    pub(super) fn new(folder: &'a Path, rank: u8, timeout: Duration) -> Self {
        Meeting { folder, rank, timeout }
    }

    pub(super) fn rank(&self) -> u8 {
        self.rank
    }

    pub(super) fn folder(&self) -> Result<Folder> {
        Ok(Folder::open(self.folder)?)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Sends a message. Each step has a name that is used once.
    pub(super) fn send(&self, step: &str, text: &str) -> Result<()> {
        self.write(&format!("{step}.{}", self.rank), text)
    }

    /// Waits for the other side's message.
    pub(super) fn receive(&self, step: &str) -> Result<String> {
        let name = format!("{step}.{}", 1 - self.rank);
        let started = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        loop {
            if let Some(text) = read_from_server(self.folder, &name)? {
                return Ok(text);
            }
            if started.elapsed() >= self.timeout {
                let seconds = self.timeout.as_secs_f64();
                bail!("the other task did not answer within {seconds} s, at the step `{step}`");
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until both sides have reached this step.
    pub(super) fn meet(&self, step: &str) -> Result<()> {
        self.send(step, "")?;
        self.receive(step).map(drop)
    }

    /// Writes a file that appears with its whole contents.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let written = Folder::open(self.folder).and_then(|folder| {
            let mut aside = folder.aside(OsStr::new(name))?;
            aside.write_bytes(text.as_bytes())?;
            aside.replace_unsynced()
        });
        written.with_context(|| format!("failed to write `{}`", self.path(name).display()))
    }
}

/// Reads a file of the folder, or returns `None` if it does not exist.
///
/// An NFS client remembers for up to a minute that a name does not exist. It forgets that when it creates another name
/// in the folder itself, which is why this writes a file first.
///
/// # Errors
/// Fails if the folder cannot be written, or the file exists and cannot be read.
pub(crate) fn read_from_server(folder: &Path, name: &str) -> Result<Option<String>> {
    let open = Folder::open(folder)?;
    open.check_writable().with_context(|| format!("failed to write to `{}`", folder.display()))?;
    match open.read(OsStr::new(name), MAX_BYTES) {
        Ok(text) => Ok(Some(String::from_utf8(text)?)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_task_without_the_other_gives_up_and_one_with_it_receives_its_message() {
        let folder = std::env::temp_dir().join(format!("trialbox-meeting-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let ranks = [0, 1].map(|rank| Meeting::new(&folder, rank, Duration::from_millis(5)));
        let alone = ranks[0].receive("hello").expect_err("the other is missing");
        let text = alone.to_string();
        assert_eq!(text, "the other task did not answer within 0.005 s, at the step `hello`");
        ranks[1].send("hello", "it is me").expect("it is written");
        assert_eq!(ranks[0].receive("hello").expect("it is there"), "it is me");
        fs::remove_dir_all(&folder).expect("it is removed");
    }
}
