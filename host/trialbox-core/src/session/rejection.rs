//! The reason why an objective cannot be run, before a trial of it has.

use crate::study::limits::LimitHit;
use crate::value::text::shorten;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The reason for which an objective cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The kind.
    pub code: RejectionCode,
    /// A sentence with what was expected and what was found.
    pub message: String,
    /// The way to mend it.
    pub help: Option<String>,
    /// The limit that was reached, if one was.
    pub limit: Option<LimitHit>,
}

/// The length of a rejection's message. It may quote a component, whose names can have megabytes.
const MAX_MESSAGE_CHARS: usize = 1000;

impl Rejection {
    /// Returns a rejection with a way to mend it. Text beyond 1000 characters is left out.
    pub fn new(code: RejectionCode, message: impl Into<String>, help: impl Into<String>) -> Self {
        let message = shorten(&message.into(), MAX_MESSAGE_CHARS);
        Rejection { code, message, help: Some(help.into()), limit: None }
    }

    /// Returns the rejection of an objective whose loading reached a limit. `what` is the end of a sentence such as
    /// `takes too long`.
    pub fn of_compile_limit(what: &str, hit: LimitHit) -> Self {
        let message = format!("compiling and describing the objective {what}: {hit}");
        let help = "raise the limit if you trust the author of the objective";
        Rejection::new(RejectionCode::CompileLimit, message, help).with_limit(hit)
    }

    /// Adds the limit that was reached.
    pub fn with_limit(mut self, limit: LimitHit) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Rejection {}

/// The kinds of rejection. Each has a stable text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RejectionCode {
    /// The file cannot be read.
    Read,
    /// The file is not valid WebAssembly.
    Invalid,
    /// The file is WebAssembly but not a component.
    NotComponent,
    /// The component is not an objective, or was built for another version of the contract.
    Abi,
    /// The component imports an interface that the host does not offer.
    Capability,
    /// The component uses a proposal to WebAssembly that the host does not offer.
    Feature,
    /// The file is larger than its limit.
    ModuleSize,
    /// Compiling reached its limit of time or memory.
    CompileLimit,
    /// The runtime that the objective needs is not there, or cannot be used.
    Runtime,
    /// The guest process died while it loaded the objective.
    Died,
    /// The machine is short of something that the objective needs to start, such as processes.
    System,
}

impl RejectionCode {
    /// Returns the stable text.
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
            RejectionCode::Runtime => "E-RUNTIME",
            RejectionCode::Died => "E-DIED",
            RejectionCode::System => "E-SYSTEM",
        }
    }
}
