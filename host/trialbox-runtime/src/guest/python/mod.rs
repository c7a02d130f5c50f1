//! Objectives in Python: an interpreter that is a core module, restored from a snapshot for each trial.
//!
//! The interpreter has one memory, one table that never changes and one global that is the same between calls, so its
//! memory is its whole state. A snapshot is data: wrong bytes give a wrong result or a trap, and no way out.

pub(crate) mod build;
mod calls;
mod code;
mod interpreter;
mod load;
mod sleep;
mod snapshot;
mod state;

pub(crate) use load::serve;
