//! The list of packages inside the binary, as cargo-auditable writes it: a section `.dep-v0` with JSON in zlib, which
//! `cargo audit bin`, trivy and others read.

use super::build::TARGET;
use super::packages::linked_packages;
use super::sbom::text;
use crate::shell::{root, run};
use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, write::ZlibEncoder};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes a copy of a binary with the list of its packages to a folder, and returns its path. Symbols that the linker
/// has left are removed.
pub(super) fn with_packages(binary: &Path, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let list = folder.join("dep-v0");
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(document(&linked_packages(TARGET)?)?.as_bytes())?;
    std::fs::write(&list, packed.finish()?)?;
    let copy = folder.join("trialbox-with-list");
    let mut command = objcopy()?;
    command.args(["--strip-all", "--remove-section=.dep-v0"]);
    command.arg(format!("--add-section=.dep-v0={}", list.display()));
    run(command.arg(binary).arg(&copy))?;
    Ok(copy)
}

/// Returns the list for packages that are sorted by name and version.
fn document(packages: &[Value]) -> Result<String> {
    let position = |id: &Value| packages.iter().position(|package| package["id"] == *id);
    let mut listed = Vec::new();
    for package in packages {
        let needs = package["needs"].as_array().context("expected dependencies, found none")?;
        let mut needs: Vec<usize> = needs.iter().filter_map(position).collect();
        needs.sort_unstable();
        let is_local = package["source"].is_null();
        let mut entry = json!({
            "name": text(package, "name"),
            "version": text(package, "version"),
            "source": if is_local { "local" } else { "crates.io" },
        });
        if !needs.is_empty() {
            entry["dependencies"] = json!(needs);
        }
        if package["is_linked"] == false {
            entry["kind"] = json!("build");
        }
        if package["name"] == "trialbox" {
            entry["root"] = json!(true);
        }
        listed.push(entry);
    }
    Ok(serde_json::to_string(&json!({ "packages": listed }))?)
}

/// Returns the command that runs Rust's own objcopy, which reads every target. It does not find its library by itself.
fn objcopy() -> Result<Command> {
    let sysroot = rustc("sysroot")?;
    let libraries = rustc("target-libdir")?;
    let folder = libraries.parent().context("expected a directory of the target, found none")?;
    let mut command = Command::new(folder.join("bin/rust-objcopy"));
    command.env("LD_LIBRARY_PATH", sysroot.join("lib"));
    Ok(command)
}

/// Returns a path that rustc prints.
fn rustc(what: &str) -> Result<PathBuf> {
    let output = Command::new("rustc").args(["--print", what]).current_dir(root()).output()?;
    ensure!(output.status.success(), "rustc failed: {}", output.status);
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_what_each_package_needs() {
        let package = |name: &str, needs: Value, source: Value, is_linked: bool| {
            let mut package = json!({ "id": name, "name": name, "version": "1.0.0" });
            package["needs"] = needs;
            package["source"] = source;
            package["is_linked"] = json!(is_linked);
            package
        };
        let packages = [
            package("builds", json!([]), json!("registry"), false),
            package("trialbox", json!(["builds", "tests"]), Value::Null, true),
        ];
        let list = document(&packages).expect("a list");
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let builds =
            json!({ "name": "builds", "version": "1.0.0", "source": "crates.io", "kind": "build" });
        let trialbox = json!({
            "name": "trialbox", "version": "1.0.0", "source": "local", "dependencies": [0], "root": true,
        });
        assert_eq!(list, json!({ "packages": [builds, trialbox] }));
    }
}
