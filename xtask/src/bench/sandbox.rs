//! `cargo xtask bench sandbox`: what each part of the sandbox costs a short trial, and what counting instructions and
//! being interruptible cost a guest's loop. All in one run, in turn, because the machine changes under it.

use super::{NATIVE_CONFIGURATION, measure, median, save, tempdir};
use crate::guests;
use crate::shell::{cargo, root};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

const TRIAL_ROUNDS: usize = 41;
const LOOP_ROUNDS: usize = 15;

/// More than any of these guests needs.
const FUEL: &str = "1000000000000000";

/// A way to run, beside the first of its list.
struct Variant {
    name: &'static str,
    flags: &'static [&'static str],
    /// Precautions that are left out.
    without: &'static str,
}

const fn variant(
    name: &'static str,
    flags: &'static [&'static str],
    without: &'static str,
) -> Variant {
    Variant { name, flags, without }
}

const TRIALS: [Variant; 7] = [
    variant("as shipped", &[], ""),
    // How far apart two of the same are.
    variant("as shipped, again", &[], ""),
    variant("no Landlock", &[], "landlock"),
    variant("no seccomp", &[], "seccomp"),
    variant("neither", &[], "landlock,seccomp"),
    variant("on a thread", &["--isolation", "thread"], ""),
    variant("fuel", &["--fuel", FUEL], ""),
];

const LOOPS: [Variant; 4] = [
    variant("as shipped", &[], ""),
    variant("as shipped, again", &[], ""),
    variant("fuel", &["--fuel", FUEL], ""),
    variant("epochs, on a thread", &["--isolation", "thread"], ""),
];

pub(super) fn sandbox() -> Result<()> {
    // Only this feature lets precautions be left out.
    cargo(["build", "--release", "--package", "trialbox", "--features", "failpoints"])?;
    let bench = Bench {
        trialbox: root().join("target/release/trialbox"),
        guests: guests::build_all()?,
        folder: tempdir("bench-sandbox")?,
    };
    let [wall, cpu] = compare(&TRIALS, TRIAL_ROUNDS, |variant, round| bench.trial(variant, round))?;
    let [training] = compare(&LOOPS, LOOP_ROUNDS, |variant, _| bench.training(variant))?;
    let trial = "one trial of quadratic on an empty study, a process each";
    println!("sandbox: {trial}, by the clock\n{}", wall.text());
    println!("sandbox: {trial}, CPU time\n{}", cpu.text());
    println!("sandbox: the training of digits, by the clock\n{}", training.text());
    save(
        "sandbox",
        &json!({ "trial": wall.json(), "trial_cpu": cpu.json(), "loop": training.json() }),
    )
}

struct Bench {
    trialbox: PathBuf,
    guests: PathBuf,
    folder: PathBuf,
}

impl Bench {
    fn command(&self, subcommand: &str, guest: &str, variant: &Variant) -> Command {
        let mut command = Command::new(&self.trialbox);
        command.arg(subcommand).arg(self.guests.join(guest)).args(variant.flags);
        command.env("TRIALBOX_CACHE_DIR", self.folder.join("cache"));
        command.env("TRIALBOX_WITHOUT", variant.without);
        command
    }

    /// The seconds of a whole process and its guest's, by the clock and of CPU time.
    fn trial(&self, variant: &Variant, round: usize) -> Result<[f64; 2]> {
        let mut command = self.command("run", "quadratic.wasm", variant);
        let database = format!("{}-{round}.db", variant.name.replace([' ', ','], "-"));
        command.args(["--quiet", "--study-name", "s", "--storage"]);
        command.arg(self.folder.join(database));
        let sample = measure(&command)?;
        Ok([sample.wall_seconds, sample.cpu_seconds])
    }

    /// The seconds of the trial alone.
    fn training(&self, variant: &Variant) -> Result<[f64; 1]> {
        let data = root().join("examples/digits/data");
        let mut command = self.command("eval", "digits.wasm", variant);
        command.args(["--format", "json", "--quiet", "--dir"]);
        command.arg(format!("{}::/data", data.display()));
        command.args(NATIVE_CONFIGURATION.iter().flat_map(|param| ["--param", param]));
        let output = command.output().context("failed to start trialbox")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value =
            serde_json::from_slice(&output.stdout).context("trialbox printed no JSON")?;
        Ok([json["duration_seconds"].as_f64().context("no duration")?])
    }
}

/// The times of all variants, in seconds, round for round.
struct Comparison {
    names: Vec<&'static str>,
    seconds: Vec<Vec<f64>>,
}

/// Measures all variants in turn, round after round; a comparison for each figure.
fn compare<const N: usize>(
    variants: &[Variant],
    rounds: usize,
    seconds_of: impl Fn(&Variant, usize) -> Result<[f64; N]>,
) -> Result<[Comparison; N]> {
    let mut measured: Vec<Vec<[f64; N]>> = vec![vec![]; variants.len()];
    for round in 0..=rounds {
        for (variant, taken) in variants.iter().zip(&mut measured) {
            let seconds = seconds_of(variant, round)?;
            // The first round fills the caches.
            if round > 0 {
                taken.push(seconds);
            }
        }
    }
    Ok(std::array::from_fn(|figure| Comparison {
        names: variants.iter().map(|variant| variant.name).collect(),
        seconds: measured
            .iter()
            .map(|taken| taken.iter().map(|seconds| seconds[figure]).collect())
            .collect(),
    }))
}

impl Comparison {
    /// Each with its ratio of medians to the first, and the quartiles of the ratios within a round.
    fn ratios(&self) -> Vec<(f64, [f64; 2])> {
        let base = &self.seconds[0];
        let ratios = self.seconds.iter().map(|taken| {
            let mut paired: Vec<f64> = taken.iter().zip(base).map(|(a, b)| a / b).collect();
            paired.sort_by(f64::total_cmp);
            let quartiles = [1, 3].map(|quarter| paired[quarter * (paired.len() - 1) / 4]);
            (median(taken) / median(base), quartiles)
        });
        ratios.collect()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for ((name, taken), (ratio, [low, high])) in
            self.names.iter().zip(&self.seconds).zip(self.ratios())
        {
            let _ = writeln!(
                text,
                "  {name:<20} {:.4} s  {ratio:.3} times the first; within a round {low:.3} to {high:.3} (quartiles)",
                median(taken)
            );
        }
        text
    }

    fn json(&self) -> Value {
        let members = self.names.iter().zip(&self.seconds).zip(self.ratios());
        let members = members.map(|((name, seconds), (ratio, quartiles))| {
            let figures = json!({
                "median_seconds": median(seconds),
                "ratio": ratio,
                "quartiles_of_ratios": quartiles,
                "seconds": seconds,
            });
            ((*name).to_owned(), figures)
        });
        Value::Object(members.collect::<Map<_, _>>())
    }
}
