//! Many processes at once on one study, each with one trial, as an array job begins: trialbox, Python's Optuna,
//! Rustuna, and SQLite with the two commits that any protocol needs.

use super::{build_release, median, save, tempdir};
use crate::shell::{cargo, root, run};
use crate::{guests, python};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const PROCESSES: usize = 256;
const ROUNDS: usize = 10;
const HISTORY: usize = 10_000;

/// On 10,000 trials each of Python's processes takes seconds of CPU time: more would take a quarter of an hour.
const PYTHON_PROCESSES: usize = 64;
const PYTHON_ROUNDS: usize = 1;

/// The experiment. All take turns in each round, because the speed of a disk changes with the hour.
pub(super) fn herd() -> Result<()> {
    let bench = Bench::set_up()?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        for start in [Start::Missing, Start::Existing] {
            for program in Program::ALL {
                if round < program.rounds() {
                    let measured = bench.measure(program, start)?;
                    println!("round {round}: {}", measured.text());
                    rounds.push(measured);
                }
            }
        }
    }
    report(&rounds)
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Trialbox,
    TwoCommits,
    Optuna,
    Rustuna,
}

impl Program {
    const ALL: [Program; 4] =
        [Program::Trialbox, Program::TwoCommits, Program::Optuna, Program::Rustuna];

    fn name(self) -> &'static str {
        match self {
            Program::Trialbox => "trialbox",
            Program::TwoCommits => "two commits",
            Program::Optuna => "optuna",
            Program::Rustuna => "rustuna",
        }
    }

    fn processes(self) -> usize {
        match self {
            Program::Trialbox | Program::TwoCommits => PROCESSES,
            Program::Optuna | Program::Rustuna => PYTHON_PROCESSES,
        }
    }

    fn rounds(self) -> usize {
        match self {
            Program::Trialbox | Program::TwoCommits => ROUNDS,
            Program::Optuna | Program::Rustuna => PYTHON_ROUNDS,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Start {
    /// There is no database; for the two commits, which cannot make one, there is one without trials.
    Missing,
    /// The study has 10,000 finished trials.
    Existing,
}

impl Start {
    fn name(self) -> &'static str {
        match self {
            Start::Missing => "missing study",
            Start::Existing => "10,000 trials",
        }
    }
}

/// One herd.
struct Round {
    program: Program,
    start: Start,
    wall_seconds: f64,
    cpu_seconds: f64,
    n_complete: usize,
    n_left_running: usize,
    errors: BTreeMap<String, u64>,
}

impl Round {
    fn trials_per_second(&self) -> f64 {
        self.n_complete as f64 / self.wall_seconds
    }

    fn n_failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn text(&self) -> String {
        format!(
            "{:<11}  {}  {} of {} in {:.2} s, {:.1} trials/s, {:.1} CPU ms a trial",
            self.program.name(),
            self.start.name(),
            self.n_complete,
            self.program.processes(),
            self.wall_seconds,
            self.trials_per_second(),
            1e3 * self.cpu_seconds / self.program.processes() as f64,
        )
    }

    fn json(&self) -> Value {
        json!({
            "program": self.program.name(),
            "start": self.start.name(),
            "n_processes": self.program.processes(),
            "wall_seconds": self.wall_seconds,
            "cpu_seconds": self.cpu_seconds,
            "n_complete": self.n_complete,
            "n_left_running": self.n_left_running,
            "errors": self.errors,
        })
    }
}

/// The programs, and the databases that rounds begin with.
struct Bench {
    folder: PathBuf,
    trialbox: PathBuf,
    two_commits: PathBuf,
    quadratic: PathBuf,
    python: PathBuf,
}

impl Bench {
    fn set_up() -> Result<Self> {
        let (trialbox, quadratic) = (build_release()?, guests::build_all()?.join("quadratic.wasm"));
        cargo(["build", "--release", "--package", "trialbox-storage", "--example", "two_commits"])?;
        let two_commits = root().join("target/release/examples/two_commits");
        let folder = tempdir("bench-herd")?;
        let bench = Bench { folder, trialbox, two_commits, quadratic, python: python::install()? };
        let history = bench.folder.join("history.jsonl");
        std::fs::write(&history, history_lines())?;
        run(bench
            .trialbox("study")
            .arg("import")
            .arg(&history)
            .arg("--storage")
            .arg(bench.of(Start::Existing)))?;
        run(bench
            .trialbox("study")
            .args(["create", "--study-name", "quadratic", "--storage"])
            .arg(bench.of(Start::Missing)))?;
        // Fills the cache of compiled code.
        run(bench
            .trialbox("eval")
            .arg(&bench.quadratic)
            .args(["--param", "x=0", "--param", "y=0"]))?;
        Ok(bench)
    }

    /// The database that is copied for each round of the two commits, and of all where it has trials.
    fn of(&self, start: Start) -> PathBuf {
        self.folder.join(match start {
            Start::Missing => "empty.db",
            Start::Existing => "existing.db",
        })
    }

    fn trialbox(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.trialbox);
        command.arg(subcommand).env("TRIALBOX_CACHE_DIR", self.folder.join("cache"));
        command
    }

    fn measure(&self, program: Program, start: Start) -> Result<Round> {
        let database = self.folder.join("study.db");
        for suffix in ["", "-journal"] {
            let _ = std::fs::remove_file(self.folder.join(format!("study.db{suffix}")));
        }
        if start == Start::Existing || program == Program::TwoCommits {
            std::fs::copy(self.of(start), &database)?;
        }
        let mut round = match program {
            Program::Trialbox => {
                let mut command = self.trialbox("run");
                command.arg(&self.quadratic).arg("--storage").arg(&database).arg("--quiet");
                self.measure_herd(&command)?
            }
            Program::TwoCommits => {
                self.measure_herd(Command::new(&self.two_commits).arg(&database))?
            }
            Program::Optuna | Program::Rustuna => self.measure_python(program, &database)?,
        };
        (round.program, round.start) = (program, start);
        if matches!(program, Program::Trialbox | Program::TwoCommits) {
            let before = if start == Start::Existing { HISTORY } else { 0 };
            ensure!(round.errors.is_empty(), "{} failed: {:?}", program.name(), round.errors);
            self.check(&database, before + PROCESSES)?;
        }
        Ok(round)
    }

    /// Starts processes that wait at a gate, opens it, and waits until the last has ended.
    fn measure_herd(&self, command: &Command) -> Result<Round> {
        let complaints = self.folder.join("complaints");
        let stderr = std::fs::File::create(&complaints)?;
        let (gate, opener) = std::io::pipe()?;
        let mut children: Vec<Child> = Vec::with_capacity(PROCESSES);
        for _ in 0..PROCESSES {
            let mut waiting = Command::new("sh");
            waiting.args(["-c", "read gate; exec \"$0\" \"$@\""]);
            waiting.arg(command.get_program()).args(command.get_args());
            waiting.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            waiting.stdin(gate.try_clone()?).stdout(Stdio::null()).stderr(stderr.try_clone()?);
            children.push(waiting.spawn().context("failed to start sh")?);
        }
        let (started, cpu_before) = (Instant::now(), cpu_seconds_of_children()?);
        // A pipe opens for all at once when its last writer closes it.
        drop(opener);
        let mut n_failed = 0;
        for child in &mut children {
            n_failed += u64::from(!child.wait()?.success());
        }
        let wall_seconds = started.elapsed().as_secs_f64();
        let said =
            std::fs::read_to_string(&complaints)?.lines().take(5).collect::<Vec<_>>().join("; ");
        Ok(Round {
            program: Program::Trialbox,
            start: Start::Missing,
            wall_seconds,
            cpu_seconds: cpu_seconds_of_children()? - cpu_before,
            n_complete: PROCESSES - n_failed as usize,
            n_left_running: 0,
            errors: (n_failed > 0).then_some((said, n_failed)).into_iter().collect(),
        })
    }

    fn measure_python(&self, program: Program, database: &Path) -> Result<Round> {
        let cpu_before = cpu_seconds_of_children()?;
        let output = Command::new(&self.python)
            .arg(root().join("benches/herd.py"))
            .arg(program.name())
            .arg(database)
            .arg(PYTHON_PROCESSES.to_string())
            .stderr(Stdio::inherit())
            .output()
            .context("failed to start Python")?;
        let json: Value =
            serde_json::from_slice(&output.stdout).context("herd.py printed no JSON")?;
        let number =
            |name: &str| json[name].as_f64().with_context(|| format!("no {name} in {json}"));
        let errors = json["errors"].as_object().context("no errors")?;
        Ok(Round {
            program,
            start: Start::Missing,
            wall_seconds: number("wall_seconds")?,
            cpu_seconds: cpu_seconds_of_children()? - cpu_before,
            n_complete: number("n_complete")? as usize,
            n_left_running: number("n_left_running")? as usize,
            errors: errors
                .iter()
                .map(|(kind, n)| (kind.clone(), n.as_u64().unwrap_or(0)))
                .collect(),
        })
    }

    /// Every trial is COMPLETE, and they are numbered from 0 without a gap.
    fn check(&self, database: &Path, n_trials: usize) -> Result<()> {
        let output = self
            .trialbox("study")
            .args(["trials", "--format", "json", "--storage"])
            .arg(database)
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut n_found = 0;
        for (number, line) in text.lines().enumerate() {
            let trial: Value = serde_json::from_str(line)?;
            let is_right = trial["number"] == number && trial["state"] == "COMPLETE";
            ensure!(is_right, "trial {number} of {}: {line}", database.display());
            n_found += 1;
        }
        ensure!(n_found == n_trials, "{n_found} trials of {n_trials} in {}", database.display());
        Ok(())
    }
}

/// A study of `quadratic` with finished trials, as `study export` writes it.
fn history_lines() -> String {
    let mut text = format!(
        "{}\n",
        json!({
            "event": "study", "study": "quadratic", "directions": ["minimize"], "user_attrs": {}, "system_attrs": {},
        })
    );
    for number in 0..HISTORY {
        let (x, y) = ((number % 2001) as f64 / 100.0 - 10.0, (number % 21) as f64 - 10.0);
        let trial = json!({
            "event": "trial",
            "number": number,
            "state": "COMPLETE",
            "values": [(x - 2.0).powi(2) + (y + 1.0).powi(2)],
            "datetime_start": "2026-01-01T00:00:00.000000Z",
            "datetime_complete": "2026-01-01T00:00:01.000000Z",
            "params_order": ["x", "y"],
            "params_internal": { "x": x, "y": y },
            "distributions": {
                "x": {
                    "name": "FloatDistribution",
                    "attributes": { "step": null, "low": -10.0, "high": 10.0, "log": false },
                },
                "y": { "name": "IntDistribution", "attributes": { "log": false, "step": 1, "low": -10, "high": 10 } },
            },
            "intermediate_values": [],
            "user_attrs": {},
            "system_attrs": {},
        });
        let _ = writeln!(text, "{trial}");
    }
    text
}

/// The CPU time of all children so far that have ended, and of theirs (proc_pid_stat(5), fields 16 and 17).
fn cpu_seconds_of_children() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: Vec<f64> =
        after_name.split(' ').skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    // `USER_HZ`, which is the same on all machines that we run on.
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

fn report(rounds: &[Round]) -> Result<()> {
    let mut text = format!(
        "herd: {PROCESSES} processes at a time, {PYTHON_PROCESSES} of Python's, a trial each \
         (medians of up to {ROUNDS} rounds)\n"
    );
    let mut ratios = serde_json::Map::new();
    for start in [Start::Missing, Start::Existing] {
        let of = |program: Program| {
            let found =
                rounds.iter().filter(move |round| round.program == program && round.start == start);
            found.collect::<Vec<_>>()
        };
        let speed = |program| {
            median(&of(program).iter().map(|round| round.trials_per_second()).collect::<Vec<_>>())
        };
        for program in Program::ALL {
            let failed: u64 = of(program).iter().map(|round| round.n_failed()).sum();
            let left: usize = of(program).iter().map(|round| round.n_left_running).sum();
            let ratio = speed(Program::Trialbox) / speed(program);
            let _ = writeln!(
                text,
                "  {:<13}  {:<11}  {:>6.1} trials/s  trialbox is {ratio:.2} times as fast  \
                 {failed} of {} failed, {left} left RUNNING",
                start.name(),
                program.name(),
                speed(program),
                of(program).len() * program.processes(),
            );
            ratios.insert(format!("{}: trialbox / {}", start.name(), program.name()), json!(ratio));
        }
    }
    println!("{text}");
    save(
        "herd",
        &json!({ "ratios": ratios, "rounds": rounds.iter().map(Round::json).collect::<Vec<_>>() }),
    )
}
