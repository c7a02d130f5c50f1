//! One `trialbox submit` on a login node, until the study is complete.

use super::cluster::{Cluster, Job};
use crate::scene::{Scene, digits_data, guest};
use serde_json::Value;

/// Submits a new study of `digits`, waits for its jobs, and checks their results.
#[track_caller]
pub(super) fn check_submit_to_the_complete_study(scene: &Scene, cluster: &Cluster) {
    let (digits, data) = (guest("digits"), digits_data());
    let objective = ["submit", &digits, "--dir", &data, "--storage", "study.db"];
    let amount = ["--trials", "40", "--parallel", "8", "--time", "10m", "--format", "json"];
    // Variables that override directives of scripts, but not flags of sbatch.
    let mut submit = cluster.command("trialbox", &[&objective[..], &amount].concat());
    submit.env("SBATCH_TIMELIMIT", "1").env("SBATCH_ARRAY_INX", "1-2").env("SBATCH_WAIT", "1");
    let printed = cluster.finish(&mut submit);
    let submitted: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    assert_eq!(submitted["n_missing"], 40);
    let named = |key: &str| submitted[key].as_str().unwrap();

    let array = cluster.wait_for(Job::named(named("job_id")));
    let closing = cluster.wait_for(Job::named(named("closing_job_id")));
    let ends = array.values().chain(closing.values()).map(|task| task.exit_code.as_str());
    assert_eq!(ends.collect::<Vec<_>>(), ["0:0"; 41]);

    let trials = scene.json(&["study", "trials", "--storage", "study.db"]);
    let is_done = |trial: &&Value| trial["state"] == "COMPLETE" || trial["state"] == "PRUNED";
    assert_eq!((trials.len(), trials.iter().filter(is_done).count()), (40, 40));
    let report = std::fs::read_to_string(scene.path(named("report"))).unwrap();
    let best = &scene.json(&["study", "best", "--storage", "study.db"])[0];
    assert!(report.contains(&format!("trial {}", best["number"])), "{report}");
    assert!(report.contains("missing      none"), "{report}");
    // One log for the array, with a line for each trial, which names its task and node.
    let log = std::fs::read_to_string(scene.path(named("log"))).unwrap();
    let lines = log.lines().filter(|line| line.contains(" task ") && line.contains(": trial "));
    assert_eq!(lines.count(), 40, "{log}");
    assert!(!log.contains("Slurm sends its signals"), "{log}");
    cluster.run("shellcheck", &[named("script"), named("closing_script")]);
}
