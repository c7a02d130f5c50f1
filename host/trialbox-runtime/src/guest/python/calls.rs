//! The calls of the interpreter to the host: requests of the protocol of programs, as messages to the host process.
//!
//! The code of the objective can call this function itself, with any bytes. What it sends is bounded and parsed here,
//! and the host process checks it as it checks all that a guest process sends.

use crate::guest::failure::IllegalCall;
use crate::guest::meter::LimitReached;
use crate::guest::python::state::{PythonState, memory_of};
use crate::wire::contract::CHECKPOINT_PATH;
use crate::wire::protocol::{Choice, FromGuest, GuestEnd, ToGuest, TrialRequest};
use trialbox_core::session::door::CheckpointState;
use trialbox_core::session::protocol::{Answer, PROTOCOL_VERSION, Request, TrialFacts};
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::Limit;
use trialbox_core::{Json, StudyDirection};
use wasmtime::{Caller, Error, Extern, Linker, Result};

/// The export of the interpreter that gives memory for an answer.
pub(crate) const ALLOCATE: &str = "host_alloc";

/// The bytes of a request beside the payload that the limit bounds.
const FRAMING_BYTES: u64 = 64 << 10;

/// Adds the function through which the interpreter calls the host.
pub(crate) fn add_to_linker(linker: &mut Linker<PythonState>) -> Result<()> {
    linker.func_wrap("host", "call", call)?;
    Ok(())
}

/// Answers the request in `length` bytes at `place`, and writes the place and the length of the answer.
fn call(
    mut caller: Caller<'_, PythonState>,
    place: u32,
    length: u32,
    answer_place: u32,
    answer_length: u32,
) -> Result<u32> {
    let allowed = caller.data().limits.payload_bytes;
    if u64::from(length) > allowed.saturating_add(FRAMING_BYTES) {
        return Err(LimitReached::new(Limit::Payload, allowed, length.into()).into());
    }
    let memory = memory_of(&mut caller)?;
    let mut line = vec![0; length as usize];
    memory.read(&caller, place as usize, &mut line)?;
    let line = String::from_utf8(line).map_err(|_| Error::msg("a request is not utf-8"))?;
    let answer = caller.data_mut().answer(&line)?;
    let Some(Extern::Func(allocate)) = caller.get_export(ALLOCATE) else {
        return Err(Error::msg("expected an export `host_alloc`, found none"));
    };
    let size = u32::try_from(answer.len())?;
    let at = allocate.typed::<u32, u32>(&caller)?.call(&mut caller, size)?;
    memory.write(&mut caller, at as usize, answer.as_bytes())?;
    memory.write(&mut caller, answer_place as usize, &at.to_le_bytes())?;
    memory.write(&mut caller, answer_length as usize, &size.to_le_bytes())?;
    Ok(0)
}

impl PythonState {
    fn answer(&mut self, line: &str) -> Result<String> {
        let request = Json::parse(line).ok();
        let name = request.as_ref().and_then(|request| request.get("call")).and_then(Json::as_str);
        match (name, self.trial) {
            (Some("source"), _) => {
                let path = Json::from(self.source.path.as_str());
                let text = Json::from(self.source.text.as_str());
                Ok(format!("{}\n", Json::object([("path", path), ("text", text)])))
            }
            (Some("described"), None) => {
                self.described = request;
                Ok(Answer::Done.to_line(None))
            }
            (name, None) => {
                let name = name.unwrap_or("?");
                let problem = format!("the guest called `{name}` while no trial was running");
                Err(IllegalCall(problem).into())
            }
            (_, Some(trial)) => {
                let (id, request) =
                    Request::parse_with_id(line).map_err(|error| Error::msg(error.to_string()))?;
                Ok(self.answer_request(request, trial)?.to_line(id.as_ref()))
            }
        }
    }

    fn answer_request(&mut self, request: Request, trial: TrialRequest) -> Result<Answer> {
        if let Some(end) = &self.end
            && !matches!(request, Request::Log { .. })
        {
            let (first, call) = (name_of(end), request.call());
            let problem = format!("the guest called `{call}` after its result `{first}`");
            return Err(IllegalCall(problem).into());
        }
        Ok(match request {
            Request::Trial { protocol, .. } => {
                let version = protocol.unwrap_or(PROTOCOL_VERSION);
                if version != PROTOCOL_VERSION {
                    let problem = format!(
                        "expected version {PROTOCOL_VERSION} of the protocol, found {version}"
                    );
                    return Err(Error::msg(problem));
                }
                Answer::Trial(self.facts(trial)?)
            }
            Request::SuggestFloat { name, low, high, log, step } => {
                self.ask(FromGuest::SuggestFloat { name, low, high, log, step })?
            }
            Request::SuggestInt { name, low, high, log, step } => {
                self.ask(FromGuest::SuggestInt { name, low, high, log, step })?
            }
            Request::SuggestCategorical { name, choices } => {
                let choices = choices.into_iter().map(Choice::from).collect();
                self.ask(FromGuest::SuggestCategorical { name, choices })?
            }
            Request::ShouldPrune => self.ask(FromGuest::ShouldPrune)?,
            Request::RemainingSeconds => self.ask(FromGuest::RemainingSeconds)?,
            Request::Report { value, step } => {
                self.link.send_soon(&FromGuest::Report { value, step })?;
                Answer::Done
            }
            Request::SetUserAttr { key, value } => {
                self.tell(FromGuest::SetUserAttr { key, json: value.to_string() })?
            }
            Request::SetConstraint { name, value } => {
                self.tell(FromGuest::SetConstraint { name, value })?
            }
            // The directions of the file were read before the trial, and the runtime has one set of packages.
            Request::Study { .. } | Request::Packages { .. } => Answer::Done,
            Request::Log { level, text } => self.tell(FromGuest::Log { level, text })?,
            Request::Complete { values } => self.finish(GuestEnd::Complete(values)),
            Request::Pruned => self.finish(GuestEnd::Pruned),
            // Everything runs in one process, whose end is the result.
            Request::Fail { message, traceback, .. } => {
                let failure = Failure::new(FailureCode::Guest, message);
                self.finish(GuestEnd::Broke(failure.with_backtrace(&traceback)))
            }
        })
    }

    fn facts(&self, trial: TrialRequest) -> Result<TrialFacts> {
        let directions = match self.link.ask(&FromGuest::Directions)? {
            ToGuest::Directions(maximize) => maximize,
            other => return Err(unexpected(&other)),
        };
        let direction = |maximize| match maximize {
            true => StudyDirection::Maximize,
            false => StudyDirection::Minimize,
        };
        let has_checkpoint = trial.checkpoint != CheckpointState::Unavailable;
        Ok(TrialFacts {
            number: trial.number,
            seed: trial.seed,
            directions: directions.into_iter().map(direction).collect(),
            params: vec![],
            checkpoint: has_checkpoint.then(|| CHECKPOINT_PATH.into()),
            is_resumed: trial.checkpoint == CheckpointState::Resumed,
            process: None,
        })
    }

    fn ask(&self, question: FromGuest) -> Result<Answer> {
        Ok(Answer::Value(match self.link.ask(&question)? {
            // JSON has no infinity, and the client takes none for it.
            ToGuest::Float(value)
                if matches!(question, FromGuest::RemainingSeconds) && value.is_infinite() =>
            {
                Json::Null
            }
            ToGuest::Float(value) => Json::Float(value),
            ToGuest::Int(value) => Json::Int(value),
            ToGuest::Index(index) => Json::from(index),
            ToGuest::Bool(value) => Json::Bool(value),
            other => return Err(unexpected(&other)),
        }))
    }

    fn tell(&self, message: FromGuest) -> Result<Answer> {
        self.link.send(&message)?;
        Ok(Answer::Done)
    }

    fn finish(&mut self, end: GuestEnd) -> Answer {
        self.end = Some(end);
        Answer::Done
    }
}

fn unexpected(answer: &ToGuest) -> Error {
    Error::msg(format!("expected another answer of the host, found {answer:?}"))
}

fn name_of(end: &GuestEnd) -> &'static str {
    match end {
        GuestEnd::Complete(_) => "complete",
        GuestEnd::Pruned => "pruned",
        GuestEnd::Error(_) | GuestEnd::Broke(_) => "fail",
    }
}

impl From<Json> for Choice {
    fn from(choice: Json) -> Self {
        match choice {
            Json::Null => Choice::None,
            Json::Bool(value) => Choice::Bool(value),
            Json::Int(value) => Choice::Int(value),
            Json::Float(value) => Choice::Float(value),
            Json::String(value) => Choice::Text(value),
            other => Choice::Json(other.to_string()),
        }
    }
}
