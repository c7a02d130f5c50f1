//! Samplers: pure functions of a study's history, without I/O, locks or state of their own.
//!
//! [`SamplerConfig`] is what a user chooses and a study remembers; it builds the sampler.
#![forbid(unsafe_code)]

mod config;
mod midpoint;
mod options;
pub mod pareto;
mod random;
mod relative_params;
#[cfg(test)]
mod testing;
pub mod tpe;

pub use config::{SamplerConfig, SamplerError};
pub use midpoint::MidpointSampler;
pub use options::{Field, OptionError, Options};
pub use random::RandomSampler;
pub use tpe::{TpeOptions, TpeSampler};
