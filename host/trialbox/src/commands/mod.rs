//! One file for each command: its flags and its body.

mod eval;
mod inspect;
mod run;
mod study;

pub(crate) use eval::EvalArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use run::RunArgs;
pub(crate) use study::StudyCommand;
