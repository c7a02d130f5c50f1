//! `trialbox build`: makes the file of an objective from its source.

mod python;

use crate::args::runtime::RuntimeArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::{BuiltRecord, Rendered};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use trialbox_core::value::text::byte_size;
use trialbox_files::{FileError, Folder, write_named};

const EXAMPLES: &str = "\
Examples:
  trialbox build objective.py                       objective.tbx: the file and what it imports from its folder
  trialbox build objective.py -o shared/iris.tbx
  trialbox run iris.tbx -n 20                       an archive is used as its objective is";

/// Make one file of an objective, to share it.
///
/// Of a file of Python it makes an archive with the modules that the file imports from its folder, the data there that
/// it describes, and the digest of the runtime, which the other end needs too. The same content gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BuildArgs {
    /// The source: a file of Python
    source: PathBuf,

    /// Write the objective to this file [default: SOURCE.tbx in the current folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

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
        if self.source.extension().is_none_or(|extension| extension != "py") {
            return Err(CommandError::usage(
                format!("expected a file of Python, found `{}`", self.source.display()),
                "give the file with `def objective(trial)`: trialbox build objective.py",
            ));
        }
        let target = match &self.output {
            Some(target) => target.clone(),
            None => Path::new(self.source.file_stem().unwrap_or_default()).with_extension("tbx"),
        };
        let built = python::build(&self.source, &self.runtime, &target)?;
        let BuiltRecord { file, files, sha256, .. } = &built.record;
        check_target(&target)?;
        write_named(&target, &built.bytes, None).map_err(|error| cannot_write(&error))?;
        let list: String = files.iter().map(|file| format!("\n  {file}")).collect();
        let size = byte_size(built.bytes.len() as u64);
        let text = format!("built `{file}`, {size}, sha256 {}…, of{list}", &sha256[..12]);
        output.print(&Rendered::new(text, built.record));
        Ok(ExitCode::Done)
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
