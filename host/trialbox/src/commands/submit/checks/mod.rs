//! The checks before anything is created or submitted. Each returns findings.

mod advice;
mod failures;
mod files;
mod slurm;

pub(super) use advice::{Times, check_parallel, check_times};
pub(super) use failures::check_failures;
pub(super) use files::{
    check_file, check_folder, check_password, check_storage, check_visible, is_of_another_study,
};
pub(super) use slurm::check_slurm;
