//! End-to-end tests: the binary with real guests, its output and exit codes, and the databases it leaves.
//!
//! They need the example components (`cargo xtask build-guests`), and those about processes that die the feature
//! `failpoints`. `interop`, `pruner_tables`, `fronts`, `importance` and `figures` need Python's Optuna in
//! `target/venv`, `servers` that and PostgreSQL, `two_nodes` bindfs, `browser` chromium, `real_registry`
//! docker-registry, a test of `submit` shellcheck, and `slurm` a Slurm.
//! `cargo xtask test` runs them in tiers, sets up what it can, and counts what it had to skip.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod asked;
mod asked_shell;
mod browser;
#[cfg(feature = "failpoints")]
mod checkpoints;
mod delivery;
mod doctor;
mod doctor_cluster;
#[cfg(feature = "failpoints")]
mod escaped;
mod escapes;
mod eval;
mod failures;
mod faults;
mod figures;
mod foreign;
mod fronts;
mod grants;
mod group;
mod guidance;
mod herd;
mod hostile;
mod importance;
#[cfg(feature = "failpoints")]
mod impostors;
mod inspect;
mod interop;
mod interop_generations;
#[cfg(feature = "failpoints")]
mod interop_kill;
mod interop_liar;
mod interop_mixed;
mod interop_program;
#[cfg(feature = "failpoints")]
mod invariants;
mod isolation;
mod job_end;
mod kept;
#[cfg(feature = "failpoints")]
mod kill;
mod limits;
#[cfg(feature = "failpoints")]
mod lockdown;
#[cfg(feature = "failpoints")]
mod lost_jobs;
mod manage;
#[cfg(feature = "failpoints")]
mod poisoned;
#[cfg(feature = "failpoints")]
mod process;
mod program;
mod program_calls;
mod program_endings;
mod program_languages;
mod program_node;
mod program_space;
mod program_starts;
mod program_study;
mod projects;
mod pruner;
mod pruner_tables;
mod pruning;
mod random_components;
mod real_registry;
mod records;
mod replay;
mod run;
mod sampler;
mod sandboxed_python;
mod scene;
mod schema;
mod scripted;
mod servers;
mod sharing;
#[cfg(feature = "failpoints")]
mod slurm;
mod stopping;
mod study;
mod submit;
mod text;
mod told;
mod two_nodes;
mod two_users;
mod watched;
