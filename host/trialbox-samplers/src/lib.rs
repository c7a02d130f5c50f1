//! Samplers: pure functions of a study's history, without I/O, locks or state of their own.
//!
//! [`SamplerConfig`] is what a user chooses and a study remembers; it builds the sampler.
#![forbid(unsafe_code)]

mod config;
mod midpoint;
mod random;

pub use config::{SamplerConfig, UnknownSampler};
pub use midpoint::MidpointSampler;
pub use random::RandomSampler;
