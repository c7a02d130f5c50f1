//! `trialbox man`: the manual pages.

use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use std::ffi::OsStr;
use std::path::PathBuf;
use trialbox_files::Folder;

const EXAMPLES: &str = "\
Examples:
  trialbox man | man -l -
  trialbox man run | man -l -
  trialbox man --all ~/.local/share/man/man1";

/// Print the manual page of a command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// The words of the command, such as `study best` [default: the page of trialbox itself]
    #[arg(conflicts_with = "all")]
    words: Vec<String>,

    /// Write the pages of all commands to this folder
    #[arg(long, value_name = "DIR")]
    all: Option<PathBuf>,
}

impl ManArgs {
    pub(crate) fn run(self, mut command: clap::Command, output: &Output) -> CommandResult {
        command.build();
        if let Some(folder) = &self.all {
            trialbox_files::create_folders(folder, 0o777).map_err(std::io::Error::from)?;
            let folder = Folder::open_named(folder).map_err(std::io::Error::from)?;
            write_all(&command, &folder)?;
            return Ok(ExitCode::Done);
        }
        let mut found = &command;
        for word in &self.words {
            found = found.find_subcommand(word).ok_or_else(|| {
                CommandError::usage(
                    format!("expected a command, found `{word}`"),
                    "trialbox --help lists the commands",
                )
            })?;
        }
        output.write_file(&page(found)?);
        Ok(ExitCode::Done)
    }
}

/// Writes the pages of a command and of those below it.
fn write_all(command: &clap::Command, folder: &Folder) -> Result<(), CommandError> {
    let name = format!("{}.1", dashed(command));
    folder.write(OsStr::new(&name), page(command)?.as_bytes()).map_err(std::io::Error::from)?;
    let mut shown =
        command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    shown.try_for_each(|sub| write_all(sub, folder))
}

/// Returns the name of a page, such as `trialbox-study-best`.
fn dashed(command: &clap::Command) -> String {
    let words = command.get_bin_name().unwrap_or_else(|| command.get_name());
    words.replace(' ', "-")
}

fn page(command: &clap::Command) -> Result<String, CommandError> {
    let command = command.clone().display_name(dashed(command));
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
