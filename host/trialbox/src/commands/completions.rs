//! `trialbox completions`: what makes a shell complete commands, flags, files, studies and parameters.

use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::project::completion::VARIABLE;
use crate::view::output::Output;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

const EXAMPLES: &str = "\
Examples:
  source <(trialbox completions bash)                                     in ~/.bashrc
  source <(trialbox completions zsh)                                      in ~/.zshrc, after compinit
  trialbox completions fish > ~/.config/fish/completions/trialbox.fish";

/// Print the script that makes a shell complete trialbox's words.
///
/// The script asks trialbox for the completions, so it knows the studies of the database and their parameters.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// A shell that completes words.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl CompletionsArgs {
    pub(crate) fn run(self, command: &clap::Command, output: &Output) -> CommandResult {
        let completer: &dyn EnvCompleter = match self.shell {
            Shell::Bash => &Bash,
            Shell::Zsh => &Zsh,
            Shell::Fish => &Fish,
        };
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        completer.write_registration(VARIABLE, &name, &name, &name, &mut script)?;
        output.write_file(&String::from_utf8_lossy(&script));
        Ok(ExitCode::Done)
    }
}
