//! The example objectives and those for tests: projects of their own, which share a target directory here.

use crate::shell::{root, run};
use crate::stage::{Tally, for_each};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

const EXAMPLES: [&str; 3] = ["quadratic", "digits", "digits-front"];
/// Objectives that misbehave, for the tests of the sandbox.
const HOSTILE: [&str; 3] = ["misfit", "prober", "dialer"];
const TARGET: &str = "wasm32-wasip2";

/// Installs the target of objectives.
pub(crate) fn install_target() -> Result<()> {
    run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root()))
}

/// Compiles the guests, and returns the folder of the components.
pub(crate) fn build_all() -> Result<PathBuf> {
    install_target()?;
    folders().try_for_each(|folder| build(&folder))?;
    Ok(built())
}

/// Compiles the objective in a folder of the repository.
pub(crate) fn build(folder: &str) -> Result<()> {
    run(cargo_at(folder).args(["build", "--release", "--locked", "--target", TARGET]))
}

/// Compiles the examples' own tests.
pub(crate) fn build_tests() -> Result<()> {
    for_each(EXAMPLES, |example| {
        run(cargo_in(example).args(["test", "--release", "--locked", "--no-run"]))
    })
}

/// Tests the examples natively, as their authors would.
pub(crate) fn test_all(tally: &mut Tally) -> Result<()> {
    for_each(EXAMPLES, |example| {
        tally.run(cargo_in(example).args(["test", "--release", "--locked", "--no-fail-fast"]))
    })
}

/// Checks the formatting of the guests, and runs clippy on them.
pub(crate) fn check_all() -> Result<()> {
    install_target()?;
    for_each(folders(), |folder| {
        let format = run(cargo_at(&folder).args(["fmt", "--check"]));
        let clippy = ["clippy", "--locked", "--all-targets", "--", "--deny", "warnings"];
        run(cargo_at(&folder).args(clippy))?;
        format
    })
}

/// Returns the folder of the components.
pub(crate) fn built() -> PathBuf {
    target_dir().join(TARGET).join("release")
}

/// Returns a cargo command in an example's folder, where the example's `.cargo/config.toml` holds.
pub(crate) fn cargo_in(example: &str) -> Command {
    cargo_at(&format!("examples/{example}"))
}

/// Returns the folders of all guests.
fn folders() -> impl Iterator<Item = String> {
    let examples = EXAMPLES.into_iter().map(|example| format!("examples/{example}"));
    examples.chain(HOSTILE.into_iter().map(|guest| format!("tests/guests/{guest}")))
}

fn cargo_at(folder: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root().join(folder)).env("CARGO_TARGET_DIR", target_dir());
    command
}

pub(crate) fn target_dir() -> PathBuf {
    root().join("target/guests")
}
