//! `cargo xtask demo`: from a fresh clone to the best trial of a real study.

use crate::guests;
use crate::shell::{self, cargo, root};
use anyhow::Result;
use std::process::Command;

/// Builds everything and runs a study of `digits` with 24 trials.
pub(crate) fn run() -> Result<()> {
    cargo(["build", "--release", "--package", "trialbox"])?;
    let digits = guests::build_all()?.join("digits.wasm");
    let database = root().join("target/demo.db");
    if database.exists() {
        std::fs::remove_file(&database)?;
    }
    let data = root().join("examples/digits/data");
    let trialbox = || {
        let mut command = Command::new(root().join("target/release/trialbox"));
        command.env("TRIALBOX_STORAGE", &database);
        command
    };
    shell::run(
        trialbox()
            .arg("inspect")
            .arg(&digits)
            .arg("--dir")
            .arg(format!("{}::/data", data.display())),
    )?;
    shell::run(
        trialbox()
            .arg("run")
            .arg(&digits)
            .arg("--dir")
            .arg(format!("{}::/data", data.display()))
            .args(["--n-trials", "24", "--jobs", "2", "--seed", "1"]),
    )?;
    shell::run(trialbox().args(["study", "show"]))?;
    shell::run(trialbox().args(["study", "best"]))
}
