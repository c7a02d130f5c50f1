//! `trialbox new`: a project from a template, without a network.

use crate::commands::submit::quote::shell_quote;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::project::template::{NewFile, Template, check_name};
use crate::view::output::Output;
use crate::view::record::{CreatedRecord, Rendered};
use clap::ValueEnum as _;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;
use trialbox_core::value::text::counted;
use trialbox_files::{FileError, Folder};

const EXAMPLES: &str = "\
Examples:
  trialbox new mine                            an objective in Rust
  trialbox new mine --template rust-pruning    one that learns in steps
  trialbox new mine --template python          a file of Python for the sandbox
  trialbox new mine --template program         a program in Python, and a script for sbatch";

/// Create the folder of a new objective.
///
/// The templates are part of trialbox, so no network is needed. A project in Rust contains the SDK, and can be built
/// anywhere. A folder that exists is never changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct NewArgs {
    /// The name of the objective and of its folder
    name: String,

    /// Kind of objective
    ///
    /// [default: rust]
    #[arg(short, long, value_enum, default_value_t = Template::Rust, hide_default_value = true)]
    template: Template,
}

impl NewArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let name = &self.name;
        check_name(name, self.template).map_err(|rule| {
            CommandError::usage(
                format!("the project cannot have the name `{name}`: {rule}"),
                "choose another name, such as: trialbox new my-objective",
            )
        })?;
        let files = self.template.files(name);
        create(name, &files)?;
        let template = self.template.to_possible_value();
        let template = template.map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut next = vec![format!("cd {}", shell_quote(name))];
        next.extend(self.template.next_commands().map(str::to_owned));
        let mut text = format!(
            "created `{name}` from the template {template}, {}",
            counted(files.len() as u64, "file")
        );
        next.iter().for_each(|command| text.push_str(&format!("\n  {command}")));
        let record = CreatedRecord {
            name: name.clone(),
            template,
            directory: std::path::absolute(name)?.display().to_string(),
            files: files.into_iter().map(|file| file.path).collect(),
            next,
        };
        output.print(&Rendered::new(text, record));
        Ok(ExitCode::Done)
    }
}

/// Creates the project's folder with its files. Where that fails, nothing of it is left.
fn create(name: &str, files: &[NewFile]) -> Result<(), CommandError> {
    let here = Folder::open_named(Path::new(".")).map_err(io::Error::from)?;
    let root = here.create_folder(OsStr::new(name)).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return CommandError::usage(
                format!("expected a name that is free, found `{name}` in this folder"),
                "choose another name; what is there stays as it is",
            );
        }
        let help = "create the project in a folder that you may write to".to_owned();
        CommandError { help: Some(help), ..io::Error::from(error).into() }
    })?;
    let written = files.iter().try_for_each(|file| write(&root, file));
    written.map_err(|error| {
        let _ = trialbox_files::remove_named_tree(Path::new(name));
        io::Error::from(error).into()
    })
}

fn write(root: &Folder, file: &NewFile) -> Result<(), FileError> {
    let bytes = file.text.as_bytes();
    let Some((folders, name)) = file.path.rsplit_once('/') else {
        return root.write_new(OsStr::new(&file.path), bytes);
    };
    let mut parts = folders.split('/').map(OsStr::new);
    let first = root.open_or_create_folder(parts.next().unwrap_or_default())?;
    let folder = parts.try_fold(first, |folder, part| folder.open_or_create_folder(part))?;
    folder.write_new(OsStr::new(name), bytes)
}
