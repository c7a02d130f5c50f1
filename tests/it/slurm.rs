//! What trialbox does on a real Slurm: each test has a cluster of its own, of daemons on this machine that know
//! nothing of each other's clusters.
//!
//! A test stands in `cgroup` if it must see how production's Slurm tracks and signals processes, which needs the
//! freezer hierarchy of cgroups version 1, else in `linuxproc`, which needs no more than Slurm's programs.
//! `cargo xtask test` skips the one or the other by these names, and runs both after all other tests.

mod cgroup;
mod checkpoints;
mod cluster;
mod faults;
mod linuxproc;
mod page;
mod recipe;
mod submit;
mod time_limit;
