//! End-to-end tests: the binary with real guests, its output and exit codes, and the databases it leaves.
//!
//! They need the example components (`cargo xtask build-guests`), and those of `interop` need Python's Optuna in
//! `target/venv`; `cargo xtask test` sets both up. Those of processes that die need the feature `failpoints`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod eval;
mod hostile;
mod inspect;
mod interop;
#[cfg(feature = "failpoints")]
mod interop_kill;
#[cfg(feature = "failpoints")]
mod invariants;
#[cfg(feature = "failpoints")]
mod kill;
#[cfg(feature = "failpoints")]
mod process;
mod run;
mod scene;
mod study;
