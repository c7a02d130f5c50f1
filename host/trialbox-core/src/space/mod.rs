//! The values that a parameter may take, and their transformation to the unit interval.

pub mod distribution;
pub mod transform;
mod wide_int;
