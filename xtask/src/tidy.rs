//! Rules about the repository that no compiler checks: which crate may know which, and what they are licensed under.

use crate::shell::root;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Every edge that may be between our own crates; any other is an error.
const ALLOWED_EDGES: [(&str, &[&str]); 11] = [
    ("trialbox-core", &[]),
    ("trialbox-samplers", &["trialbox-core"]),
    ("trialbox-storage", &["trialbox-core"]),
    ("trialbox-runtime", &["trialbox-core"]),
    ("trialbox", &["trialbox-core", "trialbox-samplers", "trialbox-storage", "trialbox-runtime"]),
    ("trialbox-guest", &["trialbox-guest-macros"]),
    ("trialbox-guest-macros", &[]),
    // The comparison of samplers is a program of its own, so that xtask builds without them.
    ("trialbox-bench", &["trialbox-core", "trialbox-samplers", "trialbox-storage", "digits"]),
    // An example that the comparison of pruners trains natively.
    ("digits", &["trialbox-guest"]),
    (
        "trialbox-fuzz",
        &["trialbox-core", "trialbox-samplers", "trialbox-storage", "trialbox-runtime"],
    ),
    ("xtask", &[]),
];

/// Crates that only one of ours may name; tests may look at a database from outside.
const ONLY_IN: [(&str, &str); 4] = [
    ("wasmtime", "trialbox-runtime"),
    ("wasmtime-wasi", "trialbox-runtime"),
    ("rusqlite", "trialbox-storage"),
    ("clap", "trialbox"),
];

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

/// Checks all rules.
pub(crate) fn run() -> Result<()> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let problems =
        [edge_problems(packages), licence_problems(packages), engine_version_problems(packages)?]
            .concat();
    ensure!(problems.is_empty(), "the tree is not tidy:\n  {}", problems.join("\n  "));
    println!(
        "tidy: {} packages, {} rules about our own crates",
        packages.len(),
        ALLOWED_EDGES.len()
    );
    Ok(())
}

fn metadata() -> Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .context("failed to start cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn edge_problems(packages: &[Value]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED_EDGES.into_iter().collect();
    let ours = packages.iter().filter(|package| package["source"].is_null());
    let mut problems = Vec::new();
    for package in ours {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may_use) = allowed.get(name) else {
            problems.push(format!("{name} is not in the list of our crates"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            if allowed.contains_key(used) && !may_use.contains(&used) {
                problems.push(format!("{name} must not depend on {used}"));
            }
            let is_for_tests = dependency["kind"] == "dev";
            let only_in =
                ONLY_IN.iter().find(|(crate_name, only)| *crate_name == used && *only != name);
            if let (Some((_, only)), false) = (only_in, is_for_tests) {
                problems.push(format!("{name} must not depend on {used}: only {only} may"));
            }
        }
    }
    problems
}

fn licence_problems(packages: &[Value]) -> Vec<String> {
    packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_acceptable))
        .map(|package| format!("{} is licensed under {}", package["name"], package["license"]))
        .collect()
}

/// Whether an SPDX expression can be satisfied with [`LICENCES`]; of `A AND B` both must be acceptable, of
/// `A OR B` one. Enough for what our dependencies say, which nests at most once.
fn is_acceptable(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

/// The version that `trialbox --version` shows is the one that is linked.
fn engine_version_problems(packages: &[Value]) -> Result<Vec<String>> {
    let linked = packages.iter().find(|package| package["name"] == "wasmtime");
    let linked =
        linked.and_then(|package| package["version"].as_str()).context("wasmtime is not linked")?;
    let source = std::fs::read_to_string(root().join("host/trialbox-runtime/src/lib.rs"))?;
    let shown = format!("WASMTIME_VERSION: &str = \"{linked}\"");
    Ok(if source.contains(&shown) {
        vec![]
    } else {
        vec![format!("WASMTIME_VERSION is not {linked}")]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        run().expect("the tree is tidy");
    }

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
