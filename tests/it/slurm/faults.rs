//! The faults that can hit the jobs of a study while it runs.

use super::cluster::{Cluster, Job, Task};
use crate::invariants::Inspection;
use crate::scene::{Scene, guest};
use serde_json::Value;
use std::collections::BTreeMap;

/// The number of trials of the study. All run at a time, so that a requeued one does not wait for others.
pub(super) const N_TRIALS: usize = 10;

/// The duration of a trial in seconds: long enough that Slurm gives a silent node up and restarts its tasks while the
/// first copies still run.
const SECONDS: &str = "45";

/// Writes the objective as a component, and returns the words of `submit` that name it.
pub(super) fn slow_component(scene: &Scene) -> Vec<String> {
    std::fs::copy(guest("misfit"), scene.path("slow.wasm")).unwrap();
    let seconds = format!("MISFIT_SECONDS={SECONDS}");
    ["slow.wasm", "--env", "MISFIT=slow", "--env", &seconds].map(str::to_owned).to_vec()
}

/// Writes the objective as a program, and returns the words of `submit` that name it.
pub(super) fn slow_program(scene: &Scene) -> Vec<String> {
    let script = format!(
        "#!/bin/bash
x=$(trialbox suggest 'x=float(0, 1)')
trialbox report $x --step 0
sleep {SECONDS}
trialbox result $x
"
    );
    std::fs::write(scene.path("slow.sh"), script).unwrap();
    ["--", "bash", "slow.sh"].map(str::to_owned).to_vec()
}

/// The running tasks of an array by index.
type Running = BTreeMap<u32, Task>;

/// Submits a study to the partition whose jobs can be preempted, and injects every fault. Returns when all of its jobs
/// have ended.
#[track_caller]
pub(super) fn run_study_through_a_bad_night(
    scene: &Scene,
    cluster: &mut Cluster,
    objective: &[String],
) {
    let (array, closing) = submit(cluster, objective);
    let running = cluster.wait_until(array, "all tasks to run", |tasks| {
        tasks.values().filter(|task| task.state == "RUNNING").count() == N_TRIALS
    });
    // A task without a running trial has nothing to lose.
    await_running_trials(scene, cluster, N_TRIALS);
    let (crowded, sparse) = nodes_of(&running);

    // Preemption: a job of higher priority needs a whole node.
    let whole_node = format!("--nodelist={sparse}");
    let urgent =
        ["-p", "high", "-N", "1", "-n", "4", &whole_node, "-o", "/dev/null", "--wrap", "true"];
    let urgent = cluster.sbatch(&urgent);

    let mut victims = running.iter().filter(|(_, task)| task.node.as_ref() == Some(&crowded));
    let mut next = || format!("{array}_{}", victims.next().expect("four tasks").0);
    cluster.run("scancel", &[&next()]);
    cluster.run("scontrol", &["requeue", &next()]);
    let left = victims.map(|(task, _)| *task).collect::<Vec<_>>();
    cluster.wait_until(array, "two to have left the node", |tasks| {
        let is_there =
            |task: &&Task| task.node.as_ref() == Some(&crowded) && task.state == "RUNNING";
        tasks.values().filter(is_there).count() == left.len()
    });
    cluster.wait_for(urgent);
    cluster.restart_controller();

    // The node falls silent. Its tasks continue, and Slurm starts them a second time elsewhere.
    cluster.kill_slurmd(&crowded);
    cluster.wait_until(array, "the silent node's tasks to run again", |tasks| {
        left.iter().all(|id| {
            let task = &tasks[id];
            task.restarts == 1 && matches!(task.state.as_str(), "RUNNING" | "COMPLETED")
        })
    });
    cluster.revive(&crowded);

    cluster.wait_for(array);
    let closed = &cluster.wait_for(closing)[&0];
    assert_eq!((closed.state.as_str(), closed.exit_code.as_str()), ("COMPLETED", "0:0"));
}

/// Checks that the study has its trials, that none ran twice, and that every lost one was retried.
#[track_caller]
pub(super) fn assert_complete(scene: &Scene) {
    let inspection = Inspection { objective: |params| params["x"], ..Inspection::new(scene, &[]) };
    let states = inspection.recovered().assert_holds();
    let count = |state| states.iter().filter(|found| *found == state).count();
    assert_eq!((count("COMPLETE"), count("WAITING"), count("RUNNING")), (N_TRIALS, 0, 0));
    // One was cancelled, one requeued, two preempted, and two ran on the node that fell silent.
    assert_eq!(count("FAIL"), 6, "{states:?}");
}

/// Submits the study, and returns the array and the closing job.
#[track_caller]
fn submit(cluster: &Cluster, objective: &[String]) -> (Job, Job) {
    let n = N_TRIALS.to_string();
    let mut words = vec!["submit", "--trials", &n, "--parallel", &n, "--time", "5m"];
    words.extend(["--partition", "low", "--storage", "study.db", "--study-name", "s"]);
    words.extend(["--format", "json"]);
    words.extend(objective.iter().map(String::as_str));
    let printed = cluster.run("trialbox", &words);
    let submitted: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let job = |key: &str| Job::named(submitted[key].as_str().unwrap());
    (job("job_id"), job("closing_job_id"))
}

/// Waits until this number of trials is running.
#[track_caller]
fn await_running_trials(scene: &Scene, cluster: &Cluster, n: usize) {
    cluster.poll(&format!("{n} trials to run"), || {
        let ran = scene.trialbox(&[
            "study",
            "trials",
            "--storage",
            "study.db",
            "--study-name",
            "s",
            "--state",
            "running",
            "--format",
            "json",
        ]);
        (ran.stdout.lines().count() == n).then_some(())
    });
}

/// Returns the node with the most running tasks, and the one with the fewest.
#[track_caller]
fn nodes_of(running: &Running) -> (String, String) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in running.values().filter_map(|task| task.node.as_deref()) {
        *counts.entry(node).or_default() += 1;
    }
    let mut nodes: Vec<(&str, usize)> = counts.into_iter().collect();
    nodes.sort_by_key(|(_, count)| *count);
    let [(sparse, _), .., (crowded, 4)] = nodes[..] else {
        panic!("a full node and another were expected, not {nodes:?}")
    };
    (crowded.to_owned(), sparse.to_owned())
}
