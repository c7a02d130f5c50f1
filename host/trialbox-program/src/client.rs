//! The program's side of the protocol, for commands that a script calls inside a trial.

use crate::protocol::{ANSWERS_VARIABLE, REQUESTS_VARIABLE};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use thiserror::Error;
use trialbox_core::Json;

/// A call that could not be made.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The process does not run inside a trial.
    #[error("expected to run inside a trial, found no variable {REQUESTS_VARIABLE}")]
    NotInTrial,
    /// The pipes are not there, though the variables are.
    #[error("cannot open descriptor {number} of the trial: {source}")]
    NoPipe {
        /// The number of the descriptor.
        number: u32,
        /// The system's error.
        source: io::Error,
    },
    /// The host process gave no answer: it has ended the trial.
    #[error("the trial is over: trialbox gave no answer to `{call}`")]
    Over {
        /// The call.
        call: String,
    },
}

/// The pipes of the trial in which this process runs.
#[derive(Debug)]
pub struct Client {
    requests: File,
    answers: File,
}

impl Client {
    /// Opens the pipes that the environment names.
    ///
    /// # Errors
    /// Fails outside a trial, and where a program in between has closed the descriptors.
    pub fn of_environment() -> Result<Self, ClientError> {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
        let (Some(requests), Some(answers)) = (number(REQUESTS_VARIABLE), number(ANSWERS_VARIABLE))
        else {
            return Err(ClientError::NotInTrial);
        };
        let open = |number: u32, options: &OpenOptions| {
            let path = format!("/proc/self/fd/{number}");
            options.open(path).map_err(|source| ClientError::NoPipe { number, source })
        };
        Ok(Client {
            requests: open(requests, OpenOptions::new().write(true))?,
            answers: open(answers, OpenOptions::new().read(true))?,
        })
    }

    /// Makes a call with these members, and returns the answer.
    ///
    /// # Errors
    /// Fails if the host process has ended the trial. A call that breaks a rule of the protocol does that.
    pub fn call(&mut self, call: &str, members: Vec<(&str, Json)>) -> Result<Json, ClientError> {
        let over = || ClientError::Over { call: call.to_owned() };
        let request = Json::object([("call", Json::from(call))].into_iter().chain(members));
        self.requests.write_all(format!("{request}\n").as_bytes()).map_err(|_| over())?;
        let line = self.read_line().map_err(|_| over())?;
        Json::parse(&line).map_err(|_| over())
    }

    /// Reads a line byte by byte: what follows it belongs to the next process that shares the pipe.
    fn read_line(&mut self) -> io::Result<String> {
        let (mut line, mut byte) = (Vec::new(), [0]);
        loop {
            self.answers.read_exact(&mut byte)?;
            if byte[0] == b'\n' {
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            line.push(byte[0]);
        }
    }
}
