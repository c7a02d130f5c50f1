//! Objectives in a sandbox.
//!
//! Two processes share the work. The *host* process holds a [`Sandbox`], which is an
//! [`Objective`](trialbox_core::objective::Objective): it owns the deadline, the signals and the trial's
//! session. The *guest* process ([`run_guest`], the same binary) owns the wasm engine and nothing else: no
//! environment, no database. They exchange the framed messages of `protocol`. Whatever a guest does to its
//! process, the host lives to record it.
//!
//! This is the only crate that names wasmtime.
#![deny(unsafe_code)]

mod bindings;
mod cache;
mod contract;
mod deadline;
mod deterministic;
mod engine;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guest_process;
mod host_state;
mod interrupt;
mod isolation;
mod limits;
mod link;
mod lockdown;
mod place;
mod proposals;
mod protocol;
mod sandbox;
mod signature;

pub use contract::{CONTRACT, ObjectiveFile, Rejection, RejectionCode};
pub use deadline::SharedDeadline;
pub use engine::address_space_is_small;
pub use guest_process::run_guest;
pub use interrupt::{Interrupts, Stops};
pub use isolation::Isolation;
pub use lockdown::{Precautions, precautions};
pub use protocol::{
    CHECKPOINT_PATH, CheckpointDir, DataSource, Description, Grant, Loaded, Metric,
};
pub use sandbox::{Sandbox, SandboxConfig};

/// The version of the wasm engine, for bug reports. `cargo xtask tidy` holds it against the lock file.
pub const WASMTIME_VERSION: &str = "48.0.8";
