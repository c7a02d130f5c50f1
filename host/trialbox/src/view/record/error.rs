//! The record of an error.

use crate::error::CommandError;
use serde::Serialize;
use trialbox_core::value::text::clean;

/// The reason why a command failed.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ErrorRecord {
    /// The stable code of the error, if it has one.
    code: Option<&'static str>,
    /// The exit code of the command.
    exit_code: u8,
    /// The error and its causes.
    message: String,
    /// A remedy, if one is known.
    help: Option<String>,
}

impl ErrorRecord {
    /// Returns the record of an error.
    pub(crate) fn of(error: &CommandError) -> Self {
        let causes: Vec<String> = error.error.chain().map(ToString::to_string).collect();
        ErrorRecord {
            code: error.code,
            exit_code: error.exit as u8,
            message: clean(&causes.join(": ")),
            help: error.help.clone(),
        }
    }
}
