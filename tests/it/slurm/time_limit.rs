//! Jobs of one minute whose objectives never return. trialbox ends them without a signal of Slurm, however the
//! batch script starts it.

use super::cluster::{Cluster, Job};
use crate::scene::Scene;
use crate::scripted::endless;
use serde_json::{Value, json};

/// The ways in which a batch script starts a program. Without `exec` or `srun`, Slurm's signals reach only the shell.
const STARTS: [(&str, &str); 3] = [("plain", ""), ("exec", "exec "), ("srun", "srun ")];

/// An objective that suggests `x`, reports 0.25 and 0.75, and never returns.
const ENDLESS: &str = "#!/bin/bash
trialbox suggest 'x=float(0, 1)'
trialbox report 0.25 --step 0
trialbox report 0.75 --step 1
sleep 1000
";

/// Writes the objective that is a program, and returns the words that name it.
pub(super) fn endless_program(scene: &Scene) -> &'static str {
    std::fs::write(scene.path("endless.sh"), ENDLESS).unwrap();
    "-- bash endless.sh"
}

/// Runs a job for each way to start trialbox, with a study of its own.
#[track_caller]
pub(super) fn check_that_no_trial_stays_running(scene: &Scene, cluster: &Cluster, endless: &str) {
    let jobs = STARTS.map(|(name, start)| (name, submit(scene, cluster, name, start, endless)));
    for (name, job) in jobs {
        let task = &cluster.wait_for(job)[&0];
        // The job ended by itself: Slurm calls a job that it ends TIMEOUT.
        assert_eq!((task.state.as_str(), task.exit_code.as_str()), ("FAILED", "75:0"), "{name}");
        let found = trials(scene, name);
        assert_eq!(states(&found), ["FAIL", "WAITING"], "{name}");
        assert_recorded(&found[0]);
        assert_eq!(found[0]["params"], found[1]["params"], "{name}");
        let log = std::fs::read_to_string(scene.path(&format!("{name}.log"))).unwrap();
        let is_warned = log.contains("Slurm sends its signals to the batch script's shell");
        assert_eq!(is_warned, name == "plain", "{name}: {log}");
    }
}

/// Runs a job that requeues itself, whose trial may be retried once.
#[track_caller]
pub(super) fn check_that_a_requeued_job_ends(scene: &Scene, cluster: &Cluster) {
    let run = format!("--requeue --max-retries 1 --reserve 40s {}", endless(scene));
    let job = submit(scene, cluster, "requeued", "exec ", &run);
    cluster.wait_until(job, "to be started again", |tasks| tasks[&0].restarts == 1);
    let task = &cluster.wait_for(job)[&0];
    assert_eq!((task.exit_code.as_str(), task.restarts), ("1:0", 1));
    let found = trials(scene, "requeued");
    assert_eq!(states(&found), ["FAIL", "FAIL"]);
    assert_eq!(found[1]["system_attrs"]["retry_history"], json!([0]));
    assert_eq!(found[1]["system_attrs"]["trialbox:owner"]["slurm_restart_count"], "1");
    found.iter().for_each(assert_recorded);
}

fn submit(scene: &Scene, cluster: &Cluster, name: &str, start: &str, run: &str) -> Job {
    let script = format!(
        "#!/bin/bash
#SBATCH --time=1 --requeue --open-mode=append --output={name}.log
{start}trialbox run --storage {name}.db --study-name s {run}
"
    );
    std::fs::write(scene.path(&format!("{name}.sh")), script).unwrap();
    cluster.sbatch(&[&format!("{name}.sh")])
}

fn trials(scene: &Scene, name: &str) -> Vec<Value> {
    scene.json(&["study", "trials", "--storage", &format!("{name}.db"), "--study-name", "s"])
}

fn states(trials: &[Value]) -> Vec<&str> {
    trials.iter().map(|trial| trial["state"].as_str().unwrap()).collect()
}

/// Checks that the study has the parameters and reports of the interrupted trial.
#[track_caller]
fn assert_recorded(trial: &Value) {
    assert_eq!(trial["intermediate_values"], json!([[0, 0.25], [1, 0.75]]));
    assert!(trial["params"]["x"].is_f64(), "{trial}");
    assert_eq!(trial["system_attrs"]["trialbox:failure"]["code"], "E-INTERRUPTED");
}
