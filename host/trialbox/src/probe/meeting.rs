//! How two processes on two nodes talk: by files of a folder, each written aside and renamed.

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The first look for a file is this soon after the one before, the others ever later.
const SHORTEST_STEP: Duration = Duration::from_millis(2);
const LONGEST_STEP: Duration = Duration::from_millis(250);

/// One side of it.
#[derive(Debug)]
pub(super) struct Meeting<'a> {
    folder: &'a Path,
    rank: u8,
    patience: Duration,
}

impl<'a> Meeting<'a> {
    /// `rank` is 0 or 1; `patience` is for each wait.
    pub(super) fn new(folder: &'a Path, rank: u8, patience: Duration) -> Self {
        Meeting { folder, rank, patience }
    }

    pub(super) fn rank(&self) -> u8 {
        self.rank
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Tells the other something. Each step has a name that is used once.
    pub(super) fn say(&self, step: &str, text: &str) -> Result<()> {
        self.write(&format!("{step}.{}", self.rank), text)
    }

    /// Waits for what the other says.
    pub(super) fn hear(&self, step: &str) -> Result<String> {
        let name = format!("{step}.{}", 1 - self.rank);
        let started = Instant::now();
        let mut pause = SHORTEST_STEP;
        loop {
            if let Some(text) = look(self.folder, &name)? {
                return Ok(text);
            }
            if started.elapsed() >= self.patience {
                let seconds = self.patience.as_secs_f64();
                bail!("the other task was not heard of within {seconds} s, at the step `{step}`");
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_STEP);
        }
    }

    /// Goes on when both have come here.
    pub(super) fn meet(&self, step: &str) -> Result<()> {
        self.say(step, "")?;
        self.hear(step).map(drop)
    }

    /// Writes a file that is there at once and as a whole.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        let aside = self.path(&format!("{name}.tmp"));
        let written = fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path));
        written.with_context(|| format!("failed to write `{}`", path.display()))
    }
}

/// What a file of the folder holds, or `None` if it is not there. Asks the server: a client of NFS believes for up to
/// a minute that a name is not there, but not after it has itself made another one in that folder.
///
/// # Errors
/// When the folder cannot be written, or the file is there and cannot be read.
pub(crate) fn look(folder: &Path, name: &str) -> Result<Option<String>> {
    let touched = folder.join(format!("look.{}.{name}", std::process::id()));
    let touch = fs::write(&touched, "").and_then(|()| fs::remove_file(&touched));
    touch.with_context(|| format!("failed to write in `{}`", folder.display()))?;
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read `{}`", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_says_so_after_its_patience_and_who_is_not_hears_the_other() {
        let folder = std::env::temp_dir().join(format!("trialbox-meeting-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let ranks = [0, 1].map(|rank| Meeting::new(&folder, rank, Duration::from_millis(5)));
        let alone = ranks[0].hear("hello").expect_err("nobody is there");
        let text = alone.to_string();
        assert_eq!(text, "the other task was not heard of within 0.005 s, at the step `hello`");
        ranks[1].say("hello", "it is me").expect("it is written");
        assert_eq!(ranks[0].hear("hello").expect("it is there"), "it is me");
        fs::remove_dir_all(&folder).expect("it is removed");
    }
}
