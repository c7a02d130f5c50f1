//! Where a guest's code runs, as the host process sees it: how it is started there, and how it ended.

use crate::guest::place::InterruptHandle;
use crate::guest::process::serve_on_thread;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where an objective's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// In a process of its own, which gives up what it does not need and can be ended at any time.
    #[default]
    Process,
    /// On a thread of the host process, for tests and benchmarks. WebAssembly alone confines it, and nothing protects
    /// the host process from a compiler that takes all memory or never ends. The code is interruptible, which makes
    /// it slower.
    Thread,
}

/// What a dying guest process may say about it.
const MAX_LAST_WORDS: u64 = 4096;

/// One that has closed its socket ends by itself within this time, with a status worth knowing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The stack of a thread that compiles.
const STACK_OF_COMPILER: u64 = 8 << 20;

/// What runs a guest's code. Dropping it ends it.
#[derive(Debug)]
pub(crate) enum GuestHandle {
    Process(ProcessBody),
    Thread(ThreadBody),
}

/// How a guest's process or thread ended.
pub(crate) struct BodyEnd {
    /// Such as `the guest process ended with code 1`.
    pub(crate) how: String,
    /// What it said last, as it was said.
    pub(crate) words: String,
}

impl GuestHandle {
    /// Starts the program as a guest process that has this socket.
    ///
    /// # Errors
    /// When no process can be started.
    pub(crate) fn new_process(program: &Path, socket: UnixStream) -> io::Result<Self> {
        ProcessBody::spawn(program, socket).map(GuestHandle::Process)
    }

    /// Starts a thread that has this socket, and so much stack for WebAssembly.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new_thread(socket: UnixStream, stack_bytes: u64) -> io::Result<Self> {
        let stack_bytes = stack_bytes.saturating_add(STACK_OF_COMPILER);
        ThreadBody::spawn(stack_bytes, |brake| serve_on_thread(socket, brake))
            .map(GuestHandle::Thread)
    }

    /// The CPU time of the process so far, if it is still there. Nobody knows that of a thread.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        match self {
            GuestHandle::Process(process) => process.cpu_time(),
            GuestHandle::Thread(_) => None,
        }
    }

    /// Makes sure that it ends, and says how. One that has hung up, which is that it closed its socket, is about to.
    pub(crate) fn end(&mut self, has_hung_up: bool) -> BodyEnd {
        let patience = if has_hung_up { PATIENCE } else { Duration::ZERO };
        match self {
            GuestHandle::Process(process) => process.end(patience),
            GuestHandle::Thread(thread) => thread.end(patience),
        }
    }
}

#[derive(Debug)]
pub(crate) struct ProcessBody {
    child: Child,
    last_words: Option<ChildStderr>,
}

impl ProcessBody {
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
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Signals from the terminal are for the host process alone, which decides what they mean.
            .process_group(0);
        #[cfg(feature = "failpoints")]
        command.envs(
            std::env::var_os(crate::wire::protocol::OMITTED_PRECAUTIONS)
                .map(|names| (crate::wire::protocol::OMITTED_PRECAUTIONS, names)),
        );
        let mut child = command.spawn()?;
        let last_words = child.stderr.take();
        Ok(ProcessBody { child, last_words })
    }

    #[expect(unsafe_code, reason = "rustix has no clocks of other processes")]
    fn cpu_time(&self) -> Option<Duration> {
        let pid = libc::pid_t::try_from(self.child.id()).ok()?;
        let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: both functions only write to the places that they are given.
        let found = unsafe {
            libc::clock_getcpuclockid(pid, &mut clock) == 0
                && libc::clock_gettime(clock, &mut time) == 0
        };
        let (seconds, nanos) = (time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?);
        found.then(|| Duration::new(seconds, nanos))
    }

    fn end(&mut self, patience: Duration) -> BodyEnd {
        let status = self.status(patience);
        let mut words = Vec::new();
        if let Some(stderr) = self.last_words.take() {
            let _ = stderr.take(MAX_LAST_WORDS).read_to_end(&mut words);
        }
        let how = match status.and_then(|status| status.signal().map(Ok).or(status.code().map(Err)))
        {
            Some(Ok(9)) => {
                "was killed (signal 9), as the kernel does when a job's memory is used up"
                    .to_owned()
            }
            Some(Ok(signal)) => format!("was killed by signal {signal}"),
            Some(Err(code)) => format!("ended with code {code}"),
            None => "ended".to_owned(),
        };
        let words = String::from_utf8_lossy(&words).into_owned();
        BodyEnd { how: format!("the guest process {how}"), words }
    }

    fn status(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for ProcessBody {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub(crate) struct ThreadBody {
    thread: Option<JoinHandle<Result<(), String>>>,
    brake: InterruptHandle,
}

impl ThreadBody {
    fn spawn(
        stack_bytes: u64,
        work: impl FnOnce(InterruptHandle) -> Result<(), String> + Send + 'static,
    ) -> io::Result<Self> {
        let brake = InterruptHandle::default();
        let theirs = brake.clone();
        let thread = std::thread::Builder::new()
            .name("guest".to_owned())
            .stack_size(usize::try_from(stack_bytes).unwrap_or(usize::MAX))
            .spawn(move || work(theirs))?;
        Ok(ThreadBody { thread: Some(thread), brake })
    }

    /// One that does not end by itself is left alone: a guest that waits for something is not interrupted.
    fn end(&mut self, patience: Duration) -> BodyEnd {
        self.brake.pull();
        let until = Instant::now() + patience;
        while Instant::now() < until && self.thread.as_ref().is_some_and(|it| !it.is_finished()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (how, words) = match self.thread.take_if(|it| it.is_finished()).map(JoinHandle::join) {
            Some(Err(panic)) => ("panicked", panic_text(&*panic)),
            Some(Ok(Err(error))) => ("ended", error),
            Some(Ok(Ok(()))) | None => ("ended", String::new()),
        };
        BodyEnd { how: format!("the guest's thread {how}"), words }
    }
}

impl Drop for ThreadBody {
    fn drop(&mut self) {
        self.brake.pull();
    }
}

/// What a thread panicked with, if it is a text.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(work: fn(InterruptHandle) -> Result<(), String>) -> (String, String) {
        let mut body = ThreadBody::spawn(1 << 20, work).expect("a thread");
        let end = body.end(Duration::from_secs(60));
        (end.how, end.words)
    }

    #[test]
    fn a_thread_that_panics_or_fails_says_why() {
        let panicked = end_of(|_| std::panic::panic_any("out of ideas"));
        assert_eq!(panicked, ("the guest's thread panicked".into(), "out of ideas".into()));
        let failed = end_of(|_| Err("unexpected message".to_owned()));
        assert_eq!(failed, ("the guest's thread ended".into(), "unexpected message".into()));
    }
}
