//! The messages between the host process and the guest process: length-prefixed frames over a socket.
//!
//! The host process does not trust the guest process. It bounds the size of frames and checks every argument. A call
//! that breaks a rule gets no answer: the host process ends the guest process instead.

use crate::wire::entry_key::EntryKey;
use crate::wire::python::{RuntimeFiles, StampedFile};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::PathBuf;
use trialbox_core::session::door::{CheckpointState, Loaded, Rejection};
use trialbox_core::session::transcript::LogLevel;
use trialbox_core::study::failure::Failure;
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_files::Identity;

/// The most bytes that framing adds to the payload of a host call.
const FRAMING_BYTES: usize = 64 << 10;

/// The environment variable that names the precautions to leave out, for benchmarks of what they cost; never in a
/// release: `landlock`, `seccomp`, `second-filter` and `root`, with commas.
#[cfg(feature = "failpoints")]
pub(crate) const OMITTED_PRECAUTIONS: &str = "TRIALBOX_WITHOUT";

/// The environment variable that makes the guest process break the protocol in a way of `guest/impostor.rs`, for tests;
/// never in a release.
#[cfg(feature = "failpoints")]
pub(crate) const IMPOSTOR: &str = "TRIALBOX_IMPOSTOR";

/// The environment variable that makes the guest process try the system calls of `guest/escaped.rs` where an
/// objective's code would run, for tests; never in a release. Its value is a folder that is not granted.
#[cfg(feature = "failpoints")]
pub(crate) const ESCAPED: &str = "TRIALBOX_ESCAPED";

/// The environment variables that the host process passes on to the guest process.
#[cfg(feature = "failpoints")]
pub(crate) const PASSED_ON: [&str; 3] = [OMITTED_PRECAUTIONS, IMPOSTOR, ESCAPED];

/// A message from the host process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToGuest {
    /// Load the objective, which is a component. This, or one of the next two, is the first message.
    Load(LoadRequest),
    /// Load the objective, which is a file of Python.
    LoadPython(Box<PythonRequest>),
    /// Compile an interpreter of Python and make a snapshot of it.
    Build(BuildRequest),
    /// The length of the objective's file, in answer to [`FromGuest::NeedModule`]. Its bytes follow the frame: neither
    /// side needs a second copy of them to make or to read a frame.
    Component { bytes: u64 },
    /// Run one trial.
    Evaluate(TrialRequest),
    /// The answer to `suggest-float` and `remaining-seconds`.
    Float(f64),
    /// The answer to `suggest-int`.
    Int(i64),
    /// The answer to `suggest-categorical`.
    Index(u32),
    /// The answer to `should-prune`.
    Bool(bool),
    /// For each value of the study whether it is maximized, in answer to [`FromGuest::Directions`].
    Directions(Vec<bool>),
}

/// The facts that a guest process needs to load the objective.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LoadRequest {
    /// The SHA-256 of the component in hexadecimal.
    pub(crate) sha256: String,
    /// The cache of compiled code; `None` to save none.
    pub(crate) cache: Option<CacheRequest>,
    /// The directories that are granted to the guest.
    pub(crate) grants: Vec<Grant>,
    /// The directory that is mounted at [`crate::CHECKPOINT_PATH`] during trials.
    pub(crate) checkpoint: Option<Box<Grant>>,
    /// The environment variables of the guest, which inherits none.
    pub(crate) env: Vec<(String, String)>,
    /// The settings of the compiler.
    pub(crate) engine: EngineSettings,
    /// The limits while the objective describes itself.
    pub(crate) limits: GuestLimits,
    /// The limit on the memory of the compiler.
    pub(crate) compile_memory_bytes: u64,
}

/// The cache of compiled code, as one component may use it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CacheRequest {
    /// The directories, the preferred one first.
    pub(crate) dirs: Vec<PathBuf>,
    /// The key of the component's entries.
    pub(crate) key: EntryKey,
}

impl LoadRequest {
    /// Returns the directories of an instance that runs a trial, or that only describes the objective.
    pub(crate) fn grants_of(&self, trial: Option<&TrialRequest>) -> Vec<Grant> {
        match trial {
            Some(_) => self.grants_of_trial(),
            None => self.grants.clone(),
        }
    }

    /// Returns the limits of such an instance.
    pub(crate) fn limits_of(&self, trial: Option<&TrialRequest>) -> GuestLimits {
        trial.map_or(self.limits, |trial| trial.limits)
    }

    /// Returns the directories that are granted to a trial. While an objective describes itself it has no checkpoint.
    pub(crate) fn grants_of_trial(&self) -> Vec<Grant> {
        self.grants.iter().chain(self.checkpoint.as_deref()).cloned().collect()
    }
}

/// The request to load an objective that is a file of Python.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PythonRequest {
    pub(crate) load: LoadRequest,
    pub(crate) runtime: RuntimeFiles,
    /// The name of the file in its folder.
    pub(crate) file_name: String,
}

/// The request to compile an interpreter and to make a snapshot of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BuildRequest {
    pub(crate) engine: EngineSettings,
    /// The interpreter's module.
    pub(crate) module: StampedFile,
    /// The compiled code that there is.
    pub(crate) codes: Vec<StampedFile>,
    /// The folder with the standard library.
    pub(crate) library: PathBuf,
    /// The folder with the program whose end is the snapshot, and with what it imports.
    pub(crate) recipe: PathBuf,
    /// The folder for the results.
    pub(crate) target: PathBuf,
    /// The name of the snapshot's file; `None` if there is one.
    pub(crate) snapshot: Option<String>,
    /// The limit on the memory of the compiler.
    pub(crate) compile_memory_bytes: u64,
}

/// The results of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Built {
    /// The name of the file with the compiled code of this machine.
    pub(crate) code: String,
    /// True if it was compiled now.
    pub(crate) is_new: bool,
}

/// The settings with which code is compiled and run. Other settings produce other code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EngineSettings {
    /// True if the same call must give the same bits on every machine.
    pub(crate) deterministic: bool,
    /// True if instructions are counted.
    pub(crate) metered: bool,
    /// True if epoch checks are compiled in. Only thread isolation needs them: there is no process to kill.
    pub(crate) interruptible: bool,
    /// The size of WebAssembly's stack.
    pub(crate) stack_bytes: u64,
}

/// The limits that the guest process enforces, in the units of the limits of the same names.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct GuestLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) memories: u64,
    pub(crate) table_elements: u64,
    pub(crate) instances: u64,
    pub(crate) handles: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) random_bytes: u64,
    pub(crate) stack_bytes: u64,
    pub(crate) fuel: Option<u64>,
}

impl GuestLimits {
    /// Returns the limits while an objective describes itself, with the compiler's memory. A component that starts with
    /// more memory than a trial may have can still be described; its trials fail.
    pub(crate) fn for_describing(self, compile_memory_bytes: u64) -> Self {
        GuestLimits { memory_bytes: self.memory_bytes.max(compile_memory_bytes), ..self }
    }
}

impl GuestLimits {
    /// Returns the memory that the process may need for what a call passes, outside the instance.
    pub(crate) fn passed_bytes(&self) -> u64 {
        self.random_bytes.saturating_add(self.payload_bytes.saturating_mul(2))
    }

    /// Returns whether a process that was limited for good to these limits can run a trial with the other ones.
    pub(crate) fn have_room_for(&self, other: &GuestLimits) -> bool {
        other.memory_bytes <= self.memory_bytes && other.passed_bytes() <= self.passed_bytes()
    }
}

impl From<&Limits> for GuestLimits {
    fn from(limits: &Limits) -> Self {
        let bound = |limit| limits.get(limit).unwrap_or(u64::MAX);
        GuestLimits {
            memory_bytes: bound(Limit::Memory),
            memories: bound(Limit::Memories),
            table_elements: bound(Limit::TableElements),
            instances: bound(Limit::Instances),
            handles: bound(Limit::Handles),
            payload_bytes: bound(Limit::Payload),
            random_bytes: bound(Limit::RandomBytes),
            stack_bytes: bound(Limit::Stack),
            fuel: limits.get(Limit::Fuel),
        }
    }
}

/// A trial to run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct TrialRequest {
    /// The trial's number in its study.
    pub(crate) number: u32,
    /// The seed for the guest's random numbers.
    pub(crate) seed: u64,
    /// The state of the directory at [`crate::CHECKPOINT_PATH`].
    pub(crate) checkpoint: CheckpointState,
    /// The limits of the trial.
    pub(crate) limits: GuestLimits,
}

/// A directory that is granted to the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The absolute path on the host.
    pub host: PathBuf,
    /// The absolute path in the guest.
    pub guest: String,
    /// True if the guest may write to it.
    pub writable: bool,
    /// The numbers of its file system and of the directory in it, as the host process found them. Another directory may
    /// take the path before the guest process opens it.
    pub directory: (u64, u64),
}

impl Grant {
    /// Grants the directory that stands at a path.
    ///
    /// # Errors
    /// Fails if none does.
    pub fn of(host: PathBuf, guest: String, writable: bool) -> io::Result<Self> {
        let directory = Identity::of_folder(&host)?.numbers();
        Ok(Grant { host, guest, writable, directory })
    }

    /// Checks that the directory at the path is the one that was granted.
    ///
    /// # Errors
    /// Fails if another one stands there, or none.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.require(Identity::of_folder(&self.host)?)
    }

    /// Checks that a directory is the one that was granted.
    pub(crate) fn require(&self, found: Identity) -> io::Result<()> {
        if found.numbers() == self.directory {
            return Ok(());
        }
        let text = format!(
            "`{}` is not the directory that was granted as `{}`: another took its place meanwhile",
            self.host.display(),
            self.guest
        );
        Err(io::Error::other(text))
    }
}

/// A message from the guest process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromGuest {
    /// The cache has no code for the component, so the guest process needs the component itself.
    NeedModule,
    Loaded(Loaded),
    Rejected(Rejection),
    SuggestFloat {
        name: String,
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    },
    SuggestInt {
        name: String,
        low: i64,
        high: i64,
        log: bool,
        step: i64,
    },
    SuggestCategorical {
        name: String,
        choices: Vec<Choice>,
    },
    Report {
        value: f64,
        step: i64,
    },
    ShouldPrune,
    SetUserAttr {
        key: String,
        json: String,
    },
    SetConstraint {
        name: String,
        value: f64,
    },
    RemainingSeconds,
    Log {
        level: LogLevel,
        text: String,
    },
    Output {
        stderr: bool,
        bytes: Vec<u8>,
    },
    /// The peak of the memory, sent when it has grown considerably: a guest that is killed cannot send it.
    PeakMemory {
        peak_memory_bytes: u64,
    },
    Ended {
        end: GuestEnd,
        peak_memory_bytes: u64,
        /// The number of executed instructions, if they were counted.
        fuel: Option<u64>,
    },
    /// Asks for the directions of the study's values.
    Directions,
    /// The files of a runtime are there.
    Built(Built),
}

impl FromGuest {
    /// Returns the name of the message, for errors. Its content may be as large as a frame.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            FromGuest::NeedModule => "a request for the component",
            FromGuest::Loaded(_) => "the loaded objective",
            FromGuest::Rejected(_) => "a rejection",
            FromGuest::Built(_) => "a built runtime",
            FromGuest::SuggestFloat { .. } => "`suggest-float`",
            FromGuest::SuggestInt { .. } => "`suggest-int`",
            FromGuest::SuggestCategorical { .. } => "`suggest-categorical`",
            FromGuest::Report { .. } => "`report`",
            FromGuest::ShouldPrune => "`should-prune`",
            FromGuest::Directions => "the directions of the study",
            FromGuest::SetUserAttr { .. } => "`set-user-attr`",
            FromGuest::SetConstraint { .. } => "`set-constraint`",
            FromGuest::RemainingSeconds => "`remaining-seconds`",
            FromGuest::Log { .. } => "`log`",
            FromGuest::Output { .. } => "output",
            FromGuest::PeakMemory { .. } => "a peak of memory",
            FromGuest::Ended { .. } => "the end of a trial",
        }
    }
}

/// A choice of a categorical parameter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Choice {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Any other scalar, such as a large integer, as JSON.
    Json(String),
}

/// The end of a call of the objective, as the guest process saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum GuestEnd {
    Complete(Vec<f64>),
    Pruned,
    /// The objective returned an error, with its message.
    Error(String),
    /// The objective did not return. The host process trusts neither the texts nor the code.
    Broke(Failure),
}

/// Appends a message to a buffer as one frame.
pub(crate) fn append_frame(to: &mut Vec<u8>, message: &impl Serialize) -> io::Result<()> {
    let payload = postcard::to_allocvec(message).map_err(io::Error::other)?;
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&payload);
    Ok(())
}

/// Waits for a frame and reads it; returns `None` when the other side has closed.
pub(crate) fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut payload = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut payload)?;
    postcard::from_bytes(&payload).map(Some).map_err(io::Error::other)
}

/// Collects bytes from a guest process into frames of bounded size.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
    max_frame_bytes: usize,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        FrameBuffer::new(&Limits::default())
    }
}

impl FrameBuffer {
    /// Creates a buffer for a guest process whose host calls have payloads within these limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        let max_frame_bytes = limits.size(Limit::Payload).saturating_add(FRAMING_BYTES);
        FrameBuffer { bytes: Vec::new(), start: 0, max_frame_bytes }
    }

    /// Adds received bytes.
    pub(crate) fn extend(&mut self, received: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(received);
    }

    /// Returns whether [`Self::next`] has something to return: a whole message, or an error.
    pub(crate) fn is_ready(&self) -> bool {
        let pending = &self.bytes[self.start..];
        pending.split_first_chunk::<4>().is_some_and(|(length, rest)| {
            let length = u32::from_le_bytes(*length) as usize;
            length > self.max_frame_bytes || rest.len() >= length
        })
    }

    /// Returns the next whole message, if there is one.
    ///
    /// # Errors
    /// Fails if a frame is too large or does not hold a message.
    pub(crate) fn next(&mut self) -> io::Result<Option<FromGuest>> {
        let pending = &self.bytes[self.start..];
        let Some((length, rest)) = pending.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > self.max_frame_bytes {
            let most = self.max_frame_bytes;
            return Err(io::Error::other(format!(
                "expected a message of at most {most} bytes, found {length}"
            )));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let message = postcard::from_bytes(payload).map_err(io::Error::other)?;
        self.start += 4 + length;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_may_write_to_its_checkpoint_and_a_description_does_not_see_it() {
        let limits = GuestLimits::from(&Limits::default());
        let grant = |host: &str, guest: &str, writable| Grant {
            host: host.into(),
            guest: guest.to_owned(),
            writable,
            directory: (1, 2),
        };
        let data = grant("/h", "/data", false);
        let mut request = LoadRequest {
            sha256: String::new(),
            cache: None,
            grants: vec![data.clone()],
            checkpoint: None,
            env: vec![],
            engine: EngineSettings {
                deterministic: false,
                metered: false,
                interruptible: false,
                stack_bytes: 0,
            },
            limits,
            compile_memory_bytes: 0,
        };
        assert_eq!(request.grants_of_trial(), std::slice::from_ref(&data));
        let checkpoint = grant("/kept/0", "/checkpoint", true);
        request.checkpoint = Some(Box::new(checkpoint.clone()));
        assert_eq!(request.grants_of_trial(), [data.clone(), checkpoint]);
        assert_eq!(request.grants, [data]);
    }

    #[test]
    fn frames_survive_being_cut_anywhere() {
        let mut wire = Vec::new();
        let sent = [
            FromGuest::ShouldPrune,
            FromGuest::Report { value: f64::NEG_INFINITY, step: 7 },
            FromGuest::Log { level: LogLevel::Info, text: "é".repeat(1000) },
        ];
        for message in &sent {
            append_frame(&mut wire, message).expect("a vector can be written");
        }
        for size in [1, 3, 4, 5, 1024, wire.len()] {
            let mut buffer = FrameBuffer::default();
            let mut received = Vec::new();
            for piece in wire.chunks(size) {
                buffer.extend(piece);
                while let Some(message) = buffer.next().expect("whole frames") {
                    received.push(format!("{message:?}"));
                }
            }
            assert_eq!(
                received,
                sent.iter().map(|message| format!("{message:?}")).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_frame_that_is_too_large_or_not_a_message_is_refused() {
        let mut buffer = FrameBuffer::default();
        buffer.extend(&u32::MAX.to_le_bytes());
        assert!(buffer.next().expect_err("too large").to_string().contains("at most"));
        let mut buffer = FrameBuffer::default();
        buffer.extend(&[1, 0, 0, 0, 250]);
        buffer.next().expect_err("no such message");
    }
}
