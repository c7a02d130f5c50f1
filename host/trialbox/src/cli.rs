//! The command line: the list of commands and the flags that all of them share.

use crate::commands::{
    BuildArgs, CompletionsArgs, ConfigArgs, DoctorArgs, EvalArgs, ExplainArgs, InspectArgs,
    ManArgs, NewArgs, PullArgs, PushArgs, PythonPathArgs, ReapArgs, ReportArgs, ResultArgs,
    RunArgs, RuntimeCommand, ShouldPruneArgs, StoreCommand, StudyCommand, SubmitArgs, SuggestArgs,
    TagArgs, TagsArgs, TestArgs, TrialCommand, VerifyArgs,
};
use crate::error::CommandError;
use crate::exit_code::{EXIT_CODES_HELP, ExitCode};
use crate::probe::ProbeArgs;
use crate::project::completion::{VARIABLE, with_completers};
use crate::project::config;
use crate::project::sdk;
use crate::usage::tilde::check_tildes;
use crate::usage::{explain, prepared};
use crate::view::output::{Format, Output, has_terminal};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory as _, FromArgMatches as _};
use clap_complete::CompleteEnv;
use std::ffi::OsString;
use std::fmt;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer, debug_fn};
use tracing_subscriber::registry::LookupSpan;
use trialbox_core::value::text::{one_line, shorten, visible};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold());

const GLOBAL: &str = "Output";

const EXAMPLES: &str = "\
Examples:
  trialbox run quadratic.wasm                          one trial, recorded in trialbox.db
  trialbox run digits.wasm --dir data::/data -n 20     twenty trials of an objective that reads data
  trialbox run -n 20 --space 'lr=log(1e-5, 0.1)' -- python train.py --lr {lr}    twenty of a program
  trialbox eval quadratic.wasm --param x=1.5           one call, not recorded
  trialbox inspect digits.wasm                         its description and its parameters
  trialbox submit digits.wasm --dir data::/data --trials 100 --parallel 10 --time 30m
  trialbox study best                                  the best trial so far";

/// Hyperparameter-optimisation trials in a box: sandboxed objectives on a shared Optuna study.
#[derive(Debug, clap::Parser)]
#[command(name = "trialbox", version = version(), long_version = long_version(), styles = STYLES)]
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

    /// Print the objective's log and more details
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    verbose: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create the folder of a new objective
    New(NewArgs),
    /// Run trials of an objective
    Run(Box<RunArgs>),
    /// Submit an array job of trials to Slurm
    Submit(Box<SubmitArgs>),
    /// Call an objective once, without a study
    Eval(Box<EvalArgs>),
    /// Describe an objective and the parameters that it suggests
    Inspect(Box<InspectArgs>),
    /// Make one file of an objective, to share it
    Build(BuildArgs),
    /// Test an objective: its own tests, then three trials in the sandbox
    Test(Box<TestArgs>),
    /// Run the sample trial of an objective, and compare it to the bit
    Verify(Box<VerifyArgs>),
    /// Bring a shared objective into the store
    Pull(PullArgs),
    /// Publish an objective in a registry or a layout
    Push(PushArgs),
    /// Give an image of a registry another tag
    Tag(TagArgs),
    /// List the tags of a repository or a layout
    Tags(TagsArgs),
    /// List, verify and remove the objectives in the store
    #[command(subcommand)]
    Store(StoreCommand),
    /// Create, read, copy and move studies
    #[command(subcommand)]
    Study(StudyCommand),
    /// Enqueue, cancel, retry, ask, tell, show and replay single trials
    #[command(subcommand)]
    Trial(TrialCommand),
    /// Add, list, verify and remove the runtime of objectives in Python
    #[command(subcommand)]
    Runtime(RuntimeCommand),
    /// Print the folder of the Python client, for PYTHONPATH
    PythonPath(PythonPathArgs),
    /// Fail and requeue trials whose worker died
    Reap(ReapArgs),
    /// Check a database, or a Slurm cluster, and repair what can be proven
    Doctor(DoctorArgs),
    /// Explain a failure code or an exit code
    Explain(ExplainArgs),
    /// Show the settings that hold, and where they come from
    Config(ConfigArgs),
    /// Print the script that makes a shell complete trialbox's words
    Completions(CompletionsArgs),
    /// Print the manual page of a command
    Man(ManArgs),
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
    /// Answers a shell that asks for the completions of a word; returns whether one did.
    pub(crate) fn complete_word() -> bool {
        let shell = CompleteEnv::with_factory(|| with_completers(Cli::command())).var(VARIABLE);
        let words: Vec<OsString> = std::env::args_os().collect();
        shell.try_complete(words, None).unwrap_or_else(|error| error.exit())
    }

    /// Adds the settings of files to a command line, and returns it with the names of what was added.
    ///
    /// # Errors
    /// Fails for a file that cannot be trusted or read. Commands without a flag that a file may set read none.
    pub(crate) fn with_settings(
        arguments: Vec<OsString>,
    ) -> Result<(Vec<OsString>, Option<String>), CommandError> {
        // Making the list of commands takes longer than a look for two files, which most users do not have.
        if !config::is_there() {
            return Ok((arguments, None));
        }
        let command = Cli::command();
        if !config::may_complete(&arguments, &command) {
            return Ok((arguments, None));
        }
        let completed = config::complete(arguments, &command, &config::read()?);
        Ok((completed.arguments, completed.added))
    }

    /// Reads the command line, the program's name included.
    ///
    /// # Errors
    /// A usage error, or the help or the version that was asked for.
    pub(crate) fn read(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let shown: Vec<OsString> = arguments.iter().map(visible_argument).collect();
        let error = match Self::parse(arguments) {
            Err(error) if error.use_stderr() => error,
            other => return other,
        };
        // The message quotes arguments, or parts of them: the same mistake is made with text that is harmless.
        match Self::parse(shown.clone()) {
            Err(again) if again.kind() == error.kind() && environment_is_harmless() => {
                Err(explain(again, &Cli::command(), &shown[1..]))
            }
            _ => Err(on_one_line(&error)),
        }
    }

    fn parse(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let mut command = prepared(Cli::command());
        let matches = command.try_get_matches_from_mut(arguments)?;
        check_tildes(&command, &matches)?;
        Cli::from_arg_matches(&matches)
    }

    /// Runs the command and reports its error.
    pub(crate) fn run(self) -> ExitCode {
        start_logging(self.verbose, self.quiet);
        let output = Output::new(self.format, self.quiet, self.verbose);
        let result = match self.command {
            Command::New(args) => args.run(&output),
            Command::Run(args) => args.run(&output),
            Command::Submit(args) => args.run(&output),
            Command::Eval(args) => args.run(&output),
            Command::Inspect(args) => args.run(&output),
            Command::Build(args) => args.run(&output),
            Command::Test(args) => args.run(&output),
            Command::Verify(args) => args.run(&output),
            Command::Pull(args) => args.run(&output),
            Command::Push(args) => args.run(&output),
            Command::Tag(args) => args.run(&output),
            Command::Tags(args) => args.run(&output),
            Command::Store(command) => command.run(&output),
            Command::Study(command) => command.run(&output),
            Command::Trial(command) => command.run(&output),
            Command::Runtime(command) => command.run(&output),
            Command::PythonPath(args) => args.run(&output),
            Command::Reap(args) => args.run(&output),
            Command::Doctor(args) => args.run(&output),
            Command::Explain(args) => args.run(&output),
            Command::Config(args) => args.run(&Cli::command(), &output),
            Command::Completions(args) => args.run(&Cli::command(), &output),
            Command::Man(args) => args.run(prepared(Cli::command()), &output),
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

/// Returns an argument as a message may quote it.
fn visible_argument(argument: &OsString) -> OsString {
    match argument.to_str() {
        Some(text) => visible(text).into_owned().into(),
        None => argument.clone(),
    }
}

/// Returns whether the parser may quote the variables that it reads values from.
fn environment_is_harmless() -> bool {
    let is_ours = |name: &OsString| name.as_encoded_bytes().starts_with(b"TRIALBOX_");
    let mut ours = std::env::vars_os().filter(|(name, _)| is_ours(name));
    ours.all(|(_, value)| value.to_str().is_none_or(|value| visible(value) == value))
}

/// Returns an error of the parser without its layout, so that no line of it is that of a quoted text.
fn on_one_line(error: &clap::Error) -> clap::Error {
    let text = error.to_string();
    let text = text.trim_end().strip_prefix("error: ").unwrap_or(&text);
    clap::Error::raw(error.kind(), one_line(text) + "\n")
}

/// The most characters of a field in a log line: a path fits, a guest's name of a mebibyte does not.
const MAX_FIELD_CHARS: usize = 4096;

/// Starts logging, with warnings by default. `TRIALBOX_LOG` takes the levels of the `tracing` ecosystem.
fn start_logging(verbose: bool, quiet: bool) {
    let default = match (quiet, verbose) {
        (true, _) => "error",
        (false, false) => "warn",
        (false, true) => "info",
    };
    let level = std::env::var("TRIALBOX_LOG").ok().unwrap_or_else(|| default.to_owned());
    let level = level.parse().unwrap_or(tracing::Level::WARN);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .with_writer(std::io::stderr)
        .with_ansi(has_terminal() && std::env::var_os("NO_COLOR").is_none())
        .event_format(Lines)
        .init();
}

/// The form of log lines, which is that of all other lines on standard error: `warning: …`.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let word = match *event.metadata().level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warning",
            tracing::Level::INFO => "note",
            tracing::Level::DEBUG | tracing::Level::TRACE => "debug",
        };
        write!(writer, "{word}: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
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

/// Returns the answer to `--version`: the build, and what an objective has to fit.
fn long_version() -> String {
    let os = std::env::consts::OS;
    let environment = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    let mut lines = vec![env!("CARGO_PKG_VERSION").to_owned()];
    // `cargo xtask dist` sets them.
    if let Some(commit) = option_env!("TRIALBOX_COMMIT") {
        lines.push(format!("commit    {commit}"));
    }
    if let Some(date) = option_env!("TRIALBOX_COMMIT_DATE") {
        lines.push(format!("date      {date}"));
    }
    lines.push(format!("target    {}-{os}-{environment}", std::env::consts::ARCH));
    lines.push(format!("wasmtime  {}", trialbox_runtime::WASMTIME_VERSION));
    lines.push(format!("contract  {}", trialbox_runtime::CONTRACT));
    lines.push(format!("sdk       trialbox-guest {}", sdk::version()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::value::text::is_harmless;

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
    fn the_help_of_a_time_and_of_a_size_names_the_unit_of_a_bare_number() {
        let mut seen = 0;
        walk(&prepared(Cli::command()), &mut |command, arg| {
            let names = arg.get_value_names().unwrap_or_default();
            let is_quantity = names.iter().any(|name| name == "TIME" || name == "SIZE");
            if !is_quantity || arg.get_id() == "until" {
                return;
            }
            seen += 1;
            for help in [arg.get_help(), arg.get_long_help()].into_iter().flatten() {
                let help = help.to_string();
                let has_unit =
                    ["seconds", "minutes", "bytes"].iter().any(|unit| help.contains(unit));
                assert!(has_unit, "{} {}: {help}", command.get_name(), arg.get_id());
            }
        });
        assert!(seen > 15, "{seen}");
    }

    /// Returns all commands, each as its words.
    fn words(command: &clap::Command) -> Vec<Vec<String>> {
        let below = command.get_subcommands().flat_map(words);
        let name = command.get_name().to_owned();
        std::iter::once(vec![])
            .chain(below)
            .map(|rest| [&[name.clone()][..], &rest].concat())
            .collect()
    }

    #[test]
    fn no_advice_of_the_parser_is_to_write_a_flag_after_two_hyphens() {
        for words in words(&Cli::command()) {
            for flag in ["--study-name", "--no-such-flag", "-1", "-x", "study.db", "digits"] {
                let arguments = [&words[..], &[flag.to_owned()]].concat();
                let Err(error) = Cli::read(arguments.iter().map(OsString::from).collect()) else {
                    continue;
                };
                let text = error.to_string();
                assert!(!text.contains("as a value, use"), "{arguments:?}: {text}");
            }
        }
    }

    #[test]
    fn a_negative_number_is_a_value_of_every_flag_and_a_wrong_value_names_the_expected_one() {
        let mut tried = 0;
        let command = Cli::command();
        for words in words(&command) {
            let found = words.iter().skip(1).fold(&command, |command, word| {
                command.find_subcommand(word).expect("it was listed")
            });
            for arg in found.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let Some(long) = arg.get_long() else { continue };
                let arguments = [&words[..], &[format!("--{long}"), "-1".to_owned()]].concat();
                let Err(error) = Cli::read(arguments.iter().map(OsString::from).collect()) else {
                    continue;
                };
                let text = error.to_string();
                tried += 1;
                assert!(!text.contains("unexpected argument '-1'"), "{arguments:?}: {text}");
                for of_std in ["invalid digit", "is not in 1.."] {
                    assert!(!text.contains(of_std), "{arguments:?}: {text}");
                }
            }
        }
        assert!(tried > 50, "{tried}");
    }

    #[test]
    fn no_error_of_the_parser_repeats_what_a_terminal_obeys_or_begins_a_line_with_it() {
        const HOSTILE: &str = "1\nerror: forged\r\u{1b}[31m\u{9b}2J\u{202e}\u{200b}";
        let check = |arguments: &[String]| -> bool {
            let Err(error) = Cli::read(arguments.iter().map(OsString::from).collect()) else {
                return false;
            };
            // With the colours of the parser: the bold ones are its own.
            let text = error.render().ansi().to_string().replace("\u{1b}[", "");
            assert!(text.chars().all(is_harmless), "{arguments:?}: {text:?}");
            let is_forged = text.lines().any(|line| line.trim_start().starts_with("error: forged"));
            assert!(!is_forged, "{arguments:?}: {text}");
            true
        };
        let (mut tried, command) = (0, Cli::command());
        for words in words(&command) {
            let found = words.iter().skip(1).fold(&command, |command, word| {
                command.find_subcommand(word).expect("it was listed")
            });
            let with = |more: &[&str]| -> Vec<String> {
                words.iter().cloned().chain(more.iter().map(ToString::to_string)).collect()
            };
            tried += usize::from(check(&with(&[&format!("--{HOSTILE}")])));
            tried += usize::from(check(&with(&[HOSTILE, HOSTILE, HOSTILE])));
            for arg in found.get_arguments() {
                let Some(long) = arg.get_long() else { continue };
                tried += usize::from(check(&with(&[&format!("--{long}={HOSTILE}")])));
                tried += usize::from(check(&with(&[&format!("--{long}"), HOSTILE])));
                tried += usize::from(check(&with(&[&format!(
                    "--{long}={HOSTILE}::{HOSTILE}={HOSTILE}"
                )])));
            }
        }
        assert!(tried > 300, "{tried}");
    }

    #[test]
    fn an_unknown_word_gets_advice_that_fits_it() {
        for (arguments, tip) in [
            (&["study", "list", "study.db"][..], "--storage study.db"),
            (&["trial", "enqueue", "digits"], "--study-name digits"),
            (&["got-this.wasm"], "`trialbox inspect got-this.wasm` describes"),
            (&["train.py"], "trialbox run -- python train.py"),
            (&["run", "a.wasm", "-n", "-1"], "expected a whole number of at least 1, found `-1`"),
            (&["trial", "show", "study.db"], "expected a whole number, found `study.db`"),
            (&["submit", "a.wasm", "--mail-type"], "flags of sbatch go after `--`"),
            (&["trial", "tell", "4", "0.5"], "give the result with: --values 0.5"),
            (&["trial", "enqueue", "lr=0.1"], "give a parameter with: --param lr=0.1"),
            (&["study", "copy", "acc", "acc3"], "name the copy with: --to-study-name acc3"),
            (&["trial", "show", "acc", "3"], "trialbox trial show 3 --study-name acc"),
            (&["trial", "retry", "acc"], "trialbox trial retry --study-name acc"),
            (&["run", "-n", "5", "python", "train.py"], "trialbox run -n 5 -- python train.py"),
            (&["run", "python3", "-u", "train.py"], "trialbox run -- python3 -u train.py"),
            (&["eval", "bash", "train.sh"], "trialbox eval -- bash train.sh"),
            (&["run", "a.wasm", "--name", "s"], "the flag is --study-name"),
            (&["study", "list", "--db", "a.db"], "the flag is --storage"),
            (&["best"], "the command is `trialbox study best`"),
            (&["show"], "the command is `trialbox study show` or `trialbox trial show`"),
            (&["trial", "export"], "the command is `trialbox study export`"),
        ] {
            let words = [&["trialbox"], arguments].concat();
            let error = Cli::read(words.iter().map(OsString::from).collect()).expect_err(tip);
            assert!(error.to_string().contains(tip), "{arguments:?}: {error}");
        }
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
