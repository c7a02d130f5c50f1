//! The licences of our dependencies.

use super::source::{Source, Violation};
use serde_json::Value;

/// The file with the list of licences, which is also that of `cargo deny`.
const LIST: &str = "deny.toml";

/// Finds packages under licences that [`LIST`] does not allow.
pub(crate) fn unacceptable(packages: &[Value], sources: &[Source]) -> Vec<Violation> {
    let list = sources.iter().find(|source| source.path == LIST);
    let allowed = list.map(|list| allowed(&list.text)).unwrap_or_default();
    let mut found = Vec::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("no licence");
        if !is_acceptable(licence, &allowed) {
            let message = format!("{} is under {licence}, which is not allowed", package["name"]);
            found.push(Violation { path: LIST.to_owned(), line: 0, message });
        }
    }
    found
}

/// Returns the licences that a `deny.toml` allows; none if it cannot be read.
fn allowed(text: &str) -> Vec<String> {
    let Ok(list) = text.parse::<toml::Table>() else { return vec![] };
    let licences = list.get("licenses").and_then(|licences| licences.get("allow"));
    let licences = licences.and_then(toml::Value::as_array).into_iter().flatten();
    licences.filter_map(|licence| licence.as_str().map(str::to_owned)).collect()
}

/// Returns whether an SPDX expression can be satisfied with the allowed licences: both sides of `A AND B`, one of
/// `A OR B`. Enough for the expressions of our dependencies, which nest at most once.
fn is_acceptable(expression: &str, allowed: &[String]) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    let is_allowed = |licence: &str| allowed.iter().any(|allowed| allowed == licence.trim());
    plain.split(" AND ").all(|part| part.split(" OR ").any(is_allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ALLOWED: &str = "[licenses]\nallow = [\n  \"MIT\", # ours\n  \"Apache-2.0 WITH LLVM-exception\",\n  \
        \"Unicode-3.0\",\n]\n[bans]\nwildcards = \"deny\"";

    #[test]
    fn licence_expressions_are_read() {
        let allowed = allowed(ALLOWED);
        assert_eq!(allowed.len(), 3);
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
        ] {
            assert!(is_acceptable(good, &allowed), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", ""] {
            assert!(!is_acceptable(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn a_package_under_another_licence_is_found() {
        let packages = [
            json!({ "name": "fine", "license": "MIT" }),
            json!({ "name": "bad", "license": "GPL-3.0" }),
            json!({ "name": "none", "license": null }),
        ];
        let found = unacceptable(&packages, &[Source::new(LIST, ALLOWED)]);
        let messages: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].contains("bad") && messages[1].contains("none"), "{messages:?}");
        assert_eq!(unacceptable(&packages, &[]).len(), 3, "without a list nothing is allowed");
    }
}
