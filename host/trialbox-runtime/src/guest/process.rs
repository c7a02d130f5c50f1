//! The guest process: it loads one objective and runs it as often as the host process asks.

use crate::guest::bindings::Described;
use crate::guest::bindings::exports::trialbox::objective::{describe, objective};
use crate::guest::cache::{Cache, CachedCode, Reservation};
use crate::guest::deterministic;
use crate::guest::engine::new_engine;
use crate::guest::environment::{Confinement, GuestEnvironment, InterruptHandle};
#[cfg(feature = "failpoints")]
use crate::guest::escaped;
use crate::guest::failure::classify;
use crate::guest::host_state::{HostState, Rights};
#[cfg(feature = "failpoints")]
use crate::guest::impostor;
use crate::guest::link::Link;
use crate::guest::listings::count_listings;
use crate::guest::lockdown::{self, OwnStatus};
use crate::guest::meter::is_out_of_memory;
use crate::guest::python;
use crate::guest::refusal::{does_not_fit, not_valid};
use crate::guest::signals;
use crate::guest::signature;
use crate::wire::protocol::{FromGuest, GuestEnd, LoadRequest, ToGuest, TrialRequest};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Instant;
use trialbox_core::session::door::{Loaded, Rejection, RejectionCode};
use trialbox_core::study::artifact::{DataSource, Description, Metric};
use trialbox_core::study::limits::{Limit, LimitHit};
use wasmtime::component::{Component, HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// Runs the guest process from start to end. Standard input is the socket to the host process.
pub fn run_guest() -> ExitCode {
    if let Some(code) = lockdown::tries_root() {
        return code;
    }
    match serve_as_process() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The host process reads the reason from standard error.
            let _ = io::Write::write_all(&mut io::stderr(), format!("{error:#}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Does the work of a guest process on a thread of the host process, which has the socket's other end.
///
/// # Errors
/// Fails with the reason, for people, if the conversation breaks off.
pub(crate) fn serve_on_thread(
    socket: UnixStream,
    interrupt: InterruptHandle,
) -> Result<(), String> {
    let link = Link::new(socket);
    // A panic must close the socket too, or the host process would wait for an answer.
    let _hang_up = HangUp(link.clone());
    serve(&link, GuestEnvironment::Thread(interrupt)).map_err(|error| format!("{error:#}"))
}

/// Closes the socket when it is dropped.
struct HangUp(Link);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}

fn serve_as_process() -> wasmtime::Result<()> {
    #[cfg(feature = "failpoints")]
    if let Some(kind) = impostor::kind() {
        return Ok(impostor::serve(&kind, &take_socket()?)?);
    }
    lockdown::close_inherited_descriptors();
    lockdown::give_up_rights();
    let link = Link::new(take_socket()?);
    signals::leave_signals_to_host()?;
    // Compiled code is saved in a file.
    signals::survive_file_limits()?;
    serve(&link, GuestEnvironment::Process { status: OwnStatus::open() })
}

fn serve(link: &Link, environment: GuestEnvironment) -> wasmtime::Result<()> {
    match link.receive()? {
        Some(ToGuest::Load(request)) => serve_component(link, request, environment),
        Some(ToGuest::LoadPython(request)) => python::serve(link, *request, environment),
        Some(ToGuest::Build(request)) => python::build::serve(link, request, &environment),
        _ => Ok(()),
    }
}

fn serve_component(
    link: &Link,
    mut request: LoadRequest,
    environment: GuestEnvironment,
) -> wasmtime::Result<()> {
    environment.limit_memory_of_compiler(request.compile_memory_bytes);
    request.engine.stack_bytes = environment.make_room_for_stack(request.engine.stack_bytes);
    let guest = match Guest::load(link, request, environment) {
        Ok(guest) => guest,
        Err(rejection) => return link.send(&FromGuest::Rejected(rejection)),
    };
    serve_trials(link, guest.request.engine.stack_bytes, |trial| guest.evaluate(trial))
}

/// Runs trials as often as the host process asks. The system may allow a smaller stack than the limit.
pub(crate) fn serve_trials(
    link: &Link,
    stack_bytes: u64,
    evaluate: impl Fn(TrialRequest) -> FromGuest,
) -> wasmtime::Result<()> {
    while let Some(message) = link.receive()? {
        let ToGuest::Evaluate(mut trial) = message else {
            return Err(wasmtime::Error::msg(format!("unexpected message {message:?}")));
        };
        trial.limits.stack_bytes = trial.limits.stack_bytes.min(stack_bytes);
        link.send(&evaluate(trial))?;
    }
    Ok(())
}

/// Takes the socket from standard input, and puts `/dev/null` there, or in a root without devices the end of a pipe.
fn take_socket() -> io::Result<UnixStream> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let nothing: OwnedFd = match std::fs::File::open("/dev/null") {
        Ok(file) => file.into(),
        Err(_) => io::pipe()?.0.into(),
    };
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(UnixStream::from(socket))
}

/// An objective that is ready to run.
struct Guest {
    link: Link,
    environment: GuestEnvironment,
    request: LoadRequest,
    engine: Engine,
    instance_pre: InstancePre<HostState>,
    objective: objective::GuestIndices,
    /// The memory of the process without an instance.
    own_bytes: u64,
}

impl Guest {
    fn load(
        link: &Link,
        mut request: LoadRequest,
        mut environment: GuestEnvironment,
    ) -> Result<Self, Rejection> {
        let started = Instant::now();
        let engine = new_engine(request.engine).map_err(internal)?;
        environment.set_engine(&engine);
        let compiled = compile(link, &request, &engine, &environment)?;
        // The image of a memory is a file without a name, which cannot be made later. An error comes again with the
        // first instance.
        let _ = compiled.component.initialize_copy_on_write_image();
        // The objective's code runs only after this: `describe` is its first call. It finds no key.
        request.cache = None;
        let grants = request.grants_of_trial();
        let confinement = environment.confine_to_trials(compiled.confinement, &grants, || {
            start_threads(link, &compiled.component, &engine);
        });
        let own_bytes = environment.take_own_bytes();
        environment.limit_memory_for_good(own_bytes, &request.limits);
        #[cfg(feature = "failpoints")]
        if let Some(found) = escaped::attempts(&grants) {
            let code = RejectionCode::Invalid;
            return Err(Rejection { code, message: found, help: None, limit: None });
        }
        let mut linker = new_linker(&engine).map_err(internal)?;
        count_listings(&mut linker, request.engine.deterministic).map_err(internal)?;
        if request.engine.deterministic {
            deterministic::fix_functions(&mut linker).map_err(internal)?;
        }
        signature::check(&compiled.component, &engine)?;
        let instance_pre = linker
            .instantiate_pre(&compiled.component)
            .map_err(|error| does_not_fit(error.chain().map(ToString::to_string)))?;
        let objective = objective::GuestIndices::new(&instance_pre)
            .map_err(|error| does_not_fit(error.chain().map(ToString::to_string)))?;
        let guest = Guest {
            link: link.clone(),
            own_bytes,
            environment,
            request,
            engine,
            instance_pre,
            objective,
        };
        let description = guest.describe()?;
        let loaded = Loaded {
            from_cache: compiled.from_cache,
            cache_problem: compiled.cache_problem,
            refused_code: compiled.refused_code,
            ..confinement.loaded(description, started.elapsed())
        };
        link.send(&FromGuest::Loaded(loaded)).map_err(internal)?;
        Ok(guest)
    }

    /// Returns the description of the objective, or `None` if it does not export `describe`.
    fn describe(&self) -> Result<Option<Description>, Rejection> {
        let Ok(indices) = describe::GuestIndices::new(&self.instance_pre) else { return Ok(None) };
        let described = self.instantiate(None).and_then(|(mut store, instance)| {
            indices.load(&mut store, &instance)?.call_describe(&mut store)
        });
        match described {
            Ok(description) => Ok(Some(description.into())),
            Err(error) => {
                let tail = self.link.take_stderr_tail();
                let found = classify(&error, &tail, &self.request.limits);
                let message = format!("the objective's `describe` failed: {}", found.message);
                Err(Rejection { code: RejectionCode::Abi, message, help: None, limit: found.limit })
            }
        }
    }

    /// Runs one trial in a fresh instance.
    fn evaluate(&self, trial: TrialRequest) -> FromGuest {
        let broke = |error: wasmtime::Error| {
            GuestEnd::Broke(classify(&error, &self.link.take_stderr_tail(), &trial.limits))
        };
        let (mut store, instance) = match self.instantiate(Some(trial)) {
            Ok(ready) => ready,
            Err(error) => {
                let end = broke(error);
                return FromGuest::Ended { end, peak_memory_bytes: 0, fuel: None };
            }
        };
        let called = self
            .objective
            .load(&mut store, &instance)
            .and_then(|objective| objective.call_evaluate(&mut store));
        let end = match called {
            Ok(Ok(values)) => GuestEnd::Complete(values),
            Ok(Err(objective::Failure::Pruned)) => GuestEnd::Pruned,
            Ok(Err(objective::Failure::Error(message))) => GuestEnd::Error(message),
            Err(error) => broke(error),
        };
        let left = store.get_fuel().ok();
        let fuel = trial.limits.fuel.zip(left).map(|(given, left)| given - left);
        FromGuest::Ended { end, peak_memory_bytes: store.data().meter.peak_memory_bytes(), fuel }
    }

    fn instantiate(
        &self,
        trial: Option<TrialRequest>,
    ) -> wasmtime::Result<(Store<HostState>, Instance)> {
        let grants = self.request.grants_of(trial.as_ref());
        let rights = Rights {
            grants: &grants,
            env: &self.request.env,
            deterministic: self.request.engine.deterministic,
            limits: self.request.limits_of(trial.as_ref()),
        };
        let limits = rights.limits;
        self.environment.limit_memory_of_instance(self.own_bytes, &limits);
        let mut store = Store::new(&self.engine, HostState::new(&self.link, trial, &rights)?);
        store.limiter(|state| &mut state.meter);
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        store.set_hostcall_fuel(size(limits.payload_bytes));
        store.set_max_component_handles(size(limits.handles));
        if self.request.engine.metered {
            // Fuel limits trials only. The compile time limits `describe`.
            store.set_fuel(trial.and(limits.fuel).unwrap_or(u64::MAX))?;
        }
        if self.request.engine.interruptible {
            store.set_epoch_deadline(1);
            self.environment.check_interrupt()?;
        }
        let instance = self.instance_pre.instantiate(&mut store)?;
        Ok((store, instance))
    }
}

/// Returns the rejection for an error of the engine that no objective should cause.
pub(crate) fn internal(error: wasmtime::Error) -> Rejection {
    Rejection::new(
        RejectionCode::Invalid,
        format!("the wasm engine refused: {error:#}"),
        "please report this",
    )
}

/// A compiled component and its origin.
struct Compiled {
    component: Component,
    from_cache: bool,
    cache_problem: Option<String>,
    refused_code: Option<String>,
    /// The confinement for compiling; `None` if the code came from the cache.
    confinement: Option<Confinement>,
}

/// Takes compiled code from the cache, or compiles the component and saves the code there. Compiling is the first
/// operation on the objective's bytes, so the process is confined to the grants and the cache before it.
fn compile(
    link: &Link,
    request: &LoadRequest,
    engine: &Engine,
    environment: &GuestEnvironment,
) -> Result<Compiled, Rejection> {
    let cache = Cache::new(request, engine);
    let found = cache.read();
    let refused_code = found.refused.clone();
    let from_cache = |component, refused_code| Compiled {
        component,
        from_cache: true,
        cache_problem: None,
        refused_code,
        confinement: None,
    };
    if let Some(component) = load_cached(engine, found) {
        return Ok(from_cache(component, refused_code));
    }
    let reserved = cache.reserve();
    // Another process may have compiled it while this one waited for the lock.
    if let Some(component) = load_cached(engine, cache.read()) {
        return Ok(from_cache(component, refused_code));
    }
    let reservation = reserved.as_ref().ok().and_then(Option::as_ref);
    let directory = reservation.map(Reservation::directory);
    let confinement = Some(environment.confine_to_load(&request.grants_of_trial(), directory));
    let module = receive_objective(link)?;
    let code =
        engine.precompile_component(&module).map_err(|error| refused(&error, &module, request))?;
    let kept = reserved.and_then(|it| it.map_or(Ok(()), |reservation| reservation.write(&code)));
    let cache_problem = kept.err().map(|error| error.to_string());
    let component = deserialize(engine, &code).map_err(|error| {
        Rejection::new(
            RejectionCode::Invalid,
            format!("the wasm engine refused its own code: {error:#}"),
            "please report this",
        )
    })?;
    Ok(Compiled { component, from_cache: false, cache_problem, refused_code, confinement })
}

/// Loads code that the cache vouches for. Code of another engine counts as none.
fn load_cached(engine: &Engine, found: CachedCode) -> Option<Component> {
    deserialize(engine, &found.code?).ok()
}

/// Starts the threads that a trial may need: the one that sends delayed messages and, for the functions of WASI that
/// wait, an executor.
fn start_threads(link: &Link, component: &Component, engine: &Engine) {
    link.start_sender();
    let ty = component.component_type();
    if ty.imports(engine).any(|(name, _)| name.starts_with("wasi:")) {
        start_executor();
    }
}

/// Starts the thread that functions of WASI need which wait. Without threads it panics, now or when it is needed.
pub(crate) fn start_executor() {
    let _ = std::panic::catch_unwind(|| with_ambient_tokio_runtime(|| ()));
}

/// Returns the rejection of a component that does not compile.
fn refused(error: &wasmtime::Error, module: &[u8], request: &LoadRequest) -> Rejection {
    if is_out_of_memory(error) {
        let allowed = request.compile_memory_bytes;
        let hit = LimitHit { limit: Limit::CompileMemory, allowed, used: None };
        return Rejection::of_compile_limit("takes too much memory", hit);
    }
    not_valid(module, &error.root_cause().to_string())
}

/// Asks the host process for the objective's file, and waits for it.
pub(crate) fn receive_objective(link: &Link) -> Result<Vec<u8>, Rejection> {
    let lost = || Rejection::new(RejectionCode::Died, "the host process went away", "start again");
    link.send(&FromGuest::NeedModule).map_err(|_| lost())?;
    match link.receive() {
        Ok(Some(ToGuest::Component { bytes })) => link.receive_bytes(bytes).map_err(|_| lost()),
        _ => Err(lost()),
    }
}

#[expect(unsafe_code, reason = "the only way to load compiled code, ours or a cache's")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` runs what it is given as native code. `code` is either what
    // `precompile_component` has just returned, or an entry that `CacheEntry::read` vouches for: written by
    // this user's trialbox, of this version, for this component, engine and CPU, because its authentication under
    // the user's key says so. It is held in memory, so no other process can change it.
    unsafe { Component::deserialize(engine, code) }
}

/// Returns the imports that an objective may use: the contract, and WASI 0.2 without sockets.
fn new_linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    Described::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_sync(&mut linker)?;
    let l = &mut linker;
    bindings::random::insecure::add_to_linker::<HostState, WasiRandom>(l, |state| {
        state.ctx().ctx.random()
    })?;
    bindings::random::insecure_seed::add_to_linker::<HostState, WasiRandom>(l, |state| {
        state.ctx().ctx.random()
    })?;
    bindings::cli::exit::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    bindings::cli::environment::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    bindings::cli::terminal_input::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    bindings::cli::terminal_output::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    bindings::cli::terminal_stdin::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    bindings::cli::terminal_stdout::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    bindings::cli::terminal_stderr::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    bindings::filesystem::preopens::add_to_linker::<HostState, WasiFilesystem>(
        l,
        HostState::filesystem,
    )?;
    bindings::sync::filesystem::types::add_to_linker::<HostState, WasiFilesystem>(
        l,
        HostState::filesystem,
    )?;
    Ok(linker)
}

impl From<describe::Description> for Description {
    fn from(found: describe::Description) -> Self {
        let metrics = found.metrics.into_iter().map(|metric| Metric {
            name: metric.name,
            maximize: metric.direction == describe::Direction::Maximize,
        });
        let data = found.data.into_iter().map(|source| DataSource {
            path: source.path,
            summary: source.summary,
            sha256: source.sha256,
        });
        Description {
            name: found.name,
            version: found.version,
            summary: found.summary,
            metrics: metrics.collect(),
            data: data.collect(),
            extra: found.extra,
        }
    }
}
