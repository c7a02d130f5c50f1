//! `trialbox`: hyperparameter-optimisation trials in a box.
//!
//! The binary reads the command line, wires the crates together and prints. `cli` is the list of commands,
//! each of which has a file in `commands`.
#![forbid(unsafe_code)]

mod cli;
mod clock;
mod commands;
mod config_args;
mod error;
mod exchange;
mod exit_code;
mod finished;
mod grants;
mod objective_args;
mod objectives;
mod output;
mod owner;
mod param_args;
mod progress;
mod pruner_args;
mod sampler_args;
mod settings;
mod stopping;
mod storage_args;
mod trial_json;
mod until;
mod upkeep;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The guest process is this program under another name: it shares nothing but the file.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "__guest") {
        return trialbox_runtime::run_guest();
    }
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            let _ = usage.print();
            return if usage.use_stderr() {
                exit_code::ExitCode::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    cli.run().into()
}
