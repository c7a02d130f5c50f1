//! Facts of the operating system that a storage depends on: mounts and processes.

pub mod mount;
pub mod process;
