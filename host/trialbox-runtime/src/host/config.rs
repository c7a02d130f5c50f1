//! The settings of a sandbox.

use crate::host::code_cache::CodeCache;
use crate::host::interrupt::Cancellation;
use crate::host::isolation::Isolation;
use crate::host::python::PythonRuntime;
use crate::wire::protocol::{EngineSettings, Grant, GuestLimits};
use std::path::PathBuf;
use trialbox_core::study::limits::{Limit, Limits};

/// The memory that the compiler gets however little a trial may take.
const LEAST_COMPILE_MEMORY: u64 = 512 << 20;

/// The stack of an interpreter of Python, unless the user has set a limit.
pub(crate) const PYTHON_STACK_BYTES: u64 = 8 << 20;

/// The settings with which an objective runs.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// This program, which becomes the guest process when its first argument is `__guest`.
    pub program: PathBuf,
    /// The place where the code runs.
    pub isolation: Isolation,
    /// The cache of compiled code; `None` to save none.
    pub cache: Option<CodeCache>,
    /// The runtime of an objective that is a file of Python.
    pub python: Option<PythonRuntime>,
    /// The directories that are granted to the guest.
    pub grants: Vec<Grant>,
    /// The environment variables of the guest, which inherits none.
    pub env: Vec<(String, String)>,
    /// True if the same trial must give the same bits on every machine: fixed clocks, sorted directories, one NaN.
    pub deterministic: bool,
    /// The limits of each trial.
    pub limits: Limits,
    /// The events outside that end a trial early.
    pub cancellation: Cancellation,
}

impl SandboxConfig {
    /// Returns the settings of the engine that follow from these.
    pub(crate) fn engine(&self) -> EngineSettings {
        EngineSettings {
            deterministic: self.deterministic,
            metered: self.limits.get(Limit::Fuel).is_some(),
            interruptible: self.isolation == Isolation::Thread,
            stack_bytes: self.stack_bytes(),
        }
    }

    /// Returns the limit on the stack. The default is for components; an interpreter needs more.
    fn stack_bytes(&self) -> u64 {
        let own = self.limits.get(Limit::Stack);
        if self.python.is_some() && own == Limits::default().get(Limit::Stack) {
            return PYTHON_STACK_BYTES;
        }
        own.unwrap_or(u64::MAX)
    }

    /// Returns the limits of a guest process that describes the objective. No trial in it can have more memory.
    pub(crate) fn limits_of_process(&self) -> GuestLimits {
        GuestLimits::from(&self.limits).for_describing(self.compile_memory_bytes())
    }

    /// Returns the memory that the compiler may take: what a trial may take, and no more than its own limit. A compiler
    /// needs more than small trials do, so that a low limit on memory leaves it [`LEAST_COMPILE_MEMORY`]. A limit
    /// on the compiler that the user has set holds alone.
    pub(crate) fn compile_memory_bytes(&self) -> u64 {
        compile_memory_bytes(&self.limits)
    }
}

fn compile_memory_bytes(limits: &Limits) -> u64 {
    let own = limits.get(Limit::CompileMemory);
    if own != Limits::default().get(Limit::CompileMemory) {
        return own.unwrap_or(u64::MAX);
    }
    let of_trial = limits.get(Limit::Memory).unwrap_or(u64::MAX);
    of_trial.max(LEAST_COMPILE_MEMORY).min(own.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_may_take_what_a_trial_may_unless_it_has_a_limit_of_its_own() {
        let mut limits = Limits::default();
        assert_eq!(compile_memory_bytes(&limits), 4 << 30);
        for (memory, compiler) in [(64 << 20, 512 << 20), (1 << 30, 1 << 30), (8 << 30, 4 << 30)] {
            limits.set(Limit::Memory, Some(memory));
            assert_eq!(compile_memory_bytes(&limits), compiler, "{memory}");
        }
        limits.set(Limit::CompileMemory, Some(300 << 20));
        assert_eq!(compile_memory_bytes(&limits), 300 << 20);
    }
}
