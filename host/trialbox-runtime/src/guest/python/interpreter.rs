//! An instance of the interpreter, and the functions that it exports.

use crate::guest::python::calls;
use crate::guest::python::sleep::fix_sleep;
use crate::guest::python::state::{PythonState, WASI_COPY_BYTES};
use wasmtime::{Engine, Instance, Linker, Memory, Module, Result, Store};
use wasmtime_wasi::p1::add_to_linker_sync;

/// Returns the imports of the interpreter: WASI 0.1, and the function through which it calls the host.
pub(crate) fn new_linker(engine: &Engine, deterministic: bool) -> Result<Linker<PythonState>> {
    let mut linker = Linker::new(engine);
    add_to_linker_sync(&mut linker, |state: &mut PythonState| &mut state.wasi)?;
    calls::add_to_linker(&mut linker)?;
    if deterministic {
        fix_sleep(&mut linker)?;
    }
    Ok(linker)
}

/// An instance of the interpreter.
pub(crate) struct Interpreter {
    pub(crate) store: Store<PythonState>,
    pub(crate) instance: Instance,
    pub(crate) memory: Memory,
}

impl Interpreter {
    /// Makes an instance, which has run nothing yet.
    pub(crate) fn new(
        linker: &Linker<PythonState>,
        module: &Module,
        state: PythonState,
    ) -> Result<Self> {
        let mut store = Store::new(module.engine(), state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(WASI_COPY_BYTES);
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("expected an export `memory`, found none"))?;
        Ok(Interpreter { store, instance, memory })
    }

    /// Calls an exported function without parameters and results.
    pub(crate) fn call(&mut self, name: &str) -> Result<()> {
        self.instance.get_typed_func::<(), ()>(&mut self.store, name)?.call(&mut self.store, ())
    }

    /// Runs a text of Python in the interpreter.
    pub(crate) fn run(&mut self, text: &str) -> Result<()> {
        let store = &mut self.store;
        let allocate = self.instance.get_typed_func::<u32, u32>(&mut *store, calls::ALLOCATE)?;
        let turn = self.instance.get_typed_func::<(u32, u32), u32>(&mut *store, "turn")?;
        let length = u32::try_from(text.len())?;
        let place = allocate.call(&mut *store, length)?;
        self.memory.write(&mut *store, place as usize, text.as_bytes())?;
        turn.call(&mut *store, (place, length))?;
        Ok(())
    }
}
