//! The flags of `run` that the user gave to `submit`, as they go into a script.

use super::quote::shell_quote;
use crate::args::storage::StudyArgs;
use crate::commands::RunArgs;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches, error::ErrorKind};

/// The flags of `run` that tasks do not get: one process may use them, or `submit` decides them. The words after `--`
/// are divided first.
const NOT_FOR_TASKS: [&str; 5] =
    ["n_trials", "max_trials", "overrule", "allow_module_change", "command"];

/// The flags of `run` from the command line or the environment, in the order of `run --help`.
///
/// Reads the parser's matches and not [`RunArgs`], so that a new flag of `run` needs no line here. The derive takes
/// values out of the matches field by field, so this must be the first field of its struct.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunFlags {
    flags: Vec<Flag>,
    /// The words of a program objective; none for a component.
    command: Vec<String>,
}

/// A flag of `run`, or without a name its argument.
#[derive(Debug, Clone, PartialEq)]
struct Flag {
    id: String,
    long: Option<String>,
    value: Option<String>,
}

impl RunFlags {
    /// Returns whether a flag was given. `id` is the name of its field in `RunArgs`.
    pub(super) fn has(&self, id: &str) -> bool {
        self.flags.iter().any(|flag| flag.id == id)
    }

    /// Sets a flag to a single value.
    pub(super) fn set(&mut self, id: &str, value: &str) {
        let args = run_args();
        let Some(arg) = args.iter().find(|arg| arg.get_id() == id) else { return };
        self.flags.retain(|flag| flag.id != id);
        self.flags.push(Flag { value: Some(value.to_owned()), ..Flag::of(arg) });
        self.flags.sort_by_key(|flag| args.iter().position(|arg| arg.get_id() == &*flag.id));
    }

    /// Removes a flag.
    pub(super) fn remove(&mut self, id: &str) {
        self.flags.retain(|flag| flag.id != id);
    }

    /// Sets a flag without a value.
    pub(super) fn switch_on(&mut self, id: &str) {
        self.set(id, "");
        self.flags.iter_mut().filter(|flag| flag.id == id).for_each(|flag| flag.value = None);
    }

    /// Sets the words of a program objective, which `submit` divides from the flags of sbatch.
    pub(super) fn set_command(&mut self, command: Vec<String>) {
        self.command = command;
    }

    /// Returns the command of one task, `trialbox run …`, flag by flag. `program` is quoted for the shell already.
    /// `extra` is a further flag.
    pub(super) fn run_command(
        &self,
        program: &str,
        n_trials: u64,
        extra: Option<&str>,
    ) -> Vec<String> {
        let mut words = vec![format!("{program} run")];
        let flags = self.flags.iter().filter(|flag| !NOT_FOR_TASKS.contains(&flag.id.as_str()));
        words.extend(flags.map(Flag::to_words));
        words.push(format!("--n-trials {n_trials}"));
        if !self.has("requeue") {
            words.push("--requeue".to_owned());
        }
        words.extend(extra.map(str::to_owned));
        if !self.command.is_empty() {
            let quoted: Vec<String> = self.command.iter().map(|word| shell_quote(word)).collect();
            words.push(format!("-- {}", quoted.join(" ")));
            return words;
        }
        // A wrapped command keeps the objective on the line of the program.
        if let [run, objective, ..] = &mut words[..] {
            run.push_str(&format!(" {objective}"));
            words.remove(1);
        }
        words
    }

    /// Returns the flags that select the study, as `trialbox study` takes them.
    pub(super) fn study_flags(&self) -> String {
        let known = <StudyArgs as clap::Args>::augment_args(Command::new("study"));
        let is_known = |flag: &&Flag| known.get_arguments().any(|arg| arg.get_id() == &*flag.id);
        self.flags.iter().filter(is_known).map(Flag::to_words).collect::<Vec<_>>().join(" ")
    }
}

impl Flag {
    fn of(arg: &Arg) -> Self {
        let long = arg.get_long().map(str::to_owned);
        Flag { id: arg.get_id().to_string(), long, value: None }
    }

    /// Returns the flag as the shell reads it: `--study-name digits`.
    fn to_words(&self) -> String {
        match (&self.long, self.value.as_deref()) {
            (Some(long), None) => format!("--{long}"),
            // The parser would take a value such as -0.5 for a flag, in quotes too.
            (Some(long), Some(value)) if value.starts_with('-') => {
                format!("--{long}={}", shell_quote(value))
            }
            (Some(long), Some(value)) => format!("--{long} {}", shell_quote(value)),
            (None, Some(path)) if path.starts_with('-') => shell_quote(&format!("./{path}")),
            (None, path) => path.map(shell_quote).unwrap_or_default(),
        }
    }
}

fn run_args() -> Vec<Arg> {
    let run = <RunArgs as clap::Args>::augment_args(Command::new("run"));
    run.get_arguments().cloned().collect()
}

impl FromArgMatches for RunFlags {
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
                let Some(text) = value.to_str() else {
                    let shown = value.to_string_lossy();
                    let message = format!("expected UTF-8 for the script, found `{shown}`\n");
                    return Err(Error::raw(ErrorKind::InvalidUtf8, message));
                };
                flags.push(Flag { value: Some(text.to_owned()), ..Flag::of(&arg) });
            }
        }
        Ok(RunFlags { flags, command: vec![] })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = RunFlags::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for RunFlags {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

#[cfg(test)]
mod tests {
    use super::super::SubmitArgs;
    use super::*;

    #[test]
    fn a_value_that_starts_with_a_dash_is_not_taken_for_a_flag() {
        let words = |long: Option<&str>, value: &str| {
            let long = long.map(str::to_owned);
            Flag { id: String::new(), long, value: Some(value.to_owned()) }.to_words()
        };
        assert_eq!(words(Some("seed"), "7"), "--seed 7");
        assert_eq!(words(Some("fix"), "-0.5"), "--fix=-0.5");
        assert_eq!(words(Some("study-name"), "-x y"), "--study-name=\"-x y\"");
        assert_eq!(words(None, "-x y.wasm"), "\"./-x y.wasm\"");
    }

    #[test]
    fn run_flags_is_the_first_field_so_that_no_other_field_has_taken_its_values() {
        let command = <SubmitArgs as clap::Args>::augment_args(Command::new("submit"));
        let words = "submit a.wasm --trials 9 --parallel 2 --study-name s --seed 7 --catch";
        let mut matches = command.get_matches_from(words.split(' '));
        let args = SubmitArgs::from_arg_matches_mut(&mut matches).expect("the flags are right");
        let flags: Vec<String> = args.run_flags.flags.iter().map(Flag::to_words).collect();
        for flag in ["a.wasm", "--study-name s", "--seed 7", "--catch"] {
            assert!(flags.iter().any(|found| found == flag), "`{flag}` is missing in {flags:?}");
        }
        assert!(!args.run_flags.has("trials"), "{flags:?}");
    }
}
