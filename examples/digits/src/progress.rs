//! The progress of a training in its checkpoint, from which a retry resumes.

use std::io;

use trialbox_guest::{Checkpoint, Trial};

use crate::train::{Settings, Training, take};

/// The checkpoint file: a header line, the number of epochs, their accuracies, and the
/// [state](Training::state) of the training. Numbers are little-endian.
const FILE: &str = "training";

/// The completed epochs.
#[derive(Debug)]
pub struct Progress {
    /// The accuracy after each epoch.
    pub accuracies: Vec<f64>,
    checkpoint: Checkpoint,
    /// The header line. Change its number with every version of this program that trains or writes
    /// differently.
    header: String,
}

impl Progress {
    /// Loads the progress of an earlier attempt and restores `training` from it, if there is one.
    pub fn load(
        trial: &mut Trial,
        settings: &Settings,
        training: &mut Training,
    ) -> io::Result<Self> {
        let checkpoint = trial.checkpoint();
        let file = checkpoint.load(FILE)?;
        let header = format!("digits 1, {settings:?}\n");
        let mut progress = Progress { accuracies: Vec::new(), checkpoint, header };
        let Some(file) = file else { return Ok(progress) };
        match file.strip_prefix(progress.header.as_bytes()) {
            Some(state) => progress.read(state, training)?,
            None => {
                let header = file.split(|&byte| byte == b'\n').next().unwrap_or_default();
                let found = String::from_utf8_lossy(header);
                trial.warning(format_args!("starts anew: the checkpoint was saved by {found}"));
            }
        }
        Ok(progress)
    }

    /// Returns the number of completed epochs.
    pub fn epochs(&self) -> u32 {
        self.accuracies.len() as u32
    }

    /// Saves the progress for the next attempt.
    pub fn save(&self, training: &Training) -> io::Result<()> {
        if self.checkpoint == Checkpoint::Unavailable {
            return Ok(());
        }
        let mut file = self.header.clone().into_bytes();
        file.extend(self.epochs().to_le_bytes());
        file.extend(self.accuracies.iter().flat_map(|accuracy| accuracy.to_le_bytes()));
        file.extend(training.state());
        self.checkpoint.save(FILE, &file)
    }

    fn read(&mut self, mut state: &[u8], training: &mut Training) -> io::Result<()> {
        for _ in 0..u32::from_le_bytes(take(&mut state)?) {
            self.accuracies.push(f64::from_le_bytes(take(&mut state)?));
        }
        training.restore(state)
    }
}
