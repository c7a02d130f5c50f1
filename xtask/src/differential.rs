//! `cargo xtask differential`: random studies, written by releases of Optuna and by trialbox, read by both.

use crate::bench::build_release;
use crate::python;
use crate::shell::{root, run_reading};
use anyhow::{Context as _, Result};
use std::process::Command;

/// The releases whose schema trialbox reads, the newest last.
const RELEASES: [&str; 4] = ["3.2.0", "3.6.2", "4.9.0", "5.0.0"];

/// The last result, which is kept.
const RESULT: &str = "benches/results/differential.txt";

#[derive(clap::Args)]
pub(crate) struct DifferentialArgs {
    /// The number of studies
    #[arg(long, value_name = "N", default_value_t = 2000)]
    studies: u32,
    /// The seed of the first 50 studies; the next 50 have the next
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u32,
}

impl DifferentialArgs {
    /// Writes and reads the studies, prints every difference, and keeps the last line in `benches/results`.
    pub(crate) fn run(&self) -> Result<()> {
        let trialbox = build_release()?;
        let mut command = Command::new(python::install()?);
        command
            .arg(root().join("tests/it/differential.py"))
            .args(["drive", "--binary"])
            .arg(trialbox)
            .args(["--studies", &self.studies.to_string(), "--seed", &self.seed.to_string()])
            .arg("--folder")
            .arg(root().join("target/differential"));
        for release in RELEASES {
            let interpreter = python::install_release(release)?;
            command.arg(format!("{release}={}", interpreter.display()));
        }
        let mut last = String::new();
        run_reading(&mut command, |line| line.clone_into(&mut last))?;
        let arguments =
            format!("cargo xtask differential --studies {} --seed {}", self.studies, self.seed);
        std::fs::write(root().join(RESULT), format!("$ {arguments}\n{last}\n")).context(RESULT)
    }
}
