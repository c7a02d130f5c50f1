//! The making of a runtime's files: the compiled code of the interpreter, and a snapshot of it.

use crate::guest::engine::new_python_engine;
use crate::guest::environment::GuestEnvironment;
use crate::guest::host_state::Rights;
use crate::guest::link::Link;
use crate::guest::meter::is_out_of_memory;
use crate::guest::process::{internal, start_executor};
use crate::guest::python::code::{ADD_AGAIN, code_name, deserialize};
use crate::guest::python::interpreter::{Interpreter, new_linker};
use crate::guest::python::snapshot::prepare;
use crate::guest::python::state::{PythonState, Source};
use crate::wire::protocol::{BuildRequest, Built, FromGuest, Grant, GuestLimits};
use crate::wire::python::{LIBRARY_PATH, RECIPE_PATH};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_core::session::transcript::LogLevel;
use trialbox_core::study::limits::{Limit, LimitHit, Limits};
use trialbox_files::{FileError, Folder};
use wasmtime::{Engine, Module};

/// Builds the files and tells the host process their names.
pub(crate) fn serve(
    link: &Link,
    mut request: BuildRequest,
    environment: &GuestEnvironment,
) -> wasmtime::Result<()> {
    environment.limit_memory_of_compiler(request.compile_memory_bytes);
    let stack_bytes = environment.make_room_for_stack(request.engine.stack_bytes);
    request.engine.stack_bytes = stack_bytes;
    match build(link, &request, environment) {
        Ok(built) => link.send(&FromGuest::Built(built)),
        Err(rejection) => link.send(&FromGuest::Rejected(rejection)),
    }
}

fn build(
    link: &Link,
    request: &BuildRequest,
    environment: &GuestEnvironment,
) -> Result<Built, Rejection> {
    let engine = new_python_engine(request.engine).map_err(internal)?;
    let name = code_name(&engine);
    let found = request.codes.iter().find(|code| code.name == name);
    let found = found.map(|code| code.open().map_err(cannot_read)).transpose()?;
    let mut source = request.module.open().map_err(cannot_read)?;
    let target = Folder::open_private(&request.target).map_err(cannot_write)?;
    let grant = |host: &PathBuf, guest: &str| {
        Grant::of(host.clone(), guest.to_owned(), false).map_err(cannot_read)
    };
    let grants = [grant(&request.library, LIBRARY_PATH)?, grant(&request.recipe, RECIPE_PATH)?];
    environment.confine_to_load(&grants, Some(&request.target));
    link.start_sender();
    start_executor();
    let is_new = found.is_none();
    let code = match found {
        Some(code) => code,
        None => compile(link, &engine, &mut source, &target, &name)?,
    };
    let module = deserialize(&engine, code).map_err(internal)?;
    if let Some(snapshot) = &request.snapshot {
        say(link, "importing libraries for the snapshot: some seconds");
        take_snapshot(link, &module, &grants, &target, snapshot, request)?;
    }
    Ok(Built { code: name, is_new })
}

fn compile(
    link: &Link,
    engine: &Engine,
    source: &mut File,
    target: &Folder,
    name: &str,
) -> Result<File, Rejection> {
    say(link, "compiling the interpreter: one to three minutes, and 2 GB of memory");
    let mut module = Vec::new();
    source.read_to_end(&mut module).map_err(cannot_read)?;
    let code = engine.precompile_module(&module).map_err(|error| {
        if is_out_of_memory(&error) {
            let hit = LimitHit { limit: Limit::CompileMemory, allowed: 0, used: None };
            return Rejection::of_compile_limit("takes too much memory", hit);
        }
        internal(error)
    })?;
    drop(module);
    let mut aside = target.aside_private(name.as_ref()).map_err(cannot_write)?;
    aside.write_bytes(&code).map_err(cannot_write)?;
    aside.replace().map_err(cannot_write)?;
    target.open_file(name.as_ref()).map_err(cannot_read)
}

fn take_snapshot(
    link: &Link,
    module: &Module,
    grants: &[Grant],
    target: &Folder,
    name: &str,
    request: &BuildRequest,
) -> Result<(), Rejection> {
    let mut limits = GuestLimits::from(&Limits::default());
    limits.stack_bytes = request.engine.stack_bytes;
    // Clocks that count make the same snapshot everywhere.
    let rights = Rights { grants, env: &[], deterministic: true, limits };
    let source = Arc::new(Source { path: String::new(), text: String::new() });
    let linker = new_linker(module.engine(), true).map_err(internal)?;
    let state = PythonState::new(link, None, &source, &rights).map_err(internal)?;
    let mut interpreter = Interpreter::new(&linker, module, state).map_err(internal)?;
    prepare(&mut interpreter).map_err(|error| {
        let tail = link.take_stderr_tail();
        let message = format!("the snapshot of the interpreter failed: {error:#} {tail}");
        Rejection::new(RejectionCode::Runtime, message, "please report this")
    })?;
    let memory = interpreter.memory.data(&interpreter.store);
    let mut aside = target.aside_private(name.as_ref()).map_err(cannot_write)?;
    aside.write_sparse(memory).map_err(cannot_write)?;
    aside.replace().map_err(cannot_write)
}

fn say(link: &Link, text: &str) {
    let _ = link.send(&FromGuest::Log { level: LogLevel::Info, text: text.to_owned() });
}

fn cannot_read(error: impl std::fmt::Display) -> Rejection {
    let message = format!("the runtime for Python cannot be read: {error}");
    Rejection::new(RejectionCode::Runtime, message, ADD_AGAIN)
}

fn cannot_write(error: FileError) -> Rejection {
    let message = format!("the runtime for Python cannot be written: {error}");
    let is_full = error.kind() == io::ErrorKind::StorageFull;
    let help = if is_full {
        "it needs 400 MB"
    } else {
        "name a directory of yours with TRIALBOX_RUNTIME_DIR"
    };
    Rejection::new(RejectionCode::Runtime, message, help)
}
