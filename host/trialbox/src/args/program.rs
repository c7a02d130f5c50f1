//! The flags of an objective that is a program, and the command behind `--`.

use crate::args::quantity::parse_duration;
use crate::args::space_file::space_of_json;
use crate::args::space_flag::{SpaceArg, declared_space, parse_space};
use crate::error::CommandError;
use crate::study::known_params::nearest;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::Json;
use trialbox_core::space::declared::DeclaredSpace;
use trialbox_program::{
    CommandLine, CommandLineError, Confined, Confinement, Enforced, PythonClient, ValueSource,
};
use trialbox_runtime::Grant;

/// The flags of an objective that is a program.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Program")]
pub(crate) struct ProgramArgs {
    /// Suggest parameters to a program, such as 'lr=log(1e-5, 0.1)' or @space.toml
    ///
    /// Ranges: float(LOW, HIGH), log(LOW, HIGH), int(LOW, HIGH), logint(LOW, HIGH), choice(A, B, …); float and int
    /// take step=S. The value replaces {lr} in the command ({{lr}} is the text {lr}), and is in TRIALBOX_PARAM_LR.
    /// [default: no parameter]
    #[arg(long, value_name = "NAME=RANGE|@FILE", value_parser = parse_space)]
    space: Vec<SpaceArg>,

    /// Place of a program's value: protocol, last-line, pattern:REGEX or file:PATH
    ///
    /// `last-line` is that of standard output. A pattern's first group is the value. A file holds JSON; {trial} in its
    /// path is the trial's number.
    /// [default: last-line with --space, else protocol]
    #[arg(long, value_name = "SOURCE", value_parser = ValueSource::parse)]
    value: Option<ValueSource>,

    /// Time between SIGTERM and SIGKILL, and between a result and the exit
    ///
    /// [default: 10s]
    #[arg(long, value_name = "TIME", default_value = "10s", hide_default_value = true, value_parser = parse_duration)]
    kill_after: Duration,

    /// Run a Python script that uses Optuna, unchanged: its `study.optimize` runs the trial
    ///
    /// `import optuna` finds trialbox's module. The script's own sampler, pruner and storage are not used. A new study
    /// has the script's directions; --optuna-db and --optuna-study-name of the script's command count here too.
    #[arg(long)]
    pub(crate) as_optuna: bool,

    /// Let the kernel confine the program to its own files and to --dir, without the network
    ///
    /// It reads its interpreter, its libraries and the folder of its files, and writes to a scratch folder ($TMPDIR).
    /// `available` accepts a kernel that enforces only a part. [default: the program has all rights of the user]
    #[arg(
        long,
        value_name = "whole|available",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "whole",
        hide_possible_values = true
    )]
    confine: Option<ConfineArg>,

    /// Let a confined program use the network
    ///
    /// [default: no network]
    #[arg(long, requires = "confine")]
    allow_net: bool,

    /// A program as the objective, with its arguments; it is not sandboxed
    #[arg(last = true, value_name = "COMMAND", help_heading = None::<&str>)]
    pub(crate) command: Vec<OsString>,
}

/// The parts of a confinement that the kernel must enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ConfineArg {
    Whole,
    Available,
}

impl ProgramArgs {
    /// Returns whether a program is the objective.
    pub(crate) fn is_given(&self) -> bool {
        !self.command.is_empty()
    }

    /// Returns whether the program is to be confined.
    pub(crate) fn is_confined(&self) -> bool {
        self.confine.is_some()
    }

    /// Returns the rights of a program that is to be confined.
    ///
    /// # Errors
    /// Fails if the kernel does not enforce all of it, unless the user accepts that.
    pub(crate) fn confined(
        &self,
        command: &CommandLine,
        grants: &[Grant],
    ) -> Result<Option<Confined>, CommandError> {
        let Some(confine) = self.confine else { return Ok(None) };
        let enforced = Enforced::by_this_kernel();
        if confine == ConfineArg::Whole && !enforced.is_whole() {
            return Err(CommandError::usage(
                format!(
                    "expected a kernel that confines programs, found one that does not confine {}",
                    enforced.missing().join(", ")
                ),
                "accept what the kernel enforces with --confine=available, or leave --confine out",
            ));
        }
        let mut rights = Confinement::of(command, self.allow_net);
        for grant in grants {
            let places = if grant.writable { &mut rights.write } else { &mut rights.read };
            places.push(grant.host.clone());
        }
        Ok(Some(Confined { rights, enforced }))
    }

    /// Returns the command, if there is one.
    ///
    /// # Errors
    /// Fails for a component, and for parameters that a program could not tell apart.
    pub(crate) fn command_line(
        &self,
        component: Option<&Path>,
    ) -> Result<Option<CommandLine>, CommandError> {
        let Some(program) = self.command.first() else { return self.refuse_flags(component) };
        if Path::new(program).extension().is_some_and(|extension| extension == "wasm") {
            return Err(CommandError::usage(
                format!(
                    "expected a program after `--`, found the component `{}`",
                    program.display()
                ),
                "give it without `--`, so that it runs in the sandbox",
            ));
        }
        let space = self.space()?;
        let command = CommandLine::new(self.command.clone(), space);
        let command = command.map_err(|error| self.explain(&error))?;
        if let Some(script) = command.missing_script() {
            return Err(CommandError::usage(
                format!(
                    "expected a script for `{}`, found no file `{}`",
                    command.program().display(),
                    script.display()
                ),
                "check the path, which counts from the current directory",
            ));
        }
        Ok(Some(command))
    }

    /// Returns the error of a command that does not fit its parameters.
    fn explain(&self, error: &CommandLineError) -> CommandError {
        let help = match error {
            CommandLineError::UnknownPlaceholder { found } => return self.unknown(found),
            CommandLineError::SameVariable { .. } => "rename one of them in --space",
            CommandLineError::Empty => "give a program after `--`",
            CommandLineError::InText { .. } => {
                "inside of a script use its variable, such as \"$TRIALBOX_PARAM_LR\""
            }
        };
        CommandError::usage(error.to_string(), help)
    }

    /// Returns the error of a name in braces that is not a parameter.
    fn unknown(&self, found: &str) -> CommandError {
        let space = self.space().unwrap_or_default();
        let names: Vec<&str> = space.params().iter().map(|param| param.name.as_str()).collect();
        let meant = match nearest(names.iter().copied(), found.trim()) {
            Some(meant) => format!("did you mean {{{meant}}}?"),
            None => format!("its parameters are: {}.", names.join(", ")),
        };
        CommandError::usage(
            format!("the command has {{{found}}}, and --space has no parameter `{found}`"),
            format!("{meant} The text {{{found}}} itself is written {{{{{found}}}}}"),
        )
    }

    /// Returns these flags with the command, the space and the place of the value that a trial's provenance holds.
    ///
    /// # Errors
    /// Fails for a provenance that is not complete.
    pub(crate) fn recorded(&self, provenance: &Json) -> Result<ProgramArgs, CommandError> {
        let incomplete = |member: &str| {
            CommandError::usage(
                format!(
                    "expected `{member}` in the provenance of the trial, found none that can be read"
                ),
                "give the command after `--`",
            )
        };
        let words = provenance.get("command").and_then(Json::as_array).unwrap_or_default();
        let command: Option<Vec<OsString>> =
            words.iter().map(|word| word.as_str().map(OsString::from)).collect();
        let command =
            command.filter(|words| !words.is_empty()).ok_or_else(|| incomplete("command"))?;
        let value = provenance.get_str("value").and_then(|text| ValueSource::parse(text).ok());
        let space = provenance.get("space").and_then(|space| space_of_json(space).ok());
        let space = space.ok_or_else(|| incomplete("space"))?;
        Ok(ProgramArgs {
            command,
            space: vec![SpaceArg::Parts(space)],
            value: Some(value.ok_or_else(|| incomplete("value"))?),
            as_optuna: provenance.get("as_optuna") == Some(&Json::Bool(true)),
            ..self.clone()
        })
    }

    /// Returns the files of the search space.
    pub(crate) fn space_files(&self) -> impl Iterator<Item = PathBuf> {
        self.space.iter().filter_map(|arg| match arg {
            SpaceArg::File(path) => Some(path.clone()),
            SpaceArg::Parts(_) => None,
        })
    }

    /// Returns the parameters of `--space`.
    ///
    /// # Errors
    /// As [`declared_space`].
    fn space(&self) -> Result<DeclaredSpace, CommandError> {
        declared_space("--space", &self.space)
    }

    /// Returns the words of the command as a script can hold them.
    ///
    /// # Errors
    /// Fails for a word that is not UTF-8.
    pub(crate) fn words(&self) -> Result<Vec<String>, CommandError> {
        let text = |word: &OsString| {
            word.to_str().map(str::to_owned).ok_or_else(|| {
                let found = format!("expected UTF-8 for the script, found `{}`", word.display());
                CommandError::usage(found, "rename the file, or pass it by a variable")
            })
        };
        self.command.iter().map(text).collect()
    }

    /// Returns the value of a flag in the command: `--flag VALUE` or `--flag=VALUE`. Of several the last counts.
    pub(crate) fn value_of(&self, flag: &str) -> Option<String> {
        let words: Vec<&str> = self.command.iter().filter_map(|word| word.to_str()).collect();
        words.iter().enumerate().rev().find_map(|(index, word)| match word.strip_prefix(flag)? {
            "" => words.get(index + 1).map(|value| (*value).to_owned()),
            rest => rest.strip_prefix('=').map(str::to_owned),
        })
    }

    /// Checks that trials at the same time do not write their values to one file.
    ///
    /// # Errors
    /// Fails for `--value file:PATH` without the trial's number in the path.
    pub(crate) fn check_value_file(&self) -> Result<(), CommandError> {
        let source = self.value_source();
        let Some(path) = source.file_of_all_trials() else { return Ok(()) };
        let path = path.display();
        Err(CommandError::usage(
            format!(
                "expected a file for each of the trials that run at the same time, found --value file:{path}"
            ),
            "write {trial} into the path, such as --value file:out-{trial}.json; the program finds the path in \
             TRIALBOX_VALUE_FILE",
        ))
    }

    /// Returns the place of the program's values.
    pub(crate) fn value_source(&self) -> ValueSource {
        match &self.value {
            Some(source) => source.clone(),
            None if self.space.is_empty() => ValueSource::Protocol,
            None => ValueSource::LastLine,
        }
    }

    /// Returns the Python client.
    ///
    /// # Errors
    /// Fails with --as-optuna if the client cannot be written. Without it, a program may not need it.
    pub(crate) fn python(
        &self,
        cache_dir: Option<&Path>,
    ) -> Result<Option<PythonClient>, CommandError> {
        let installed = match cache_dir {
            Some(dir) => PythonClient::install(dir).map_err(|error| error.to_string()),
            None => Err("neither HOME nor XDG_CACHE_HOME is an absolute path".to_owned()),
        };
        match installed {
            Ok(client) => Ok(Some(client)),
            Err(problem) if self.as_optuna => Err(CommandError::usage(
                format!("cannot write the Python client to the cache: {problem}"),
                "give a directory of your own with --cache-dir",
            )),
            Err(problem) => {
                tracing::warn!(%problem, "the Python client could not be written; `import trialbox` will fail");
                Ok(None)
            }
        }
    }

    /// Returns whether `import optuna` finds trialbox's module.
    pub(crate) fn as_optuna(&self) -> bool {
        self.as_optuna
    }

    /// Returns the time that a program has for its end.
    pub(crate) fn grace(&self) -> Duration {
        self.kill_after
    }

    /// Refuses flags of programs for a component, which suggests its parameters and returns its values itself.
    fn refuse_flags(&self, component: Option<&Path>) -> Result<Option<CommandLine>, CommandError> {
        let given = [
            ("--space", !self.space.is_empty()),
            ("--value", self.value.is_some()),
            ("--as-optuna", self.as_optuna),
            ("--confine", self.confine.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(None),
            Some((flag, _)) => {
                let (found, rest) = match component {
                    Some(_) => ("a component", "; a component needs no such flag"),
                    None => ("none", ""),
                };
                Err(CommandError::usage(
                    format!("expected a program for {flag}, found {found}"),
                    format!("give a program after `--`, such as: -- python train.py{rest}"),
                ))
            }
        }
    }
}
