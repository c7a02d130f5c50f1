//! The reasons for which a call of the objective's does not return, and the failures that they record.

use crate::seam::guarded::HostPanic;
use crate::study::failure::{Failure, FailureCode};
use std::fmt;

/// The longest quotation of a guest's name in a message, in characters.
const MAX_SHOWN_NAME_CHARS: usize = 80;

/// The reason for which a call does not return to the objective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAborted {
    /// The objective broke a rule: the trial fails.
    Fail(Failure),
    /// The trial cannot continue for a reason outside the objective, which the session remembers.
    Halt,
}

impl From<HostPanic> for CallAborted {
    fn from(panic: HostPanic) -> Self {
        CallAborted::Fail(panic.into())
    }
}

/// Fails a suggestion whose range is invalid by itself.
pub(super) fn bad_range(name: &str, call: &str, error: &dyn fmt::Display) -> CallAborted {
    let name = shown_name(name);
    let message = format!("the objective's {call} of parameter `{name}` is invalid: {error}");
    CallAborted::Fail(Failure::new(FailureCode::Suggest, message))
}

/// Fails a suggestion that contradicts the trial or the study.
pub(super) fn suggest_failure(name: &str, problem: &str) -> CallAborted {
    let message = format!("parameter `{}` cannot be suggested: {problem}", shown_name(name));
    CallAborted::Fail(Failure::new(FailureCode::Suggest, message))
}

/// Fails any other call, named as in the contract.
pub(super) fn call_failure(call: &str, problem: &str) -> CallAborted {
    let message = format!("the objective's {call} is invalid: {problem}");
    CallAborted::Fail(Failure::new(FailureCode::Call, message))
}

/// Returns the beginning of a name: a guest's names have any length, messages should not.
pub(super) fn shown_name(name: &str) -> String {
    name.chars().take(MAX_SHOWN_NAME_CHARS).collect()
}
