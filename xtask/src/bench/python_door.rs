//! One trial of scikit-learn as a whole process: in the sandbox, in Python under Optuna, and as the recipe does it.
//! Then many processes that share one runtime.

use super::build_release;
use crate::python;
use crate::shell::root;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The processes that run at the same time.
const HERD: &str = "128";

pub(super) fn python_door() -> Result<()> {
    let trialbox = build_release()?;
    python::add_runtime_with(&trialbox)?;
    let interpreter = python::install_for_training()?.join("bin/python");
    let trial = measure(&interpreter, "python_door.py", &trialbox, &[path(&interpreter)])?;
    let herd = measure(&interpreter, "python_herd.py", &trialbox, &[HERD.to_owned()])?;
    for (name, ratios) in trial["ratios"].as_object().context("no ratios")? {
        println!("{name}: {ratios}");
    }
    println!("{}", herd["warm"]["summary"]);
    println!("{}", herd["cold"]["summary"]);
    let figures = json!({ "trial": trial, "herd": herd });
    std::fs::write(root().join("benches/results/python.json"), format!("{figures:#}\n"))?;
    Ok(())
}

/// Runs a script of `benches` with the binary, the runtime's places, and further words.
fn measure(interpreter: &Path, script: &str, trialbox: &Path, words: &[String]) -> Result<Value> {
    let places = python::RUNTIME.map(|(_, folder)| path(&root().join(folder)));
    let output = Command::new(interpreter)
        .arg(root().join("benches").join(script))
        .arg(trialbox)
        .args(words)
        .args(places)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
