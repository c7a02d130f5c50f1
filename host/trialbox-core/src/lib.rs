//! The vocabulary of trialbox, and the run of one trial, written against traits for everything outside it.
//!
//! The crate performs no I/O, reads no clock and takes no randomness from the system, so plain values test everything
//! in it. It uses Optuna's words where Optuna has one: a study holds trials, a trial holds parameters, and each
//! parameter has a [`Distribution`].
//!
//! The modules are listed in reading order. Each imports only those above it, and no two files import each other.
//! The types that the other crates use most also stand at the root.
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
