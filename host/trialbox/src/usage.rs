//! The parser's errors, with advice that is right: the parser knows its grammar, and neither our words nor sbatch's.

pub(crate) mod tilde;

use crate::args::objective::PROGRAMS;
use crate::args::storage::looks_like_database;
use crate::commands::submit::quote::shell_quote;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::any::TypeId;
use std::error::Error as _;
use std::ffi::OsString;
use std::time::Duration;
use trialbox_program::is_interpreter;

/// Returns the command line, in which every value may be a negative number. The parser would take one for a flag, and
/// advise to write it after `--`, where it would be an argument.
pub(crate) fn prepared(command: clap::Command) -> clap::Command {
    with_units(with_negative_numbers(command))
}

/// Returns the command line with the unit of a bare number in the help of every duration and size: Slurm's are others.
fn with_units(command: clap::Command) -> clap::Command {
    command.mut_args(with_unit).mut_subcommands(with_units)
}

fn with_unit(arg: clap::Arg) -> clap::Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values = arg.get_value_parser().type_id();
    let names = arg.get_value_names().unwrap_or_default();
    let unit = match names.first().map(|name| name.as_str()) {
        Some("TIME") if values == TypeId::of::<Duration>() => "in seconds or with a unit",
        Some("SIZE") if values == TypeId::of::<u64>() => "in bytes or with a unit",
        _ => return arg,
    };
    if help.contains("minutes") {
        return arg;
    }
    let with_unit = format!("{help}, {unit}");
    let long = arg.get_long_help().map(ToString::to_string);
    match long {
        Some(long) => arg.long_help(long.replacen(&help, &with_unit, 1)).help(with_unit),
        None => arg.help(with_unit),
    }
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let takes_value = arg.get_action().takes_values() && !arg.is_allow_hyphen_values_set();
            if takes_value { arg.allow_negative_numbers(true) } else { arg }
        })
        .mut_subcommands(with_negative_numbers)
}

/// Repeats the flag of a direction before each further direction, as `study create` takes them: elsewhere a further
/// word would be the objective.
pub(crate) fn with_repeated_directions(arguments: Vec<OsString>) -> Vec<OsString> {
    const FLAGS: [&str; 2] = ["--direction", "--directions"];
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let mut repeated: Vec<OsString> = Vec::with_capacity(arguments.len());
    let mut is_after_direction = false;
    for (index, word) in arguments.into_iter().enumerate() {
        let is_direction = word == "minimize" || word == "maximize";
        if index < end && is_after_direction && is_direction {
            repeated.push(FLAGS[0].into());
        }
        let is_first = repeated.last().is_some_and(|last| FLAGS.iter().any(|flag| last == flag));
        is_after_direction = is_direction && (is_first || is_after_direction);
        repeated.push(word);
    }
    repeated
}

/// Mends the advice of a usage error. `command` is the whole command line's.
pub(crate) fn explain(
    mut error: clap::Error,
    command: &clap::Command,
    arguments: &[OsString],
) -> clap::Error {
    match error.kind() {
        ErrorKind::UnknownArgument => explain_unknown(&mut error, command, arguments),
        ErrorKind::InvalidSubcommand => explain_subcommand(&mut error, command),
        ErrorKind::ValueValidation => return explain_number(error, arguments),
        _ => {}
    }
    error
}

/// Names of flags that users try, and ours.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("--name", "--study-name"),
    ("--study", "--study-name"),
    ("--db", "--storage"),
    ("--database", "--storage"),
    ("--trials", "--n-trials"),
    ("--n-jobs", "--jobs"),
    ("--timelimit", "--trial-timeout"),
    ("--parameter", "--param"),
];

fn explain_unknown(error: &mut clap::Error, command: &clap::Command, arguments: &[OsString]) {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return };
    let unknown = unknown.clone();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    // The parser's advice to write a flag after `--` is never right: no value of ours starts with a hyphen.
    error.remove(ContextKind::Suggested);
    if let Some(tip) = program_tip(arguments, &unknown) {
        error.remove(ContextKind::SuggestedArg);
        suggest(error, tip);
    } else if let Some(ours) = our_name(called(command, arguments), &unknown) {
        error.remove(ContextKind::SuggestedArg);
        suggest(error, format!("the flag is {ours}"));
    } else if has("submit") || (has("doctor") && has("--slurm")) {
        // The parser would suggest a similar flag of ours.
        error.remove(ContextKind::SuggestedArg);
        if unknown.starts_with('-') {
            suggest(error, format!("flags of sbatch go after `--`, such as: -- {unknown}"));
        }
    } else if looks_like_database(&unknown) {
        suggest(error, format!("name the database with: --storage {unknown}"));
    } else if let Some(tip) = word_before(arguments, &unknown)
        .filter(|word| unknown.parse::<u32>().is_ok() && word.parse::<u32>().is_err())
        .and_then(|word| study_of_trial(arguments, word))
    {
        suggest(error, tip);
    } else if has("tell") && unknown.parse::<f64>().is_ok() {
        suggest(error, format!("give the result with: --values {unknown}"));
    } else if !unknown.starts_with('-') {
        if has("enqueue") && unknown.contains('=') {
            suggest(error, format!("give a parameter with: --param {unknown}"));
        } else if has("copy") {
            suggest(error, format!("name the copy with: --to-study-name {unknown}"));
        } else if ["study", "trial", "reap"].iter().any(|word| has(word)) {
            suggest(error, format!("name a study with: --study-name {unknown}"));
        }
    }
}

/// Returns the command that the first words name.
fn called<'a>(command: &'a clap::Command, arguments: &[OsString]) -> &'a clap::Command {
    let mut called = command;
    for word in arguments {
        match called.find_subcommand(word) {
            Some(found) => called = found,
            None => break,
        }
    }
    called
}

/// Returns our name of a flag, if the command has it.
fn our_name(command: &clap::Command, unknown: &str) -> Option<&'static str> {
    let (_, ours) = OTHER_NAMES.iter().find(|(other, _)| *other == unknown)?;
    let has = command.get_arguments().any(|arg| arg.get_long() == ours.strip_prefix("--"));
    has.then_some(*ours)
}

/// Returns the command line with `--` before its program, if a word is an argument of one.
fn program_tip(arguments: &[OsString], unknown: &str) -> Option<String> {
    let takes_programs = ["run", "eval", "inspect", "submit"];
    let first = arguments.first()?.to_str()?;
    if !takes_programs.contains(&first) || arguments.iter().any(|word| word == "--") {
        return None;
    }
    let unknown = arguments.iter().position(|word| word == unknown)?;
    let program = arguments[..unknown].iter().position(|word| is_interpreter(word))?;
    let words = |words: &[OsString]| {
        let quoted = words.iter().map(|word| shell_quote(&word.to_string_lossy()));
        quoted.collect::<Vec<_>>().join(" ")
    };
    let (before, after) = (words(&arguments[..program]), words(&arguments[program..]));
    Some(format!("put `--` before a program: trialbox {before} -- {after}"))
}

fn explain_subcommand(error: &mut clap::Error, command: &clap::Command) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    let word = word.clone();
    let extension =
        std::path::Path::new(&word).extension().and_then(|extension| extension.to_str());
    let groups = command.get_subcommands().filter(|group| group.find_subcommand(&word).is_some());
    let elsewhere: Vec<String> =
        groups.map(|group| format!("`trialbox {} {word}`", group.get_name())).collect();
    let tip = match extension {
        _ if !elsewhere.is_empty() => format!("the command is {}", elsewhere.join(" or ")),
        Some("wasm") => {
            format!(
                "`trialbox inspect {word}` describes an objective, `trialbox run {word}` runs trials of it"
            )
        }
        Some("py" | "sh" | "R" | "jl") => PROGRAMS.to_owned(),
        _ => return,
    };
    error.remove(ContextKind::SuggestedSubcommand);
    suggest(error, tip);
}

/// Says what a number must be, where std says what a digit is.
fn explain_number(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let is_std =
        ["invalid digit", "number too large", "empty string", "is not in", "invalid float"];
    let (Some(ContextValue::String(value)), Some(ContextValue::String(flag))) =
        (error.get(ContextKind::InvalidValue), error.get(ContextKind::InvalidArg))
    else {
        return error;
    };
    if !is_std.iter().any(|text| cause.contains(text)) {
        return error;
    }
    let kind = if cause.contains("float") { "a number" } else { "a whole number" };
    let range = match cause.split_once("is not in ") {
        Some((_, range)) if range.starts_with("1..") => " of at least 1",
        _ => "",
    };
    let tip = match study_of_trial(arguments, value) {
        Some(tip) => format!("\n  tip: {tip}\n"),
        None => String::new(),
    };
    let text = format!(
        "invalid value '{value}' for '{flag}': expected {kind}{range}, found `{value}`\n{tip}"
    );
    clap::Error::raw(ErrorKind::ValueValidation, text)
}

/// Returns the command line that names a study by its flag, where it stands before the number of a trial.
fn study_of_trial(arguments: &[OsString], value: &str) -> Option<String> {
    let is_trial = arguments.first().is_some_and(|word| word == "trial");
    let position = arguments.iter().position(|word| word == value)?;
    let before = word_before(arguments, value)?;
    if !is_trial || before.starts_with('-') || looks_like_database(value) {
        return None;
    }
    let rest = arguments.iter().enumerate().filter(|(index, _)| *index != position);
    let rest = rest.map(|(_, word)| shell_quote(&word.to_string_lossy())).collect::<Vec<_>>();
    Some(format!(
        "name a study with: trialbox {} --study-name {}",
        rest.join(" "),
        shell_quote(value)
    ))
}

/// Returns the word before another one.
fn word_before<'a>(arguments: &'a [OsString], word: &str) -> Option<&'a str> {
    let position = arguments.iter().position(|argument| argument == word)?;
    arguments[..position].last()?.to_str()
}

fn suggest(error: &mut clap::Error, tip: String) {
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
}
