//! Workers: each runs one trial after the other. No clap struct comes in here.

pub(crate) mod checkpoint;
pub(crate) mod job;
