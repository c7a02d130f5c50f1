//! The cause of a failed trial, as it is printed.
//!
//! The library names the limit that was reached; the flags are the binary's, which adds them here.

use trialbox_core::Json;
use trialbox_core::study::failure::Failure;
use trialbox_core::study::limits::{Limit, LimitHit};
use trialbox_runtime::Grant;

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

/// Returns the same for a trial of a study that remembers some of its limits.
pub(crate) fn failure_message_in_study(failure: &Failure, remembered: &[Limit]) -> String {
    match failure.limit {
        Some(hit) if remembered.contains(&hit.limit) => {
            let flag = limit_flag(hit.limit);
            let separator = if flag.starts_with("--limit") { "=" } else { " " };
            let value = flag_value(hit.limit);
            let message = &failure.message;
            format!(
                "{message}; the study remembers this limit: change it with {flag}{separator}{value} --override"
            )
        }
        _ => failure_message(failure),
    }
}

/// Returns the placeholder of a limit's value.
fn flag_value(limit: Limit) -> &'static str {
    match limit {
        Limit::TrialTime => "TIME",
        Limit::Memory => "SIZE",
        Limit::Fuel => "N",
        _ => "VALUE",
    }
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

/// Returns the next step after a failure whose message quotes an error of the guest's file system. The guest sees the
/// grants alone, and its errors name no path.
pub(crate) fn file_help(failure: &Failure, grants: &[Grant]) -> Option<String> {
    let (_, errno) = failure.message.rsplit_once("(os error ")?;
    let errno: u32 = errno.split(')').next()?.parse().ok()?;
    let granted: Vec<String> = grants
        .iter()
        .map(|grant| {
            let rights = if grant.writable { "writable" } else { "read-only" };
            format!("`{}` ({rights}, `{}`)", grant.guest, grant.host.display())
        })
        .collect();
    let seen = match &granted[..] {
        [] => "no directory is granted".to_owned(),
        granted => format!("granted: {}", granted.join(", ")),
    };
    // The numbers are wasi-libc's (`__errno_values.h`): EACCES, ENOENT, EPERM, EROFS and ENOTCAPABLE.
    match errno {
        44 => Some(format!(
            "a file that the objective opened does not exist; {seen}; --dir HOST::GUEST grants another directory"
        )),
        2 | 63 | 69 | 76 => Some(format!(
            "the objective wrote to a read-only directory, or left its directories; {seen}; \
             --dir HOST::GUEST:rw grants writing"
        )),
        _ => None,
    }
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
    fn a_limit_that_the_study_remembers_is_changed_by_override() {
        for (limit, flag) in [
            (Limit::TrialTime, "--trial-timeout TIME --override"),
            (Limit::Memory, "--max-memory SIZE --override"),
            (Limit::TrialData, "--limit trial-data=VALUE --override"),
        ] {
            let hit = LimitHit { limit, allowed: 1000, used: None };
            let failure = Failure::of_limit(FailureCode::Time, "the trial takes", hit);
            let message = failure_message_in_study(&failure, &[limit]);
            let end = format!("; the study remembers this limit: change it with {flag}");
            assert!(message.ends_with(&end), "{message}");
            assert_eq!(failure_message_in_study(&failure, &[]), failure_message(&failure));
        }
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
