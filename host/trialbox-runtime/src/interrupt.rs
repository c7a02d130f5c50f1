//! The signals that end a trial early, as something that can be polled beside a socket.

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXCPU, SIGXFSZ};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use trialbox_core::objective::Interruption;

/// Notices SIGINT, and what asks the process to go: SIGTERM, SIGHUP (its terminal is gone) and SIGXCPU (its
/// processor time is used up). A second SIGINT ends the process at once. SIGXFSZ, whose default is death,
/// becomes an error of the write that was too long.
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
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        Ok(Interrupts {
            terminated: readable_on(&[SIGTERM, SIGHUP, SIGXCPU])?,
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

fn readable_on(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, write.try_clone()?)?;
    }
    Ok(read)
}
