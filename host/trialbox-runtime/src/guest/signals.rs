//! The signals that the guest process survives.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Leaves the signals that ask a process to end to the host process.
///
/// Batch systems may signal every process of a job, and a guest process that obeyed first would look like one that
/// crashed. It ends with the host process in any case.
pub(crate) fn leave_signals_to_host() -> io::Result<()> {
    ignore(&[SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])
}

/// Turns a write beyond the limit on file sizes into an error, as a full disk gives, in place of the end of the
/// process.
pub(crate) fn survive_file_limits() -> io::Result<()> {
    ignore(&[SIGXFSZ])
}

fn ignore(signals: &[i32]) -> io::Result<()> {
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in signals {
        signal_hook::flag::register(*signal, Arc::clone(&ignored))?;
    }
    Ok(())
}
