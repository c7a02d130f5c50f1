//! The process or thread that runs a guest's code, as the host process sees it: its start and its end.

use crate::guest::environment::InterruptHandle;
use crate::guest::process::serve_on_thread;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The place where an objective's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// A separate process. It gives up all rights that it does not need, and the host can end it at any time.
    #[default]
    Process,
    /// A thread of the host process, for tests and benchmarks. WebAssembly alone confines the code, and nothing
    /// protects the host process from a compiler that takes all memory or never ends. The code is interruptible, which
    /// makes it slower.
    Thread,
}

/// The most bytes that are read from the standard error of a guest process that has ended.
const MAX_STDERR_BYTES: u64 = 4096;

/// The time for a guest process that has closed its socket to exit by itself, with a status that says more than a kill.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The time for a killed process to end. One that waits for a file system that has gone away does not: it ends when the
/// file system answers, and the trial is recorded without it.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The stack that the compiler needs on a thread.
const STACK_OF_COMPILER: u64 = 8 << 20;

/// The process or thread that runs a guest's code. Dropping it ends the guest.
#[derive(Debug)]
pub(crate) enum GuestHandle {
    Process(GuestProcess),
    Thread(GuestThread),
}

/// The end of a guest's process or thread.
pub(crate) struct GuestExit {
    /// A sentence, such as `the guest process ended with code 1`.
    pub(crate) cause: String,
    /// The last text on its standard error, unchanged.
    pub(crate) stderr: String,
}

impl GuestHandle {
    /// Starts the program as a guest process with this socket.
    ///
    /// # Errors
    /// Fails if no process can be started.
    pub(crate) fn new_process(program: &Path, socket: UnixStream) -> io::Result<Self> {
        GuestProcess::spawn(program, socket).map(GuestHandle::Process)
    }

    /// Starts a thread with this socket and this much stack for WebAssembly.
    ///
    /// # Errors
    /// Fails if no thread can be started.
    pub(crate) fn new_thread(socket: UnixStream, stack_bytes: u64) -> io::Result<Self> {
        let stack_bytes = stack_bytes.saturating_add(STACK_OF_COMPILER);
        GuestThread::spawn(stack_bytes, |interrupt| serve_on_thread(socket, interrupt))
            .map(GuestHandle::Thread)
    }

    /// Returns the CPU time of the process so far, if it still runs. That of a thread is unknown.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        match self {
            GuestHandle::Process(process) => process.cpu_time(),
            GuestHandle::Thread(_) => None,
        }
    }

    /// Ends the guest and returns how it ended. A guest that has closed its socket gets a moment to exit by itself.
    pub(crate) fn end(&mut self, has_hung_up: bool) -> GuestExit {
        let timeout = if has_hung_up { EXIT_TIMEOUT } else { Duration::ZERO };
        match self {
            GuestHandle::Process(process) => process.end(timeout),
            GuestHandle::Thread(thread) => thread.end(timeout),
        }
    }
}

/// Returns a standard output that is read nowhere. A root without devices has no `/dev/null`; a pipe without a reader
/// does as well.
fn nowhere() -> io::Result<Stdio> {
    if Path::new("/dev/null").exists() { Ok(Stdio::null()) } else { Ok(io::pipe()?.1.into()) }
}

/// A guest process.
#[derive(Debug)]
pub(crate) struct GuestProcess {
    child: Child,
    stderr: Option<ChildStderr>,
}

impl GuestProcess {
    fn spawn(program: &Path, socket: UnixStream) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .arg("__guest")
            .arg(std::process::id().to_string())
            .env_clear()
            // The guest process has an executor that would start a thread for each core, and no work for them.
            .env("TOKIO_WORKER_THREADS", "1")
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(nowhere()?)
            .stderr(Stdio::piped())
            // Signals from the terminal are for the host process alone, which decides what they mean.
            .process_group(0);
        #[cfg(feature = "failpoints")]
        command.envs(
            crate::wire::protocol::PASSED_ON
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        let mut child = command.spawn()?;
        let stderr = child.stderr.take();
        Ok(GuestProcess { child, stderr })
    }

    #[expect(unsafe_code, reason = "rustix has no clocks of other processes")]
    fn cpu_time(&self) -> Option<Duration> {
        let pid = libc::pid_t::try_from(self.child.id()).ok()?;
        let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: both functions write only to the variables that they get.
        let found = unsafe {
            libc::clock_getcpuclockid(pid, &mut clock) == 0
                && libc::clock_gettime(clock, &mut time) == 0
        };
        let (seconds, nanos) = (time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?);
        found.then(|| Duration::new(seconds, nanos))
    }

    fn end(&mut self, timeout: Duration) -> GuestExit {
        let status = self.status(timeout);
        let cause = match status {
            Some(status) => cause_of_exit(status),
            None => {
                self.kill();
                "closed its socket without ending".to_owned()
            }
        };
        let text = self.stderr.take().map(last_words).unwrap_or_default();
        GuestExit {
            cause: format!("the guest process {cause}"),
            stderr: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// Returns the status with which the process ends by itself.
    fn status(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + timeout;
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty());
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => wait_for(process.as_ref().ok(), until),
                found => return found.ok().flatten(),
            }
        }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        self.status(KILL_TIMEOUT);
    }
}

/// Waits until a process ends, or the time is over, or less.
fn wait_for(process: Option<&OwnedFd>, until: Instant) {
    // Linux before 5.3 has no descriptors of processes.
    let Some(process) = process else { return std::thread::sleep(Duration::from_millis(1)) };
    if let Ok(left) = Timespec::try_from(until.saturating_duration_since(Instant::now())) {
        // A signal ends the call early.
        let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left));
    }
}

/// Returns what stands in the pipe. A process that the guest process has started may hold the other end open, so the
/// end of the text is not waited for.
fn last_words(stderr: ChildStderr) -> Vec<u8> {
    let mut text = Vec::new();
    if fcntl_getfl(&stderr).and_then(|flags| fcntl_setfl(&stderr, flags | OFlags::NONBLOCK)).is_ok()
    {
        // An error, such as an empty pipe, leaves what was read before it.
        let _ = stderr.take(MAX_STDERR_BYTES).read_to_end(&mut text);
    }
    text
}

fn cause_of_exit(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => {
            "was killed (signal 9), as the kernel does when a job's memory is used up".to_owned()
        }
        (Some(signal), _) => format!("was killed by signal {signal}"),
        (None, Some(code)) => format!("ended with code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

impl Drop for GuestProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A thread in the place of a guest process.
#[derive(Debug)]
pub(crate) struct GuestThread {
    thread: Option<JoinHandle<Result<(), String>>>,
    interrupt: InterruptHandle,
}

impl GuestThread {
    pub(crate) fn spawn(
        stack_bytes: u64,
        work: impl FnOnce(InterruptHandle) -> Result<(), String> + Send + 'static,
    ) -> io::Result<Self> {
        let interrupt = InterruptHandle::default();
        let theirs = interrupt.clone();
        let thread = std::thread::Builder::new()
            .name("guest".to_owned())
            .stack_size(usize::try_from(stack_bytes).unwrap_or(usize::MAX))
            .spawn(move || work(theirs))?;
        Ok(GuestThread { thread: Some(thread), interrupt })
    }

    /// Asks the thread to end. A thread that does not is left alone: a guest that waits in a host call cannot be
    /// interrupted.
    fn end(&mut self, timeout: Duration) -> GuestExit {
        self.interrupt.interrupt();
        let until = Instant::now() + timeout;
        while Instant::now() < until && self.thread.as_ref().is_some_and(|it| !it.is_finished()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (cause, stderr) = match self.thread.take_if(|it| it.is_finished()).map(JoinHandle::join)
        {
            Some(Err(panic)) => ("panicked", panic_text(&*panic)),
            Some(Ok(Err(error))) => ("ended", error),
            Some(Ok(Ok(()))) | None => ("ended", String::new()),
        };
        GuestExit { cause: format!("the guest's thread {cause}"), stderr }
    }
}

impl Drop for GuestThread {
    fn drop(&mut self) {
        self.interrupt.interrupt();
    }
}

/// Returns the text that a thread panicked with, if it is one.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(work: fn(InterruptHandle) -> Result<(), String>) -> (String, String) {
        let mut body = GuestThread::spawn(1 << 20, work).expect("a thread");
        let end = body.end(Duration::from_secs(60));
        (end.cause, end.stderr)
    }

    #[test]
    fn a_thread_that_panics_or_fails_says_why() {
        let panicked = end_of(|_| std::panic::panic_any("out of ideas"));
        assert_eq!(panicked, ("the guest's thread panicked".into(), "out of ideas".into()));
        let failed = end_of(|_| Err("unexpected message".to_owned()));
        assert_eq!(failed, ("the guest's thread ended".into(), "unexpected message".into()));
    }
}
