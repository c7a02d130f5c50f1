//! The imports of a guest: the contract's, forwarded to the host process, and WASI without rights.

use crate::guest::bindings::trialbox::objective::trial::{self, Choice, Host};
use crate::guest::counting_clock::{CountingClock, fix_clocks};
use crate::guest::failure::IllegalCall;
use crate::guest::link::Link;
use crate::guest::meter::Meter;
use crate::guest::seen_files::SeenFiles;
use crate::wire::protocol::{self, FromGuest, Grant, GuestLimits, ToGuest, TrialRequest};
use bytes::Bytes;
use tokio::io::AsyncWrite;
use trialbox_core::seam::rng::guest_wasi_rng;
use trialbox_core::session::door::CheckpointState;
use trialbox_core::session::transcript::LogLevel;
use wasmtime::Result;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// The state of one instance.
pub(crate) struct HostState {
    link: Link,
    /// The running trial; `None` while the objective describes itself.
    trial: Option<TrialRequest>,
    wasi: WasiCtx,
    table: ResourceTable,
    pub(crate) seen_files: SeenFiles,
    pub(crate) clock: CountingClock,
    pub(crate) meter: Meter,
}

/// The rights of an instance.
pub(crate) struct Rights<'a> {
    pub(crate) grants: &'a [Grant],
    pub(crate) env: &'a [(String, String)],
    pub(crate) deterministic: bool,
    pub(crate) limits: GuestLimits,
}

impl Rights<'_> {
    /// Returns the context of WASI with these rights, whose random numbers follow from a seed if there is one. Its
    /// clocks are those of the machine.
    ///
    /// # Errors
    /// Fails if a granted directory is not there any more, or is another one.
    pub(crate) fn wasi(&self, link: &Link, seed: Option<u64>) -> Result<WasiCtxBuilder> {
        let mut wasi = WasiCtxBuilder::new();
        // The guest has this thread for itself, so it may block it.
        wasi.allow_blocking_current_thread(true);
        wasi.stdout(Output::new(link, false));
        wasi.stderr(Output::new(link, true));
        wasi.envs(self.env);
        if let Some(seed) = seed {
            wasi.secure_random(guest_wasi_rng(seed, 0));
            wasi.insecure_random(guest_wasi_rng(seed, 1));
            wasi.insecure_random_seed(u128::from(seed));
        }
        for grant in self.grants {
            let perms = if grant.writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            grant.check()?;
            wasi.preopened_dir(&grant.host, &grant.guest, perms)?;
        }
        wasi.max_random_size(self.limits.random_bytes);
        Ok(wasi)
    }
}

impl HostState {
    /// Creates the state of an instance that runs a trial, or that only describes itself.
    pub(crate) fn new(link: &Link, trial: Option<TrialRequest>, rights: &Rights) -> Result<Self> {
        let mut wasi = rights.wasi(link, trial.map(|trial| trial.seed))?;
        let clock = CountingClock::default();
        if rights.deterministic {
            fix_clocks(&mut wasi, &clock);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(rights.limits.handles.try_into().unwrap_or(usize::MAX));
        // Only a trial has a peak of memory to report.
        let meter = Meter::new(rights.limits, trial.map(|_| link.clone()));
        Ok(HostState {
            link: link.clone(),
            trial,
            wasi: wasi.build(),
            table,
            seen_files: SeenFiles::default(),
            clock,
            meter,
        })
    }

    /// Returns the running trial, or the error of a call without one.
    fn trial(&self, call: &str) -> Result<TrialRequest> {
        self.trial.ok_or_else(|| {
            IllegalCall(format!("the guest called `{call}` while no trial was running")).into()
        })
    }

    fn ask(&self, call: &str, question: &FromGuest) -> Result<ToGuest> {
        self.trial(call)?;
        self.link.ask(question)
    }

    fn tell(&self, call: &str, message: &FromGuest) -> Result<()> {
        self.trial(call)?;
        self.link.send(message)
    }
}

fn unexpected<T>(answer: &ToGuest) -> Result<T> {
    Err(wasmtime::Error::msg(format!("expected another answer of the host, found {answer:?}")))
}

impl Host for HostState {
    fn number(&mut self) -> Result<u32> {
        Ok(self.trial("number")?.number)
    }

    fn seed(&mut self) -> Result<u64> {
        Ok(self.trial("seed")?.seed)
    }

    fn suggest_float(
        &mut self,
        name: String,
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    ) -> Result<f64> {
        match self.ask("suggest-float", &FromGuest::SuggestFloat { name, low, high, log, step })? {
            ToGuest::Float(value) => Ok(value),
            other => unexpected(&other),
        }
    }

    fn suggest_int(
        &mut self,
        name: String,
        low: i64,
        high: i64,
        log: bool,
        step: i64,
    ) -> Result<i64> {
        match self.ask("suggest-int", &FromGuest::SuggestInt { name, low, high, log, step })? {
            ToGuest::Int(value) => Ok(value),
            other => unexpected(&other),
        }
    }

    fn suggest_categorical(&mut self, name: String, choices: Vec<Choice>) -> Result<u32> {
        let choices = choices.into_iter().map(protocol::Choice::from).collect();
        match self.ask("suggest-categorical", &FromGuest::SuggestCategorical { name, choices })? {
            ToGuest::Index(index) => Ok(index),
            other => unexpected(&other),
        }
    }

    fn report(&mut self, value: f64, step: u32) -> Result<()> {
        self.trial("report")?;
        self.link.send_soon(&FromGuest::Report { value, step: step.into() })
    }

    fn should_prune(&mut self) -> Result<bool> {
        match self.ask("should-prune", &FromGuest::ShouldPrune)? {
            ToGuest::Bool(prune) => Ok(prune),
            other => unexpected(&other),
        }
    }

    fn set_user_attr(&mut self, key: String, json: String) -> Result<()> {
        self.tell("set-user-attr", &FromGuest::SetUserAttr { key, json })
    }

    fn set_constraint(&mut self, name: String, value: f64) -> Result<()> {
        self.tell("set-constraint", &FromGuest::SetConstraint { name, value })
    }

    fn remaining_seconds(&mut self) -> Result<f64> {
        match self.ask("remaining-seconds", &FromGuest::RemainingSeconds)? {
            ToGuest::Float(seconds) => Ok(seconds),
            other => unexpected(&other),
        }
    }

    fn checkpoint(&mut self) -> Result<trial::CheckpointState> {
        Ok(match self.trial("checkpoint")?.checkpoint {
            CheckpointState::Unavailable => trial::CheckpointState::Unavailable,
            CheckpointState::Fresh => trial::CheckpointState::Fresh,
            CheckpointState::Resumed => trial::CheckpointState::Resumed,
        })
    }

    fn log(&mut self, level: trial::LogLevel, message: String) -> Result<()> {
        let level = match level {
            trial::LogLevel::Debug => LogLevel::Debug,
            trial::LogLevel::Info => LogLevel::Info,
            trial::LogLevel::Warning => LogLevel::Warning,
            trial::LogLevel::Error => LogLevel::Error,
        };
        self.tell("log", &FromGuest::Log { level, text: message })
    }
}

impl From<Choice> for protocol::Choice {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::None => protocol::Choice::None,
            Choice::Boolean(value) => protocol::Choice::Bool(value),
            Choice::Integer(value) => protocol::Choice::Int(value),
            Choice::Real(value) => protocol::Choice::Float(value),
            Choice::Text(value) => protocol::Choice::Text(value),
        }
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The guest's standard output or error: passed on to the host process, which bounds what it keeps.
#[derive(Clone)]
pub(crate) struct Output {
    link: Link,
    stderr: bool,
}

impl Output {
    pub(crate) fn new(link: &Link, stderr: bool) -> Self {
        Output { link: link.clone(), stderr }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // WASI 0.3 alone asks for this, and the host does not offer it.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.link.output(self.stderr, &bytes).map_err(wasmtime_wasi::p2::StreamError::Trap)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.link.output_piece())
    }
}
