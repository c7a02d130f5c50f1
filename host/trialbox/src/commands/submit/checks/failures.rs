//! Checks whether trials that the study already has failed.

use crate::view::failure::stored_failure_message;
use crate::view::finding::Finding;
use std::collections::BTreeMap;
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::value::text::{counted, shorten};
use trialbox_core::{FrozenTrial, TrialState};

/// The number of characters of a message that a finding shows.
const MAX_MESSAGE_CHARS: usize = 120;

/// Counts failed trials by code, with the last message of each code.
pub(in crate::commands::submit) fn check_failures(trials: &[FrozenTrial]) -> Option<Finding> {
    let failed: Vec<&FrozenTrial> =
        trials.iter().filter(|trial| trial.state == TrialState::Fail).collect();
    if failed.is_empty() {
        return None;
    }
    let mut by_code: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    for trial in &failed {
        let (code, message) = reason(trial);
        let (n, last) = by_code.entry(code).or_default();
        *n += 1;
        *last = message;
    }
    let mut codes: Vec<_> = by_code.into_iter().collect();
    codes.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
    let codes: Vec<String> =
        codes.into_iter().map(|(code, (n, last))| format_code(code, n, &last)).collect();
    let n_failed = failed.len() as u64;
    let verb = if n_failed == 1 { "has" } else { "have" };
    let found = format!("{} {verb} failed: {}", counted(n_failed, "trial"), codes.join(", "));
    let has_complete = trials.iter().any(|trial| trial.state == TrialState::Complete);
    Some(if has_complete {
        Finding::warning("failures", found)
            .advice("`trialbox study trials --state fail` lists them")
    } else {
        Finding::warning("failures", found)
            .meaning("no trial of the study is COMPLETE")
            .advice("run one trial first and inspect it: `trialbox run OBJECTIVE … -n 1`")
    })
}

/// Returns the code and the message of a failed trial. Python's workers leave neither.
fn reason(trial: &FrozenTrial) -> (&str, String) {
    let failure = trial.system_attrs.get(FAILURE_ATTR);
    let code = failure.and_then(|failure| failure.get("code")?.as_str());
    let message = failure.and_then(stored_failure_message);
    (code.unwrap_or("without a code"), message.unwrap_or_default())
}

fn format_code(code: &str, n: u64, message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    if line.is_empty() {
        return format!("{n} {code}");
    }
    format!("{n} {code} ({})", shorten(line, MAX_MESSAGE_CHARS))
}
