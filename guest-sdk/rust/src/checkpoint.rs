//! The files that a trial keeps across interruptions.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A directory for what a trial wants to find again after an interruption, such as half-trained
/// weights. From [`Trial::checkpoint`](crate::Trial::checkpoint).
///
/// It follows the trial when it is tried again, and is removed when the trial has ended. A trial that
/// resumes should end with the value of one that was never interrupted. So what it saves is all that
/// the rest of its work depends on, the state of its random numbers included, and it reports once more
/// what it had reported. Keep that in one file: of several, an interruption may leave one of them older
/// than the others. How much may be saved is the file system's to say.
///
/// When the run offers no such directory, [`save`](Checkpoint::save) does nothing and
/// [`load`](Checkpoint::load) finds nothing, so an objective is written once for both cases:
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
    /// This run offers no such directory.
    Unavailable,
    /// The directory is empty: the trial starts from nothing.
    Fresh(PathBuf),
    /// The directory holds what an earlier, interrupted attempt at this trial left.
    Resumed(PathBuf),
}

impl Checkpoint {
    /// The directory, when there is one.
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Checkpoint::Unavailable => None,
            Checkpoint::Fresh(dir) | Checkpoint::Resumed(dir) => Some(dir),
        }
    }

    /// The content of the file `name`; `None` when there is no such file, or no directory.
    ///
    /// # Errors
    ///
    /// When the file is there but cannot be read.
    pub fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(dir) = self.dir() else { return Ok(None) };
        match fs::read(dir.join(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(error, "read", name)),
        }
    }

    /// Writes the file `name`, as a whole or not at all. Does nothing when there is no directory.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let Some(dir) = self.dir() else { return Ok(()) };
        // A trial may be interrupted at any moment: the old content must survive until the new one
        // is complete, which the renaming achieves.
        let unfinished = dir.join(format!("{name}.unfinished"));
        write_synced(&unfinished, content)
            .and_then(|()| fs::rename(unfinished, dir.join(name)))
            .map_err(|error| named(error, "write", name))
    }
}

/// A machine that dies may know of a renaming before it knows of what was written, unless that is synced.
fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The same error, with the file in its message, which the standard library leaves out.
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
