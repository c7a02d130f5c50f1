//! Tests on a real Slurm. Each test has a cluster of its own, whose daemons run on this machine.
//!
//! A test belongs to `cgroup` if it depends on how Slurm in production tracks and signals processes. Those tests need
//! the freezer hierarchy of cgroups version 1. All others belong to `linuxproc`, which needs only Slurm's programs.
//! `cargo xtask test` skips either group by these names, and runs both after all other tests.

mod cgroup;
mod checkpoints;
mod cluster;
mod faults;
mod linuxproc;
mod page;
mod recipe;
mod submit;
mod time_limit;
