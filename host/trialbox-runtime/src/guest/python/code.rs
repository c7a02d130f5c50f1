//! The compiled code of the interpreter.

use crate::guest::cache::HashInto;
use crate::wire::digest::hex;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::hash::Hash as _;
use wasmtime::{Engine, Module, Result};

/// The help for files of a runtime that cannot be used.
pub(crate) const ADD_AGAIN: &str = "add it again: trialbox runtime add python";

/// Returns the name of the file with the interpreter's code as this engine compiles it, on this machine.
pub(crate) fn code_name(engine: &Engine) -> String {
    let mut digest = Sha256::new();
    digest.update(env!("CARGO_PKG_VERSION"));
    digest.update(crate::WASMTIME_VERSION);
    // The hash covers the target, the CPU's features, most compiler settings and wasmtime's full version.
    engine.precompile_compatibility_hash().hash(&mut HashInto(&mut digest));
    format!("code-{}.cwasm", &hex(&digest.finalize())[..16])
}

/// Loads compiled code.
#[expect(unsafe_code, reason = "the only way to load compiled code")]
pub(crate) fn deserialize(engine: &Engine, file: File) -> Result<Module> {
    // SAFETY: `deserialize_open_file` runs the file as native code. The host process vouches for it: this user's
    // trialbox has compiled it, its digest was computed then and is authenticated under the user's key, and the stamp
    // of the open file says that it has not been written to since. Files of a runtime are written aside and renamed,
    // so no trialbox changes it while it is mapped, and its folder belongs to this user alone.
    unsafe { Module::deserialize_open_file(engine, file) }
}
