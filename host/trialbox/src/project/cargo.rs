//! Cargo, run for a project: the tools that it needs, the build, and what the build says of its packages.

use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::standard_error;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The target of objectives.
pub(crate) const TARGET: &str = "wasm32-wasip2";

const INSTALL_RUST: &str =
    "install Rust: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";

/// A component that cargo has built, and its package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compiled {
    pub(crate) file: PathBuf,
    pub(crate) version: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    /// The version of the SDK that it was built with.
    pub(crate) sdk: Option<String>,
}

/// Builds the component of the package in a folder.
///
/// # Errors
/// Names the tool that is missing, with the command that installs it. Fails as cargo does.
pub(crate) fn build(folder: &Path, flags: &[String]) -> Result<Compiled, CommandError> {
    check_target(folder)?;
    let mut command = cargo(folder);
    command.args(["build", "--release", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]).args(flags);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| explain_start("cargo", error))?;
    let stdout = child.stdout.take().map(BufReader::new);
    let lines = stdout.into_iter().flat_map(|stdout| stdout.lines().map_while(Result::ok));
    let messages: Vec<Value> = lines.filter_map(|line| serde_json::from_str(&line).ok()).collect();
    let status = child.wait()?;
    if !status.success() {
        return Err(failed("build", status));
    }
    let manifest = folder.join("Cargo.toml").canonicalize()?;
    let file = component_in(&messages, &manifest).ok_or_else(|| {
        CommandError::usage(
            format!("expected a component of `{}`, found none", manifest.display()),
            "its Cargo.toml needs: [lib] crate-type = [\"cdylib\", \"rlib\"]",
        )
    })?;
    let package = package(folder, &manifest).unwrap_or_default();
    let text = |key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(Compiled {
        file,
        version: text("version"),
        license: text("license"),
        repository: text("repository"),
        sdk: version_of("trialbox_guest", &messages),
    })
}

/// Runs the native tests of the package in a folder.
///
/// # Errors
/// Fails if cargo cannot be started.
pub(crate) fn test(folder: &Path) -> CommandResult {
    // Standard output is for results.
    let mut command = cargo(folder);
    command.arg("test").stdin(Stdio::null()).stdout(standard_error()?);
    let status = command.status().map_err(|error| explain_start("cargo", error))?;
    Ok(if status.success() { ExitCode::Done } else { ExitCode::TrialFailed })
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    if folder != Path::new("") {
        command.current_dir(folder);
    }
    command
}

fn explain_start(program: &str, error: std::io::Error) -> CommandError {
    if error.kind() == ErrorKind::NotFound {
        return CommandError::usage(
            format!("expected `{program}` on PATH, found none"),
            INSTALL_RUST,
        );
    }
    CommandError { help: Some(INSTALL_RUST.to_owned()), ..error.into() }
}

fn failed(what: &str, status: ExitStatus) -> CommandError {
    CommandError {
        exit: ExitCode::TrialFailed,
        code: None,
        error: anyhow::anyhow!("cargo {what} failed ({status})"),
        help: None,
    }
}

/// Checks that the standard library for the target is there, for the toolchain that holds in the folder.
fn check_target(folder: &Path) -> Result<(), CommandError> {
    let mut command = Command::new("rustc");
    if folder != Path::new("") {
        command.current_dir(folder);
    }
    let output = command.args(["--print", "target-libdir", "--target", TARGET]).output();
    let output = output.map_err(|error| explain_start("rustc", error))?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && libraries.is_dir() {
        return Ok(());
    }
    let has_rustup = Command::new("rustup").arg("--version").output().is_ok();
    let help = if has_rustup {
        format!("add it: rustup target add {TARGET}")
    } else {
        format!("this Rust is not rustup's: install its package for {TARGET}, or {INSTALL_RUST}")
    };
    Err(CommandError::usage(
        format!("expected Rust's target {TARGET}, found a Rust without it"),
        help,
    ))
}

/// Returns the file of the component in cargo's messages: that of the package itself, not of a dependency.
fn component_in(messages: &[Value], manifest: &Path) -> Option<PathBuf> {
    let of_package = messages.iter().filter(|message| {
        let path = message["manifest_path"].as_str().map(Path::new);
        message["reason"] == "compiler-artifact" && path.is_some_and(|path| is_same(path, manifest))
    });
    let files = of_package.filter_map(|message| message["filenames"].as_array()).flatten();
    let mut files = files.filter_map(Value::as_str).map(PathBuf::from);
    files.find(|file| file.extension() == Some(OsStr::new("wasm")))
}

fn is_same(path: &Path, other: &Path) -> bool {
    path == other || path.canonicalize().is_ok_and(|path| path == other)
}

/// Returns the version of a crate in cargo's messages, by the name of its library.
fn version_of(library: &str, messages: &[Value]) -> Option<String> {
    let message = messages.iter().find(|message| {
        message["reason"] == "compiler-artifact" && message["target"]["name"] == library
    })?;
    let id = message["package_id"].as_str()?;
    let version = id.rsplit(['#', '@']).next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// Returns what cargo says of the package of a manifest.
fn package(folder: &Path, manifest: &Path) -> Option<serde_json::Map<String, Value>> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = cargo(folder).args(arguments).stderr(Stdio::null()).output().ok()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).ok()?;
    let packages = metadata["packages"].as_array()?;
    let package = packages.iter().find(|package| {
        package["manifest_path"].as_str().is_some_and(|path| is_same(Path::new(path), manifest))
    })?;
    package.as_object().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_component_is_that_of_the_package_and_the_sdk_has_its_version() {
        let artifact = |manifest: &str, name: &str, id: &str, file: &str| {
            json!({
                "reason": "compiler-artifact", "manifest_path": manifest, "package_id": id,
                "target": { "name": name }, "filenames": [file],
            })
        };
        let messages = [
            artifact(
                "/p/sdk/Cargo.toml",
                "trialbox_guest",
                "path+file:///p/sdk#trialbox-guest@0.1.0",
                "/t/g.rlib",
            ),
            artifact("/p/other/Cargo.toml", "other", "path+file:///p/other#1.0.0", "/t/other.wasm"),
            artifact("/p/Cargo.toml", "mine", "path+file:///p#mine@0.3.0", "/t/mine.wasm"),
            json!({ "reason": "build-finished", "success": true }),
        ];
        let found = component_in(&messages, Path::new("/p/Cargo.toml"));
        assert_eq!(found, Some(PathBuf::from("/t/mine.wasm")));
        assert_eq!(version_of("trialbox_guest", &messages).as_deref(), Some("0.1.0"));
        assert_eq!(version_of("other", &messages).as_deref(), Some("1.0.0"));
        assert_eq!(version_of("absent", &messages), None);
    }
}
