//! The command line: the list of commands and the flags that all of them share.

use crate::commands::{
    DoctorArgs, EvalArgs, InspectArgs, ReapArgs, ReportArgs, ResultArgs, RunArgs, ShouldPruneArgs,
    StudyCommand, SubmitArgs, SuggestArgs, TrialCommand,
};
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::probe::ProbeArgs;
use crate::view::output::{Format, Output, has_terminal};
use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;
use std::fmt;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use trialbox_core::value::text::{one_line, shorten};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold());

const GLOBAL: &str = "Output";

const EXAMPLES: &str = "\
Examples:
  trialbox run quadratic.wasm                          one trial, recorded in trialbox.db
  trialbox run digits.wasm --dir data::/data -n 20     twenty trials of an objective that reads data
  trialbox eval quadratic.wasm --param x=1.5           one call, not recorded
  trialbox inspect digits.wasm                         its description and its parameters
  trialbox submit digits.wasm --dir data::/data --trials 100 --parallel 10 --time 30m
  trialbox study best                                  the best trial so far";

/// Hyperparameter-optimisation trials in a box: sandboxed objectives on a shared Optuna study.
#[derive(Debug, clap::Parser)]
#[command(name = "trialbox", version = version(), styles = STYLES)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Format of results
    ///
    /// [default: text]
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Format::Text,
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "text|json",
        help_heading = GLOBAL
    )]
    format: Format,

    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    quiet: bool,

    /// Print the objective's log; twice, trialbox's own
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    verbose: u8,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run trials of an objective
    Run(Box<RunArgs>),
    /// Submit an array job of trials to Slurm
    Submit(Box<SubmitArgs>),
    /// Call an objective once, without a study
    Eval(Box<EvalArgs>),
    /// Describe an objective and the parameters that it suggests
    Inspect(Box<InspectArgs>),
    /// Create, read, copy and move studies
    #[command(subcommand)]
    Study(StudyCommand),
    /// Enqueue, ask, tell, show and replay single trials
    #[command(subcommand)]
    Trial(TrialCommand),
    /// Fail and requeue trials whose worker died
    Reap(ReapArgs),
    /// Check a database, or a Slurm cluster, and repair what can be proven
    Doctor(DoctorArgs),
    /// Inside a trial: suggest a parameter
    Suggest(SuggestArgs),
    /// Inside a trial: report an intermediate value
    Report(ReportArgs),
    /// Inside a trial: ask whether to stop early
    ShouldPrune(ShouldPruneArgs),
    /// Inside a trial: finish it with its values
    Result(ResultArgs),
    #[command(name = "__probe", hide = true)]
    Probe(ProbeArgs),
}

impl Cli {
    /// Runs the command and reports its error.
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
            Command::Suggest(args) => args.run(&output),
            Command::Report(args) => args.run(),
            Command::ShouldPrune(args) => args.run(&output),
            Command::Result(args) => args.run(),
            Command::Probe(args) => args.run(),
        };
        let exit = result.unwrap_or_else(|error| {
            output.error(&error);
            error.exit
        });
        // A script must not take half an answer, or none, for the whole.
        match output.delivered() {
            Ok(()) => exit,
            Err(reason) => exit.worst(reason.report()),
        }
    }
}

/// Explains where flags of sbatch go, if a flag is unknown to a command that passes them on. The parser would suggest a
/// similar flag of ours.
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

/// The most characters of a field in a log line: a path fits, a guest's name of a mebibyte does not.
const MAX_FIELD_CHARS: usize = 4096;

/// Starts logging, with warnings by default. `TRIALBOX_LOG` takes the levels of the `tracing` ecosystem.
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
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .with_writer(std::io::stderr)
        .with_ansi(has_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .without_time()
        .init();
}

/// Writes a field of a log line. Values come from guests, databases and files too, so each stays on its line and is
/// harmless, like a cell of a table.
fn write_field(writer: &mut Writer, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = one_line(&format!("{value:?}"));
    let text = shorten(&text, MAX_FIELD_CHARS);
    if field.name() == "message" {
        write!(writer, "{text}")
    } else {
        write!(writer, "{field}={text}")
    }
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

    /// Calls `check` with every command below `command` and its own flags.
    fn walk(command: &clap::Command, check: &mut dyn FnMut(&clap::Command, &clap::Arg)) {
        command.get_arguments().for_each(|arg| check(command, arg));
        command.get_subcommands().for_each(|sub| walk(sub, check));
    }

    #[test]
    fn the_short_help_of_a_flag_is_one_line() {
        walk(&Cli::command(), &mut |command, arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let name = format!("{} {}", command.get_name(), arg.get_id());
            assert!(!help.contains('\n') && help.chars().count() <= 100, "{name}: {help}");
        });
    }

    #[test]
    fn the_long_help_of_a_flag_names_its_default() {
        walk(&Cli::command(), &mut |command, arg| {
            let help = arg.get_long_help().or_else(|| arg.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let takes_value = arg.get_action().takes_values();
            if !takes_value || !arg.is_hide_default_value_set() {
                return;
            }
            for default in arg.get_default_values() {
                let default = format!("[default: {}]", default.to_string_lossy());
                assert!(help.contains(&default), "{} {}: {help}", command.get_name(), arg.get_id());
            }
        });
    }

    #[test]
    fn help_is_about_components() {
        walk(&Cli::command(), &mut |command, arg| {
            let help = arg.get_long_help().or_else(|| arg.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let words: Vec<&str> = help.split(|c: char| !c.is_alphabetic()).collect();
            // In pieces, because `cargo xtask tidy` searches this file for the whole words.
            let pronouns = ["no", "some", "any"].map(|start| format!("{start}body"));
            for word in pronouns.into_iter().chain(["who".to_owned() + "ever"]) {
                let is_free = !words.contains(&word.as_str());
                assert!(is_free, "{} {}: {help}", command.get_name(), arg.get_id());
            }
            for phrase in ["at once".to_owned(), "makes no".to_owned() + " sense"] {
                assert!(!help.contains(&phrase), "{} {}: {help}", command.get_name(), arg.get_id());
            }
        });
    }
}
