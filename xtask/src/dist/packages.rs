//! The packages that a binary is made of.

use super::sbom::text;
use crate::shell::root;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::process::Command;

/// Returns the packages that are compiled into the binary or run while it is built, by name and version. Beside what
/// cargo says of one, `needs` lists the ids of packages that it needs, and `is_linked` is false if it is only run.
pub(super) fn linked_packages(target: &str) -> Result<Vec<Value>> {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
    let output = Command::new("cargo").args(arguments).current_dir(root()).output()?;
    ensure!(output.status.success(), "cargo metadata failed: {}", output.status);
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    reachable(&metadata)
}

/// Returns the packages that the binary's package needs, itself included; what only tests need is left out.
fn reachable(metadata: &Value) -> Result<Vec<Value>> {
    let packages = metadata["packages"].as_array().context("expected packages, found none")?;
    let nodes = metadata["resolve"]["nodes"].as_array().context("expected a graph, found none")?;
    let of_id = |id: &Value| packages.iter().find(|package| package["id"] == *id);
    let start = packages.iter().find(|package| package["name"] == "trialbox");
    let start = start.context("expected the package `trialbox`, found none")?;
    let mut left = vec![(start["id"].clone(), true)];
    let mut seen: Vec<(Value, bool)> = Vec::new();
    while let Some((id, is_linked)) = left.pop() {
        if seen.contains(&(id.clone(), true)) || seen.contains(&(id.clone(), is_linked)) {
            continue;
        }
        for (needed, is_normal) in dependencies(nodes, &id) {
            let is_macro = of_id(&needed).is_some_and(is_macro);
            left.push((needed, is_linked && is_normal && !is_macro));
        }
        seen.push((id, is_linked));
    }
    let mut found: Vec<Value> = Vec::new();
    for package in packages.iter().filter(|package| seen.iter().any(|(id, _)| *id == package["id"]))
    {
        let needs: Vec<Value> =
            dependencies(nodes, &package["id"]).into_iter().map(|(id, _)| id).collect();
        let mut package = package.clone();
        package["is_linked"] = Value::Bool(seen.contains(&(package["id"].clone(), true)));
        package["needs"] = Value::Array(needs);
        found.push(package);
    }
    found.sort_by_key(|package| (text(package, "name"), text(package, "version")));
    Ok(found)
}

/// Returns what a package needs for other than its tests, and for each whether it is needed beyond the build.
fn dependencies(nodes: &[Value], id: &Value) -> Vec<(Value, bool)> {
    let node = nodes.iter().find(|node| node["id"] == *id);
    let mut found = Vec::new();
    for dependency in node.and_then(|node| node["deps"].as_array()).into_iter().flatten() {
        let kinds = || dependency["dep_kinds"].as_array().into_iter().flatten();
        if kinds().any(|kind| kind["kind"] != "dev") {
            let is_normal = kinds().any(|kind| kind["kind"].is_null());
            found.push((dependency["pkg"].clone(), is_normal));
        }
    }
    found
}

/// Returns whether a package is run by the compiler.
fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets.into_iter().any(|target| target["kind"][0] == "proc-macro")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_only_tests_need_is_not_in_the_binary() {
        let package = |name: &str, kind: &str| {
            let targets = json!([{ "kind": [kind] }]);
            json!({ "id": name, "name": name, "version": "1.0.0", "targets": targets })
        };
        let edge =
            |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let none = || Value::Null;
        let metadata = json!({
            "packages": [
                package("trialbox", "bin"), package("linked", "lib"), package("builds", "lib"),
                package("tests", "lib"), package("derives", "proc-macro"), package("parses", "lib"),
            ],
            "resolve": { "nodes": [
                { "id": "trialbox", "deps": [edge("linked", none()), edge("tests", json!("dev"))] },
                { "id": "linked", "deps": [edge("builds", json!("build")), edge("derives", none())] },
                { "id": "derives", "deps": [edge("parses", none())] },
            ] },
        });
        let found = reachable(&metadata).expect("packages");
        let names = |is_linked: bool| -> Vec<String> {
            let those = found.iter().filter(|package| package["is_linked"] == is_linked);
            those.map(|package| text(package, "name")).collect()
        };
        assert_eq!(names(true), ["linked", "trialbox"]);
        assert_eq!(names(false), ["builds", "derives", "parses"]);
        assert_eq!(found[2]["needs"], json!(["builds", "derives"]));
    }
}
