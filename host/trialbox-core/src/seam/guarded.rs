//! Calls of samplers, pruners and evaluators of importances, which must not take the process with them.

use crate::study::failure::{Failure, FailureCode};
use crate::value::text::shorten;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest quotation of a panic's message, in characters.
const MAX_MESSAGE_CHARS: usize = 1000;

/// A panic of one of them, which is a bug of trialbox. In a trial it is [`FailureCode::Host`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} panicked, which is a bug of trialbox: {message}")]
pub struct HostPanic {
    what: &'static str,
    message: String,
}

impl From<HostPanic> for Failure {
    fn from(panic: HostPanic) -> Self {
        Failure::new(FailureCode::Host, panic.to_string())
    }
}

/// Calls a sampler, a pruner or an evaluator, named by `what`. They are pure functions that should not panic. Where one
/// does all the same, its trial or its command fails, and the process keeps what it promised to the other trials.
///
/// # Errors
/// The panic.
pub fn guarded<T>(what: &'static str, call: impl FnOnce() -> T) -> Result<T, HostPanic> {
    // The state that the call may have left half changed is the trial's stream of random numbers, and the trial ends.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| HostPanic {
        what,
        message: shorten(message(panic.as_ref()), MAX_MESSAGE_CHARS),
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "without a message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_failure_with_its_message() {
        assert_eq!(guarded("sampler", || 3), Ok(3));
        let n = 2;
        let check = |call: &dyn Fn(), want: &str| {
            let failure = Failure::from(guarded("sampler", call).expect_err("it panics"));
            assert_eq!(failure.code, FailureCode::Host);
            assert!(failure.message.ends_with(want), "{}", failure.message);
        };
        check(&|| panic!("static"), "bug of trialbox: static");
        check(&|| panic!("{n} bounds"), "bug of trialbox: 2 bounds");
        check(&|| std::panic::panic_any(1), "bug of trialbox: without a message");
    }
}
