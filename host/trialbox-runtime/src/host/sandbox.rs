//! The host's side of a sandboxed objective: starts the guest process, answers its calls from the trial's
//! session, and ends it when its time is over.

use crate::host::deadline::Deadline;
use crate::host::interrupt::Cancellation;
use crate::host::isolation::{GuestHandle, Isolation};
use crate::host::precheck::{ObjectiveFile, Rejection, RejectionCode};
use crate::wire::protocol::{
    Break, BreakKind, CheckpointDir, CheckpointState, Choice, EngineSettings, FrameBuffer,
    FromGuest, Grant, GuestEnd, GuestLimits, Level, LoadRequest, Loaded, ToGuest, TrialRequest,
    write_frame,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::Json;
use trialbox_core::seam::objective::{Evaluation, Interruption, LogLevel, Objective};
use trialbox_core::session::transcript::LogSource;
use trialbox_core::session::{Stop, TrialSession};
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::{Limit, LimitHit, Limits};

/// How often the session may write and beat its heart while the guest has nothing to ask.
const TICK: Duration = Duration::from_millis(250);

/// How to run an objective.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The program that becomes the guest process when it is called with `__guest`: this one.
    pub program: PathBuf,
    /// Whether there is a guest process.
    pub isolation: Isolation,
    /// Where compiled code is kept; `None` to keep none.
    pub cache_dirs: Vec<PathBuf>,
    /// Directories that the guest may see.
    pub grants: Vec<Grant>,
    /// Environment variables that the guest gets.
    pub env: Vec<(String, String)>,
    /// Whether the same trial must give the same bits on every machine: fixed clocks, sorted directories, one NaN.
    pub deterministic: bool,
    /// What it may use.
    pub limits: Limits,
    /// What ends a trial early.
    pub stops: Cancellation,
}

impl SandboxConfig {
    fn engine(&self) -> EngineSettings {
        EngineSettings {
            deterministic: self.deterministic,
            metered: self.limits.get(Limit::Fuel).is_some(),
            interruptible: self.isolation == Isolation::Thread,
            stack_bytes: self.limits.get(Limit::Stack).unwrap_or(u64::MAX),
        }
    }
}

/// An objective in its guest process.
#[derive(Debug)]
pub struct Sandbox {
    file: Arc<ObjectiveFile>,
    config: SandboxConfig,
    checkpoint: Option<CheckpointDir>,
    guest: Option<RunningGuest>,
}

impl Sandbox {
    /// Starts the guest process, which gets the objective ready while the caller does something else.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(file: Arc<ObjectiveFile>, config: SandboxConfig) -> Result<Self, Rejection> {
        let guest = RunningGuest::spawn(&file, &config, None)?;
        Ok(Sandbox { file, config, checkpoint: None, guest: Some(guest) })
    }

    /// Waits until the objective is ready.
    ///
    /// # Errors
    /// When the file is no objective after all, or takes too long to compile.
    pub fn wait_loaded(&mut self) -> Result<Loaded, Rejection> {
        let loaded = match &mut self.guest {
            Some(guest) => guest.wait_loaded(&self.file, &self.config),
            None => Err(died("the guest process was already ended")),
        };
        if loaded.is_err() {
            self.guest = None;
        }
        loaded
    }

    /// Sets the limits of the trials to come, and whether they must give the same bits on every machine. A study may
    /// decide that after the objective was loaded; where other code is needed then, it is loaded anew.
    ///
    /// # Errors
    /// As for [`Self::wait_loaded`], when it is.
    pub fn set_terms(&mut self, limits: Limits, deterministic: bool) -> Result<(), Rejection> {
        let before = self.config.engine();
        self.config.limits = limits;
        self.config.deterministic = deterministic;
        if self.config.engine() != before {
            self.guest = None;
            // Now, and not in a trial that has begun.
            self.ready_guest()?;
        }
        Ok(())
    }

    /// Gives the trial to come a directory of its own, or takes it away. What a guest process may see is settled when
    /// it starts: one that has such a directory, or is to have one, makes way for a new one.
    pub fn set_checkpoint(&mut self, checkpoint: Option<CheckpointDir>) {
        if self.checkpoint.is_some() || checkpoint.is_some() {
            self.guest = None;
        }
        self.checkpoint = checkpoint;
    }

    /// Where the objective's code runs.
    pub fn isolation(&self) -> Isolation {
        self.config.isolation
    }

    /// Makes sure that there is a guest process which is ready, in the place of one that was ended: a trial that has
    /// begun should not wait for the compiler.
    ///
    /// # Errors
    /// As for [`Self::wait_loaded`].
    pub fn prepare(&mut self) -> Result<(), Rejection> {
        self.ready_guest().map(|_| ())
    }

    /// Ends the guest process; the next trial gets a new one.
    pub fn restart(&mut self) {
        self.guest = None;
    }

    /// A process that is ready: the one there is, or a new one in the place of one that was ended.
    fn ready_guest(&mut self) -> Result<&mut RunningGuest, Rejection> {
        let guest = match self.guest.take() {
            Some(guest) => guest,
            None => {
                let mut guest =
                    RunningGuest::spawn(&self.file, &self.config, self.checkpoint.as_ref())?;
                guest.wait_loaded(&self.file, &self.config)?;
                guest
            }
        };
        Ok(self.guest.insert(guest))
    }
}

impl Objective for Sandbox {
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation {
        let (limits, deterministic) = (self.config.limits, self.config.deterministic);
        let stops = self.config.stops.clone();
        let checkpoint = CheckpointState::from(self.checkpoint.as_ref());
        let guest = match self.ready_guest() {
            Ok(guest) => guest,
            Err(rejection) => {
                return match stops.pending() {
                    Some(interruption) => Evaluation::Interrupted(interruption),
                    None => Evaluation::Fail(Failure::new(FailureCode::Died, rejection.message)),
                };
            }
        };
        let call = Call {
            guest,
            limits,
            deterministic,
            checkpoint,
            deadline: Deadline::new(limits.duration(Limit::TrialTime)),
            stops: &stops,
            peak_memory_bytes: None,
            fuel: None,
        };
        match call.run(session) {
            CallEnd::Returned(end) => to_evaluation(end),
            // The process is of no more use: dropping it ends it.
            CallEnd::Ended(evaluation) => {
                self.guest = None;
                evaluation
            }
            CallEnd::Died => {
                let failure = self.guest.take().map(RunningGuest::post_mortem);
                Evaluation::Fail(
                    failure.unwrap_or_else(|| {
                        Failure::new(FailureCode::Died, "the guest process died")
                    }),
                )
            }
        }
    }
}

/// One call of the objective.
pub(crate) struct Call<'a> {
    guest: &'a mut RunningGuest,
    limits: Limits,
    deterministic: bool,
    checkpoint: CheckpointState,
    deadline: Deadline,
    stops: &'a Cancellation,
    /// What the guest process has told so far.
    peak_memory_bytes: Option<u64>,
    fuel: Option<u64>,
}

enum CallEnd {
    /// The guest process has answered, and can be called again.
    Returned(GuestEnd),
    /// The trial is over, and the guest process must be ended.
    Ended(Evaluation),
    /// The guest process has closed its socket.
    Died,
}

impl Call<'_> {
    fn run(mut self, session: &mut TrialSession) -> CallEnd {
        let request = TrialRequest {
            number: session.number().0,
            seed: session.seed(),
            checkpoint: self.checkpoint,
            limits: GuestLimits::from(&self.limits),
        };
        let cpu_before = self.guest.body.cpu_time();
        if self.guest.send(&ToGuest::Evaluate(request)).is_err() {
            return CallEnd::Died;
        }
        let end = loop {
            match self.step(session) {
                Ok(None) => {}
                Ok(Some(end)) => break end,
                Err(Stop::Fail(failure)) => break CallEnd::Ended(Evaluation::Fail(failure)),
                Err(Stop::Halt) => break CallEnd::Ended(Evaluation::Halted),
            }
        };
        let cpu = self.guest.body.cpu_time().zip(cpu_before);
        let cpu = cpu.map(|(after, before)| after.saturating_sub(before));
        session.measured(cpu, self.peak_memory_bytes, self.fuel);
        end
    }

    /// Handles what has come, or waits a little for something to come.
    fn step(&mut self, session: &mut TrialSession) -> Result<Option<CallEnd>, Stop> {
        if let Some(interruption) = self.stops.pending() {
            return Ok(Some(CallEnd::Ended(Evaluation::Interrupted(interruption))));
        }
        if self.deadline.is_over() {
            return Ok(Some(CallEnd::Ended(Evaluation::Fail(self.timed_out()))));
        }
        session.tick()?;
        let wait = session.until_tick().min(TICK);
        let wait = self.remaining().map_or(wait, |remaining| remaining.min(wait));
        match self.guest.receive(wait, self.stops) {
            Ok(Received::Nothing) => Ok(None),
            Ok(Received::Closed) => Ok(Some(CallEnd::Died)),
            Ok(Received::Messages) => self.handle_messages(session),
            Err(error) => Err(nonsense(&error)),
        }
    }

    fn handle_messages(&mut self, session: &mut TrialSession) -> Result<Option<CallEnd>, Stop> {
        while let Some(message) = self.guest.frames.next().map_err(|error| nonsense(&error))? {
            match message {
                FromGuest::Ended { end, peak_memory_bytes, fuel } => {
                    self.peak_memory_bytes = Some(peak_memory_bytes);
                    self.fuel = fuel;
                    return Ok(Some(CallEnd::Returned(end)));
                }
                FromGuest::PeakMemory { peak_memory_bytes } => {
                    self.peak_memory_bytes = Some(peak_memory_bytes);
                    continue;
                }
                FromGuest::Output { .. } => {}
                _ => session.count_call(),
            }
            if let Some(answer) = Self::answer(self.remaining_seconds(), message, session)?
                && self.guest.send(&answer).is_err()
            {
                return Ok(Some(CallEnd::Died));
            }
        }
        Ok(None)
    }

    /// How long the guest has left; `None` if nothing limits it.
    fn remaining(&self) -> Option<Duration> {
        [self.deadline.remaining(), self.stops.remaining()].into_iter().flatten().min()
    }

    /// How long the guest has left, in seconds. How long a trial has been running is nothing that two runs agree
    /// on, so a deterministic one is not told.
    fn remaining_seconds(&self) -> f64 {
        let remaining = self.remaining().filter(|_| !self.deterministic);
        remaining.map_or(f64::INFINITY, |left| left.as_secs_f64())
    }

    pub(crate) fn answer(
        remaining_seconds: f64,
        message: FromGuest,
        session: &mut TrialSession,
    ) -> Result<Option<ToGuest>, Stop> {
        Ok(match message {
            FromGuest::SuggestFloat { name, low, high, log, step } => {
                Some(ToGuest::Float(session.suggest_float(&name, low, high, log, step)?))
            }
            FromGuest::SuggestInt { name, low, high, log, step } => {
                Some(ToGuest::Int(session.suggest_int(&name, low, high, log, step)?))
            }
            FromGuest::SuggestCategorical { name, choices } => {
                let choices = choices.into_iter().map(Json::from).collect();
                Some(ToGuest::Index(session.suggest_categorical(&name, choices)?))
            }
            FromGuest::ShouldPrune => Some(ToGuest::Bool(session.should_prune()?)),
            FromGuest::RemainingSeconds => Some(ToGuest::Float(remaining_seconds)),
            FromGuest::Report { value, step } => {
                session.report(value, i64::from(step))?;
                None
            }
            FromGuest::SetUserAttr { key, json } => {
                session.set_user_attr(&key, &json)?;
                None
            }
            FromGuest::SetConstraint { name, value } => {
                session.set_constraint(&name, value)?;
                None
            }
            FromGuest::Log { level, text } => {
                session.log(LogSource::Log(level.into()), &format!("{text}\n"));
                None
            }
            FromGuest::Output { stderr, bytes } => {
                let source = if stderr { LogSource::Stderr } else { LogSource::Stdout };
                session.log(source, &String::from_utf8_lossy(&bytes));
                None
            }
            other => return Err(nonsense(&io::Error::other(format!("{other:?} during a trial")))),
        })
    }

    fn timed_out(&self) -> Failure {
        let allowed = self.limits.get(Limit::TrialTime).unwrap_or_default();
        let hit = LimitHit { limit: Limit::TrialTime, allowed, used: None };
        Failure::of_limit(FailureCode::Time, "the trial's time is over:", hit).with_help(
            "raise --trial-timeout, or ask for `remaining` time in the objective and return early",
        )
    }
}

pub(crate) fn nonsense(error: &io::Error) -> Stop {
    Stop::Fail(Failure::new(
        FailureCode::Data,
        format!("the guest process sent something that makes no sense: {error}"),
    ))
}

pub(crate) fn to_evaluation(end: GuestEnd) -> Evaluation {
    match end {
        GuestEnd::Complete(values) => Evaluation::Complete(values),
        GuestEnd::Pruned => Evaluation::Pruned,
        GuestEnd::Error(message) => Evaluation::Fail(Failure::new(FailureCode::Guest, message)),
        GuestEnd::Broke(broke) => Evaluation::Fail(failure_of(broke)),
    }
}

fn failure_of(broke: Break) -> Failure {
    let (code, help) = match broke.kind {
        BreakKind::Panic => (FailureCode::Panic, None),
        BreakKind::Trap => (FailureCode::Trap, None),
        BreakKind::Memory => (
            FailureCode::Memory,
            Some(
                "use smaller arrays, or raise --max-memory (with --override where the study remembers it); in a job of Slurm's, ask for more with --mem",
            ),
        ),
        BreakKind::Table => (FailureCode::Table, None),
        BreakKind::Limit => (FailureCode::Limit, None),
        BreakKind::Fuel => (FailureCode::Fuel, None),
        BreakKind::Stack => (
            FailureCode::Stack,
            Some("look for recursion without end, or large arrays on the stack"),
        ),
        BreakKind::Exit => {
            (FailureCode::Exit, Some("return a value or an error from the objective"))
        }
        BreakKind::Data => (FailureCode::Data, None),
        BreakKind::DataSize => {
            (FailureCode::DataSize, Some("pass large data in pieces, or through a file"))
        }
        BreakKind::Call => (FailureCode::Call, None),
    };
    let mut failure = Failure::new(code, broke.message).with_backtrace(&broke.backtrace);
    failure.help = help.map(str::to_owned);
    failure.limit = broke.limit.and_then(|limit| limit.received());
    failure
}

impl From<Choice> for Json {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::None => Json::Null,
            Choice::Bool(value) => Json::Bool(value),
            Choice::Int(value) => Json::Int(value),
            Choice::Float(value) => Json::Float(value),
            Choice::Text(value) => Json::String(value),
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warning => LogLevel::Warning,
            Level::Error => LogLevel::Error,
        }
    }
}

/// A running guest process, or a thread in the place of one. Dropping it ends it.
#[derive(Debug)]
struct RunningGuest {
    body: GuestHandle,
    stream: UnixStream,
    frames: FrameBuffer,
}

enum Received {
    /// Something came that may be a message.
    Messages,
    /// Nothing came in time, or a signal did.
    Nothing,
    /// The guest process has closed its end.
    Closed,
}

impl RunningGuest {
    fn spawn(
        file: &ObjectiveFile,
        config: &SandboxConfig,
        checkpoint: Option<&CheckpointDir>,
    ) -> Result<Self, Rejection> {
        let cannot = |error: io::Error| died(&format!("cannot start the guest process: {error}"));
        let (stream, theirs) = UnixStream::pair().map_err(cannot)?;
        let body = match config.isolation {
            Isolation::Process => GuestHandle::new_process(&config.program, theirs),
            Isolation::Thread => GuestHandle::new_thread(theirs, config.engine().stack_bytes),
        };
        let body = body.map_err(cannot)?;
        let mut guest = RunningGuest { body, stream, frames: FrameBuffer::new(&config.limits) };
        let request = LoadRequest {
            digest: file.digest,
            cache_dirs: config.cache_dirs.clone(),
            grants: config.grants.clone(),
            checkpoint_dir: checkpoint.map(|dir| dir.host.clone()),
            env: config.env.clone(),
            engine: config.engine(),
            limits: GuestLimits::from(&config.limits).for_describing(),
            compile_memory_bytes: config.limits.get(Limit::CompileMemory).unwrap_or(u64::MAX),
        };
        guest.send(&ToGuest::Load(request)).map_err(cannot)?;
        Ok(guest)
    }

    fn send(&mut self, message: &ToGuest) -> io::Result<()> {
        write_frame(&mut self.stream, message)
    }

    /// Waits for bytes, at most as long as told and not beyond a signal.
    fn receive(&mut self, wait: Duration, stops: &Cancellation) -> io::Result<Received> {
        let mut fds = vec![PollFd::new(&self.stream, PollFlags::IN)];
        fds.extend(
            stops
                .interrupts
                .iter()
                .flat_map(|found| found.as_fds())
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&wait)) {
            Err(rustix::io::Errno::INTR) => return Ok(Received::Nothing),
            other => other?,
        };
        if fds[0].revents().is_empty() {
            return Ok(Received::Nothing);
        }
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Ok(Received::Closed),
            Ok(length) => {
                self.frames.extend(&buffer[..length]);
                Ok(Received::Messages)
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Received::Closed),
            Err(error) => Err(error),
        }
    }

    fn wait_loaded(
        &mut self,
        file: &ObjectiveFile,
        config: &SandboxConfig,
    ) -> Result<Loaded, Rejection> {
        let deadline = Deadline::new(config.limits.duration(Limit::CompileTime));
        loop {
            if let Some(interruption) = config.stops.pending() {
                let message = match interruption {
                    Interruption::Deadline => {
                        "the job's time was over before the objective was compiled"
                    }
                    _ => "interrupted while the objective was compiled",
                };
                let message = message.to_owned();
                return Err(Rejection { code: RejectionCode::Died, message, help: None });
            }
            if deadline.is_over() {
                return Err(compile_limit(config, Limit::CompileTime, "takes too long"));
            }
            let wait = deadline.remaining().into_iter().chain(config.stops.remaining());
            let wait = wait.min().unwrap_or(TICK);
            let received =
                self.receive(wait, &config.stops).map_err(|error| died(&error.to_string()))?;
            if matches!(received, Received::Closed) {
                let death = self.cause_of_death();
                if death.code == FailureCode::Memory {
                    return Err(compile_limit(
                        config,
                        Limit::CompileMemory,
                        "takes too much memory",
                    ));
                }
                return Err(died(&death.message));
            }
            while let Some(message) =
                self.frames.next().map_err(|error| died(&error.to_string()))?
            {
                match message {
                    FromGuest::NeedModule => {
                        let module = ToGuest::Module(file.bytes.clone());
                        self.send(&module).map_err(|error| died(&error.to_string()))?;
                    }
                    FromGuest::Loaded(loaded) => return Ok(loaded),
                    FromGuest::Rejected(rejection) => return Err(rejection),
                    // What `describe` prints is nobody's business.
                    FromGuest::Output { .. } => {}
                    other => return Err(died(&format!("it sent {other:?} while loading"))),
                }
            }
        }
    }

    /// Why the process closed its socket in the middle of a trial.
    fn post_mortem(mut self) -> Failure {
        self.cause_of_death()
    }

    fn cause_of_death(&mut self) -> Failure {
        let end = self.body.end(self.has_hung_up());
        let words = end.words.chars().map(|c| if c.is_control() { ' ' } else { c });
        let words: String = words.collect();
        let words = words.trim();
        if words.contains("memory allocation of") {
            return Failure::new(
                FailureCode::Memory,
                format!("the guest process ran out of memory: {words}"),
            )
            .with_help("give the job more memory");
        }
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        Failure::new(FailureCode::Died, format!("{}{said}", end.how))
    }

    /// Whether the other end of the socket is closed.
    fn has_hung_up(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::RDHUP)];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && !fds[0].revents().is_empty()
    }
}

/// Getting the objective ready took more than it may.
fn compile_limit(config: &SandboxConfig, limit: Limit, what: &str) -> Rejection {
    let allowed = config.limits.get(limit).unwrap_or_default();
    let hit = LimitHit { limit, allowed, used: None };
    Rejection::new(
        RejectionCode::CompileLimit,
        format!("compiling and describing the objective {what}: {hit}"),
        format!("raise {} if you trust its author", limit.flag()),
    )
}

fn died(message: &str) -> Rejection {
    Rejection {
        code: RejectionCode::Died,
        message: format!("the guest process failed: {message}"),
        help: None,
    }
}
