//! The command line: the list of commands and the flags that all of them share.

use crate::commands::{
    DoctorArgs, EvalArgs, InspectArgs, ReapArgs, RunArgs, StudyCommand, SubmitArgs, TrialCommand,
};
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::probe::ProbeArgs;
use crate::view::output::{Format, Output};
use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;
use std::io::IsTerminal as _;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold());

const EXAMPLES: &str = "\
Examples:
  trialbox run quadratic.wasm                          one trial, recorded in trialbox.db
  trialbox run digits.wasm --dir data::/data -n 20     twenty trials of an objective that reads data
  trialbox eval quadratic.wasm --param x=1.5           one call, recorded nowhere
  trialbox inspect digits.wasm                         what it is, what it wants, what it asks for
  trialbox submit digits.wasm --dir data::/data --trials 100 --parallel 10 --time 30m
  trialbox study best                                  the best trial so far";

/// Hyperparameter-optimisation trials in a box: sandboxed objectives on a shared Optuna study.
#[derive(Debug, clap::Parser)]
#[command(name = "trialbox", version = version(), styles = STYLES, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, hide_possible_values = true, value_name = "text|json")]
    format: Format,

    /// Print results and errors, and nothing else
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Print more: once what the objective logs, twice what trialbox does
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run trials of an objective: sample, call, record
    Run(Box<RunArgs>),
    /// Submit an array job to Slurm: checks, study, script, and a report at the end
    Submit(Box<SubmitArgs>),
    /// Call an objective once with given parameters, without a study
    Eval(Box<EvalArgs>),
    /// Show what an objective is, what it wants and which parameters it asks for
    Inspect(Box<InspectArgs>),
    /// Make, read, copy and move studies
    #[command(subcommand)]
    Study(StudyCommand),
    /// Enqueue, ask for, tell and show single trials
    #[command(subcommand)]
    Trial(TrialCommand),
    /// End trials that nobody works on any more
    Reap(ReapArgs),
    /// Find out what is wrong with a database, and repair what can be proven
    Doctor(DoctorArgs),
    #[command(name = "__probe", hide = true)]
    Probe(ProbeArgs),
}

impl Cli {
    /// Carries the command out and reports what went wrong.
    pub(crate) fn run(self) -> ExitCode {
        start_logging(self.verbose, self.quiet);
        let output = Output::new(self.format, self.quiet, self.verbose);
        let result = match self.command {
            Command::Run(args) => args.run(&output),
            Command::Submit(args) => args.run(&output),
            Command::Eval(args) => args.run(&output),
            Command::Inspect(args) => args.run(&output),
            Command::Study(command) => command.run(&output),
            Command::Trial(command) => command.run(&output),
            Command::Reap(args) => args.run(&output),
            Command::Doctor(args) => args.run(&output),
            Command::Probe(args) => args.run(),
        };
        result.unwrap_or_else(|error| {
            output.error(&error);
            error.exit
        })
    }
}

/// Where a flag is unknown to a command that hands flags to sbatch, says where those go, and not which of our own
/// looks like it.
pub(crate) fn explain_flag_of_sbatch(error: &mut clap::Error, arguments: &[OsString]) {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let hands_on = has("submit") || (has("doctor") && has("--slurm"));
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag,
        _ => return,
    };
    if hands_on {
        let tip = format!("flags of sbatch go after `--`, such as: -- {unknown}");
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
}

/// Warnings by default; `TRIALBOX_LOG` takes the levels of the `tracing` ecosystem.
fn start_logging(verbose: u8, quiet: bool) {
    let default = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let level = std::env::var("TRIALBOX_LOG").ok().unwrap_or_else(|| default.to_owned());
    let level = level.parse().unwrap_or(tracing::Level::WARN);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .without_time()
        .init();
}

fn version() -> String {
    format!(
        "{} ({}, wasmtime {})",
        env!("CARGO_PKG_VERSION"),
        trialbox_runtime::CONTRACT,
        trialbox_runtime::WASMTIME_VERSION
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
