//! The vocabulary of trialbox, and one trial's run written against a few small traits.
//!
//! The crate performs no I/O, reads no clock and draws no random numbers of the system's, so plain values test
//! everything in it. It uses Optuna's words where Optuna has one: a study holds trials, a trial holds parameters, and
//! each parameter has a [`Distribution`].
//!
//! The modules are listed in reading order; each needs only those above it. The types that the other crates use most
//! also stand at the root.
#![forbid(unsafe_code)]

pub mod value;

pub mod space;

pub mod study;

pub mod seam;

pub mod session;

pub mod run;

pub use seam::clock::Clock;
pub use seam::sampler::Sampler;
pub use seam::storage::{Storage, StorageError};
pub use space::distribution::Distribution;
pub use study::history::History;
pub use study::record::{StudyDirection, StudyId, StudyRecord};
pub use study::trial::{FrozenTrial, Param, TrialNumber, TrialState, UtcDateTime};
pub use value::json::Json;
