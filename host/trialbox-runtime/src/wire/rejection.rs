//! The reasons for which an objective is refused. Both processes find some.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a file is no objective that can run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The kind.
    pub code: RejectionCode,
    /// What was found and what was wanted, in a sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The kinds of rejection. Each has a stable text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RejectionCode {
    /// The file cannot be read.
    Read,
    /// The file is no valid wasm.
    Invalid,
    /// The file is wasm, but no component.
    NotComponent,
    /// The component is no objective, or one for another version of the contract.
    Abi,
    /// The component wants something that no host of trialbox gives.
    Capability,
    /// The component uses a proposal to WebAssembly that is not offered.
    Feature,
    /// The file is larger than it may be.
    ModuleSize,
    /// Compiling took too long, or too much memory.
    CompileLimit,
    /// The guest process died while getting the objective ready.
    Died,
}

impl RejectionCode {
    /// The stable text.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectionCode::Read => "E-READ",
            RejectionCode::Invalid => "E-INVALID",
            RejectionCode::NotComponent => "E-NOT-COMPONENT",
            RejectionCode::Abi => "E-ABI",
            RejectionCode::Capability => "E-CAPABILITY",
            RejectionCode::Feature => "E-FEATURE",
            RejectionCode::ModuleSize => "E-MODULE-SIZE",
            RejectionCode::CompileLimit => "E-COMPILE-LIMIT",
            RejectionCode::Died => "E-DIED",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Rejection {}

impl Rejection {
    pub(crate) fn new(
        code: RejectionCode,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Rejection { code, message: message.into(), help: Some(help.into()) }
    }
}
