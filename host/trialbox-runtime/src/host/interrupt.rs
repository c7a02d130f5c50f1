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

/// The signals that ask the process to end: SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 (which schedulers can send some time
/// before the end of a job), SIGHUP (the terminal has closed) and SIGXCPU (the limit on processor time is reached). A
/// second SIGINT ends the process immediately.
#[derive(Debug)]
pub struct Interrupts {
    // No code reads from these sockets, so they stay readable: a signal cannot be undone.
    terminated: UnixStream,
    interrupted: UnixStream,
}

impl Interrupts {
    /// Installs the handlers. Call it once in a process.
    ///
    /// # Errors
    /// Fails if the system has no more descriptors.
    pub fn install() -> io::Result<Self> {
        // The order matters: at the first Ctrl-C the conditional handler must see the flag unset.
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

    /// Returns the descriptors that become readable with a signal.
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.terminated.as_fd(), self.interrupted.as_fd()]
    }

    /// Returns the interruption that a received signal stands for.
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

/// The events outside that end a trial early.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    /// The signals to this process.
    pub interrupts: Option<Arc<Interrupts>>,
    /// The end of the job.
    pub job_end: Option<Arc<SharedDeadline>>,
    /// The time by which an objective that was told to end must be gone.
    pub last_moment: Option<Arc<SharedDeadline>>,
}

impl Cancellation {
    /// Returns the interruption that has occurred.
    pub fn pending(&self) -> Option<Interruption> {
        let is_over = self.job_end.as_deref().is_some_and(SharedDeadline::is_over);
        self.signal().or_else(|| is_over.then_some(Interruption::Deadline))
    }

    /// Returns the interruption that a received signal stands for; the end of the job does not count.
    pub fn signal(&self) -> Option<Interruption> {
        self.interrupts.as_deref().and_then(Interrupts::pending)
    }

    /// Returns the time until the job ends, if that is known.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.job_end.as_deref().and_then(SharedDeadline::remaining)
    }
}

/// Returns whether this process was started with the signal ignored, as `nohup` does with SIGHUP.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Turns a write beyond the limit on file sizes into an error, as a full disk gives, in place of the end of the
/// process.
///
/// # Errors
/// Fails if the signal cannot be caught.
pub fn survive_file_limits() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(|_| ())
}

fn readable_on(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, write.try_clone()?)?;
    }
    Ok(read)
}
