//! Words that a shell completes: the studies of the database that the command line names, and their parameters.

use clap::ValueHint;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::time::Duration;
use trialbox_core::Storage;
use trialbox_storage::{Location, Options};

/// The variable by which a shell asks for completions.
pub(crate) const VARIABLE: &str = "TRIALBOX_COMPLETE";

/// The time for which completion waits for a database that is locked.
const PATIENCE: Duration = Duration::from_millis(300);

/// The most candidates that a shell gets.
const MAX_CANDIDATES: usize = 500;

/// Returns the command line with completers for studies, parameters and files.
pub(crate) fn with_completers(command: clap::Command) -> clap::Command {
    command.mut_args(with_completer).mut_subcommands(with_completers)
}

fn with_completer(arg: clap::Arg) -> clap::Arg {
    let is_study = arg.get_id() == "study_name"
        || arg.get_value_names().unwrap_or_default().iter().any(|name| name == "STUDY");
    match arg.get_id().as_str() {
        "storage" | "optuna_db" => arg.value_hint(ValueHint::FilePath),
        "dirs" => arg.value_hint(ValueHint::DirPath),
        "fix" | "param" => arg.add(ArgValueCompleter::new(params)),
        _ if is_study => arg.add(ArgValueCompleter::new(studies)),
        _ => arg,
    }
}

/// Returns the studies whose names start with a text.
fn studies(start: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let found = open(&words).and_then(|mut storage| storage.list_studies().ok());
    let names = found.unwrap_or_default().into_iter().map(|found| found.study.name);
    candidates(names, start)
}

/// Returns the parameters whose names start with a text, each with `=` behind it.
fn params(start: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<OsString> = std::env::args_os().collect();
    candidates(params_of(&words).unwrap_or_default(), start)
}

fn params_of(words: &[OsString]) -> Option<BTreeSet<String>> {
    let mut storage = open(words)?;
    let study = match value_of(&["--study-name", "--optuna-study-name"], words) {
        Some(name) => storage.open_study(&name).ok()?,
        None => {
            let mut studies = storage.list_studies().ok()?;
            let only = studies.pop().filter(|_| studies.is_empty())?;
            storage.open_study(&only.study.name).ok()?
        }
    };
    let trials = storage.history(study.id).ok()?;
    let names =
        trials.iter().flat_map(|trial| trial.params.iter().map(|(name, _)| format!("{name}=")));
    Some(names.collect())
}

/// Opens the database that the words name, if it is there and free.
fn open(words: &[OsString]) -> Option<Box<dyn Storage>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let url = value_of(&["--optuna-db", "--storage"], words)
        .or_else(|| variable("TRIALBOX_STORAGE"))
        .or_else(|| variable("OPTUNA_STORAGE"))
        .unwrap_or_else(|| "trialbox.db".to_owned());
    let location = Location::parse(&url).ok()?;
    location.file().filter(|file| file.is_file())?;
    let options = Options { timeout: PATIENCE, guard: false, ..Options::default() };
    location.open(&options).ok()
}

/// Returns the value that a flag has in the words.
fn value_of(flags: &[&str], words: &[OsString]) -> Option<String> {
    words.iter().enumerate().find_map(|(index, word)| {
        let word = word.to_str()?;
        flags.iter().find_map(|flag| match word.strip_prefix(flag)? {
            "" => words.get(index + 1)?.to_str().map(str::to_owned),
            rest => rest.strip_prefix('=').map(str::to_owned),
        })
    })
}

/// Returns the names that start with a text and that a terminal shows as they are.
fn candidates(names: impl IntoIterator<Item = String>, start: &OsStr) -> Vec<CompletionCandidate> {
    let start = start.to_string_lossy();
    let is_harmless = |name: &String| name.chars().all(trialbox_core::value::text::is_harmless);
    names
        .into_iter()
        .filter(|name| name.starts_with(&*start) && !name.contains('\n') && is_harmless(name))
        .take(MAX_CANDIDATES)
        .map(CompletionCandidate::new)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_flag_is_found_in_both_forms() {
        let words: Vec<OsString> =
            ["--", "trialbox", "run", "--storage", "a.db", "--study-name=s", "--fix"]
                .map(OsString::from)
                .into();
        assert_eq!(value_of(&["--storage"], &words).as_deref(), Some("a.db"));
        assert_eq!(value_of(&["--study-name"], &words).as_deref(), Some("s"));
        assert_eq!(value_of(&["--fix"], &words), None);
        assert_eq!(value_of(&["--study"], &words), None);
    }

    #[test]
    fn a_name_that_a_terminal_obeys_is_not_offered() {
        let names = ["acc", "acc\u{1b}[2J", "a\nb", "loss"].map(str::to_owned);
        let found = candidates(names, OsStr::new("a"));
        let found: Vec<_> = found.iter().map(CompletionCandidate::get_value).collect();
        assert_eq!(found, [OsStr::new("acc")]);
    }
}
