//! The flags of `run` that the user gave to `submit`, as they go into a script.

use super::quote::shell_quote;
use crate::args::storage::StudyArgs;
use crate::commands::RunArgs;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches, error::ErrorKind};

/// What only one process may do, or what `submit` decides: no flag of the tasks.
const NOT_FOR_TASKS: [&str; 4] = ["n_trials", "max_trials", "overrule", "allow_module_change"];

/// The flags of `run` that were given on the command line or in the environment, in the order of `run --help`.
///
/// It reads the parser's matches and not [`RunArgs`], so that a new flag of `run` is in the scripts without a line
/// here. The derive takes values out of the matches field by field: this must be the first one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given(Vec<Flag>);

/// A flag of `run`, or with no name its argument.
#[derive(Debug, Clone, PartialEq)]
struct Flag {
    id: String,
    long: Option<String>,
    value: Option<String>,
}

impl Given {
    /// Whether a flag was given, by its name in `RunArgs`.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|flag| flag.id == id)
    }

    /// Sets a flag's only value.
    pub(super) fn set(&mut self, id: &str, value: &str) {
        let args = run_args();
        let Some(arg) = args.iter().find(|arg| arg.get_id() == id) else { return };
        self.0.retain(|flag| flag.id != id);
        self.0.push(Flag { value: Some(value.to_owned()), ..Flag::of(arg) });
        self.0.sort_by_key(|flag| args.iter().position(|arg| arg.get_id() == &*flag.id));
    }

    /// The command of one task, `trialbox run …`, flag by flag; `program` as the shell reads it.
    pub(super) fn run_command(&self, program: &str, n_trials: u64) -> Vec<String> {
        let mut words = vec![format!("{program} run")];
        let flags = self.0.iter().filter(|flag| !NOT_FOR_TASKS.contains(&flag.id.as_str()));
        words.extend(flags.map(Flag::to_words));
        words.push(format!("--n-trials {n_trials}"));
        if !self.has("requeue") {
            words.push("--requeue".to_owned());
        }
        // The objective stands beside its command.
        if let [run, objective, ..] = &mut words[..] {
            run.push_str(&format!(" {objective}"));
            words.remove(1);
        }
        words
    }

    /// Those that say which study is meant, as `trialbox study` takes them.
    pub(super) fn study_flags(&self) -> String {
        let known = <StudyArgs as clap::Args>::augment_args(Command::new("study"));
        let is_known = |flag: &&Flag| known.get_arguments().any(|arg| arg.get_id() == &*flag.id);
        self.0.iter().filter(is_known).map(Flag::to_words).collect::<Vec<_>>().join(" ")
    }
}

impl Flag {
    fn of(arg: &Arg) -> Self {
        let long = arg.get_long().map(str::to_owned);
        Flag { id: arg.get_id().to_string(), long, value: None }
    }

    /// As the shell reads it: `--study-name digits`.
    fn to_words(&self) -> String {
        let value = self.value.as_deref().map(shell_quote);
        match (&self.long, value) {
            (Some(long), None) => format!("--{long}"),
            // A value such as -0.5 would be taken for a flag.
            (Some(long), Some(value)) if value.starts_with('-') => format!("--{long}={value}"),
            (Some(long), Some(value)) => format!("--{long} {value}"),
            (None, value) => value.unwrap_or_default(),
        }
    }
}

fn run_args() -> Vec<Arg> {
    let run = <RunArgs as clap::Args>::augment_args(Command::new("run"));
    run.get_arguments().cloned().collect()
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Vec::new();
        for arg in run_args() {
            let id = arg.get_id().as_str();
            let source = matches.value_source(id);
            if !matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
                continue;
            }
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                flags.push(Flag::of(&arg));
                continue;
            }
            for value in matches.get_raw(id).into_iter().flatten() {
                let text = value.to_str().ok_or_else(|| {
                    let shown = value.to_string_lossy();
                    Error::raw(
                        ErrorKind::InvalidUtf8,
                        format!("`{shown}` is no UTF-8, so it cannot stand in a script\n"),
                    )
                })?;
                flags.push(Flag { value: Some(text.to_owned()), ..Flag::of(&arg) });
            }
        }
        Ok(Given(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Given::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
