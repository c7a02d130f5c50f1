//! One file for each command: its flags and its body.

mod build;
mod doctor;
mod eval;
mod inspect;
mod new;
mod reap;
mod replay;
pub(crate) mod run;
mod runtime;
mod study;
pub(crate) mod submit;
mod trial;
mod within;

pub(crate) use build::BuildArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use eval::EvalArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use new::NewArgs;
pub(crate) use reap::ReapArgs;
pub(crate) use run::RunArgs;
pub(crate) use runtime::RuntimeCommand;
pub(crate) use study::StudyCommand;
pub(crate) use submit::SubmitArgs;
pub(crate) use trial::{TrialCommand, join_values};
pub(crate) use within::{
    ReportArgs, ResultArgs, ShouldPruneArgs, SuggestArgs, fail_trial_of_misuse,
};
