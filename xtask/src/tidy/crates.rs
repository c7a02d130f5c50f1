//! The edges between crates, and the version of the wasm engine.

use super::source::{Source, Violation};
use crate::shell::root;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// The edges that may be between our own crates; any other is an error.
const ALLOWED_EDGES: [(&str, &[&str]); 15] = [
    ("trialbox-core", &[]),
    // Knows neither studies nor databases, so every crate that touches files may use it.
    ("trialbox-files", &[]),
    ("trialbox-samplers", &["trialbox-core"]),
    ("trialbox-report", &["trialbox-core", "trialbox-samplers"]),
    ("trialbox-storage", &["trialbox-core", "trialbox-files"]),
    ("trialbox-runtime", &["trialbox-core", "trialbox-files"]),
    ("trialbox-program", &["trialbox-core", "trialbox-files"]),
    // Knows bytes and their digests; objectives are recognized by its caller.
    ("trialbox-registry", &["trialbox-files"]),
    (
        "trialbox",
        &[
            "trialbox-core",
            "trialbox-files",
            "trialbox-samplers",
            "trialbox-report",
            "trialbox-storage",
            "trialbox-program",
            "trialbox-registry",
            "trialbox-runtime",
        ],
    ),
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

/// Crates that only some of ours may name; tests may look at a database from outside.
const ONLY_IN: [(&str, &[&str]); 7] = [
    ("wasmtime", &["trialbox-runtime"]),
    ("wasmtime-wasi", &["trialbox-runtime"]),
    ("rusqlite", &["trialbox-storage"]),
    ("tokio-postgres", &["trialbox-storage"]),
    ("ureq", &["trialbox-registry"]),
    ("rustls", &["trialbox-registry"]),
    ("clap", &["trialbox", "xtask"]),
];

/// The file with the version of the wasm engine.
const SHOWN_IN: &str = "host/trialbox-runtime/src/lib.rs";

/// Returns all packages that the workspace is built of.
pub(crate) fn packages() -> Result<Vec<Value>> {
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
    let mut metadata: Value = serde_json::from_slice(&output.stdout)?;
    match metadata["packages"].take() {
        Value::Array(packages) if !packages.is_empty() => Ok(packages),
        _ => bail!("cargo metadata lists no packages"),
    }
}

/// Finds edges that are not in [`ALLOWED_EDGES`], or against [`ONLY_IN`].
pub(crate) fn edges(packages: &[Value]) -> Vec<Violation> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED_EDGES.into_iter().collect();
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| package["source"].is_null()) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may_use) = allowed.get(name) else {
            found.push(in_manifest(name, format!("{name} is not in the list of our crates")));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            if allowed.contains_key(used) && !may_use.contains(&used) {
                found.push(in_manifest(name, format!("{name} must not depend on {used}")));
            }
            let rule = ONLY_IN.iter().find(|(crate_name, _)| *crate_name == used);
            if let Some((_, only)) = rule
                && !only.contains(&name)
                && dependency["kind"] != "dev"
            {
                let only = only.join(" and ");
                let message = format!("{name} must not depend on {used}: only {only} may");
                found.push(in_manifest(name, message));
            }
        }
    }
    found
}

fn in_manifest(name: &str, message: String) -> Violation {
    Violation { path: format!("{name}/Cargo.toml"), line: 0, message }
}

/// Finds a difference between the version that `trialbox --version` shows and the one that is linked.
pub(crate) fn engine_version(packages: &[Value], sources: &[Source]) -> Vec<Violation> {
    let linked = packages.iter().find(|package| package["name"] == "wasmtime");
    let linked = linked.and_then(|package| package["version"].as_str()).unwrap_or("nothing");
    let shown = format!("WASMTIME_VERSION: &str = \"{linked}\"");
    let is_shown = |source: &Source| source.path == SHOWN_IN && source.text.contains(&shown);
    if sources.iter().any(is_shown) {
        return vec![];
    }
    let message = format!("expected WASMTIME_VERSION to be the linked version, {linked}");
    vec![Violation { path: SHOWN_IN.to_owned(), line: 0, message }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_edge_that_is_not_allowed_is_found() {
        let package = |name: &str, used: &str, kind: Value| {
            let dependencies = json!([{ "name": used, "kind": kind }]);
            json!([{ "name": name, "source": null, "dependencies": dependencies }])
        };
        let found = |package: Value| edges(package.as_array().expect("an array")).len();
        assert_eq!(found(package("trialbox-core", "trialbox-storage", Value::Null)), 1);
        assert_eq!(found(package("trialbox-storage", "trialbox-core", Value::Null)), 0);
        assert_eq!(found(package("trialbox", "rusqlite", Value::Null)), 1);
        assert_eq!(found(package("trialbox", "rusqlite", json!("dev"))), 0);
        assert_eq!(found(package("stranger", "serde", Value::Null)), 1);
    }

    #[test]
    fn another_version_than_the_linked_one_is_found() {
        let packages = [json!({ "name": "wasmtime", "version": "1.2.3" })];
        let source = Source::new(SHOWN_IN, "pub const WASMTIME_VERSION: &str = \"1.2.3\";");
        assert_eq!(engine_version(&packages, &[source]), []);
        let source = Source::new(SHOWN_IN, "pub const WASMTIME_VERSION: &str = \"1.2.4\";");
        assert_eq!(engine_version(&packages, &[source]).len(), 1);
        assert_eq!(engine_version(&packages, &[]).len(), 1);
    }
}
