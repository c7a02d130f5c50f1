//! The values that a parameter may take, and their transformation to the unit interval.

pub mod declared;
pub mod distribution;
pub mod relation;
pub mod transform;
mod wide_int;
