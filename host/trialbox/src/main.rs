//! `trialbox`: hyperparameter-optimisation trials in a box.
//!
//! The binary reads the command line, wires the crates together and prints. `cli` is the list of commands,
//! each of which has a file in `commands`.
#![forbid(unsafe_code)]

mod args;
mod cli;
mod clock;
mod cluster;
mod codes;
mod commands;
mod error;
mod exit_code;
mod own_program;
mod plan;
mod probe;
mod project;
mod study;
mod usage;
mod view;
mod worker;

use std::ffi::OsString;
use std::process::ExitCode;

/// The allocator of the static binary: musl's own takes half as much CPU time again for a job of 10,000 trials.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The guest process, the supervisor and its starter are this program under other names: they share nothing but the
    // file.
    match std::env::args_os().nth(1) {
        Some(name) if name == "__guest" => return trialbox_runtime::run_guest(),
        Some(name) if name == trialbox_program::SUPERVISOR_ARGUMENT => {
            return trialbox_program::run_supervisor();
        }
        Some(name) if name == trialbox_program::STARTER_ARGUMENT => {
            return trialbox_program::run_starter();
        }
        _ => {}
    }
    // In vain, `ulimit -f` ends a process that writes too much, with a result in its hands.
    let _ = trialbox_runtime::survive_file_limits();
    let arguments = std::env::args_os().map(without_exponent).collect();
    let arguments = usage::with_repeated_directions(commands::join_values(arguments));
    if cli::Cli::complete_word() {
        return ExitCode::SUCCESS;
    }
    let (arguments, added) = match cli::Cli::with_settings(arguments) {
        Ok(completed) => completed,
        Err(error) => return view::output::report_early(&error).into(),
    };
    let cli = match cli::Cli::read(arguments) {
        Ok(cli) => cli,
        Err(usage) => {
            commands::fail_trial_of_misuse(&usage);
            let added = added.filter(|_| usage.use_stderr());
            return match view::output::print_parsers(&usage, added.as_deref()) {
                Ok(()) if usage.use_stderr() => exit_code::ExitCode::Usage.into(),
                Ok(()) => ExitCode::SUCCESS,
                Err(undelivered) => undelivered.report().into(),
            };
        }
    };
    cli.run().into()
}

/// Writes a number such as `-5e-05`, which is how Python prints small results, as `-0.00005`: the parser would take
/// it for a flag.
fn without_exponent(argument: OsString) -> OsString {
    let number =
        argument.to_str().filter(|text| text.starts_with('-') && text.contains(['e', 'E']));
    match number.and_then(|text| text.parse::<f64>().ok()).filter(|value| value.is_finite()) {
        // Never with an exponent, and to the bit.
        Some(value) => value.to_string().into(),
        None => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_numbers_lose_their_exponent_and_nothing_else_is_changed() {
        for (given, want) in [
            ("-5e-05", "-0.00005"),
            ("-2.5e+1", "-25"),
            ("-1E3", "-1000"),
            ("-0.5", "-0.5"),
            ("5e-05", "5e-05"),
            ("-e", "-e"),
            ("--seed", "--seed"),
            ("-inf", "-inf"),
        ] {
            assert_eq!(without_exponent(given.into()), want, "{given}");
        }
    }
}
