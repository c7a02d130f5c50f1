//! The wasm engine's configuration: which code is accepted, and how it is compiled.

use crate::wire::protocol::EngineSettings;
use rustix::process::{Resource, getrlimit};
use wasmtime::{Collector, Config, Engine};

/// The address space that is enough for reservations. wasmtime reserves 4 GiB and more of addresses for each memory, so
/// that hardware checks its bounds, and a component has a few memories.
const AMPLE_ADDRESS_SPACE: u64 = 64 << 30;

/// Creates the engine of a guest process.
///
/// Epoch checks are compiled in only without a guest process that the host could kill, and fuel only if the user wants
/// it counted: they make tight SIMD loops 2.2 to 2.4 times slower.
///
/// A deterministic engine gives every NaN the same bits on every machine. Tight floating-point loops then take 1.4 to
/// 2.8 times as long.
pub(crate) fn new_engine(settings: EngineSettings) -> wasmtime::Result<Engine> {
    let mut config = new_config(settings)?;
    // The engine has a collector and exceptions for an interpreter of Python. For components both are attack surface.
    config.wasm_gc(false);
    config.wasm_exceptions(false);
    config.gc_support(false);
    config.cranelift_nan_canonicalization(settings.deterministic);
    Engine::new(&config)
}

/// Creates the engine for an interpreter of Python, whose C++ code throws exceptions.
///
/// The code does not depend on the settings. A deterministic trial needs no other: on one architecture the instructions
/// that the compiler chooses give a NaN the same bits on every machine. The collector counts references: without one,
/// each exception that is caught would leave 70 bytes behind.
pub(crate) fn new_python_engine(settings: EngineSettings) -> wasmtime::Result<Engine> {
    let mut config =
        new_config(EngineSettings { metered: false, interruptible: false, ..settings })?;
    config.wasm_component_model(false);
    config.wasm_exceptions(true);
    config.collector(Collector::DeferredReferenceCounting);
    Engine::new(&config)
}

fn new_config(settings: EngineSettings) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config.wasm_memory64(false);
    // Without measurable cost, relaxed SIMD then gives the same bits everywhere.
    config.relaxed_simd_deterministic(true);
    config.consume_fuel(settings.metered);
    config.epoch_interruption(settings.interruptible);
    let stack_bytes = usize::try_from(settings.stack_bytes)?;
    config.max_wasm_stack(stack_bytes);
    config.async_stack_size(stack_bytes.saturating_add(1 << 20));
    if address_space_is_small() {
        config.memory_reservation(0);
        config.memory_guard_size(0);
        config.memory_reservation_for_growth(1 << 20);
    }
    // The image of a memory is a file to the system: a limit on the size of files would refuse it.
    let files_are_limited = getrlimit(Resource::Fsize).current.is_some();
    config.memory_init_cow(!files_are_limited);
    Ok(config)
}

/// Returns whether the address space is too small for reservations, as on clusters that limit jobs by `ulimit -v`.
pub fn address_space_is_small() -> bool {
    getrlimit(Resource::As).current.is_some_and(|most| most < AMPLE_ADDRESS_SPACE)
}
