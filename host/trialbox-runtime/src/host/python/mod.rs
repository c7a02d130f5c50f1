//! Runtimes for objectives in Python, as the host process sees them: a directory with an interpreter, its compiled
//! code and a snapshot of it, which all jobs of a user share.
//!
//! The interpreter is not a part of trialbox: the user adds a wheel of a distribution that trialbox knows.

mod add;
mod archive;
mod recipe;
mod runtimes;
mod superseded;
mod vouched;
mod wheel;
mod work;

pub use archive::{ArchiveError, MAX_FILES, write_archive};
pub(crate) use archive::{is_archive, read_archive};
pub use recipe::Recipe;
pub use runtimes::{PythonRuntime, PythonRuntimes, RuntimeFile, RuntimeState};
pub(crate) use work::WorkFolder;
