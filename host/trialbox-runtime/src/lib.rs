//! Objectives in a sandbox.
//!
//! Two processes share the work. The *host* process holds a [`Sandbox`], which is an
//! [`Objective`](trialbox_core::session::objective::Objective): it owns the deadline, the signals and the trial's
//! session. The *guest* process ([`run_guest`], the same binary) owns the wasm engine and nothing else: no
//! environment, no database. They exchange the framed messages of `protocol`. Whatever a guest does to its
//! process, the host lives to record it.
//!
//! This is the only crate that names wasmtime.
#![deny(unsafe_code)]

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guest;
mod host;
mod wire;

pub use guest::engine::address_space_is_small;
pub use guest::lockdown::{Precautions, precautions};
pub use guest::process::run_guest;
pub use host::config::SandboxConfig;
pub use host::deadline::SharedDeadline;
pub use host::interrupt::{Cancellation, Interrupts};
pub use host::isolation::Isolation;
pub use host::precheck::ObjectiveFile;
pub use host::sandbox::Sandbox;
pub use wire::contract::{CHECKPOINT_PATH, CONTRACT};
pub use wire::protocol::{CheckpointDir, DataSource, Description, Grant, Loaded, Metric};
pub use wire::rejection::{Rejection, RejectionCode};

/// The version of the wasm engine, for bug reports. `cargo xtask tidy` holds it against the lock file.
pub const WASMTIME_VERSION: &str = "48.0.8";
