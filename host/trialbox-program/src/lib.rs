//! Objectives that are programs: any command, started once for each trial, without a sandbox.
//!
//! The host process talks with the program over two pipes, one JSON object a line
//! ([`protocol`](trialbox_core::session::protocol)). Between the two
//! stands a *supervisor*, which is this binary under another name: it starts the program in a session of its own,
//! adopts what the program leaves behind, and ends all of it when the trial is over or the host process dies.
#![forbid(unsafe_code)]

mod call;
mod client;
mod command;
mod config;
mod confinement;
mod door;
mod ending;
mod gpu;
mod interpreter;
mod lines;
mod memory_events;
mod pipes;
mod placeholder;
mod places;
mod process_tree;
mod python;
mod running;
mod script;
mod shares;
mod start_problem;
mod starter;
mod supervisor;
mod value_source;

pub use client::{Client, ClientError};
pub use command::{
    CommandLine, CommandLineError, check_variables, find_program, param_variable, variables_of,
};
pub use config::{ProgramConfig, Stops};
pub use confinement::{Confined, Confinement, Enforced};
pub use door::open;
pub use ending::failure_of_status;
pub use interpreter::is_interpreter;
pub use python::PythonClient;
pub use script::{StudyOfScript, study_of_script};
pub use shares::{
    DEVICE_VARIABLES, Division, Share, ShareError, device_ids, divide_cpus, divide_devices,
};
pub use starter::{STARTER_ARGUMENT, run_starter};
pub use supervisor::{SUPERVISOR_ARGUMENT, run_supervisor};
pub use value_source::{ValueSource, ValueSourceError};
