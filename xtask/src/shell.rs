//! Running other programs, and saying which.

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's top folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Runs a program to its end, and fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("failed to start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Looks whether a program can be started.
pub(crate) fn find(program: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().with_context(|| format!("`{program}` cannot be started"))?;
    Ok(())
}

/// Runs cargo in the repository's top folder.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<()> {
    cargo_with(&[], arguments)
}

/// Runs cargo in the repository's top folder with some variables set.
pub(crate) fn cargo_with<'a>(
    variables: &[(&str, &str)],
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let mut command = Command::new("cargo");
    run(command.args(arguments).envs(variables.iter().copied()).current_dir(root()))
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
