//! `cargo xtask bench`: named experiments on whole processes. They print ratios measured in one run, because
//! absolute times depend on the machine, and keep the raw figures in `benches/`.

mod herd;
mod python_door;
mod recipe;
mod sandbox;

use crate::shell::{cargo, cargo_command, root, run};
use crate::{guests, python};
use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An experiment.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Experiment {
    /// One trial as a whole process: trialbox, Optuna and Rustuna
    Trial,
    /// The training of `digits` in wasm and natively
    Guest,
    /// Each part of the sandbox
    Sandbox,
    /// A million reports
    Reports,
    /// Many processes on one database
    Herd,
    /// One trial of scikit-learn: in the sandbox, in Python, and as the recipe does it
    Python,
    /// The recipe for array jobs on a Slurm cluster, with and without trialbox (takes long)
    Recipe,
    /// Samplers, ours and Optuna's: run, then report
    Samplers,
    /// The CPU time of one suggestion, ours and Optuna's
    Suggest,
    /// The steps that pruners save on learning curves: run, then report
    Pruning,
    /// The CPU time of one judgement of a running trial
    Pruners,
}

use Experiment::{
    Guest, Herd, Pruners, Pruning, Python, Recipe, Reports, Samplers, Sandbox, Suggest, Trial,
};

/// Runs one experiment, or all that need no words of their own.
pub(crate) fn run_named(experiment: Option<Experiment>, words: &[String]) -> Result<()> {
    let Some(experiment) = experiment else {
        return [Trial, Guest, Sandbox, Reports, Herd]
            .into_iter()
            .try_for_each(|experiment| run_named(Some(experiment), &[]));
    };
    let is_comparison = matches!(experiment, Samplers | Suggest | Pruning | Pruners);
    ensure!(
        is_comparison || words.is_empty(),
        "expected no more words, found `{}`",
        words.join(" ")
    );
    match experiment {
        Trial => trial(),
        Guest => guest(),
        Sandbox => sandbox::sandbox(),
        Reports => reports(),
        Herd => herd::herd(),
        Python => python_door::python_door(),
        Recipe => recipe::recipe(),
        Samplers => compare(words),
        Suggest => compare(&[&["suggest".to_owned()], words].concat()),
        Pruning => compare(&[&["pruning".to_owned()], words].concat()),
        Pruners => compare(&[&["pruners".to_owned()], words].concat()),
    }
}

/// Hands over to the program that compares samplers, optimised, and with an interpreter that has Optuna.
fn compare(words: &[String]) -> Result<()> {
    let mut command =
        cargo_command(["run", "--quiet", "--release", "--package", "trialbox-bench", "--"]);
    command.args(words);
    if words.iter().any(|word| word == "run" || word == "suggest") {
        command.arg("--python").arg(python::install()?);
    }
    run(&mut command)
}

const ROUNDS: usize = 15;

/// Times one trial on an empty study as a whole process: trialbox, Python's Optuna, and Rustuna, in turn.
fn trial() -> Result<()> {
    let (trialbox, quadratic) = (build_release()?, guests::build_all()?.join("quadratic.wasm"));
    let python = python::install()?;
    let script = root().join("benches/one_trial.py");
    let folder = tempdir("bench-trial")?;
    let mut samples: Vec<(&str, Vec<Sample>)> =
        vec![("trialbox", vec![]), ("optuna", vec![]), ("rustuna", vec![])];
    for round in 0..=ROUNDS {
        for (name, taken) in &mut samples {
            let database = folder.join(format!("{name}-{round}.db"));
            let command = match *name {
                "trialbox" => {
                    let mut command = Command::new(&trialbox);
                    command.arg("run").arg(&quadratic).arg("--storage").arg(&database);
                    command
                        .args(["--study-name", "s"])
                        .env("TRIALBOX_CACHE_DIR", folder.join("cache"));
                    command
                }
                library => {
                    let mut command = Command::new(&python);
                    command.arg(&script).arg(library).arg(&database);
                    command
                }
            };
            let sample = measure(&command)?;
            // The first round fills the caches: of compiled code, of byte code, of the file system.
            if round > 0 {
                taken.push(sample);
            }
        }
    }
    report("trial", "one trial of quadratic on an empty study, a process each", &samples)
}

/// Times the training of `digits` in wasm against the same code compiled natively.
fn guest() -> Result<()> {
    let (trialbox, digits) = (build_release()?, guests::build_all()?.join("digits.wasm"));
    run(guests::cargo_in("digits").args(["build", "--release", "--example", "native"]))?;
    let native = guests::target_dir().join("release/examples/native");
    let data = root().join("examples/digits/data");
    let (mut in_wasm, mut natively) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let output = Command::new(&native)
            .arg("1")
            .stderr(Stdio::inherit())
            .output()
            .context("failed to start native")?;
        natively.push(complete_seconds(&output.stdout)?);
        let output = Command::new(&trialbox)
            .args(["eval", "--format", "json", "--quiet"])
            .arg(&digits)
            .arg("--dir")
            .arg(format!("{}::/data", data.display()))
            .args(NATIVE_CONFIGURATION.iter().flat_map(|param| ["--param", param]))
            .output()
            .context("failed to start trialbox")?;
        let json: Value =
            serde_json::from_slice(&output.stdout).context("trialbox printed no JSON")?;
        in_wasm.push(json["duration_seconds"].as_f64().context("no duration")?);
    }
    let ratio = median(&in_wasm) / median(&natively);
    println!(
        "guest: wasm {:.3} s, native {:.3} s, ratio {ratio:.2} (medians of {ROUNDS})",
        median(&in_wasm),
        median(&natively)
    );
    save("guest", &json!({ "wasm_seconds": in_wasm, "native_seconds": natively, "ratio": ratio }))
}

/// Times a million reports, and a hundred thousand that each ask the pruner, against a trial without reports.
fn reports() -> Result<()> {
    let trialbox = build_release()?;
    guests::install_target()?;
    guests::build("benches/reporter")?;
    let reporter = guests::built().join("reporter.wasm");
    let folder = tempdir("bench-reports")?;
    let mut samples: Vec<(&str, Vec<Sample>)> =
        vec![("silent", vec![]), ("1e6 rep.", vec![]), ("1e5 asks", vec![])];
    for round in 0..=ROUNDS {
        for ((_, taken), (n, ask_every)) in
            samples.iter_mut().zip([(0, 0), (1_000_000, 0), (100_000, 1)])
        {
            let mut command = Command::new(&trialbox);
            // A study of its own, so that no process pays for reading the reports of others.
            let database = folder.join(format!("{n}-{ask_every}-{round}.db"));
            command.arg("run").arg(&reporter).arg("--storage").arg(database);
            command.args([format!("--fix=n={n}"), format!("--fix=ask_every={ask_every}")]);
            let sample = measure(command.env("TRIALBOX_CACHE_DIR", folder.join("cache")))?;
            if round > 0 {
                taken.push(sample);
            }
        }
    }
    report("reports", "one trial that reports, a process each", &samples)
}

/// The configuration that `examples/digits/examples/native.rs` trains.
const NATIVE_CONFIGURATION: [&str; 7] = [
    "depth=2",
    "width=64",
    "learning_rate=0.05",
    "batch_size=32",
    "momentum=0.9",
    "l2=1e-4",
    "activation=relu",
];

struct Sample {
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_kib: f64,
}

/// Runs a program to its end, and measures it with its children.
fn measure(command: &Command) -> Result<Sample> {
    let mut measured = Command::new("python3");
    measured
        .arg(root().join("benches/measure.py"))
        .arg(command.get_program())
        .args(command.get_args());
    measured.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = measured.output().context("failed to start python3")?;
    ensure!(
        output.status.success(),
        "{:?} failed: {}",
        command,
        String::from_utf8_lossy(&output.stderr)
    );
    let json: Value = serde_json::from_slice(&output.stdout)?;
    let figure = |name: &str| json[name].as_f64().with_context(|| format!("no {name} in {json}"));
    Ok(Sample {
        wall_seconds: figure("wall_seconds")?,
        cpu_seconds: figure("cpu_seconds")?,
        peak_kib: figure("peak_kib")?,
    })
}

fn report(name: &str, title: &str, samples: &[(&str, Vec<Sample>)]) -> Result<()> {
    let column = |samples: &[Sample], pick: fn(&Sample) -> f64| {
        median(&samples.iter().map(pick).collect::<Vec<_>>())
    };
    let mut text =
        format!("{name}: {title} (medians of {ROUNDS}; in brackets as a multiple of the first)\n");
    let base = &samples[0].1;
    for (program, taken) in samples {
        let _ = write!(text, "  {program:<9}");
        for (label, pick) in [
            ("wall", (|sample| sample.wall_seconds) as fn(&Sample) -> f64),
            ("cpu", |sample| sample.cpu_seconds),
            ("peak MiB", |sample| sample.peak_kib / 1024.0),
        ] {
            let value = column(taken, pick);
            let _ = write!(text, "  {label} {value:.4} ({:.1}x)", value / column(base, pick));
        }
        text.push('\n');
    }
    println!("{text}");
    let raw = samples.iter().map(|(program, taken)| {
        let rows: Vec<Value> = taken
            .iter()
            .map(|sample| {
                json!({
                    "wall_seconds": sample.wall_seconds,
                    "cpu_seconds": sample.cpu_seconds,
                    "peak_kib": sample.peak_kib,
                })
            })
            .collect();
        ((*program).to_owned(), Value::from(rows))
    });
    save(name, &Value::Object(raw.collect()))
}

fn save(name: &str, raw: &Value) -> Result<()> {
    let path = root().join(format!("benches/results/{name}.json"));
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    std::fs::write(&path, format!("{raw:#}\n"))?;
    println!("raw figures: {}", path.display());
    Ok(())
}

/// Builds trialbox as it is released, and returns its path.
pub(crate) fn build_release() -> Result<PathBuf> {
    cargo(["build", "--release", "--package", "trialbox"])?;
    Ok(root().join("target/release/trialbox"))
}

fn tempdir(name: &str) -> Result<PathBuf> {
    let folder = root().join("target/tmp").join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Returns the seconds of the line `complete objective  0.2140 s, …`.
fn complete_seconds(output: &[u8]) -> Result<f64> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().find_map(|line| line.strip_prefix("complete objective"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("no time of the complete objective in {text:?}"))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { 0.5 * (sorted[middle - 1] + sorted[middle]) }
}
