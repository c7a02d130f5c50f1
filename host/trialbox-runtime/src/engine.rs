//! The wasm engine's configuration: which code is accepted, and how it is compiled.

use wasmtime::{Config, Engine};

/// The engine of a guest process.
///
/// Neither epochs nor fuel are compiled in: they make tight SIMD loops 2.2 to 2.4 times slower, and the
/// host process ends a guest that is late.
///
/// A `deterministic` one gives every NaN the same bits, on every machine; that costs 1.4 to 2.8 times the time of
/// tight floating-point loops.
pub(crate) fn new_engine(deterministic: bool) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.wasm_memory64(false);
    // Costs nothing measurable, and makes relaxed SIMD give the same bits everywhere.
    config.relaxed_simd_deterministic(true);
    config.cranelift_nan_canonicalization(deterministic);
    config.max_wasm_stack(1 << 20);
    config.async_stack_size(2 << 20);
    // The image of a memory is a file to the system: a limit on the size of files would refuse it.
    let files_are_limited =
        rustix::process::getrlimit(rustix::process::Resource::Fsize).current.is_some();
    config.memory_init_cow(!files_are_limited);
    Engine::new(&config)
}
