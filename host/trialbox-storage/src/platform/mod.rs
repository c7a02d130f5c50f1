//! Facts of the operating system that a storage depends on: mounts, paths and processes.

pub mod mount;
pub(crate) mod path;
pub mod process;
