//! Samplers, pruners, and the importances of parameters: pure functions of a study's history, without I/O, locks or
//! state of their own.
//!
//! [`SamplerConfig`] is what a user chooses and a study remembers; it builds the sampler. So is [`PrunerConfig`].
//! [`importance`] says afterwards which parameters mattered.
#![forbid(unsafe_code)]

mod brute_force;
mod config;
mod grid;
pub mod importance;
mod midpoint;
mod options;
pub mod pareto;
mod partial_fixed;
pub mod pruners;
mod qmc;
mod random;
mod relative_params;
#[cfg(test)]
mod testing;
pub mod tpe;

pub use brute_force::{BruteForceOptions, BruteForceSampler};
pub use config::SamplerConfig;
pub use grid::{GridOptions, GridSampler};
pub use midpoint::MidpointSampler;
pub use options::{ConfigError, Field, Options, OptionsOf};
pub use partial_fixed::PartialFixedSampler;
pub use pruners::PrunerConfig;
pub use qmc::{QmcOptions, QmcSampler, QmcType};
pub use random::RandomSampler;
pub use tpe::{TpeOptions, TpeSampler};
