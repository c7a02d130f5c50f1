//! The cause of a failed trial, as it is printed.
//!
//! The library names the limit that was reached; the flags are the binary's, which adds them here.

use trialbox_core::Json;
use trialbox_core::study::failure::Failure;
use trialbox_core::study::limits::{Limit, LimitHit};

/// Returns the flag that sets a limit.
pub(crate) fn limit_flag(limit: Limit) -> String {
    match limit {
        Limit::Memory => "--max-memory".to_owned(),
        Limit::TrialTime => "--trial-timeout".to_owned(),
        Limit::Fuel => "--fuel".to_owned(),
        Limit::CompileTime => "--compile-timeout".to_owned(),
        _ => format!("--limit {}", limit.name()),
    }
}

/// Returns the message of a failure, with the flag of the limit that was reached.
pub(crate) fn failure_message(failure: &Failure) -> String {
    with_flag(&failure.message, failure.limit)
}

/// Returns the message of a failure that is stored with a trial, with the flag of the limit that was reached; `None`
/// without a message.
pub(crate) fn stored_failure_message(failure: &Json) -> Option<String> {
    let message = failure.get("message")?.as_str()?;
    let name = failure.get("limit").and_then(|limit| limit.get("name")?.as_str());
    Some(match name.and_then(Limit::parse) {
        Some(limit) => name_flag(message, limit),
        None => message.to_owned(),
    })
}

/// Returns the next step after a failure, where one is known.
pub(crate) fn failure_help(failure: &Failure) -> Option<String> {
    let help = failure.help.as_ref()?;
    Some(match failure.limit {
        Some(LimitHit { limit: Limit::TrialData, .. }) => format!("{help}: --dir HOST::GUEST:rw"),
        _ => help.clone(),
    })
}

/// Adds to a message the flag of the limit that was reached, if one was.
pub(crate) fn with_flag(message: &str, hit: Option<LimitHit>) -> String {
    match hit {
        Some(hit) => name_flag(message, hit.limit),
        None => message.to_owned(),
    }
}

fn name_flag(message: &str, limit: Limit) -> String {
    format!("{message}; raise it with {}", limit_flag(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::study::failure::FailureCode;

    #[test]
    fn a_message_names_the_limit_its_value_and_its_flag() {
        let hit = LimitHit { limit: Limit::TrialData, allowed: 2 << 20, used: Some(3 << 20) };
        let failure = Failure::of_limit(FailureCode::Budget, "the trial leaves", hit);
        let failure = failure.with_help("grant a directory");
        let message = "the trial leaves 3 MiB, and limit `trial-data` allows 2 MiB; \
             raise it with --limit trial-data";
        assert_eq!(failure_message(&failure), message);
        let stored = failure.to_json(&[]);
        assert!(!stored.to_string().contains("--"), "{stored}");
        assert_eq!(stored_failure_message(&stored).as_deref(), Some(message));
        let help = failure_help(&failure);
        assert_eq!(help.as_deref(), Some("grant a directory: --dir HOST::GUEST:rw"));
    }

    #[test]
    fn a_message_without_a_limit_stays_as_it_is() {
        let failure = Failure::new(FailureCode::Panic, "the objective panicked");
        assert_eq!(failure_message(&failure), "the objective panicked");
        let stored = failure.to_json(&[]);
        assert_eq!(stored_failure_message(&stored).as_deref(), Some("the objective panicked"));
        assert_eq!(stored_failure_message(&Json::Null), None);
    }
}
