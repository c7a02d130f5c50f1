//! What a guest's code is surrounded by, as that code's side sees it: a process that is its own, or a thread in a
//! process that is not.

use crate::guest::lockdown;
use crate::wire::protocol::Grant;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use wasmtime::Engine;

/// Where a guest's code runs. What belongs to a whole process is left alone on a thread.
#[derive(Debug)]
pub(crate) enum GuestEnvironment {
    Process {
        /// Whether the kernel filters its system calls.
        seccomp: bool,
    },
    Thread(InterruptHandle),
}

impl GuestEnvironment {
    pub(crate) fn seccomp(&self) -> bool {
        matches!(self, GuestEnvironment::Process { seccomp: true })
    }

    /// See [`lockdown::leave_only`].
    pub(crate) fn leave_only(&self, grants: &[Grant], cache_dir: Option<&Path>) -> u32 {
        match self {
            GuestEnvironment::Process { .. } => lockdown::leave_only(grants, cache_dir),
            GuestEnvironment::Thread(_) => 0,
        }
    }

    /// See [`lockdown::make_room_for_stack`]. A thread was given its stack.
    pub(crate) fn make_room_for_stack(&self, wasm_bytes: u64) -> u64 {
        match self {
            GuestEnvironment::Process { .. } => lockdown::make_room_for_stack(wasm_bytes),
            GuestEnvironment::Thread(_) => wasm_bytes,
        }
    }

    /// See [`lockdown::with_memory_limit`].
    pub(crate) fn with_memory_limit<T>(&self, bytes: u64, work: impl FnOnce() -> T) -> T {
        match self {
            GuestEnvironment::Process { .. } => lockdown::with_memory_limit(bytes, work),
            GuestEnvironment::Thread(_) => work(),
        }
    }

    /// Has the host process interrupt this engine's guests, where it cannot end their process.
    pub(crate) fn has_engine(&self, engine: &Engine) {
        if let GuestEnvironment::Thread(InterruptHandle(shared)) = self {
            let _ = shared.engine.set(engine.clone());
        }
    }

    /// To be called between setting an instance's epoch deadline and running it, so that it is not too late for
    /// either.
    ///
    /// # Errors
    /// When the host process wants no more.
    pub(crate) fn check_brake(&self) -> wasmtime::Result<()> {
        match self {
            GuestEnvironment::Thread(InterruptHandle(shared))
                if shared.is_pulled.load(Ordering::SeqCst) =>
            {
                Err(wasmtime::Error::msg("the host has ended the trial"))
            }
            _ => Ok(()),
        }
    }
}

/// What ends a guest that runs on a thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct InterruptHandle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_pulled: AtomicBool,
    engine: OnceLock<Engine>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("is_pulled", &self.is_pulled).finish_non_exhaustive()
    }
}

impl InterruptHandle {
    /// Interrupts what runs, and all that would run later.
    pub(crate) fn pull(&self) {
        self.0.is_pulled.store(true, Ordering::SeqCst);
        if let Some(engine) = self.0.engine.get() {
            engine.increment_epoch();
        }
    }
}
