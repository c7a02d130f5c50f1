//! `--checkpoint-dir`: the flag and its checks.

use crate::error::CommandError;
use crate::worker::checkpoint::CheckpointRoot;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use trialbox_files::{FileError, Folder, create_folders};
use trialbox_runtime::{CHECKPOINT_PATH, Grant};

/// The flags about the trials' checkpoints.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Job")]
pub(crate) struct CheckpointArgs {
    /// Directory of the trials' checkpoints
    ///
    /// Each trial has a directory below it, mounted as `/checkpoint`. A retry starts from a copy. Checkpoints are
    /// removed when the trial finishes and kept when it is interrupted. All nodes must see the directory.
    /// [default: no checkpoints] [env: TRIALBOX_CHECKPOINT_DIR]
    #[arg(long, value_name = "DIR", env = "TRIALBOX_CHECKPOINT_DIR", hide_env = true)]
    checkpoint_dir: Option<PathBuf>,
}

impl CheckpointArgs {
    /// Returns the directory as the user named it.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.checkpoint_dir.as_deref()
    }

    /// Returns the directory, after a check that directories can be created in it.
    ///
    /// # Errors
    /// Fails if none can be created, or if a grant hides the checkpoints from the objective.
    pub(crate) fn root(&self, grants: &[Grant]) -> Result<Option<CheckpointRoot>, CommandError> {
        let Some(dir) = &self.checkpoint_dir else { return Ok(None) };
        if let Some(grant) =
            grants.iter().find(|it| Path::new(&it.guest).starts_with(CHECKPOINT_PATH))
        {
            return Err(CommandError::usage(
                format!("--dir and --checkpoint-dir both grant `{}`", grant.guest),
                format!(
                    "leave --checkpoint-dir out, or grant `{}` under another name",
                    grant.host.display()
                ),
            ));
        }
        let root = probe(dir).map_err(|error| {
            CommandError::usage(
                format!("cannot make a directory in `{}`: {error}", dir.display()),
                "give --checkpoint-dir a directory that this process may write to",
            )
        })?;
        Ok(Some(CheckpointRoot(root)))
    }
}

/// Creates a directory, and for a moment another one in it; returns its absolute path.
fn probe(dir: &Path) -> io::Result<PathBuf> {
    create_folders(dir, 0o777).map_err(FileError::into_reason)?;
    let dir = dir.canonicalize()?;
    let name = format!(".trialbox-{:016x}", rand::random::<u64>());
    let name = OsStr::new(&name);
    let tried = Folder::open(&dir).and_then(|folder| {
        folder.create_folder(name)?;
        folder.remove_folder(name)
    });
    tried.map(|()| dir).map_err(FileError::into_reason)
}
