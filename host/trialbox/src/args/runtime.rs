//! The directory of runtimes for objectives in Python.

use crate::args::directories::{cache_key_dir, users_runtime_dir};
use std::path::PathBuf;
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_program::PythonClient;
use trialbox_runtime::{CacheKey, PythonRuntime, PythonRuntimes, Recipe};

/// The directory of runtimes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RuntimeArgs {
    /// Directory of runtimes for objectives in Python
    ///
    /// `trialbox runtime add python` fills it. [default: ~/.local/share/trialbox/runtimes] [env: TRIALBOX_RUNTIME_DIR]
    #[arg(long, value_name = "DIR", env = "TRIALBOX_RUNTIME_DIR", hide_env = true)]
    runtime_dir: Option<PathBuf>,
}

impl RuntimeArgs {
    /// Returns the runtimes in the directory.
    ///
    /// # Errors
    /// Fails without a home, and if the key under which files are vouched for cannot be trusted.
    pub(crate) fn runtimes(&self) -> Result<PythonRuntimes, Rejection> {
        let no_home = || {
            Rejection::new(
                RejectionCode::Runtime,
                "expected a directory of runtimes for Python, found neither HOME nor --runtime-dir",
                "set HOME to your home directory",
            )
        };
        let root = match &self.runtime_dir {
            Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            None => users_runtime_dir().ok_or_else(no_home)?,
        };
        let key = CacheKey::open(&cache_key_dir().ok_or_else(no_home)?).map_err(|error| {
            Rejection::new(
                RejectionCode::Runtime,
                format!("the runtime for Python cannot be trusted without your key: {error}"),
                "make the directory yours alone: chmod 700 ~/.local/state/trialbox",
            )
        })?;
        Ok(PythonRuntimes::new(root, key))
    }

    /// Returns the runtime for Python.
    ///
    /// # Errors
    /// Fails if there is none that can be used.
    pub(crate) fn find(&self) -> Result<PythonRuntime, Rejection> {
        self.runtimes()?.find(&recipe())
    }

    /// Returns the runtime for Python as [`Self::find`] does; `None` if none was added.
    pub(crate) fn find_existing(&self) -> Option<Result<PythonRuntime, Rejection>> {
        let root = self.runtime_dir.clone().or_else(users_runtime_dir)?;
        // No key is made for users without a runtime.
        if !root.exists() {
            return None;
        }
        match self.runtimes() {
            Ok(runtimes) if runtimes.exists() => Some(runtimes.find(&recipe())),
            Ok(_) => None,
            Err(rejection) => Some(Err(rejection)),
        }
    }

    /// Returns the directories of runtimes of all commands.
    pub(crate) fn all_dirs(&self) -> impl Iterator<Item = PathBuf> {
        self.runtime_dir.iter().cloned().chain(users_runtime_dir())
    }
}

/// Returns the recipe for snapshots, with the client of this binary.
pub(crate) fn recipe() -> Recipe {
    Recipe::new(PythonClient::modules())
}
