//! The engine's refusals in the words of this project.

use crate::guest::proposals;
use crate::wire::contract::CONTRACT;
use trialbox_core::session::door::{Rejection, RejectionCode};

/// Returns the rejection of a component that the engine refuses. `complaint` is the engine's, such as
/// `type mismatch (at offset 0x16)`.
pub(crate) fn not_valid(component: &[u8], complaint: &str) -> Rejection {
    if let Some(proposal) = proposals::missing(component) {
        return Rejection::new(
            RejectionCode::Feature,
            format!(
                "the component uses the proposal {proposal}, which this trialbox does not offer"
            ),
            "build it without: the target wasm32-wasip2 does, unless features are switched on by flags",
        );
    }
    let (what, place) = match complaint.rsplit_once(" (at offset 0x") {
        Some((what, offset)) => {
            let offset = u64::from_str_radix(offset.trim_end_matches(')'), 16);
            (what, offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default())
        }
        None => (complaint, String::new()),
    };
    Rejection::new(
        RejectionCode::Invalid,
        format!("the component is not valid{place}: {what}"),
        "build it again with a current toolchain",
    )
}

/// Returns the rejection of an objective whose imports or exports are not the contract's. `complaints` are the
/// linker's, from the outermost to the root, and each has a name between backticks.
pub(crate) fn does_not_fit(complaints: impl Iterator<Item = String>) -> Rejection {
    let complaints: Vec<String> = complaints.collect();
    let names = complaints.iter().filter_map(|complaint| complaint.split('`').nth(1));
    let names: Vec<&str> = names.collect();
    let is_missing = complaints
        .last()
        .is_some_and(|root| root.contains("missing") || root.contains("not found"));
    let (place, name) = match names[..] {
        [place, .., name] => (format!(" of `{place}`"), name),
        [name] => (String::new(), name),
        [] => (String::new(), "objective"),
    };
    let problem = if is_missing { "is not there" } else { "has another type" };
    Rejection::new(
        RejectionCode::Abi,
        format!("the component does not fit the contract {CONTRACT}: `{name}`{place} {problem}"),
        "use the trialbox that it was built for, or build it again with a current SDK",
    )
}
