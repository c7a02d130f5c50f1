//! What needs no more than Slurm's programs.

mod cluster;
