//! The environment of a guest's code, as its own side sees it: a separate process, or a thread of the host process.

use crate::guest::lockdown;
use crate::wire::protocol::Grant;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use wasmtime::Engine;

/// The environment of a guest's code. On a thread, settings of the whole process stay untouched.
#[derive(Debug)]
pub(crate) enum GuestEnvironment {
    Process {
        /// True if the kernel filters the system calls of the process.
        seccomp: bool,
    },
    Thread(InterruptHandle),
}

impl GuestEnvironment {
    /// Returns whether the kernel filters system calls.
    pub(crate) fn seccomp(&self) -> bool {
        matches!(self, GuestEnvironment::Process { seccomp: true })
    }

    /// Confines the process, see [`lockdown::leave_only`].
    pub(crate) fn leave_only(&self, grants: &[Grant], cache_dir: Option<&Path>) -> u32 {
        match self {
            GuestEnvironment::Process { .. } => lockdown::leave_only(grants, cache_dir),
            GuestEnvironment::Thread(_) => 0,
        }
    }

    /// Enlarges the stack, see [`lockdown::make_room_for_stack`]. A thread starts with its stack.
    pub(crate) fn make_room_for_stack(&self, wasm_bytes: u64) -> u64 {
        match self {
            GuestEnvironment::Process { .. } => lockdown::make_room_for_stack(wasm_bytes),
            GuestEnvironment::Thread(_) => wasm_bytes,
        }
    }

    /// Limits the memory of `work`, see [`lockdown::with_memory_limit`].
    pub(crate) fn with_memory_limit<T>(&self, bytes: u64, work: impl FnOnce() -> T) -> T {
        match self {
            GuestEnvironment::Process { .. } => lockdown::with_memory_limit(bytes, work),
            GuestEnvironment::Thread(_) => work(),
        }
    }

    /// Lets the host process interrupt the guests of this engine, if it cannot kill their process.
    pub(crate) fn set_engine(&self, engine: &Engine) {
        if let GuestEnvironment::Thread(InterruptHandle(shared)) = self {
            let _ = shared.engine.set(engine.clone());
        }
    }

    /// Checks for an interrupt. The call belongs between setting an instance's epoch deadline and running the instance:
    /// an interrupt before the deadline is set would otherwise be lost.
    ///
    /// # Errors
    /// Fails if the host process has interrupted the guest.
    pub(crate) fn check_interrupt(&self) -> wasmtime::Result<()> {
        match self {
            GuestEnvironment::Thread(InterruptHandle(shared))
                if shared.is_interrupted.load(Ordering::SeqCst) =>
            {
                Err(wasmtime::Error::msg("the host has ended the trial"))
            }
            _ => Ok(()),
        }
    }
}

/// A handle with which the host process interrupts a guest on a thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct InterruptHandle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_interrupted: AtomicBool,
    engine: OnceLock<Engine>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("is_interrupted", &self.is_interrupted)
            .finish_non_exhaustive()
    }
}

impl InterruptHandle {
    /// Interrupts the running call and all later calls.
    pub(crate) fn interrupt(&self) {
        self.0.is_interrupted.store(true, Ordering::SeqCst);
        if let Some(engine) = self.0.engine.get() {
            engine.increment_epoch();
        }
    }
}
