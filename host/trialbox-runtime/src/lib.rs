//! Objectives in a sandbox.
//!
//! Two processes share the work. The *host* process holds a [`Door`](trialbox_core::session::door::Door) to the
//! objective ([`open`]): it owns the deadline, the signals and the trial's session. The *guest* process
//! ([`run_guest`], the same binary) owns the wasm engine and nothing else: no environment, no database. They exchange
//! framed messages. Whatever a guest does to its process, the host process survives and records it.
//!
//! The rooms of the crate are the two processes: `host` never names the engine, `guest` never names a session or a
//! storage, and `wire` holds the values that they exchange. This is the only crate that links wasmtime.
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
pub use host::code_cache::{CacheKey, CacheKeyError, CodeCache};
pub use host::config::SandboxConfig;
pub use host::deadline::SharedDeadline;
pub use host::interrupt::{Cancellation, Interrupts, survive_file_limits};
pub use host::isolation::Isolation;
pub use host::open::open;
pub use host::precheck::{check_artifact, check_shared, read_artifact};
pub use host::python::{
    ArchiveError, MAX_FILES, PythonRuntime, PythonRuntimes, Recipe, RuntimeFile, RuntimeState,
    write_archive,
};
pub use host::stamp::Stamp;
pub use host::stdio::stdout_was_closed;
pub use wire::contract::{CHECKPOINT_PATH, CONTRACT};
pub use wire::protocol::Grant;
pub use wire::python::WORK_PATH;

/// The version of the wasm engine, for bug reports. `cargo xtask tidy` holds it against the lock file.
pub const WASMTIME_VERSION: &str = "48.0.8";
