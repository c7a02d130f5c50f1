//! The environment of a guest's code, as its own side sees it: a separate process, or a thread of the host process.

use crate::guest::engine::address_space_is_small;
use crate::guest::lockdown::{self, FileAccess, OwnStatus};
use crate::wire::protocol::{Grant, GuestLimits};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use trialbox_core::session::door::Loaded;
use trialbox_core::study::artifact::Description;
use wasmtime::Engine;

/// The memory that the process may take during a call beyond what is counted: buffers, resources, a thread.
const RESERVE_BYTES: u64 = 24 << 20;

/// The environment of a guest's code. On a thread, settings of the whole process stay untouched.
#[derive(Debug)]
pub(crate) enum GuestEnvironment {
    Process { status: OwnStatus },
    Thread(InterruptHandle),
}

/// The precautions that the kernel takes for a guest process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Confinement {
    /// True if the root directory holds the grants alone.
    pub(crate) empty_root: bool,
    /// True if system calls are filtered.
    pub(crate) seccomp: bool,
    /// True if a second filter leaves only the calls that trials need.
    pub(crate) second_filter: bool,
    /// The version of Landlock; 0 without.
    pub(crate) landlock_abi: u32,
}

impl Confinement {
    /// Returns the answer of a guest process that is confined so and ready for trials. Whatever the answer says of
    /// compiled code is left for the caller.
    pub(crate) fn loaded(self, description: Option<Description>, load_time: Duration) -> Loaded {
        Loaded {
            description,
            landlock_abi: self.landlock_abi,
            seccomp: self.seccomp,
            second_filter: self.second_filter,
            empty_root: self.empty_root,
            small_address_space: address_space_is_small(),
            load_time,
            ..Loaded::default()
        }
    }
}

impl GuestEnvironment {
    /// Confines the process to the grants, the directory of compiled code if there is one, and the system calls of
    /// loading. Call it before the process receives the objective's bytes.
    pub(crate) fn confine_to_load(
        &self,
        grants: &[Grant],
        cache_dir: Option<&Path>,
    ) -> Confinement {
        let GuestEnvironment::Process { .. } = self else { return Confinement::default() };
        Confinement {
            // Landlock and the filter both refuse to mount.
            empty_root: lockdown::enter_empty_root(grants, cache_dir),
            seccomp: lockdown::filter_system_calls(),
            second_filter: false,
            landlock_abi: lockdown::leave_only(grants, cache_dir),
        }
    }

    /// Confines the process to the grants and the system calls of trials. Call it before the objective's code runs.
    ///
    /// `found` is the result of [`Self::confine_to_load`]; a process that took compiled code from the cache has
    /// received nothing of the objective's and was not confined before. `start_threads` starts the threads that trials
    /// need.
    pub(crate) fn confine_to_trials(
        &self,
        found: Option<Confinement>,
        grants: &[Grant],
        start_threads: impl FnOnce(),
    ) -> Confinement {
        let GuestEnvironment::Process { .. } = self else { return Confinement::default() };
        let (empty_root, seccomp) = match found {
            Some(found) => (found.empty_root, found.seccomp),
            None => (lockdown::enter_empty_root(grants, None), false),
        };
        // Landlock holds for this thread and those that it starts later.
        let landlock_abi = lockdown::leave_only(grants, None);
        start_threads();
        let access = if grants.iter().any(|grant| grant.writable) {
            FileAccess::Writing
        } else if grants.is_empty() {
            FileAccess::None
        } else {
            // The third version is the first that refuses to truncate.
            FileAccess::Reading { is_enforced: landlock_abi >= 3 }
        };
        let second_filter = lockdown::filter_after_loading(access);
        let seccomp = seccomp || second_filter || lockdown::filter_system_calls();
        Confinement { empty_root, seccomp, second_filter, landlock_abi }
    }

    /// Enlarges the stack, see [`lockdown::make_room_for_stack`]. A thread starts with its stack.
    pub(crate) fn make_room_for_stack(&self, wasm_bytes: u64) -> u64 {
        match self {
            GuestEnvironment::Process { .. } => lockdown::make_room_for_stack(wasm_bytes),
            GuestEnvironment::Thread(_) => wasm_bytes,
        }
    }

    /// Limits the memory of the compiler, and of what is in memory beside it.
    pub(crate) fn limit_memory_of_compiler(&self, bytes: u64) {
        match self {
            GuestEnvironment::Process { .. } => lockdown::limit_memory(bytes),
            GuestEnvironment::Thread(_) => {}
        }
    }

    /// Returns the memory that the process has for itself. Call it once, while no instance exists.
    pub(crate) fn take_own_bytes(&mut self) -> u64 {
        match self {
            GuestEnvironment::Process { status, .. } => status.take_data_bytes().unwrap_or(0),
            GuestEnvironment::Thread(_) => 0,
        }
    }

    /// Limits the memory of an instance, beside the `own_bytes` that the process has for itself. The meter counts what
    /// an instance asks for; this counts everything, such as the pieces that a call copies.
    pub(crate) fn limit_memory_of_instance(&self, own_bytes: u64, limits: &GuestLimits) {
        if let GuestEnvironment::Process { .. } = self {
            lockdown::limit_memory(data_bytes_of(own_bytes, limits));
        }
    }

    /// Limits the memory of all instances to come, which have these limits or lower ones.
    pub(crate) fn limit_memory_for_good(&self, own_bytes: u64, limits: &GuestLimits) {
        if let GuestEnvironment::Process { .. } = self {
            lockdown::limit_memory_for_good(data_bytes_of(own_bytes, limits));
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

/// Returns the memory of a process with an instance of these limits.
fn data_bytes_of(own_bytes: u64, limits: &GuestLimits) -> u64 {
    // Without reserved addresses a memory that grows is copied, and for a moment there are two.
    let copies = if address_space_is_small() { 2 } else { 1 };
    let memory = limits.memory_bytes.saturating_mul(copies);
    [own_bytes, memory, limits.passed_bytes()].into_iter().fold(RESERVE_BYTES, u64::saturating_add)
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
    /// Returns whether the host process has interrupted the guest.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn is_interrupted(&self) -> bool {
        self.0.is_interrupted.load(Ordering::SeqCst)
    }

    /// Interrupts the running call and all later calls.
    pub(crate) fn interrupt(&self) {
        self.0.is_interrupted.store(true, Ordering::SeqCst);
        if let Some(engine) = self.0.engine.get() {
            engine.increment_epoch();
        }
    }
}
