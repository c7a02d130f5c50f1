//! One call of an objective: the host answers the guest's questions from the trial's session.

use crate::host::config::SandboxConfig;
use crate::host::deadline::Deadline;
use crate::host::interrupt::Cancellation;
use crate::host::running_guest::{Received, RunningGuest, TICK};
use crate::wire::protocol::{Choice, FromGuest, GuestEnd, GuestLimits, ToGuest, TrialRequest};
use std::io;
use std::time::{Duration, Instant};
use trialbox_core::session::door::CheckpointState;
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::transcript::LogSource;
use trialbox_core::session::{CallAborted, TrialSession};
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::{Limit, LimitHit, Limits};
use trialbox_core::{Json, StudyDirection};

/// The longest time for which messages are handled before signals and the session's writes get their turn. A guest may
/// fill the socket with questions that each take long to answer.
const TURN: Duration = Duration::from_millis(50);

/// One call of the objective.
pub(crate) struct Call<'a> {
    guest: &'a mut RunningGuest,
    limits: Limits,
    deterministic: bool,
    checkpoint: CheckpointState,
    deadline: Deadline,
    cancellation: &'a Cancellation,
    /// The last peak that the guest process sent.
    peak_memory_bytes: Option<u64>,
    fuel: Option<u64>,
}

/// The end of a call, as the host process sees it.
pub(crate) enum CallEnd {
    /// The objective has returned or failed, and the guest process can be called again.
    Returned(GuestEnd),
    /// The trial is over, and the guest process must be ended.
    Ended(Evaluation),
    /// The guest process has closed its socket.
    Died,
}

impl<'a> Call<'a> {
    /// Prepares a call. Its time limit starts now.
    pub(crate) fn new(
        guest: &'a mut RunningGuest,
        config: &'a SandboxConfig,
        checkpoint: CheckpointState,
    ) -> Self {
        Call {
            guest,
            limits: config.limits,
            deterministic: config.deterministic,
            checkpoint,
            deadline: Deadline::new(config.limits.duration(Limit::TrialTime)),
            cancellation: &config.cancellation,
            peak_memory_bytes: None,
            fuel: None,
        }
    }

    /// Runs one trial to its end.
    pub(crate) fn run(mut self, session: &mut TrialSession) -> CallEnd {
        let request = TrialRequest {
            number: session.number().0,
            seed: session.seed(),
            checkpoint: self.checkpoint,
            limits: GuestLimits::from(&self.limits),
        };
        let cpu_before = self.guest.handle.cpu_time();
        if self.guest.send(&ToGuest::Evaluate(request)).is_err() {
            return CallEnd::Died;
        }
        let end = loop {
            match self.step(session) {
                Ok(None) => {}
                Ok(Some(end)) => break end,
                Err(CallAborted::Fail(failure)) => break CallEnd::Ended(Evaluation::Fail(failure)),
                Err(CallAborted::Halt) => break CallEnd::Ended(Evaluation::Halted),
            }
        };
        let cpu = self.guest.handle.cpu_time().zip(cpu_before);
        let cpu = cpu.map(|(after, before)| after.saturating_sub(before));
        session.measured(cpu, self.peak_memory_bytes, self.fuel);
        end
    }

    /// Waits for messages, at most until the session has work to do, and handles them.
    fn step(&mut self, session: &mut TrialSession) -> Result<Option<CallEnd>, CallAborted> {
        if let Some(interruption) = self.cancellation.pending() {
            return Ok(Some(CallEnd::Ended(Evaluation::Interrupted(interruption))));
        }
        if self.deadline.is_over() {
            return Ok(Some(CallEnd::Ended(Evaluation::Fail(self.timed_out()))));
        }
        session.tick()?;
        let wait = session.until_tick().min(TICK);
        let wait = self.remaining().map_or(wait, |remaining| remaining.min(wait));
        match self.guest.receive(wait, self.cancellation) {
            Ok(Received::Nothing) => Ok(None),
            Ok(Received::Closed) => Ok(Some(CallEnd::Died)),
            Ok(Received::Messages) => self.handle_messages(session),
            Err(error) => Err(protocol_error(&error)),
        }
    }

    /// Handles the messages that have arrived, for one turn.
    fn handle_messages(
        &mut self,
        session: &mut TrialSession,
    ) -> Result<Option<CallEnd>, CallAborted> {
        let started = Instant::now();
        while started.elapsed() < TURN
            && let Some(message) =
                self.guest.next_message().map_err(|error| protocol_error(&error))?
        {
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

    /// Returns the time that the guest has left, or `None` without a limit.
    fn remaining(&self) -> Option<Duration> {
        [self.deadline.remaining(), self.cancellation.remaining()].into_iter().flatten().min()
    }

    /// Returns the time that the guest has left, in seconds. It differs from run to run, so a deterministic trial sees
    /// no limit.
    fn remaining_seconds(&self) -> f64 {
        let remaining = self.remaining().filter(|_| !self.deterministic);
        remaining.map_or(f64::INFINITY, |left| left.as_secs_f64())
    }

    /// Passes a message on to the session and returns the answer, if the call has one.
    ///
    /// # Errors
    /// Fails if the call breaks a rule, or the trial cannot continue.
    pub(crate) fn answer(
        remaining_seconds: f64,
        message: FromGuest,
        session: &mut TrialSession,
    ) -> Result<Option<ToGuest>, CallAborted> {
        Ok(match message {
            FromGuest::SuggestFloat { name, low, high, log, step } => {
                Some(ToGuest::Float(session.suggest_float(&name, low, high, log, step)?))
            }
            FromGuest::SuggestInt { name, low, high, log, step } => {
                Some(ToGuest::Int(session.suggest_int(&name, low, high, log, step)?))
            }
            FromGuest::SuggestCategorical { name, choices } => {
                let choices = choices.into_iter().map(json_of).collect::<Result<_, _>>()?;
                Some(ToGuest::Index(session.suggest_categorical(&name, choices)?))
            }
            FromGuest::ShouldPrune => Some(ToGuest::Bool(session.should_prune()?)),
            FromGuest::Directions => {
                let maximizes = |direction: &StudyDirection| *direction == StudyDirection::Maximize;
                Some(ToGuest::Directions(session.directions().iter().map(maximizes).collect()))
            }
            FromGuest::RemainingSeconds => Some(ToGuest::Float(remaining_seconds)),
            FromGuest::Report { value, step } => {
                session.report(value, step)?;
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
                session.log(LogSource::Log(level), &format!("{text}\n"));
                None
            }
            FromGuest::Output { stderr, bytes } => {
                let source = if stderr { LogSource::Stderr } else { LogSource::Stdout };
                session.log(source, &String::from_utf8_lossy(&bytes));
                None
            }
            other => {
                return Err(protocol_error(&io::Error::other(format!(
                    "expected a call of a trial, found {}",
                    other.name()
                ))));
            }
        })
    }

    fn timed_out(&self) -> Failure {
        let allowed = self.limits.get(Limit::TrialTime).unwrap_or_default();
        let hit = LimitHit { limit: Limit::TrialTime, allowed, used: None };
        Failure::of_limit(FailureCode::Time, "the trial's time is over:", hit).with_help(
            "raise the limit, or ask for the remaining time in the objective and return early",
        )
    }
}

/// Returns the failure of a guest process that breaks the protocol.
pub(crate) fn protocol_error(error: &io::Error) -> CallAborted {
    CallAborted::Fail(Failure::new(
        FailureCode::Data,
        format!("the guest process sent an invalid message: {error}"),
    ))
}

/// Returns the evaluation for an end that the guest process reported.
pub(crate) fn to_evaluation(end: GuestEnd) -> Evaluation {
    match end {
        GuestEnd::Complete(values) => Evaluation::Complete(values),
        GuestEnd::Pruned => Evaluation::Pruned,
        GuestEnd::Error(message) => Evaluation::Fail(Failure::new(FailureCode::Guest, message)),
        GuestEnd::Broke(failure) => Evaluation::Fail(failure_of(failure)),
    }
}

/// The kinds of failure that only the guest process can see, and so may report.
const CODES_OF_GUEST: [FailureCode; 12] = [
    FailureCode::Guest,
    FailureCode::Panic,
    FailureCode::Trap,
    FailureCode::Memory,
    FailureCode::Table,
    FailureCode::Limit,
    FailureCode::Fuel,
    FailureCode::Stack,
    FailureCode::Exit,
    FailureCode::Data,
    FailureCode::DataSize,
    FailureCode::Call,
];

/// Returns a reported failure as the host records it. The host does not trust the guest process: other codes are
/// refused, because some of them let a trial run again, and texts are cleaned and cut.
fn failure_of(reported: Failure) -> Failure {
    if !CODES_OF_GUEST.contains(&reported.code) {
        let message = format!("the guest process reported a failure {}", reported.code);
        return Failure::new(FailureCode::Data, message);
    }
    let failure = Failure::new(reported.code, reported.message).with_backtrace(&reported.backtrace);
    Failure { help: help_for(reported.code).map(str::to_owned), limit: reported.limit, ..failure }
}

fn help_for(code: FailureCode) -> Option<&'static str> {
    match code {
        FailureCode::Memory => Some(
            "use smaller arrays, or raise the limit on memory; in a Slurm job, the job's memory bounds it",
        ),
        FailureCode::Stack => Some("look for recursion without end, or large arrays on the stack"),
        FailureCode::Exit => Some("return a value or an error from the objective"),
        FailureCode::DataSize => Some("pass large data in pieces, or through a file"),
        _ => None,
    }
}

/// Returns a choice as the session takes it.
///
/// # Errors
/// Fails if it is not what its kind says.
fn json_of(choice: Choice) -> Result<Json, CallAborted> {
    Ok(match choice {
        Choice::None => Json::Null,
        Choice::Bool(value) => Json::Bool(value),
        Choice::Int(value) => Json::Int(value),
        Choice::Float(value) => Json::Float(value),
        Choice::Text(value) => Json::String(value),
        Choice::Json(text) => match Json::parse(&text) {
            Ok(value @ (Json::BigInt(_) | Json::IllFormedString(_))) => value,
            _ => return Err(protocol_error(&io::Error::other("expected a scalar as a choice"))),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_process_cannot_report_what_only_the_host_can_see() {
        for code in [FailureCode::Lost, FailureCode::Interrupted, FailureCode::Time] {
            assert_eq!(failure_of(Failure::new(code, "let me run again")).code, FailureCode::Data);
        }
        let reported = Failure {
            help: Some("run as root".to_owned()),
            ..Failure::new(FailureCode::Trap, "x")
        };
        assert_eq!(failure_of(reported), Failure::new(FailureCode::Trap, "x"));
    }
}
