//! The program of one trial while it runs, as the host process sees it: its pipes and its supervisor.

use crate::command::{param_variable, variables_of};
use crate::config::ProgramConfig;
use crate::confinement::{Confined, Confinement};
use crate::lines::{LineTooLong, Lines};
use crate::process_tree::pid;
use crate::supervisor::{
    DESCRIPTORS, FromSupervisor, KILL, Orders, SUPERVISOR_ARGUMENT, TERMINATE,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::io::{self, IoSlice, PipeReader, PipeWriter, Read, Write as _, pipe};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use trialbox_core::Json;
use trialbox_files::{FileError, Folder, remove_named_tree};

/// The environment variable with the folders in which Python looks for modules.
const PYTHONPATH: &str = "PYTHONPATH";

/// The longest message of a supervisor.
const MAX_NEWS_BYTES: usize = 64 << 10;

/// The most bytes of answers that wait for a program to read them.
const MAX_OUTGOING_BYTES: usize = 64 << 10;

/// The time for a supervisor to end everything and exit, beyond which it is killed itself.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// A program that runs. Dropping it ends the program and all that it started.
#[derive(Debug)]
pub(crate) struct Running {
    supervisor: Child,
    /// The program's process group, from its start until the supervisor says that nothing of it runs.
    group: Option<Pid>,
    control: UnixStream,
    news: Lines,
    requests: Source,
    stdout: Source,
    stderr: Source,
    answers: PipeWriter,
    /// Answers that the program has not read yet.
    outgoing: Vec<u8>,
    lines: Lines,
    scratch: Scratch,
}

/// The things that arrived from a program and its supervisor.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) news: Vec<FromSupervisor>,
    /// True if the supervisor has closed its socket.
    pub(crate) is_closed: bool,
}

/// A stream that is read until its end.
#[derive(Debug)]
enum Source {
    Open(PipeReader),
    Ended,
}

impl Running {
    /// Starts a supervisor that starts the command with these parameters and variables.
    ///
    /// # Errors
    /// Fails if the system has no more processes or descriptors.
    pub(crate) fn start(
        config: &ProgramConfig,
        params: &[(String, Json)],
        variables: &[(String, String)],
        max_line_bytes: usize,
    ) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        let (requests, requests_end) = pipe()?;
        let (answers_end, answers) = pipe()?;
        let (stdout, stdout_end) = pipe()?;
        let (stderr, stderr_end) = pipe()?;
        let scratch = Scratch::make(config)?;
        let mut command = Command::new(&config.supervisor);
        for param in config.command.space().params() {
            // One that the trial does not have must not come from a trial around this one.
            command.env_remove(param_variable(&param.name));
        }
        command
            .arg(SUPERVISOR_ARGUMENT)
            .args(config.command.words(params))
            .envs(variables_of(params))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .envs(scratch.variables())
            .envs(config.env.iter().map(|(name, value)| (name, value)))
            .envs(config.share.variables(|name| is_set(config, name)));
        if let Some(path) = python_path(&config.python_path(), &config.env) {
            command.env(PYTHONPATH, path);
        }
        let supervisor = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stdout_end)
            .stderr(stderr_end)
            // Signals from the terminal are for the host process alone, which decides what they mean.
            .process_group(0)
            .spawn()?;
        let orders = Orders {
            cpus: config.share.cpus.clone(),
            confinement: config
                .confined
                .as_ref()
                .map(|confined| rights(config, confined, &scratch)),
        };
        let running = Running {
            supervisor,
            group: None,
            control,
            news: Lines::new(MAX_NEWS_BYTES),
            requests: Source::Open(requests),
            stdout: Source::Open(stdout),
            stderr: Source::Open(stderr),
            answers,
            outgoing: Vec::new(),
            lines: Lines::new(max_line_bytes),
            scratch,
        };
        running.hand_over(&requests_end, &answers_end)?;
        running.order(&orders)?;
        for source in [&running.requests, &running.stdout, &running.stderr] {
            if let Source::Open(pipe) = source {
                ioctl_fionbio(pipe, true)?;
            }
        }
        ioctl_fionbio(&running.answers, true)?;
        running.control.set_nonblocking(true)?;
        Ok(running)
    }

    /// Sends the program's ends of the protocol's pipes. They travel as a message, so that no other process that starts
    /// at the same time inherits them.
    fn hand_over(&self, requests: &PipeWriter, answers: &PipeReader) -> io::Result<()> {
        let descriptors = [requests.as_fd(), answers.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        let byte = [DESCRIPTORS];
        sendmsg(&self.control, &[IoSlice::new(&byte)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Sends what the supervisor needs to know, with its length before it.
    fn order(&self, orders: &Orders) -> io::Result<()> {
        let json = serde_json::to_vec(orders)?;
        let length = u32::try_from(json.len()).map_err(io::Error::other)?;
        let mut control = &self.control;
        control.write_all(&length.to_le_bytes())?;
        control.write_all(&json)
    }

    /// Waits until something arrives, for at most `wait`, and returns it. Requests are kept for
    /// [`Running::next_request`].
    ///
    /// # Errors
    /// Fails if the system cannot poll.
    pub(crate) fn receive(&mut self, wait: Duration) -> io::Result<Arrived> {
        let mut arrived = Arrived::default();
        if !self.poll(wait)? {
            return Ok(arrived);
        }
        self.flush();
        let mut requests = Vec::new();
        self.requests.read(&mut requests);
        self.lines.extend(&requests);
        self.stdout.read(&mut arrived.stdout);
        self.stderr.read(&mut arrived.stderr);
        let mut news = Vec::new();
        arrived.is_closed = read_into(&mut self.control, &mut news);
        self.news.extend(&news);
        while let Ok(Some(line)) = self.news.next() {
            arrived.news.extend(serde_json::from_str::<FromSupervisor>(&line).ok());
        }
        for news in &arrived.news {
            match news {
                FromSupervisor::Started { leader } => self.group = pid(*leader),
                FromSupervisor::Gone { .. } | FromSupervisor::NotStarted { .. } => {
                    self.group = None
                }
                _ => {}
            }
        }
        if arrived.is_closed {
            self.kill_group();
        }
        Ok(arrived)
    }

    /// Kills the program's process group, if its supervisor died before it could.
    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Returns the next line that the program sent by the protocol.
    ///
    /// # Errors
    /// Fails if a line is too long.
    pub(crate) fn next_request(&mut self) -> Result<Option<String>, LineTooLong> {
        self.lines.next()
    }

    /// Returns the process below which the program runs.
    pub(crate) fn supervisor_id(&self) -> u32 {
        self.supervisor.id()
    }

    /// Drops what the program sent, and closes its requests.
    pub(crate) fn close_requests(&mut self) {
        self.requests = Source::Ended;
        self.lines = Lines::new(0);
    }

    /// Queues an answer; returns false if the program does not read its answers.
    pub(crate) fn answer(&mut self, line: &str) -> bool {
        self.outgoing.extend_from_slice(line.as_bytes());
        self.flush();
        self.outgoing.len() <= MAX_OUTGOING_BYTES
    }

    /// Asks the program to end, with SIGTERM to its process group.
    pub(crate) fn terminate(&self) {
        let _ = send(&self.control, &[TERMINATE], SendFlags::NOSIGNAL);
    }

    /// Ends the program and all that it started, with SIGKILL.
    pub(crate) fn kill(&self) {
        let _ = send(&self.control, &[KILL], SendFlags::NOSIGNAL);
    }

    fn poll(&self, wait: Duration) -> io::Result<bool> {
        let mut fds = vec![PollFd::new(&self.control, PollFlags::IN)];
        for source in [&self.requests, &self.stdout, &self.stderr] {
            if let Source::Open(pipe) = source {
                fds.push(PollFd::new(pipe, PollFlags::IN));
            }
        }
        if !self.outgoing.is_empty() {
            fds.push(PollFd::new(&self.answers, PollFlags::OUT));
        }
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&wait)) {
            Ok(n_ready) => Ok(n_ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes as much as the pipe takes. A program that has closed it does not want its answers.
    fn flush(&mut self) {
        while !self.outgoing.is_empty() {
            match self.answers.write(&self.outgoing) {
                Ok(0) => return,
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.outgoing.clear(),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        self.wait_for_supervisor();
        self.scratch.remove();
    }
}

impl Running {
    /// Waits until the supervisor has ended everything and exited, or kills it.
    fn wait_for_supervisor(&mut self) {
        let until = Instant::now() + EXIT_TIMEOUT;
        while let Ok(None) = self.supervisor.try_wait() {
            if Instant::now() >= until {
                let _ = self.supervisor.kill();
                let _ = self.supervisor.wait();
                self.kill_group();
                return;
            }
            // The socket closes when the supervisor exits; what it says on the way is of no interest any more.
            let mut fds = [PollFd::new(&self.control, PollFlags::RDHUP)];
            let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 50_000_000 }));
            let _ = self.receive(Duration::ZERO);
        }
    }
}

impl Source {
    /// Reads what is there, up to a bound, so that a flood on one stream does not starve the others.
    fn read(&mut self, into: &mut Vec<u8>) {
        if let Source::Open(pipe) = self
            && read_into(pipe, into)
        {
            *self = Source::Ended;
        }
    }
}

/// A folder for temporary files of a confined program, which is removed with its trial.
#[derive(Debug)]
struct Scratch(Option<PathBuf>);

impl Scratch {
    fn make(config: &ProgramConfig) -> io::Result<Self> {
        if config.confined.is_none() {
            return Ok(Scratch(None));
        }
        let folder = Folder::temporary("trialbox-scratch").map_err(FileError::into_reason)?;
        Ok(Scratch(Some(folder.path().to_owned())))
    }

    /// Returns the variables by which programs find a place for temporary files and caches.
    fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        let names = ["TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR"];
        self.0.iter().flat_map(|path| names.map(|name| (name, path.clone()))).collect()
    }

    /// Removes the folder, once nothing of the program is left to write to it.
    fn remove(&self) {
        if let Some(path) = &self.0
            && let Err(error) = remove_named_tree(path)
        {
            tracing::warn!(%error, "the scratch folder `{}` was not removed", path.display());
        }
    }
}

/// Returns the rights of a trial's program: those of all trials, the Python client, this binary for the commands of
/// scripts, and the scratch folder.
fn rights(config: &ProgramConfig, confined: &Confined, scratch: &Scratch) -> Confinement {
    let mut rights = confined.rights.clone();
    rights.read.extend(config.python_path());
    rights.read.push(config.supervisor.clone());
    rights.write.extend(scratch.0.clone());
    rights
}

/// Returns whether the user has set a variable, in the environment or by a flag.
fn is_set(config: &ProgramConfig, name: &str) -> bool {
    std::env::var_os(name).is_some() || config.env.iter().any(|(set, _)| set == name)
}

/// Returns the user's `PYTHONPATH`, from a flag or the environment, with the client in front; `None` to leave it as it
/// is.
fn python_path(client: &[PathBuf], flags: &[(String, String)]) -> Option<OsString> {
    if client.is_empty() {
        return None;
    }
    let by_flag = flags.iter().rev().find(|(name, _)| name == PYTHONPATH);
    let of_user = by_flag.map(|(_, value)| OsString::from(value));
    let of_user = of_user.or_else(|| std::env::var_os(PYTHONPATH)).unwrap_or_default();
    let of_user = std::env::split_paths(&of_user).filter(|path| !path.as_os_str().is_empty());
    std::env::join_paths(client.iter().cloned().chain(of_user)).ok()
}

/// Reads once; returns true at the end of the stream.
fn read_into(from: &mut impl Read, into: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 64 << 10];
    match from.read(&mut buffer) {
        Ok(0) => true,
        Ok(length) => {
            into.extend_from_slice(&buffer[..length]);
            false
        }
        Err(error) => {
            !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        }
    }
}
