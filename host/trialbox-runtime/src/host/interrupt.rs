//! The signals that end a trial early, as something that can be polled beside a socket.

use crate::host::deadline::SharedDeadline;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use trialbox_core::session::objective::Interruption;

/// Notices SIGINT, and what asks the process to go: SIGTERM, SIGUSR1 and SIGUSR2 (which users have schedulers send
/// some time before the end), SIGHUP (its terminal is gone) and SIGXCPU (its processor time is used up). A second
/// SIGINT ends the process at once.
#[derive(Debug)]
pub struct Interrupts {
    // Readable for ever once the signal has come, because nobody reads: there is no way back.
    terminated: UnixStream,
    interrupted: UnixStream,
}

impl Interrupts {
    /// Installs the handlers; to be called once in a process.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub fn install() -> io::Result<Self> {
        // Conditional first: at the first Ctrl-C the flag is not yet set.
        let armed = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&armed))?;
        signal_hook::flag::register(SIGINT, armed)?;
        survive_file_limits()?;
        Ok(Interrupts {
            terminated: readable_on(if is_ignored(SIGHUP) {
                &[SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU]
            } else {
                &[SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGHUP]
            })?,
            interrupted: readable_on(&[SIGINT])?,
        })
    }

    /// The descriptors to wait for.
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.terminated.as_fd(), self.interrupted.as_fd()]
    }

    /// What has come, if anything has.
    pub fn pending(&self) -> Option<Interruption> {
        let mut fds = self.as_fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        poll(&mut fds, Some(&rustix::event::Timespec::default())).ok()?;
        match fds.map(|fd| !fd.revents().is_empty()) {
            [true, _] => Some(Interruption::Scheduler),
            [_, true] => Some(Interruption::User),
            _ => None,
        }
    }
}

/// What may end a trial early from outside.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    /// Signals.
    pub interrupts: Option<Arc<Interrupts>>,
    /// The end of the job's time.
    pub job_end: Option<Arc<SharedDeadline>>,
}

impl Cancellation {
    /// What has come, if anything has.
    pub fn pending(&self) -> Option<Interruption> {
        let is_over = self.job_end.as_deref().is_some_and(SharedDeadline::is_over);
        self.signal().or_else(|| is_over.then_some(Interruption::Deadline))
    }

    /// The same of signals alone.
    pub fn signal(&self) -> Option<Interruption> {
        self.interrupts.as_deref().and_then(Interrupts::pending)
    }

    /// How long until the end of the job's time; `None` if there is none.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.job_end.as_deref().and_then(SharedDeadline::remaining)
    }
}

/// Whether whoever started this process has it ignore a signal, as `nohup` does with SIGHUP.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Makes a write beyond the limit on the size of files an error, like a full disk, where it would be death.
fn survive_file_limits() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(|_| ())
}

fn readable_on(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, write.try_clone()?)?;
    }
    Ok(read)
}
