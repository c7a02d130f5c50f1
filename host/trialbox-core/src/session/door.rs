//! The seam for ways to run an objective, such as a sandbox of WebAssembly.

pub use crate::session::rejection::{Rejection, RejectionCode};

use crate::session::objective::Objective;
use crate::study::artifact::Description;
use crate::study::limits::Limits;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// An objective behind a boundary, such as another process. The callers prepare and call it, and know nothing of the
/// way in which it runs.
///
/// [`Objective::evaluate`] runs one trial. The other methods are for the time between trials.
pub trait Door: Objective {
    /// Waits until the objective is ready for its first trial, and describes it.
    ///
    /// # Errors
    /// Fails if the objective cannot be run.
    fn describe(&mut self) -> Result<Loaded, Rejection>;

    /// Returns, for people, the mechanisms that confine the objective to its grants.
    fn confinement(&self, loaded: &Loaded) -> String;

    /// Sets the limits of later trials, and whether they must give the same bits on every machine. A study may decide
    /// that after the objective was loaded; the objective is loaded again where that takes other code.
    ///
    /// # Errors
    /// Fails if the objective must be loaded again and cannot be.
    fn set_terms(&mut self, limits: Limits, deterministic: bool) -> Result<(), Rejection>;

    /// Gives later trials a directory for their checkpoints, or takes it away.
    fn set_checkpoint(&mut self, checkpoint: Option<CheckpointDir>);

    /// Makes the objective ready for the next trial, so that a trial that has started does not wait for that.
    ///
    /// # Errors
    /// Fails if the objective must be loaded again and cannot be.
    fn prepare(&mut self) -> Result<(), Rejection>;

    /// Forgets everything that earlier trials left, such as their process.
    fn restart(&mut self);
}

/// An objective that is ready to be called, and the conditions under which it runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Loaded {
    /// The description, if the objective has one.
    pub description: Option<Description>,
    /// The files beside a file of Python that it imports, by their paths below its folder. They are not trusted.
    pub imported: Vec<String>,
    /// True if compiled code was found in the cache.
    pub from_cache: bool,
    /// The reason why compiled code could not be saved, if it should have been.
    pub cache_problem: Option<String>,
    /// The reason why compiled code that was found in the cache was not used.
    pub refused_code: Option<String>,
    /// The version of Landlock with which the kernel enforces the grants; 0 without.
    pub landlock_abi: u32,
    /// True if the kernel refuses all system calls that are not on a list (seccomp).
    pub seccomp: bool,
    /// True if a second list leaves only the system calls that trials need, which depend on the grants.
    pub second_filter: bool,
    /// True if the guest process has a root directory that holds nothing but the grants.
    pub empty_root: bool,
    /// True if the address space is limited (`ulimit -v`), so that code checks the bounds of memories and is slower.
    pub small_address_space: bool,
    /// The time for loading or compiling.
    pub load_time: Duration,
}

/// The directory where a trial keeps files across interruptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointDir {
    /// The absolute path on the host.
    pub host: PathBuf,
    /// True if the directory holds files of an earlier attempt at the trial.
    pub resumed: bool,
}

/// The state of a trial's checkpoint directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckpointState {
    /// The trial has no directory.
    Unavailable,
    /// The directory is empty.
    Fresh,
    /// The directory holds files of an earlier attempt.
    Resumed,
}

impl From<Option<&CheckpointDir>> for CheckpointState {
    fn from(dir: Option<&CheckpointDir>) -> Self {
        match dir {
            None => CheckpointState::Unavailable,
            Some(CheckpointDir { resumed: false, .. }) => CheckpointState::Fresh,
            Some(CheckpointDir { resumed: true, .. }) => CheckpointState::Resumed,
        }
    }
}
