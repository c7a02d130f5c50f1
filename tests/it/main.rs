//! End-to-end tests: the binary with real guests, its output and exit codes, and the databases it leaves.
//!
//! They need the example components (`cargo xtask build-guests`), `interop`, `pruner_tables` and their like need Python's Optuna in
//! `target/venv`, and what is called `two_nodes` needs bindfs; `cargo xtask test` sets up what it can
//! and says what it had to skip. Those of processes that die need the feature `failpoints`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod doctor;
mod doctor_cluster;
mod escapes;
mod eval;
mod failures;
mod faults;
mod fronts;
mod herd;
mod hostile;
mod importance;
mod inspect;
mod interop;
#[cfg(feature = "failpoints")]
mod interop_kill;
mod interop_liar;
mod interop_mixed;
#[cfg(feature = "failpoints")]
mod invariants;
mod isolation;
#[cfg(feature = "failpoints")]
mod job_end;
#[cfg(feature = "failpoints")]
mod kill;
mod limits;
#[cfg(feature = "failpoints")]
mod lockdown;
mod manage;
#[cfg(feature = "failpoints")]
mod process;
mod pruner;
mod pruner_tables;
mod pruning;
mod random_components;
mod replay;
mod run;
mod sampler;
mod scene;
mod scripted;
mod stopping;
mod study;
mod two_nodes;
