//! The program's side of the protocol, for commands that a script calls inside a trial.

use crate::pipes::{ANSWERS, PipeVariables, REQUESTS, identity_of};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use thiserror::Error;
use trialbox_core::Json;

/// A call that could not be made.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The process does not run inside a trial.
    #[error("expected to run inside a trial, found no variable {variable}")]
    NotInTrial {
        /// The missing variable.
        variable: &'static str,
    },
    /// The pipes are not there, though the variables are.
    #[error(
        "expected a pipe of the trial at `{path}` or at descriptor {number}, found neither",
        path = path.display()
    )]
    NoPipe {
        /// The path of the supervisor's end.
        path: PathBuf,
        /// The number of the descriptor that was inherited.
        number: u32,
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
    n_calls: u64,
}

impl Client {
    /// Opens the pipes that the environment names.
    ///
    /// # Errors
    /// Fails outside a trial, and where neither the supervisor's ends nor the inherited descriptors are the pipes.
    pub fn of_environment() -> Result<Self, ClientError> {
        Ok(Client {
            requests: open_pipe(REQUESTS, OpenOptions::new().write(true))?,
            answers: open_pipe(ANSWERS, OpenOptions::new().read(true))?,
            n_calls: 0,
        })
    }

    /// Makes a call with these members, and returns the answer.
    ///
    /// # Errors
    /// Fails if the host process has ended the trial. A call that breaks a rule of the protocol does that.
    pub fn call(&mut self, call: &str, members: Vec<(&str, Json)>) -> Result<Json, ClientError> {
        self.exchange(call, members).map_err(|_| ClientError::Over { call: call.to_owned() })
    }

    fn exchange(&mut self, call: &str, members: Vec<(&str, Json)>) -> io::Result<Json> {
        // Other processes of the trial wait until this one has its answer. The lock belongs to this opening of the pipe
        // and ends with the process.
        retry_on_intr(|| flock(&self.requests, FlockOperation::LockExclusive))?;
        let id = self.next_id();
        let own = [("call", Json::from(call)), ("id", id.clone())];
        let request = Json::object(own.into_iter().chain(members));
        self.requests.write_all(format!("{request}\n").as_bytes())?;
        loop {
            // Another answer was for a process that died before it read it.
            if let Ok(answer) = Json::parse(&self.read_line()?)
                && answer.get("id") == Some(&id)
            {
                flock(&self.requests, FlockOperation::Unlock)?;
                return Ok(answer);
            }
        }
    }

    /// Returns a mark that no other call of the trial has.
    fn next_id(&mut self) -> Json {
        self.n_calls += 1;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Json::from(format!("{}-{}-{}", std::process::id(), now.as_nanos(), self.n_calls))
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

/// Opens a pipe anew, so that the lock on it is this process's own: the supervisor's end, else the inherited
/// descriptor. The script may have used that number for a file of its own, so only the pipe itself is opened.
fn open_pipe(names: PipeVariables, options: &OpenOptions) -> Result<File, ClientError> {
    let variable = |name: &'static str| {
        std::env::var(name).map_err(|_| ClientError::NotInTrial { variable: name })
    };
    let not_a_number = |_| ClientError::NotInTrial { variable: names.number };
    let number: u32 = variable(names.number)?.parse().map_err(not_a_number)?;
    let (path, identity) = (PathBuf::from(variable(names.path)?), variable(names.identity)?);
    for path in [&path, &PathBuf::from(format!("/proc/self/fd/{number}"))] {
        if is_pipe(path, &identity)
            && let Ok(file) = options.open(path)
        {
            return Ok(file);
        }
    }
    Err(ClientError::NoPipe { path, number })
}

fn is_pipe(path: &Path, identity: &str) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    metadata.file_type().is_fifo() && identity_of(metadata.dev(), metadata.ino()) == identity
}
