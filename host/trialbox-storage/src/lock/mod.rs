//! Keeps any number of processes, on any number of machines, out of each other's way.

pub(crate) mod file;
pub(crate) mod holder;
mod keeper;
pub(crate) mod text;
pub(crate) mod wait;
