//! The vocabulary of trialbox, and one trial's run written against four small traits.
//!
//! Nothing here opens a file, a database or a wasm module, reads a clock or draws from the system's
//! random numbers; so everything here can be tested with plain values. Words are Optuna's where it
//! has one: a [`Study`](study::StudyRecord) holds trials, a trial holds parameters, each with its
//! [`Distribution`](distribution::Distribution).
//!
//! Read in this order.
#![forbid(unsafe_code)]

pub mod json;
pub mod text;

pub mod distribution;
pub mod search_space;
pub mod transform;

pub mod study;
pub mod trial;

pub mod history;
pub mod stopping;

pub mod rng;

pub mod clock;
pub mod failure;
pub mod limits;
pub mod objective;
pub mod pruner;
pub mod sampler;
pub mod storage;

pub mod constraint;

pub mod retry;

mod reports;
pub mod transcript;
pub mod usage;

pub mod event;
pub mod provenance;

pub mod session;

pub mod run;

pub mod ask_tell;

pub mod replay;
pub mod trace;

pub mod reap;
