//! The licences of our dependencies.

use super::source::Violation;
use serde_json::Value;

/// Licences that a dependency may offer.
const LICENCES: [&str; 10] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    // LLVM's older licence, as free as BSD: of libfuzzer-sys, which is in no release of ours.
    "NCSA",
];

/// Finds packages under other licences.
pub(crate) fn unacceptable(packages: &[Value]) -> Vec<Violation> {
    let is_refused = |package: &&Value| !package["license"].as_str().is_some_and(is_acceptable);
    packages
        .iter()
        .filter(is_refused)
        .map(|package| Violation {
            path: "Cargo.lock".to_owned(),
            line: 0,
            message: format!("{} is licensed under {}", package["name"], package["license"]),
        })
        .collect()
}

/// Returns whether an SPDX expression can be satisfied with [`LICENCES`]: both sides of `A AND B`, one of `A OR B`.
/// Enough for what our dependencies say, which nests at most once.
fn is_acceptable(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_read() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
        ] {
            assert!(is_acceptable(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", ""] {
            assert!(!is_acceptable(bad), "{bad}");
        }
    }
}
