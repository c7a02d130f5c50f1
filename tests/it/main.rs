//! End-to-end tests: the binary with real guests, its output and exit codes, and the databases it leaves.
//!
//! They need the example components (`cargo xtask build-guests`), `interop` and its like need Python's Optuna in
//! `target/venv`, and `two_nodes` needs bindfs; `cargo xtask test` sets up what it can
//! and says what it had to skip.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod doctor;
mod eval;
mod faults;
mod herd;
mod hostile;
mod inspect;
mod interop;
mod interop_mixed;
mod manage;
mod run;
mod sampler;
mod scene;
mod scripted;
mod study;
mod two_nodes;
