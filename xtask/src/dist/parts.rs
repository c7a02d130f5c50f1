//! The files beside the binary in an archive: completions, manual pages, licences and the list of components.

use super::build::TARGET;
use super::packages::linked_packages;
use super::sbom::{bom, text};
use crate::shell::{root, run};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes all parts to a folder.
pub(super) fn stage(binary: &Path, folder: &Path) -> Result<()> {
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
    let packages = linked_packages(TARGET)?;
    std::fs::write(folder.join("LICENSES-THIRD-PARTY.txt"), licences(&packages)?)?;
    let bom = bom(&packages, &std::fs::read_to_string(root().join("Cargo.lock"))?)?;
    std::fs::write(folder.join("trialbox.cdx.json"), bom)?;
    Ok(())
}

/// Returns the licences of all packages that are not ours, each text once, with the packages that it holds for.
fn licences(packages: &[Value]) -> Result<String> {
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    let mut all =
        String::from("The libraries in trialbox and their licences. The texts follow.\n\n");
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        let name = format!("{} {}", text(package, "name"), text(package, "version"));
        all.push_str(&format!("{name}: {}\n", text(package, "license")));
        let mut files = licence_files(package)?;
        if files.is_empty() {
            files = files_of_same_licence(package, packages)?;
        }
        for file in files {
            let content = String::from_utf8_lossy(&std::fs::read(&file)?).trim_end().to_owned();
            match texts.iter_mut().find(|(text, _)| *text == content) {
                Some((_, names)) => names.push(name.clone()),
                None => texts.push((content, vec![name.clone()])),
            }
        }
    }
    for (text, names) in texts {
        all.push_str(&format!("\n==== {}\n\n{text}\n", names.join(", ")));
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
