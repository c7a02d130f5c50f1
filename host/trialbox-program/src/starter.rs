//! The last step before a program: this binary under a third name, in the process that becomes the program.
//!
//! It asks the kernel to kill the program when the supervisor dies, leaves the session of the terminal, and gives up
//! the rights that a confined program lacks. A parent can do none of that for its child without code between fork and
//! exec.

use crate::command::find_program;
use crate::confinement::Confinement;
use rustix::io::Errno;
use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use trialbox_files::open_named;

/// The first argument with which this binary becomes a program: the supervisor's process id and the program's command
/// follow it. Standard input holds the program's confinement as JSON, or `null`. It takes the number of the error if
/// an unconfined program cannot be started, and closes if it is.
pub const STARTER_ARGUMENT: &str = "__program-start";

/// The exit status of a confined program that cannot be started, as that of shells.
const NOT_STARTED: u8 = 127;

/// Becomes the program that the command line names after [`STARTER_ARGUMENT`]. Returns only if that fails.
pub fn run_starter() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(2).collect();
    let report = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let (Ok(mut report), Err(error)) = (report, start(&words)) else { return ExitCode::FAILURE };
    match error {
        StartError::Plain(error) => {
            let _ = write!(report, "{}", error.raw_os_error().unwrap_or_default());
            ExitCode::FAILURE
        }
        StartError::Confined(problem) => {
            // The program's own standard error, which is the trial's log.
            let text = format!("trialbox: the program cannot be confined and started: {problem}\n");
            let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// The reason why a program was not started.
enum StartError {
    Plain(io::Error),
    Confined(String),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Plain(error)
    }
}

impl From<Errno> for StartError {
    fn from(error: Errno) -> Self {
        StartError::Plain(error.into())
    }
}

fn start(words: &[OsString]) -> Result<(), StartError> {
    let [supervisor, program, arguments @ ..] = words else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A supervisor that died before this call sends no signal.
    let parent = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    if parent.as_deref().map(OsStr::new) != Some(supervisor) {
        return Err(Errno::SRCH.into());
    }
    // Without a terminal, a program that asks for a password gets an error in place of a stop (SIGTTIN). The session is
    // the program's process group too.
    setsid()?;
    let confinement = read_confinement()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    if let Some(confinement) = confinement {
        confinement.apply().map_err(StartError::Confined)?;
        return Err(StartError::Confined(command.exec().to_string()));
    }
    let error = command.exec();
    let file = find_program(program, std::env::var_os("PATH").as_deref());
    match (Errno::from_io_error(&error), file) {
        // A script without a first line, which execvp(3) of glibc gives to a shell, and that of musl does not.
        (Some(Errno::NOEXEC), Some(file)) if is_text(&file) => Err(Command::new("/bin/sh")
            .arg(file)
            .args(arguments)
            .stdin(Stdio::null())
            .exec()
            .into()),
        _ => Err(error.into()),
    }
}

/// Returns whether a file begins like a script: a binary of another system has a zero soon.
fn is_text(file: &Path) -> bool {
    let mut start = Vec::new();
    let read = open_named(file).map(|file| file.take(256).read_to_end(&mut start));
    matches!(read, Ok(Ok(_))) && !start.contains(&0)
}

fn read_confinement() -> Result<Option<Confinement>, StartError> {
    let mut json = Vec::new();
    io::stdin().read_to_end(&mut json)?;
    serde_json::from_slice(&json).map_err(|error| StartError::Confined(error.to_string()))
}
