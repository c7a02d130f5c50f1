//! The file of this program, which the guest process and the supervisor are started from.

use std::io;
use std::path::PathBuf;
use trialbox_program::find_program;

/// Returns the absolute path of this program's file.
///
/// Linux has it in `/proc`. In a root without one, as in a minimal container, it is the name by which the program was
/// started, looked up as a shell does.
///
/// # Errors
/// Fails if neither leads to a file.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let unknown = match std::env::current_exe() {
        Ok(program) => return Ok(program),
        Err(unknown) => unknown,
    };
    let name = std::env::args_os().next().unwrap_or_default();
    let found = find_program(&name, std::env::var_os("PATH").as_deref()).ok_or(unknown)?;
    std::path::absolute(found)
}
