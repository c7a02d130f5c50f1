//! The recipe for Optuna of the Alliance's (Compute Canada's) wiki: an array job whose tasks create or open the study
//! and run one trial each. Only its Python line is replaced.

use super::cluster::{Cluster, Task};
use crate::scene::{Scene, guest};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// An array job as in the recipe.
pub(super) struct Recipe<'a> {
    /// The value of `#SBATCH --array`.
    pub(super) array: &'a str,
    /// The command of a task, with the objective if it is an argument.
    pub(super) program: &'a str,
    /// The database's file name in the home folder.
    pub(super) database: &'a str,
    /// The lines of the script before the command.
    pub(super) setup: &'a str,
}

/// The result of the array job.
pub(super) struct Outcome {
    pub(super) tasks: BTreeMap<u32, Task>,
    /// The trials' states, by number.
    pub(super) trials: Vec<(u32, String)>,
    pub(super) wall_seconds: f64,
    /// The duration of each task, from the first line of its batch script to the end.
    pub(super) task_seconds: Vec<f64>,
    /// The CPU time of each task with everything that it started.
    pub(super) task_cpu_seconds: Vec<f64>,
}

impl Recipe<'_> {
    /// Runs the array to its end, without a study at the start.
    #[track_caller]
    pub(super) fn run(&self, scene: &Scene, cluster: &Cluster) -> Outcome {
        let (database, times) = (scene.path(self.database), format!("{}.times", self.database));
        std::fs::create_dir(scene.path(&times)).unwrap();
        std::fs::write(scene.path("recipe.sh"), self.script()).unwrap();
        // Bash reads this file before any script, so the recipe is timed without another line. Scripts that a task
        // runs read it too.
        let clock = format!(
            "if [ \"$SLURM_TASK_PID\" = $$ ]; then\nstart=$EPOCHREALTIME\n\
             trap '{{ echo $start $EPOCHREALTIME; times; }} \
             >$HOME/{times}/$SLURM_ARRAY_TASK_ID' EXIT\nfi\n"
        );
        std::fs::write(scene.path("clock.sh"), clock).unwrap();
        let started = Instant::now();
        let clock = scene.path("clock.sh").display().to_string();
        let job = cluster.sbatch_with(&[("BASH_ENV", &clock)], &["recipe.sh"]);
        let tasks = cluster.wait_for(job);
        let wall_seconds = started.elapsed().as_secs_f64();
        let read = |id| std::fs::read_to_string(scene.path(&times).join(id)).ok();
        // A task that Slurm kills leaves no times.
        let times: Vec<String> = tasks.keys().filter_map(|id: &u32| read(id.to_string())).collect();
        Outcome {
            tasks,
            wall_seconds,
            trials: trials(&Connection::open(database).unwrap()),
            task_seconds: times.iter().map(|times| duration(times)).collect(),
            task_cpu_seconds: times.iter().map(|times| cpu_seconds(times)).collect(),
        }
    }

    fn script(&self) -> String {
        format!(
            "#!/bin/bash
#SBATCH --array={}
#SBATCH --time=0-00:30
{}{} --optuna-db $HOME/{} --optuna-study-name quadratic
",
            self.array, self.setup, self.program, self.database
        )
    }
}

impl Outcome {
    /// Checks that every task succeeded and left exactly one trial.
    #[track_caller]
    pub(super) fn assert_nothing_was_lost(&self, n_tasks: u32) {
        self.assert_all_finished(n_tasks);
        let wanted: Vec<_> = (0..n_tasks).map(|number| (number, "COMPLETE".to_owned())).collect();
        assert_eq!(self.trials, wanted);
    }

    /// Checks that every task succeeded and left exactly one trial, which may be pruned.
    #[track_caller]
    pub(super) fn assert_all_finished(&self, n_tasks: u32) {
        let tasks = self.tasks.iter();
        let ended = tasks.map(|(id, task)| (*id, task.state.as_str(), task.exit_code.as_str()));
        let wanted: Vec<_> = (1..=n_tasks).map(|id| (id, "COMPLETED", "0:0")).collect();
        assert_eq!(ended.collect::<Vec<_>>(), wanted);
        let numbers: Vec<u32> = self.trials.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..n_tasks).collect::<Vec<_>>());
        let is_done = |state: &str| state == "COMPLETE" || state == "PRUNED";
        assert!(self.trials.iter().all(|(_, state)| is_done(state)), "{:?}", self.trials);
    }

    pub(super) fn n_complete(&self) -> usize {
        self.trials.iter().filter(|(_, state)| state == "COMPLETE").count()
    }

    /// Returns the number of tasks that did not exit with 0.
    pub(super) fn n_dead(&self) -> usize {
        self.tasks.values().filter(|task| task.exit_code != "0:0").count()
    }

    pub(super) fn median_task_seconds(&self) -> f64 {
        median(&self.task_seconds)
    }

    pub(super) fn median_task_cpu_seconds(&self) -> f64 {
        median(&self.task_cpu_seconds)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "n_tasks": self.tasks.len(),
            "n_dead": self.n_dead(),
            "n_complete": self.n_complete(),
            "n_pruned": self.trials.iter().filter(|(_, state)| state == "PRUNED").count(),
            "n_left_running": self.trials.iter().filter(|(_, state)| state == "RUNNING").count(),
            "wall_seconds": self.wall_seconds,
            "median_task_seconds": self.median_task_seconds(),
            "task_seconds": self.task_seconds,
            "median_task_cpu_seconds": self.median_task_cpu_seconds(),
            "task_cpu_seconds": self.task_cpu_seconds,
        })
    }
}

/// Copies the objective to the recipe's folder.
pub(super) fn lay_out_objective(scene: &Scene) {
    std::fs::copy(guest("quadratic"), scene.path("quadratic.wasm")).unwrap();
}

/// Checks a database's integrity, and returns the states of its trials.
#[track_caller]
fn trials(connection: &Connection) -> Vec<(u32, String)> {
    let check: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let sql = "SELECT number, state FROM trials ORDER BY number";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Returns the difference of the two times on the first line.
fn duration(times: &str) -> f64 {
    let (start, end) = times.lines().next().unwrap().split_once(' ').unwrap();
    end.parse::<f64>().unwrap() - start.parse::<f64>().unwrap()
}

/// Adds the times that bash's `times` has printed after the first line, such as `0m1.250s`.
fn cpu_seconds(times: &str) -> f64 {
    let words = times.lines().skip(1).flat_map(str::split_whitespace);
    let seconds = words.map(|word| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    });
    seconds.sum()
}
