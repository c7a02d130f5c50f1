//! A trial that Slurm interrupts three times in different ways, and that continues from its checkpoints.

use super::cluster::{Cluster, Job};
use crate::checkpoints::{FLAGS, attempt, bits, counting, left, states};
use crate::kill::trials;
use crate::process::{DATABASE, STUDY};
use crate::scene::{Scene, guest};

/// Objectives that take twelve steps, and hang after as many as they are told.
#[derive(Clone, Copy)]
pub(super) enum Counting {
    Component,
    /// A script of Python that uses the client.
    Program,
}

impl Counting {
    /// Returns the words of `trialbox run` with these flags.
    fn run(self, scene: &Scene, steps: u32, flags: &[&str]) -> Vec<String> {
        match self {
            Counting::Component => {
                let (misfit, steps) = (guest("misfit"), format!("STEPS={steps}"));
                let run = counting(&misfit, &steps);
                run.iter().chain(flags).map(ToString::to_string).collect()
            }
            Counting::Program => {
                std::fs::write(scene.path("counting.py"), include_str!("counting.py")).unwrap();
                let command = format!("-- python3 counting.py {steps}");
                let run = ["run"].iter().chain(&FLAGS).chain(flags).copied();
                run.chain(command.split(' ')).map(str::to_owned).collect()
            }
        }
    }
}

/// Runs the job to its end on a cluster with one core. Each attempt makes three of twelve steps and hangs.
#[track_caller]
pub(super) fn check_that_interruptions_leave_no_trace(
    scene: &Scene,
    cluster: &Cluster,
    objective: Counting,
) {
    let flags = ["--storage", DATABASE, "--study-name", STUDY, "--requeue", "--reserve", "30s"];
    let script = format!(
        "#!/bin/bash
#SBATCH --partition=low --time=1 --requeue --open-mode=append --output=log
exec trialbox {}
",
        objective.run(scene, 3, &flags).join(" ")
    );
    std::fs::write(scene.path("job.sh"), script).unwrap();
    let job = cluster.sbatch(&["job.sh"]);
    await_steps(scene, cluster, 0, 3);
    cluster.run("scontrol", &["requeue", &job.to_string()]);
    await_steps(scene, cluster, 1, 6);
    let urgent = cluster.sbatch(&["--partition=high", "--output=/dev/null", "--wrap=true"]);
    cluster.wait_for(urgent);
    // The end of the job's time stops the third attempt, and the fourth one finishes.
    await_steps(scene, cluster, 2, 9);
    assert_ended_well(cluster, job);

    let trials = trials(scene);
    assert_eq!(states(&trials), ["FAIL", "FAIL", "FAIL", "COMPLETE"]);
    assert_eq!(bits(&trials[3]), bits_of_an_uninterrupted_run(objective));
    assert_eq!(trials[3]["system_attrs"]["trialbox:owner"]["slurm_restart_count"], "3");
    assert_eq!(left(scene), 0);
}

/// Waits until an attempt has made this number of steps.
#[track_caller]
fn await_steps(scene: &Scene, cluster: &Cluster, number: u32, steps: usize) {
    cluster.poll(&format!("{steps} steps in trial {number}"), || {
        let file = attempt(scene, 0, number)?.join("steps");
        (std::fs::read(file).ok()?.len() == 8 * steps).then_some(())
    });
}

#[track_caller]
fn assert_ended_well(cluster: &Cluster, job: Job) {
    let task = &cluster.wait_for(job)[&0];
    assert_eq!((task.state.as_str(), task.exit_code.as_str()), ("COMPLETED", "0:0"));
    assert_eq!(task.restarts, 3);
}

#[track_caller]
fn bits_of_an_uninterrupted_run(objective: Counting) -> Vec<(serde_json::Value, u64)> {
    // Two tests may call this at the same time.
    let folder = format!("slurm-checkpoints-whole-{:?}", std::thread::current().id());
    let scene = Scene::new(&folder);
    let run = objective.run(&scene, 12, &["--storage", DATABASE, "--study-name", STUDY]);
    let words: Vec<&str> = run.iter().map(String::as_str).collect();
    assert_eq!(scene.trialbox(&words).code, Some(0));
    bits(&trials(&scene)[0])
}
