//! Paths that start with `~`, which a shell expands at the start of a word alone: not in `--storage=~/study.db`.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::any::TypeId;
use std::path::PathBuf;

/// The words in the names of values that are paths.
const PATHS: [&str; 5] = ["PATH", "FILE", "DIR", "HOST", "SOURCE"];

/// The starts of values behind which a path follows.
const BEFORE_PATHS: [&str; 5] = ["sqlite:///", "sqlite+pysqlite:///", "file:", "@", ""];

/// Refuses a path that starts with `~` in any flag or argument of the command that was given.
///
/// # Errors
/// Names the first such value, and how to write it.
pub(crate) fn check_tildes(
    command: &clap::Command,
    matches: &clap::ArgMatches,
) -> Result<(), clap::Error> {
    for arg in command.get_arguments().filter(|arg| is_path(arg)) {
        let given = matches.get_raw(arg.get_id().as_str());
        for value in given.into_iter().flatten().filter_map(|value| value.to_str()) {
            if let Some(tip) = expanded(value) {
                return Err(refused(command, arg, value, &tip));
            }
        }
    }
    match matches.subcommand() {
        Some((name, matches)) => match command.find_subcommand(name) {
            Some(command) => check_tildes(command, matches),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// Returns whether the values of an argument are paths. The words of a program are the program's.
pub(crate) fn is_path(arg: &clap::Arg) -> bool {
    if arg.is_last_set() || !arg.get_action().takes_values() {
        return false;
    }
    let is_typed = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let names = arg.get_value_names().unwrap_or_default();
    is_typed || names.iter().any(|name| PATHS.iter().any(|word| name.contains(word)))
}

/// Returns what to write in place of a value with a tilde, if it has one; a tilde with a name stands for another home.
fn expanded(value: &str) -> Option<String> {
    for before in BEFORE_PATHS {
        let Some(rest) = value.strip_prefix(before).and_then(|path| path.strip_prefix('~')) else {
            continue;
        };
        let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        match (name, path) {
            ("", _) => return Some(format!("\"{before}$HOME{path}\"")),
            // A file may have such a name.
            (_, "") => {}
            (name, path) => return Some(format!("the home of `{name}` in full before `{path}`")),
        }
    }
    None
}

fn refused(command: &clap::Command, arg: &clap::Arg, value: &str, tip: &str) -> clap::Error {
    let mut error = clap::Error::new(ErrorKind::ValueValidation).with_cmd(command);
    error.insert(ContextKind::InvalidArg, ContextValue::String(arg.to_string()));
    error.insert(ContextKind::InvalidValue, ContextValue::String(value.to_owned()));
    let tip = StyledStr::from(format!("the shell did not expand `~`; write {tip}"));
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;
    use std::collections::BTreeSet;

    /// Calls `check` with every command that has no subcommand.
    fn walk(command: &clap::Command, check: &mut dyn FnMut(&clap::Command)) {
        check(command);
        command.get_subcommands().for_each(|sub| walk(sub, check));
    }

    #[test]
    fn every_flag_that_takes_a_path_refuses_a_tilde_and_says_what_to_write() {
        let mut flags = BTreeSet::new();
        let mut root = Cli::command();
        root.build();
        walk(&root, &mut |command| {
            let lenient = command.clone().subcommand_required(false).ignore_errors(true);
            let lenient = lenient
                .mut_args(|arg| arg.required(false).value_parser(clap::value_parser!(String)));
            for arg in command.get_arguments().filter(|arg| is_path(arg)) {
                let Some(flag) = arg.get_long() else { continue };
                let given = format!("--{flag}=~/x");
                let matches = lenient.clone().try_get_matches_from(["trialbox", &given]);
                let matches = matches.expect("every value is taken");
                let error = check_tildes(command, &matches).expect_err(flag).to_string();
                assert!(error.contains("$HOME/x"), "{flag}: {error}");
                flags.insert(flag.to_owned());
            }
        });
        for flag in [
            "storage",
            "optuna-db",
            "to-storage",
            "spool-dir",
            "cache-dir",
            "checkpoint-dir",
            "dir",
            "script",
            "report",
            "output",
            "value",
        ] {
            assert!(flags.contains(flag), "--{flag} is not among {flags:?}");
        }
    }

    #[test]
    fn a_tilde_elsewhere_is_no_home() {
        for value in ["a~/b", "study.db~", "~x.db", "./~/x", "sqlite:///a/~/b"] {
            assert_eq!(expanded(value), None, "{value}");
        }
        assert_eq!(expanded("file:~/x").as_deref(), Some("\"file:$HOME/x\""));
        assert!(expanded("~bob/x").is_some_and(|tip| tip.contains("home of `bob`")));
    }
}
