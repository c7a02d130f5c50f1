//! The traits that other crates implement: storages, samplers, pruners and clocks. Randomness is a function of a seed
//! and stands here for the same reason. The trait for objectives is [`crate::session::objective`], because an objective
//! is called with a session.

pub mod clock;
pub mod guarded;
pub mod rng;

pub mod pruner;
pub mod sampler;
pub mod storage;
