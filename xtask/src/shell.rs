//! Runs other programs, and shows their command lines.

use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the repository's top folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Runs a program to its end, and fails if the program does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("failed to start `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(())
}

/// Runs a program to its end, shows what it prints, and hands over each line of it.
///
/// # Errors
/// Fails if the program cannot be started or fails.
pub(crate) fn run_reading(command: &mut Command, mut read: impl FnMut(&str)) -> Result<()> {
    let shown = show(command);
    println!("$ {shown}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start `{shown}`"))?;
    if let Some(output) = child.stdout.take() {
        // A test may print what is not UTF-8; that is shown with replacements.
        for line in BufReader::new(output).split(b'\n') {
            let line = line.with_context(|| format!("failed to read from `{shown}`"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            read(&line);
        }
    }
    let status = child.wait().with_context(|| format!("failed to wait for `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(())
}

/// Checks that a program can be started.
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
    run(cargo_command(arguments).envs(variables.iter().copied()))
}

/// Returns the command that runs cargo in the repository's top folder.
pub(crate) fn cargo_command<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    command
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
