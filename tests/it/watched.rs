//! Processes whose end is awaited.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Returns a handle of a process that stays valid when its id is reused.
pub(crate) fn watch(pid: Pid) -> OwnedFd {
    pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

/// Returns whether a process ends within a time.
pub(crate) fn has_ended(process: &OwnedFd, within: Duration) -> bool {
    let within = Timespec::try_from(within).unwrap();
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    poll(&mut fds, Some(&within)).unwrap();
    !fds[0].revents().is_empty()
}
