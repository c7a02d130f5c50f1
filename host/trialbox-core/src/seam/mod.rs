//! The traits that other crates implement: storages, samplers, pruners, objectives, clocks. Randomness is a function of
//! a seed and stands here for the same reason.

pub mod clock;
pub mod rng;

pub mod objective;
pub mod pruner;
pub mod sampler;
pub mod storage;
