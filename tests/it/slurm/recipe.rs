//! The recipe of the Alliance's (Compute Canada's) wiki for Optuna: an array job, each task of which makes the
//! study or joins it, runs one trial and ends. Only its Python line is another.

use super::cluster::{Cluster, Task};
use crate::scene::{Scene, guest};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// An array job after the recipe.
pub(super) struct Recipe<'a> {
    /// As in `#SBATCH --array`.
    pub(super) array: &'a str,
    /// What is called in each task, with the objective if it is an argument.
    pub(super) program: &'a str,
    /// The database's name, in the home folder.
    pub(super) database: &'a str,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) tasks: BTreeMap<u32, Task>,
    /// The trials' states, by number.
    pub(super) trials: Vec<(u32, String)>,
    pub(super) wall_seconds: f64,
    /// From the first line of the batch script to its end, of each task.
    pub(super) task_seconds: Vec<f64>,
}

impl Recipe<'_> {
    /// Runs it to its end, beginning without a study.
    #[track_caller]
    pub(super) fn run(&self, scene: &Scene, cluster: &Cluster) -> Outcome {
        let (database, times) = (scene.path(self.database), format!("{}.times", self.database));
        std::fs::write(scene.path("recipe.sh"), self.script()).unwrap();
        // Bash reads this file before any script: the recipe is timed without a line more.
        let clock = format!(
            "start=$EPOCHREALTIME\ntrap 'echo $start $EPOCHREALTIME >>$HOME/{times}' EXIT\n"
        );
        std::fs::write(scene.path("clock.sh"), clock).unwrap();
        let started = Instant::now();
        let clock = scene.path("clock.sh").display().to_string();
        let job = cluster.sbatch_with(&[("BASH_ENV", &clock)], &["recipe.sh"]);
        let tasks = cluster.wait_for(job);
        Outcome {
            tasks,
            wall_seconds: started.elapsed().as_secs_f64(),
            trials: trials(&Connection::open(database).unwrap()),
            task_seconds: durations(&std::fs::read_to_string(scene.path(&times)).unwrap()),
        }
    }

    fn script(&self) -> String {
        format!(
            "#!/bin/bash
#SBATCH --array={}
#SBATCH --time=0-00:30
{} --optuna-db $HOME/{} --optuna-study-name quadratic
",
            self.array, self.program, self.database
        )
    }
}

impl Outcome {
    /// Every task ended well and left a trial, and nothing else happened.
    #[track_caller]
    pub(super) fn assert_nothing_was_lost(&self, n_tasks: u32) {
        let tasks = self.tasks.iter();
        let ended = tasks.map(|(id, task)| (*id, task.state.as_str(), task.exit_code.as_str()));
        let wanted: Vec<_> = (1..=n_tasks).map(|id| (id, "COMPLETED", "0:0")).collect();
        assert_eq!(ended.collect::<Vec<_>>(), wanted);
        let wanted: Vec<_> = (0..n_tasks).map(|number| (number, "COMPLETE".to_owned())).collect();
        assert_eq!(self.trials, wanted);
    }

    pub(super) fn n_complete(&self) -> usize {
        self.trials.iter().filter(|(_, state)| state == "COMPLETE").count()
    }

    /// Tasks that did not end with 0.
    pub(super) fn n_dead(&self) -> usize {
        self.tasks.values().filter(|task| task.exit_code != "0:0").count()
    }

    pub(super) fn median_task_seconds(&self) -> f64 {
        let mut sorted = self.task_seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "n_tasks": self.tasks.len(),
            "n_dead": self.n_dead(),
            "n_complete": self.n_complete(),
            "n_left_running": self.trials.iter().filter(|(_, state)| state == "RUNNING").count(),
            "wall_seconds": self.wall_seconds,
            "median_task_seconds": self.median_task_seconds(),
            "task_seconds": self.task_seconds,
        })
    }
}

/// Puts the objective where the recipe looks for it.
pub(super) fn lay_out_objective(scene: &Scene) {
    std::fs::copy(guest("quadratic"), scene.path("quadratic.wasm")).unwrap();
}

/// The states of all trials of a database that is whole.
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

/// The differences of the two times on each line.
fn durations(times: &str) -> Vec<f64> {
    let duration = |line: &str| {
        let (start, end) = line.split_once(' ').unwrap();
        end.parse::<f64>().unwrap() - start.parse::<f64>().unwrap()
    };
    times.lines().map(duration).collect()
}
