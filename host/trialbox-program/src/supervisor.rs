//! The supervisor: a process that starts the program of one trial, and ends everything that the program started.
//!
//! It is this binary under another name. The host process holds the other end of its standard input; when that closes,
//! because the trial is over or the host process died, the supervisor kills what still runs. As a subreaper
//! (PR_SET_CHILD_SUBREAPER, prctl(2)) it also adopts processes that detached themselves from the program.

use crate::confinement::Confinement;
use crate::pipes::{ANSWERS, PipeVariables, REQUESTS, identity_of};
use crate::process_tree::{
    cpu_millis_of_children, descendants, pid, proportional_bytes, resident_bytes,
};
use crate::starter::STARTER_ARGUMENT;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use rustix::process::{
    Signal, WaitOptions, kill_process, kill_process_group, set_child_subreaper, wait,
};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use std::ffi::{CStr, OsString};
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The first argument with which this binary becomes a supervisor. The program's command follows it.
pub const SUPERVISOR_ARGUMENT: &str = "__program";

/// The byte that carries the descriptors of the protocol to the supervisor.
pub(crate) const DESCRIPTORS: u8 = b'D';
/// The byte that asks for SIGTERM to the program's process group.
pub(crate) const TERMINATE: u8 = b'T';
/// The byte that asks for SIGKILL to everything that the program started.
pub(crate) const KILL: u8 = b'K';

/// This binary, as its children see it: not by its path, where an update may have put another version.
const OWN_FILE: &str = "/proc/self/exe";

/// The supervisor's name in lists of processes: it outlives `killall -9 trialbox`, and then ends the program.
const NAME: &CStr = c"tbx-supervisor";

/// The time until the memory is first looked at: most of a short program's is in use then.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// The time between two later looks.
const LOOK: Duration = Duration::from_millis(250);

/// The part of a CPU that looks may take: one in this number. The kernel walks all pages of a group of processes.
const MAX_SHARE: u32 = 50;

/// The time for killed processes to disappear. One that waits for a device may stay longer.
const DISAPPEAR: Duration = Duration::from_secs(5);

/// A message of the supervisor, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromSupervisor {
    /// The program could not be started.
    NotStarted {
        /// The system's error.
        error: String,
        /// The number of that error, if it has one.
        errno: Option<i32>,
    },
    /// The process that becomes the program has started.
    Started {
        /// Its process id, which is that of the program's process group too.
        leader: u32,
    },
    /// The resident memory of the program and of what it started has grown to a new peak.
    Memory {
        /// The peak in bytes.
        bytes: u64,
    },
    /// The program has exited, or a signal ended it.
    Exited(Exit),
    /// Nothing of the program runs any more. This is the last message.
    Gone {
        /// The CPU time of all processes that were waited for.
        cpu_millis: Option<u64>,
        /// The number of processes that the program left behind, which were killed.
        left_behind: usize,
        /// The number of processes that even SIGKILL did not end in time.
        immortal: usize,
    },
}

/// The exit of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// The terms on which the supervisor starts the program.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// The CPUs on which the program may run; all of this process's without one.
    pub(crate) cpus: Vec<usize>,
    /// The rights that the program keeps, if it is to be confined.
    pub(crate) confinement: Option<Confinement>,
}

/// Starts the program that the command line names after [`SUPERVISOR_ARGUMENT`], and ends it with all that it started.
/// To be called first in a process; standard input must be the socket to the host process.
pub fn run_supervisor() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(2).collect();
    match supervise(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let errno = error.raw_os_error();
            tell(&FromSupervisor::NotStarted { error: error.to_string(), errno });
            ExitCode::FAILURE
        }
    }
}

fn supervise(words: &[OsString]) -> io::Result<()> {
    // First, so that they get the lowest numbers: shells redirect descriptors of one digit only.
    let descriptors = receive_descriptors()?;
    let [requests, answers] = &descriptors[..] else {
        return Err(io::Error::other("expected two descriptors from the host process"));
    };
    let orders = receive_orders()?;
    let _ = rustix::thread::set_name(NAME);
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let children = Children::watch()?;
    // Handlers, because an ignored signal would stay ignored in the program. The host process decides what signals of
    // the batch system mean for the trial.
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    if !orders.cpus.is_empty() {
        run_on(&orders.cpus)?;
    }
    let mut variables = Vec::new();
    for (pipe, names) in [(requests, REQUESTS), (answers, ANSWERS)] {
        fcntl_setfd(pipe, FdFlags::empty())?;
        variables.extend(variables_of(pipe, names, orders.confinement.is_some())?);
    }
    let leader = start(words, variables, orders.confinement.as_ref())?;
    let next_look = Instant::now() + FIRST_LOOK;
    Supervision { leader, exit: None, is_ending: false, peak: 0, next_look, children }.run();
    // Until here clients open the pipes below this process, as their variables say.
    drop(descriptors);
    Ok(())
}

/// Starts the program through [`crate::starter`]. Returns its process id.
fn start(
    words: &[OsString],
    variables: Vec<(&'static str, String)>,
    confinement: Option<&Confinement>,
) -> io::Result<u32> {
    #[cfg(feature = "failpoints")]
    fail_at_start()?;
    let (mut report, theirs) = UnixStream::pair()?;
    let mut command = Command::new(OWN_FILE);
    command.arg(STARTER_ARGUMENT).arg(std::process::id().to_string());
    let mut child =
        command.args(words).envs(variables).stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
    // Before the program runs, which might kill this process first.
    tell(&FromSupervisor::Started { leader: child.id() });
    // With the command, this process's end of the report closes.
    drop(command);
    // A starter that has ended already has said why.
    let _ = report.write_all(&serde_json::to_vec(&confinement)?);
    report.shutdown(Shutdown::Write)?;
    let mut error = String::new();
    report.read_to_string(&mut error)?;
    if error.is_empty() {
        return Ok(child.id());
    }
    child.wait()?;
    Err(io::Error::from_raw_os_error(error.parse().unwrap_or_default()))
}

/// Fails with the error whose number a test has set, as a machine without processes does.
#[cfg(feature = "failpoints")]
fn fail_at_start() -> io::Result<()> {
    match std::env::var("TRIALBOX_START_ERROR").ok().and_then(|number| number.parse().ok()) {
        Some(number) => Err(io::Error::from_raw_os_error(number)),
        None => Ok(()),
    }
}

/// Returns the variables that name a pipe. A confined program cannot look below this process, only at its own
/// descriptors.
fn variables_of(
    pipe: &OwnedFd,
    names: PipeVariables,
    is_confined: bool,
) -> io::Result<[(&'static str, String); 3]> {
    let (number, stat) = (pipe.as_raw_fd(), fstat(pipe)?);
    let process = if is_confined { "self".to_owned() } else { std::process::id().to_string() };
    Ok([
        (names.number, number.to_string()),
        (names.path, format!("/proc/{process}/fd/{number}")),
        (names.identity, identity_of(stat.st_dev, stat.st_ino)),
    ])
}

/// Leaves this process, and those that it starts, these CPUs.
fn run_on(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU) {
        set.set(*cpu);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// A program that runs, and the peak of its memory.
struct Supervision {
    leader: u32,
    exit: Option<Exit>,
    /// True once the host process has asked for the program's end with SIGTERM.
    is_ending: bool,
    peak: u64,
    next_look: Instant,
    children: Children,
}

impl Supervision {
    /// Waits until the program exits or the host process wants its end, and then for the end of all processes.
    fn run(mut self) {
        while self.goes_on() {
            let wait = self.next_look.saturating_duration_since(Instant::now());
            match self.children.wait(wait, true) {
                Woken::Host => match command_of_host() {
                    Some(TERMINATE) => self.terminate(),
                    _ => break,
                },
                Woken::Children => self.reap(),
                Woken::Time => self.look_at_memory(),
            }
        }
        let left_behind =
            if self.exit.is_some() { descendants(std::process::id()).len() } else { 0 };
        let immortal = self.kill_everything();
        tell(&FromSupervisor::Gone { cpu_millis: cpu_millis_of_children(), left_behind, immortal });
    }

    /// Returns whether to wait on. A shell dies of SIGTERM immediately, while the program that it started may use the
    /// time until SIGKILL to save its work.
    fn goes_on(&self) -> bool {
        self.exit.is_none() || (self.is_ending && !descendants(std::process::id()).is_empty())
    }

    fn terminate(&mut self) {
        self.is_ending = true;
        if let Some(group) = pid(self.leader) {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }

    /// Waits for all processes that have ended, and tells the host process if the program is among them.
    fn reap(&mut self) {
        while let Ok(Some((process, status))) = wait(WaitOptions::NOHANG) {
            if pid(self.leader) != Some(process) {
                continue;
            }
            let exit = match (status.exit_status(), status.terminating_signal()) {
                (Some(status), _) => Exit::Status(status),
                (None, Some(signal)) => Exit::Signal(signal),
                (None, None) => continue,
            };
            self.exit = Some(exit);
            tell(&FromSupervisor::Exited(exit));
        }
    }

    fn look_at_memory(&mut self) {
        let cpu_before = clock_gettime(ClockId::ProcessCPUTime);
        let processes = descendants(std::process::id());
        let mut bytes = resident_bytes(&processes);
        // Processes that were forked share most of their memory, which counts once.
        if bytes > self.peak && processes.len() > 1 {
            bytes = proportional_bytes(&processes).unwrap_or(bytes);
        }
        if bytes > self.peak {
            self.peak = bytes;
            tell(&FromSupervisor::Memory { bytes });
        }
        let took = cpu_between(cpu_before, clock_gettime(ClockId::ProcessCPUTime));
        self.next_look = Instant::now() + LOOK.max(took * MAX_SHARE);
    }

    /// Kills what runs below this process until nothing does, and returns the number of processes that stay.
    fn kill_everything(&mut self) -> usize {
        let until = Instant::now() + DISAPPEAR;
        loop {
            self.reap();
            // Listed anew each time: a process may start others until it is dead.
            let alive = descendants(std::process::id());
            if alive.is_empty() || Instant::now() >= until {
                return alive.len();
            }
            for process in alive.into_iter().filter_map(pid) {
                let _ = kill_process(process, Signal::KILL);
            }
            self.children.wait(Duration::from_millis(20), false);
        }
    }
}

fn cpu_between(before: Timespec, after: Timespec) -> Duration {
    let nanos = |at: Timespec| i128::from(at.tv_sec) * 1_000_000_000 + i128::from(at.tv_nsec);
    Duration::from_nanos((nanos(after) - nanos(before)).try_into().unwrap_or_default())
}

/// The cause that ended a wait.
enum Woken {
    Host,
    Children,
    Time,
}

/// The signal that a child has ended, as something that can be polled.
struct Children {
    ended: UnixStream,
}

impl Children {
    fn watch() -> io::Result<Self> {
        let (ended, signal) = UnixStream::pair()?;
        ended.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, signal)?;
        Ok(Children { ended })
    }

    /// Waits for a child's end, for the time, and where `for_host` for the host process.
    fn wait(&mut self, wait: Duration, for_host: bool) -> Woken {
        let stdin = io::stdin();
        let mut fds = vec![PollFd::new(&self.ended, PollFlags::IN)];
        if for_host {
            fds.push(PollFd::new(&stdin, PollFlags::IN));
        }
        let wait = Timespec::try_from(wait).unwrap_or_default();
        let polled = poll(&mut fds, Some(&wait));
        let is_ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        match (polled, is_ready(0), is_ready(1)) {
            (Ok(_), true, _) => {
                let mut signals = [0; 64];
                let _ = self.ended.read(&mut signals);
                Woken::Children
            }
            (Ok(_), false, true) => Woken::Host,
            // A signal: look for children, which costs one call.
            (Err(Errno::INTR), ..) => Woken::Children,
            _ => Woken::Time,
        }
    }
}

/// Reads a command; `None` when the host process is gone.
fn command_of_host() -> Option<u8> {
    let mut byte = [0];
    match rustix::io::read(io::stdin().as_fd(), &mut byte) {
        Ok(1) => Some(byte[0]),
        _ => None,
    }
}

fn receive_descriptors() -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    recvmsg(io::stdin().as_fd(), &mut buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Ok(descriptors)
}

/// Reads the orders, which follow the descriptors.
fn receive_orders() -> io::Result<Orders> {
    let mut length = [0; 4];
    read_exact(&mut length)?;
    let mut json = vec![0; u32::from_le_bytes(length) as usize];
    read_exact(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Fills a buffer from the socket to the host process.
fn read_exact(mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match rustix::io::read(io::stdin().as_fd(), &mut *buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => buffer = &mut buffer[length..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Sends a message. If the host process is gone, the next read finds that out.
fn tell(message: &FromSupervisor) {
    let Ok(mut line) = serde_json::to_string(message) else { return };
    line.push('\n');
    let _ = send(io::stdin().as_fd(), line.as_bytes(), SendFlags::NOSIGNAL);
}
