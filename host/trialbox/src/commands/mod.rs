//! One file for each command: its flags and its body.

mod build;
mod completions;
mod config;
mod doctor;
mod eval;
mod explain;
mod inspect;
mod man;
mod new;
mod pull;
mod push;
mod python_path;
mod reap;
mod replay;
pub(crate) mod run;
mod runtime;
mod store;
mod study;
pub(crate) mod submit;
mod test;
mod trial;
mod verify;
mod within;

pub(crate) use build::BuildArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use config::ConfigArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use eval::EvalArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use man::ManArgs;
pub(crate) use new::NewArgs;
pub(crate) use pull::PullArgs;
pub(crate) use push::{PushArgs, TagArgs, TagsArgs};
pub(crate) use python_path::PythonPathArgs;
pub(crate) use reap::ReapArgs;
pub(crate) use run::RunArgs;
pub(crate) use runtime::RuntimeCommand;
pub(crate) use store::StoreCommand;
pub(crate) use study::StudyCommand;
pub(crate) use submit::SubmitArgs;
pub(crate) use test::TestArgs;
pub(crate) use trial::{TrialCommand, join_values};
pub(crate) use verify::VerifyArgs;
pub(crate) use within::{
    ReportArgs, ResultArgs, ShouldPruneArgs, SuggestArgs, fail_trial_of_misuse,
};
