//! The settings of a program objective.

use crate::command::CommandLine;
use crate::confinement::{Confined, rights_text};
use crate::python::PythonClient;
use crate::shares::Share;
use crate::value_source::ValueSource;
use std::ffi::OsString;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::session::objective::Interruption;
use trialbox_core::study::limits::Limits;

/// The settings with which a program runs.
#[derive(Debug, Clone)]
pub struct ProgramConfig {
    /// This binary, which becomes the supervisor when its first argument is [`crate::SUPERVISOR_ARGUMENT`].
    pub supervisor: PathBuf,
    /// The command.
    pub command: CommandLine,
    /// Variables that are added to the environment, which the program inherits.
    pub env: Vec<(String, String)>,
    /// The Python client, if it could be written.
    pub python: Option<PythonClient>,
    /// True if `import optuna` finds trialbox's module.
    pub as_optuna: bool,
    /// The place of the values of a program that does not send them by the protocol.
    pub value_source: ValueSource,
    /// The advice for a program that left no value.
    pub help_without_value: &'static str,
    /// The time between SIGTERM and SIGKILL, and between a result and the exit.
    pub grace: Duration,
    /// The devices and CPUs that the program has to itself.
    pub share: Share,
    /// The rights that it keeps; those of the user without one. Its scratch folder is added for each trial.
    pub confined: Option<Confined>,
    /// The limits of each trial.
    pub limits: Limits,
    /// The events outside that end a trial early.
    pub stops: Arc<dyn Stops>,
}

impl ProgramConfig {
    /// Describes the rights of the program, for people.
    pub fn rights_text(&self) -> String {
        rights_text(self.confined.as_ref())
    }

    /// Returns the folders in which the program is looked for, as its own environment will have them.
    pub(crate) fn path(&self) -> Option<OsString> {
        let given = self.env.iter().rev().find(|(name, _)| name == "PATH");
        given.map(|(_, value)| value.into()).or_else(|| std::env::var_os("PATH"))
    }

    /// Returns the folders in front of the program's `PYTHONPATH`, with the Python client.
    pub(crate) fn python_path(&self) -> Vec<PathBuf> {
        self.python.as_ref().map(|client| client.search_path(self.as_optuna)).unwrap_or_default()
    }
}

/// The events outside a trial that end it early: signals, and the end of the job.
pub trait Stops: Debug + Send + Sync {
    /// Returns the interruption that has occurred.
    fn pending(&self) -> Option<Interruption>;

    /// Returns the time until trials are stopped because the job ends, if that is known.
    fn remaining(&self) -> Option<Duration>;

    /// Returns the time until a program must be gone so that its trial can be recorded before the job ends.
    fn until_last_moment(&self) -> Option<Duration>;
}
