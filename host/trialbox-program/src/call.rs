//! One trial of a program: the host process answers its requests from the trial's session, and ends it at a limit.

use crate::config::ProgramConfig;
use crate::ending::{EndedBy, Ending, ProgramResult, timed_out, too_much_memory};
use crate::gpu::GpuWatch;
use crate::memory_events::kills_for_memory;
use crate::running::{Arrived, Running};
use crate::start_problem::of_error;
use crate::supervisor::FromSupervisor;
use crate::value_source::OutputWatch;
use std::io::Error;
use std::time::{Duration, Instant};
use trialbox_core::Json;
use trialbox_core::session::door::Rejection;
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::protocol::{Answer, PROTOCOL_VERSION, Request, TrialFacts};
use trialbox_core::session::transcript::LogSource;
use trialbox_core::session::{CallAborted, TrialSession};
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::Limit;
use trialbox_core::value::text::plural;

/// The interval at which the session may write and send heartbeats while the program asks for nothing.
const TICK: Duration = Duration::from_millis(250);

/// The variable that lists the devices of a trial for CUDA.
const NVIDIA_DEVICES: &str = "CUDA_VISIBLE_DEVICES";

/// The bytes of a line beside the payload that the limit bounds.
pub(crate) const FRAMING_BYTES: usize = 64 << 10;

/// One trial of a program.
pub(crate) struct Call<'a> {
    running: Running,
    config: &'a ProgramConfig,
    facts: TrialFacts,
    started: Instant,
    ending: Ending,
    output: OutputWatch,
    peak_memory_bytes: Option<u64>,
    gpus: Option<GpuWatch>,
    /// The time by which the program is to have exited after its result.
    exit_by: Option<Instant>,
    /// The time of SIGKILL, if the program was told to end and is still there then.
    kill_at: Option<Instant>,
    /// True once the program was ended without a grace. The session's writes could repeat the error for ever.
    is_aborted: bool,
    /// True once nothing of the program runs any more.
    is_gone: bool,
}

/// Runs one trial to its end.
pub(crate) fn call(
    config: &ProgramConfig,
    facts: TrialFacts,
    variables: &[(String, String)],
    session: &mut TrialSession,
) -> Evaluation {
    let max_line_bytes = config.limits.size(Limit::Payload).saturating_add(FRAMING_BYTES);
    let output = OutputWatch::new(config.value_source.of_trial(facts.number));
    let kills_before = kills_for_memory();
    let running = match Running::start(config, &facts.params, variables, max_line_bytes) {
        Ok(running) => running,
        Err(error) => return not_started(config, &error),
    };
    let devices = config.share.devices_of(NVIDIA_DEVICES);
    let gpus = GpuWatch::start(running.supervisor_id(), devices, config.path().as_deref());
    let mut call = Call {
        running,
        config,
        facts,
        started: Instant::now(),
        ending: Ending::default(),
        output,
        peak_memory_bytes: None,
        gpus,
        exit_by: None,
        kill_at: None,
        is_aborted: false,
        is_gone: false,
    };
    while !call.is_gone {
        if let Err(aborted) = call.step(session) {
            call.abort(aborted);
        }
    }
    let Call { mut ending, output, .. } = call;
    ending.is_out_of_memory = kills_for_memory() > kills_before;
    ending.judge(|| output.values(), config.help_without_value)
}

impl Call<'_> {
    /// Waits for what the program and its supervisor send, at most until there is other work, and handles it.
    fn step(&mut self, session: &mut TrialSession) -> Result<(), CallAborted> {
        self.look_at_clocks(session);
        let mut wait = self.until_next_deadline().min(TICK);
        if !self.is_aborted {
            session.tick()?;
            wait = wait.min(session.until_tick());
        }
        let arrived = match self.running.receive(wait) {
            Ok(arrived) => arrived,
            Err(error) => {
                self.is_gone = true;
                let message = format!("the program cannot be observed: {error}");
                return Err(CallAborted::Fail(Failure::new(FailureCode::Died, message)));
            }
        };
        self.take_output(&arrived, session);
        self.handle_requests(session)?;
        for news in &arrived.news {
            self.handle_news(news, session);
        }
        if arrived.is_closed {
            self.is_gone = true;
        }
        if self.is_gone {
            self.take_rest(session)?;
        }
        Ok(())
    }

    /// Ends the program if an event outside or a limit wants that.
    fn look_at_clocks(&mut self, session: &mut TrialSession) {
        let is_past = |at: Option<Instant>| at.is_some_and(|at| Instant::now() >= at);
        if is_past(self.kill_at) {
            self.kill();
        }
        // After the program's own exit only what it left behind is ended.
        if self.ending.ended_by.is_some() || self.ending.exit.is_some() {
            return;
        }
        let has_result = self.ending.result.is_some();
        match self.stop() {
            Some(reason) if !has_result => self.end_for(reason),
            // An event outside only shortens the time that a program has after its result.
            Some(_) => self.end_after_result(session),
            None if is_past(self.exit_by) => self.end_after_result(session),
            None => {}
        }
    }

    /// Returns the event outside, or the limit, that ends the program.
    fn stop(&self) -> Option<EndedBy> {
        if let Some(interruption) = self.config.stops.pending() {
            return Some(EndedBy::Interruption(interruption));
        }
        let is_over = self.remaining_of_trial() == Some(Duration::ZERO);
        let allowed = self.config.limits.get(Limit::TrialTime).unwrap_or_default();
        is_over.then(|| EndedBy::Failure(timed_out(allowed)))
    }

    fn end_after_result(&mut self, session: &mut TrialSession) {
        let left = self.exit_by.map(|at| at.saturating_duration_since(Instant::now()));
        let waited = self.config.grace.saturating_sub(left.unwrap_or_default()).as_secs_f64();
        let text =
            format!("the program had not exited {waited:.1} s after its result and was ended");
        note(session, &text);
        self.end_for(EndedBy::NoExit);
    }

    /// Notes the first reason for ending the program, and tells the program with SIGTERM.
    fn end_for(&mut self, reason: EndedBy) {
        if self.ending.ended_by.is_none() {
            self.ending.ended_by = Some(reason);
            self.running.terminate();
            let left = self.config.stops.until_last_moment().unwrap_or(Duration::MAX);
            self.kill_at = Some(Instant::now() + self.config.grace.min(left));
        }
    }

    /// Ends the program without a grace. What it still asks for is not heard: it could break the same rule for ever.
    fn abort(&mut self, aborted: CallAborted) {
        self.end_for(match aborted {
            CallAborted::Fail(failure) => EndedBy::Failure(failure),
            CallAborted::Halt => EndedBy::Halt,
        });
        self.is_aborted = true;
        self.running.close_requests();
        self.kill();
    }

    fn kill(&mut self) {
        self.kill_at = None;
        self.running.kill();
    }

    fn take_output(&mut self, arrived: &Arrived, session: &mut TrialSession) {
        let outputs = [(LogSource::Stdout, &arrived.stdout), (LogSource::Stderr, &arrived.stderr)];
        for (source, bytes) in outputs {
            if !bytes.is_empty() {
                session.log(source, &String::from_utf8_lossy(bytes));
            }
        }
        self.output.printed(&arrived.stdout);
    }

    /// Reads what is still in the pipes of a program that is gone.
    fn take_rest(&mut self, session: &mut TrialSession) -> Result<(), CallAborted> {
        while let Ok(arrived) = self.running.receive(Duration::ZERO) {
            if arrived.stdout.is_empty() && arrived.stderr.is_empty() && arrived.news.is_empty() {
                break;
            }
            self.take_output(&arrived, session);
            for news in &arrived.news {
                self.handle_news(news, session);
            }
        }
        self.handle_requests(session)
    }

    fn handle_news(&mut self, news: &FromSupervisor, session: &mut TrialSession) {
        match news {
            FromSupervisor::NotStarted { error, errno } => {
                let error =
                    errno.map_or_else(|| Error::other(error.clone()), Error::from_raw_os_error);
                self.ending.not_started = Some(rejection_of(self.config, &error));
                self.is_gone = true;
            }
            FromSupervisor::Started { .. } => {}
            FromSupervisor::Memory { bytes } => self.used_memory(*bytes),
            FromSupervisor::Exited(exit) => self.ending.exit = Some(*exit),
            FromSupervisor::Gone { cpu_millis, left_behind, immortal } => {
                self.is_gone = true;
                session.measured(
                    cpu_millis.map(Duration::from_millis),
                    self.peak_memory_bytes,
                    None,
                );
                if let Some(gpus) = &self.gpus {
                    let usage = gpus.usage();
                    session.measured_gpus(usage.peak_memory_bytes, usage.mean_percent());
                }
                if *left_behind > 0 {
                    let processes = count_processes(*left_behind);
                    note(
                        session,
                        &format!("the program left {processes} behind, which trialbox killed"),
                    );
                }
                if *immortal > 0 {
                    let processes = count_processes(*immortal);
                    note(session, &format!("{processes} of the program did not end when killed"));
                }
            }
        }
    }

    fn used_memory(&mut self, bytes: u64) {
        self.peak_memory_bytes = Some(bytes);
        if let Some(allowed) = self.config.limits.get(Limit::Memory)
            && bytes > allowed
        {
            self.end_for(EndedBy::Failure(too_much_memory(allowed, bytes)));
            self.kill();
        }
    }

    fn handle_requests(&mut self, session: &mut TrialSession) -> Result<(), CallAborted> {
        loop {
            let line = self.running.next_request().map_err(|error| {
                failure(
                    FailureCode::DataSize,
                    format!("the program's message is too long: {error}"),
                )
            })?;
            let Some(line) = line else { return Ok(()) };
            let (id, request) = Request::parse_with_id(&line).map_err(|error| {
                failure(FailureCode::Data, format!("the program sent an invalid message: {error}"))
            })?;
            session.count_call();
            let is_late =
                !matches!(request, Request::Log { .. } | Request::Fail { provisional: true, .. });
            if let Some(result) = &self.ending.result
                && is_late
            {
                let (first, call) = (result_name(result), request.call());
                let mut message = format!("the program called `{call}` after its result `{first}`");
                // The first failure is the one to mend: a script that does not look at exit codes goes on after it.
                if let ProgramResult::Failed { message: reason, .. } = result {
                    message = format!("{reason}; {message}");
                }
                return Err(failure(FailureCode::Call, message));
            }
            let answer = self.answer(request, session)?;
            if !self.running.answer(&answer.to_line(id.as_ref())) {
                let message = "the program sends requests and does not read the answers".to_owned();
                return Err(failure(FailureCode::Data, message));
            }
        }
    }

    /// Passes a request on to the session and returns the answer.
    fn answer(
        &mut self,
        request: Request,
        session: &mut TrialSession,
    ) -> Result<Answer, CallAborted> {
        Ok(match request {
            Request::Trial { protocol, process } => {
                let version = protocol.unwrap_or(PROTOCOL_VERSION);
                if version != PROTOCOL_VERSION {
                    let message = format!(
                        "expected version {PROTOCOL_VERSION} of the protocol, found {version}; use the client of this \
                         trialbox"
                    );
                    return Err(failure(FailureCode::Data, message));
                }
                self.facts.process = self.facts.process.or(process);
                Answer::Trial(self.facts.clone())
            }
            // The study exists by now.
            Request::Study { .. } => Answer::Done,
            Request::SuggestFloat { name, low, high, log, step } => {
                Answer::Value(Json::Float(session.suggest_float(&name, low, high, log, step)?))
            }
            Request::SuggestInt { name, low, high, log, step } => {
                Answer::Value(Json::Int(session.suggest_int(&name, low, high, log, step)?))
            }
            Request::SuggestCategorical { name, choices } => {
                Answer::Value(Json::from(session.suggest_categorical(&name, choices)?))
            }
            Request::Report { value, step } => {
                session.report(value, step)?;
                Answer::Done
            }
            Request::ShouldPrune => Answer::Value(Json::Bool(session.should_prune()?)),
            Request::SetUserAttr { key, value } => {
                session.set_user_attr(&key, &value.to_string())?;
                Answer::Done
            }
            Request::SetConstraint { name, value } => {
                session.set_constraint(&name, value)?;
                Answer::Done
            }
            Request::RemainingSeconds => Answer::Value(match self.remaining() {
                Some(left) => Json::Float(left.as_secs_f64()),
                None => Json::Null,
            }),
            Request::Packages { versions } => {
                let versions = versions.into_iter().map(|(name, version)| (name, version.into()));
                session.imported(Json::Object(versions.collect()));
                Answer::Done
            }
            Request::Log { level, text } => {
                session.log(LogSource::Log(level), &format!("{text}\n"));
                Answer::Done
            }
            Request::Complete { values } => self.take_result(ProgramResult::Complete(values)),
            Request::Pruned => self.take_result(ProgramResult::Pruned),
            Request::Fail { message, traceback, provisional: true } => {
                self.ending.provisional = Some(ProgramResult::Failed { message, traceback });
                Answer::Value(Json::Bool(self.ending.result.is_some()))
            }
            Request::Fail { message, traceback, provisional: false } => {
                self.take_result(ProgramResult::Failed { message, traceback })
            }
        })
    }

    /// Takes the program's result. From now on it has the grace to exit.
    fn take_result(&mut self, result: ProgramResult) -> Answer {
        self.ending.result = Some(result);
        self.exit_by = Some(Instant::now() + self.config.grace);
        Answer::Done
    }

    fn remaining_of_trial(&self) -> Option<Duration> {
        let limit = self.config.limits.duration(Limit::TrialTime)?;
        Some(limit.saturating_sub(self.started.elapsed()))
    }

    /// Returns the time that the program has left, or `None` without a limit.
    fn remaining(&self) -> Option<Duration> {
        [self.remaining_of_trial(), self.config.stops.remaining()].into_iter().flatten().min()
    }

    fn until_next_deadline(&self) -> Duration {
        let until = |at: Option<Instant>| Some(at?.saturating_duration_since(Instant::now()));
        let next = match (&self.ending.ended_by, self.ending.exit) {
            (None, None) => [until(self.exit_by), self.remaining()].into_iter().flatten().min(),
            _ => until(self.kill_at),
        };
        next.unwrap_or(TICK)
    }
}

/// Returns the end of a trial whose program could not be started.
fn not_started(config: &ProgramConfig, error: &Error) -> Evaluation {
    Evaluation::NotStarted(rejection_of(config, error))
}

fn rejection_of(config: &ProgramConfig, error: &Error) -> Rejection {
    of_error(error, config.command.program(), config.path().as_deref())
}

fn failure(code: FailureCode, message: String) -> CallAborted {
    CallAborted::Fail(Failure::new(code, message))
}

fn result_name(result: &ProgramResult) -> &'static str {
    match result {
        ProgramResult::Complete(_) => "complete",
        ProgramResult::Pruned => "pruned",
        ProgramResult::Failed { .. } => "fail",
    }
}

fn count_processes(n: usize) -> String {
    format!("{n} {}", plural(n as u64, "process", "processes"))
}

/// Writes a line of the host process to the trial's log.
pub(crate) fn note(session: &mut TrialSession, text: &str) {
    session.log(LogSource::Host, &format!("{text}\n"));
}
