//! The parser's errors, with advice that is right: the parser knows its grammar, and neither our words nor sbatch's.

use crate::args::objective::PROGRAMS;
use crate::args::storage::looks_like_database;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;
use std::ffi::OsString;

/// Returns the command line, in which every value may be a negative number. The parser would take one for a flag, and
/// advise to write it after `--`, where it would be an argument.
pub(crate) fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let takes_value = arg.get_action().takes_values() && !arg.is_allow_hyphen_values_set();
            if takes_value { arg.allow_negative_numbers(true) } else { arg }
        })
        .mut_subcommands(with_negative_numbers)
}

/// Mends the advice of a usage error.
pub(crate) fn explain(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    match error.kind() {
        ErrorKind::UnknownArgument => explain_unknown(&mut error, arguments),
        ErrorKind::InvalidSubcommand => explain_subcommand(&mut error),
        ErrorKind::ValueValidation => return explain_number(error),
        _ => {}
    }
    error
}

fn explain_unknown(error: &mut clap::Error, arguments: &[OsString]) {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return };
    let unknown = unknown.clone();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    // The parser's advice to write a flag after `--` is never right: no value of ours starts with a hyphen.
    error.remove(ContextKind::Suggested);
    if has("submit") || (has("doctor") && has("--slurm")) {
        // The parser would suggest a similar flag of ours.
        error.remove(ContextKind::SuggestedArg);
        if unknown.starts_with('-') {
            suggest(error, format!("flags of sbatch go after `--`, such as: -- {unknown}"));
        }
    } else if looks_like_database(&unknown) {
        suggest(error, format!("name the database with: --storage {unknown}"));
    } else if !unknown.starts_with('-') && ["study", "trial", "reap"].iter().any(|word| has(word)) {
        suggest(error, format!("name a study with: --study-name {unknown}"));
    }
}

fn explain_subcommand(error: &mut clap::Error) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    let word = word.clone();
    let extension =
        std::path::Path::new(&word).extension().and_then(|extension| extension.to_str());
    let tip = match extension {
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
fn explain_number(error: clap::Error) -> clap::Error {
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
    let text =
        format!("invalid value '{value}' for '{flag}': expected {kind}{range}, found `{value}`\n");
    clap::Error::raw(ErrorKind::ValueValidation, text)
}

fn suggest(error: &mut clap::Error, tip: String) {
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
}
