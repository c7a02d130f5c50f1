//! `trialbox build`: makes the file of an objective from its source.

mod python;
mod rust;

use crate::args::runtime::RuntimeArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::project::found::{Project, no_project};
use crate::view::output::Output;
use crate::view::record::{BuiltRecord, Rendered};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use trialbox_core::value::text::byte_size;
use trialbox_files::{FileError, Folder, write_named};

const EXAMPLES: &str = "\
Examples:
  trialbox build                                    the project in this folder: its component, such as mine.wasm
  trialbox build mine -- --offline                  the one in `mine`; words after -- are cargo's
  trialbox build objective.py                       objective.tbx: the file and what it imports from its folder
  trialbox build objective.py -o shared/iris.tbx
  trialbox run iris.tbx -n 20                       an archive is used as its objective is";

/// Make one file of an objective, to run it and to share it.
///
/// Of a project in Rust it compiles the component with cargo, and writes into it what it was built from, which
/// `trialbox inspect` shows.
/// Of a file of Python it makes an archive with the modules that the file imports from its folder, the data there that
/// it describes, and the digest of the runtime, which the other end needs too. The same content gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BuildArgs {
    /// The project's folder, or a file of Python [default: the current folder]
    source: Option<PathBuf>,

    /// Write the objective to this file [default: NAME.wasm in the project, SOURCE.tbx here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Flags of cargo
    #[arg(last = true, value_name = "CARGO FLAGS")]
    flags: Vec<String>,

    #[command(flatten)]
    runtime: RuntimeArgs,
}

/// An objective that was built.
struct Built {
    bytes: Vec<u8>,
    record: BuiltRecord,
}

impl BuildArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let source = self.source.clone().unwrap_or_default();
        let record = if is_folder(&source) {
            let Some(project) = Project::in_folder(&source)? else {
                return Err(no_project(&source));
            };
            match &project {
                Project::Crate { .. } => {
                    build_crate(&project, self.output.as_deref(), &self.flags)?
                }
                Project::Python { file } => self.build_python(file)?,
            }
        } else if source.extension().is_some_and(|extension| extension == "py") {
            self.build_python(&source)?
        } else {
            return Err(CommandError::usage(
                format!(
                    "expected a project's folder or a file of Python, found `{}`",
                    source.display()
                ),
                "give the folder with Cargo.toml, or the file with `def objective(trial)`: trialbox build objective.py",
            ));
        };
        output.print(&Rendered::new(record.text(), record));
        Ok(ExitCode::Done)
    }

    fn build_python(&self, source: &Path) -> Result<BuiltRecord, CommandError> {
        let target = match &self.output {
            Some(target) => target.clone(),
            None => Path::new(source.file_stem().unwrap_or_default()).with_extension("tbx"),
        };
        write(python::build(source, &self.runtime, &target)?, &target)
    }
}

/// Returns whether a path names a folder, as no path does.
pub(crate) fn is_folder(path: &Path) -> bool {
    path == Path::new("") || path.is_dir()
}

/// Builds the component of a crate and writes it, by default beside the manifest.
///
/// # Errors
/// Fails as cargo does, and if the file cannot be written.
pub(crate) fn build_crate(
    project: &Project,
    target: Option<&Path>,
    flags: &[String],
) -> Result<BuiltRecord, CommandError> {
    let Project::Crate { folder, name } = project else { return Err(no_project(Path::new(""))) };
    let target = target.map_or_else(|| project.objective(), Path::to_owned);
    write(rust::build(folder, name, flags, &target)?, &target)
}

fn write(built: Built, target: &Path) -> Result<BuiltRecord, CommandError> {
    check_target(target)?;
    write_named(target, &built.bytes, None).map_err(|error| cannot_write(&error))?;
    Ok(built.record)
}

impl BuiltRecord {
    /// Returns the text for people.
    pub(crate) fn text(&self) -> String {
        let BuiltRecord { file, files, sha256, .. } = self;
        let size = byte_size(self.size_bytes as u64);
        let list: String = files.iter().map(|file| format!("\n  {file}")).collect();
        let of = if list.is_empty() { "" } else { ", of" };
        format!("built `{file}`, {size}, sha256 {}…{of}{list}", &sha256[..12])
    }
}

/// The bytes by which an objective that was built is recognized.
const STARTS: [&[u8]; 2] = [b"trialbox.json\0", b"\0asm"];

/// Refuses to replace a file that is not an objective, such as a source that was named by mistake.
fn check_target(target: &Path) -> Result<(), CommandError> {
    let folder = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = Folder::open_named(folder.unwrap_or(Path::new(".")))
        .map_err(|error| cannot_write(&error))?;
    let start = match folder.open_file(target.file_name().unwrap_or_default()) {
        Ok(file) => start_of(&file)?,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(cannot_write(&error)),
    };
    if STARTS.iter().any(|known| start.starts_with(known)) {
        return Ok(());
    }
    Err(CommandError::usage(
        format!(
            "expected a free name or an earlier objective, found another file: `{}`",
            target.display()
        ),
        "choose another name with -o FILE, or remove the file",
    ))
}

fn cannot_write(error: &FileError) -> CommandError {
    CommandError::usage(error.to_string(), "choose another file with -o FILE")
}

/// Returns as many bytes of a file as recognize an objective.
fn start_of(file: &File) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(16).read_to_end(&mut start)?;
    Ok(start)
}
