//! The recipe for array jobs with its own training script: 200 tasks of trialbox, and tasks of Optuna beside them, on
//! one cluster. Then the time from a start to the first suggestion.

use crate::python;
use crate::shell::{cargo_command, root, run};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::process::Command;

/// The test that runs the recipe; with a folder in the variable it runs in full.
const TEST: &str = "the_wiki_recipe_completes_every_task_with_its_own_script";
const VARIABLE: &str = "TRIALBOX_BENCH_ENVIRONMENT";

pub(super) fn recipe() -> Result<()> {
    let environment = python::install_for_training()?;
    let packages = ["trialbox-runtime", "trialbox", "trialbox-fuzz", "xtask"];
    let mut test = cargo_command(["test", "--features", "trialbox/failpoints"]);
    test.args(packages.iter().flat_map(|package| ["--package", package]));
    run(test.args(["--test", "it", "--", TEST]).env(VARIABLE, &environment))?;
    let figures = std::fs::read_to_string(root().join("target/tmp/slurm-recipe-program.json"))?;
    let mut figures: Value = serde_json::from_str(&figures)?;
    figures["first_suggestion"] = first_suggestion(&environment.join("bin/python"))?;
    let ratio = |key: &str| {
        let of = |side: &str| figures[side][key].as_f64();
        Some(of("optuna")? / of("trialbox")?)
    };
    let ratio = ratio("median_task_cpu_seconds").context("no CPU times")?;
    figures["CPU seconds of a task: optuna / trialbox"] = json!(ratio);
    std::fs::write(
        root().join("benches/results/slurm-recipe-program.json"),
        format!("{figures}\n"),
    )?;
    println!("a task of the recipe takes {ratio:.2} times the CPU time of one of trialbox's");
    Ok(())
}

/// Runs `benches/first_suggestion.py`.
fn first_suggestion(python: &std::path::Path) -> Result<Value> {
    let output = Command::new(python)
        .arg(root().join("benches/first_suggestion.py"))
        .arg(root().join("target/debug/trialbox"))
        .arg(python)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
