//! The last step before a program: this binary under a third name, in the process that becomes the program.
//!
//! It asks the kernel to kill the program when the supervisor dies, and leaves the session of the terminal. A parent
//! cannot do either for its child without code between fork and exec.

use crate::command::find;
use crate::confinement::LAUNCHER_ARGUMENT;
use rustix::io::Errno;
use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

/// The first argument with which this binary becomes a program: the supervisor's process id and the program's command
/// follow it. Standard input takes the number of the error if that fails, and closes if it succeeds.
pub const STARTER_ARGUMENT: &str = "__program-start";

/// Becomes the program that the command line names after [`STARTER_ARGUMENT`]. Returns only if that fails.
pub fn run_starter() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(2).collect();
    let report = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let (Ok(mut report), Err(error)) = (report, start(&words)) else { return ExitCode::FAILURE };
    let _ = write!(report, "{}", error.raw_os_error().unwrap_or_default());
    ExitCode::FAILURE
}

fn start(words: &[OsString]) -> io::Result<()> {
    let [supervisor, program, arguments @ ..] = words else {
        return Err(io::ErrorKind::InvalidInput.into());
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
    let mut command = Command::new(program);
    command.args(arguments);
    // The launcher reads the program's rights from there.
    if arguments.first().is_none_or(|argument| argument != LAUNCHER_ARGUMENT) {
        command.stdin(Stdio::null());
    }
    let error = command.exec();
    let file = find(program, std::env::var_os("PATH").as_deref());
    match (Errno::from_io_error(&error), file) {
        // A script without a first line, which execvp(3) of glibc gives to a shell, and that of musl does not.
        (Some(Errno::NOEXEC), Some(file)) => {
            Err(Command::new("/bin/sh").arg(file).args(arguments).stdin(Stdio::null()).exec())
        }
        _ => Err(error),
    }
}
