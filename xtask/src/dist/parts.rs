//! The files beside the binary in an archive: completions, manual pages, licences and the list of components.

use super::sbom::{bom, text};
use crate::shell::{root, run};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes all parts to a folder.
pub(super) fn stage(binary: &Path, folder: &Path, target: &str) -> Result<()> {
    std::fs::create_dir_all(folder.join("completions"))?;
    std::fs::copy(binary, folder.join("trialbox"))?;
    for (shell, file) in
        [("bash", "trialbox.bash"), ("zsh", "_trialbox"), ("fish", "trialbox.fish")]
    {
        let output = Command::new(binary).args(["completions", shell]).output()?;
        ensure!(output.status.success(), "`completions {shell}` failed: {}", output.status);
        std::fs::write(folder.join("completions").join(file), output.stdout)?;
    }
    run(Command::new(binary).args(["man", "--all"]).arg(folder.join("man/man1")))?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        std::fs::copy(root().join(file), folder.join(file))?;
    }
    let packages = linked_packages(target)?;
    std::fs::write(folder.join("LICENSES-THIRD-PARTY.txt"), licences(&packages)?)?;
    let bom = bom(&packages, &std::fs::read_to_string(root().join("Cargo.lock"))?)?;
    std::fs::write(folder.join("trialbox.cdx.json"), bom)?;
    Ok(())
}

/// Returns the packages that are compiled into the binary or run while it is built, by name and version.
fn linked_packages(target: &str) -> Result<Vec<Value>> {
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
    let start = packages.iter().find(|package| package["name"] == "trialbox");
    let start = start.context("expected the package `trialbox`, found none")?;
    let mut left = vec![start["id"].clone()];
    let mut seen: Vec<Value> = Vec::new();
    while let Some(id) = left.pop() {
        if seen.contains(&id) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id);
        let needed = node.and_then(|node| node["deps"].as_array()).into_iter().flatten();
        let needed = needed.filter(|dependency| {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            kinds.into_iter().any(|kind| kind["kind"] != "dev")
        });
        left.extend(needed.map(|dependency| dependency["pkg"].clone()));
        seen.push(id);
    }
    let mut found: Vec<Value> =
        packages.iter().filter(|package| seen.contains(&package["id"])).cloned().collect();
    found.sort_by_key(|package| (text(package, "name"), text(package, "version")));
    Ok(found)
}

/// Returns the texts of the licences of all packages that are not ours.
fn licences(packages: &[Value]) -> Result<String> {
    let mut all = String::from("The licences of the libraries in trialbox.\n");
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        let (name, version) = (text(package, "name"), text(package, "version"));
        all.push_str(&format!("\n==== {name} {version}: {}\n", text(package, "license")));
        let mut files = licence_files(package)?;
        if files.is_empty() {
            files = files_of_same_licence(package, packages)?;
        }
        for file in files {
            let content = std::fs::read(&file)?;
            all.push_str(&format!("\n{}\n", String::from_utf8_lossy(&content).trim_end()));
        }
    }
    Ok(all)
}

/// Returns the files of another package under the same licence: those of some repositories carry one for all.
fn files_of_same_licence(package: &Value, packages: &[Value]) -> Result<Vec<PathBuf>> {
    let others = packages.iter().filter(|other| other["license"] == package["license"]);
    for other in others.filter(|other| other["repository"] == package["repository"]) {
        let files = licence_files(other)?;
        if !files.is_empty() {
            return Ok(files);
        }
    }
    Ok(vec![])
}

/// Returns the files of licences in a package's folder, sorted.
fn licence_files(package: &Value) -> Result<Vec<PathBuf>> {
    let manifest = PathBuf::from(text(package, "manifest_path"));
    let folder = manifest.parent().context("expected a manifest in a folder")?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        let is_licence = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];
        if entry.path().is_file() && is_licence.iter().any(|start| name.starts_with(start)) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_only_tests_need_is_not_in_the_binary() {
        let package = |name: &str| json!({ "id": name, "name": name, "version": "1.0.0" });
        let edge =
            |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("trialbox"), package("linked"), package("builds"), package("tests")],
            "resolve": { "nodes": [
                { "id": "trialbox", "deps": [edge("linked", Value::Null), edge("tests", json!("dev"))] },
                { "id": "linked", "deps": [edge("builds", json!("build"))] },
            ] },
        });
        let found = reachable(&metadata).expect("packages");
        let names: Vec<String> = found.iter().map(|package| text(package, "name")).collect();
        assert_eq!(names, ["builds", "linked", "trialbox"]);
    }
}
