//! The files that a trial keeps across interruptions.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A directory for files that a trial needs after an interruption, such as half-trained weights.
/// [`Trial::checkpoint`](crate::Trial::checkpoint) returns it.
///
/// A retry of the trial starts from a copy of the directory; the directory is removed when the trial
/// finishes. A trial that resumes should return the value that it would have returned without the
/// interruption. Save therefore everything that the rest of the work depends on, including the state of
/// random number generators, and report the earlier values again. Keep it all in one file: an
/// interruption between two files leaves one of them older than the other. Only the file system limits
/// the size.
///
/// In a run without such a directory [`save`](Checkpoint::save) does nothing and
/// [`load`](Checkpoint::load) finds nothing, so the same code serves both cases:
///
/// ```
/// use trialbox_guest::{Result, Trial};
///
/// fn train(trial: &mut Trial) -> Result<f64> {
///     let checkpoint = trial.checkpoint();
///     let done = checkpoint.load("epoch")?.map_or(0, |bytes| bytes[0]);
///     for epoch in done..10 {
///         // … one pass over the data …
///         checkpoint.save("epoch", &[epoch + 1])?;
///     }
///     Ok(0.0)
/// }
/// # train(&mut Trial::fixed([])).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// The run has no checkpoint directory.
    Unavailable,
    /// The directory is empty: this is the first attempt, or an earlier one saved nothing.
    Fresh(PathBuf),
    /// The directory holds the files of an earlier attempt that was interrupted.
    Resumed(PathBuf),
}

impl Checkpoint {
    /// Returns the directory, if the run has one.
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Checkpoint::Unavailable => None,
            Checkpoint::Fresh(dir) | Checkpoint::Resumed(dir) => Some(dir),
        }
    }

    /// Returns the content of the file `name`, or `None` without such a file or without a directory.
    ///
    /// # Errors
    ///
    /// Fails if the file exists but cannot be read.
    pub fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(dir) = self.dir() else { return Ok(None) };
        match fs::read(dir.join(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(error, "read", name)),
        }
    }

    /// Writes the file `name` atomically. Does nothing without a directory.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn save(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let Some(dir) = self.dir() else { return Ok(()) };
        // A trial can be interrupted at any moment. The rename keeps the old content until the new one is
        // complete.
        let unfinished = dir.join(format!("{name}.unfinished"));
        write_synced(&unfinished, content)
            .and_then(|()| fs::rename(unfinished, dir.join(name)))
            .map_err(|error| named(error, "write", name))
    }
}

/// Writes a file and syncs it. Without the sync, a machine that crashes may keep the later rename but lose the
/// content.
fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Adds the file to the message of an error, which the standard library leaves out.
fn named(error: io::Error, action: &str, name: &str) -> io::Error {
    io::Error::new(error.kind(), format!("failed to {action} the checkpoint `{name}`: {error}"))
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    #[test]
    fn a_saved_file_is_loaded_again_and_replaced() -> io::Result<()> {
        let dir = std::env::temp_dir().join(format!("trialbox-guest-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let checkpoint = Checkpoint::Fresh(dir.clone());
        assert_eq!(checkpoint.load("weights")?, None);
        checkpoint.save("weights", b"one")?;
        checkpoint.save("weights", b"two")?;
        assert_eq!(checkpoint.load("weights")?.as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::read_dir(&dir)?.count(), 1);
        fs::remove_dir_all(dir)
    }

    #[test]
    fn an_error_names_the_file() {
        let error =
            Checkpoint::Fresh("/no/such/directory".into()).save("weights", b"").unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("failed to write the checkpoint `weights`: "), "{message}");
    }

    #[test]
    fn without_a_directory_nothing_is_kept() -> io::Result<()> {
        Checkpoint::Unavailable.save("weights", b"one")?;
        assert_eq!(Checkpoint::Unavailable.load("weights")?, None);
        Ok(())
    }
}
