//! Reports and pruning, with objectives that behave and that do not.

use crate::scene::{Scene, digits_data, guest};
use crate::scripted::{Call, Ending, component};
use serde_json::{Value, json};

/// Writes an objective that makes these calls.
fn objective(scene: &Scene, calls: &[Call], ending: &Ending) -> String {
    std::fs::write(scene.path("objective.wasm"), component(calls, ending)).unwrap();
    "objective.wasm".to_owned()
}

/// The only trial, as it was printed and as it is stored.
fn run(scene: &Scene, calls: &[Call], options: &[&str]) -> (Value, Value) {
    let objective = objective(scene, calls, &Ending::Values(&[0.5]));
    let mut printed = scene.json(&[&["run", &objective, "--study-name", "s"], options].concat());
    let mut stored = scene.json(&["study", "trials"]);
    assert_eq!((printed.len(), stored.len()), (1, 1));
    (printed.remove(0), stored.remove(0))
}

const PRUNE_ABOVE_HALF: [&str; 4] = ["--pruner", "threshold", "--pruner-opt", "upper=0.5"];

#[test]
fn a_trial_that_obeys_the_pruner_is_pruned_with_its_last_value() {
    let calls = [
        Call::ObeyPruner,
        Call::Report(0.25, 0),
        Call::ObeyPruner,
        Call::Report(0.75, 1),
        Call::ObeyPruner,
        Call::Report(0.1, 2),
    ];
    let (printed, stored) = run(&Scene::new("pruning-obeyed"), &calls, &PRUNE_ABOVE_HALF);
    assert_eq!(printed["state"], "PRUNED");
    assert_eq!(stored["state"], "PRUNED");
    assert_eq!(stored["values"], json!([0.75]));
    assert_eq!(stored["intermediate_values"], json!([[0, 0.25], [1, 0.75]]));
}

#[test]
fn the_line_of_a_pruned_trial_says_how_far_it_came() {
    let scene = Scene::new("pruning-line");
    let calls = [Call::Report(0.75, 0), Call::ObeyPruner];
    let objective = objective(&scene, &calls, &Ending::Values(&[0.5]));
    let ran = scene.trialbox(&[&["run", &objective], &PRUNE_ABOVE_HALF[..]].concat());
    assert!(ran.stdout.starts_with("trial 0    PRUNED   0.75  after 1 report  in "), "{ran:?}");
}

#[test]
fn a_trial_that_does_not_ask_is_complete_whatever_the_pruner_thinks() {
    let calls = [Call::Report(0.75, 0), Call::Report(0.75, 1)];
    let (_, stored) = run(&Scene::new("pruning-ignored"), &calls, &PRUNE_ABOVE_HALF);
    assert_eq!(stored["state"], "COMPLETE");
    assert_eq!(stored["values"], json!([0.5]));
}

#[test]
fn steps_may_be_odd_and_values_no_numbers() {
    let calls = [
        Call::Report(f64::NAN, 7),
        Call::Report(1.0, 3),
        Call::Report(2.0, 3),
        Call::Report(3.0, 7),
        Call::Report(f64::INFINITY, u32::MAX),
        Call::Report(-0.0, 0),
    ];
    let (printed, stored) = run(&Scene::new("pruning-odd"), &calls, &[]);
    assert_eq!(stored["state"], "COMPLETE");
    assert_eq!(
        stored["intermediate_values"],
        json!([[0, -0.0], [3, 1.0], [7, "nan"], [u32::MAX, "inf"]])
    );
    assert_eq!((&printed["n_reports"], &printed["n_reports_stored"]), (&json!(6), &json!(4)));
    let log = printed["log"].as_array().unwrap();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0]["text"].as_str().unwrap().starts_with("step 3 was already reported"));
}

#[test]
fn a_nan_is_pruned_by_threshold_and_leaves_no_value() {
    let calls = [Call::Report(f64::NAN, 0), Call::ObeyPruner];
    let (_, stored) = run(&Scene::new("pruning-nan"), &calls, &PRUNE_ABOVE_HALF);
    assert_eq!((&stored["state"], &stored["values"]), (&json!("PRUNED"), &json!([])));
}

#[test]
fn of_a_million_reports_at_most_ten_thousand_are_stored_and_the_last_is_one_of_them() {
    let scene = Scene::new("pruning-million");
    let (printed, stored) = run(&scene, &[Call::Reports(1_000_000)], &[]);
    assert_eq!(printed["n_reports"], 1_000_000);
    let steps = stored["intermediate_values"].as_array().unwrap();
    assert_eq!(printed["n_reports_stored"], steps.len());
    assert!(steps.len() <= 10_000);
    assert_eq!(steps.last().unwrap(), &json!([999_999, 999_999.0]));
    let shown = scene.trialbox(&["run", "objective.wasm", "--study-name", "s"]).stdout;
    let line = format!("1000000 reports, of which {} are stored", steps.len());
    assert!(shown.contains(&line), "{shown}");
}

#[test]
fn with_several_objectives_nothing_is_pruned_and_the_trial_says_so() {
    let scene = Scene::new("pruning-objectives");
    let calls = [Call::Report(0.75, 0), Call::ObeyPruner, Call::ObeyPruner];
    let objective = objective(&scene, &calls, &Ending::Values(&[0.5, 0.5]));
    let directions = ["--direction", "minimize,maximize"];
    let run = ["run", &objective, "--study-name", "s"];
    let trial = &scene.json(&[&run[..], &directions, &PRUNE_ABOVE_HALF].concat())[0];
    assert_eq!(trial["state"], "COMPLETE");
    assert_eq!(
        trial["log"],
        json!([{ "source": "trialbox", "text": "a study with several objectives prunes no trials" }])
    );
}

#[test]
fn trainings_that_fall_behind_are_pruned_and_marked_as_optuna_marks_them() {
    let scene = Scene::new("pruning-digits");
    let run = ["run", &guest("digits"), "--dir", &digits_data(), "-n", "12", "--seed", "3"];
    let asha = ["--sampler", "random", "--pruner", "asha", "--pruner-opt", "min_resource=1"];
    scene.json(&[&run[..], &asha].concat());
    let trials = scene.json(&["study", "trials"]);
    let pruned: Vec<&Value> = trials.iter().filter(|trial| trial["state"] == "PRUNED").collect();
    assert!(!pruned.is_empty() && pruned.len() < trials.len());
    for trial in trials {
        let n_steps = trial["intermediate_values"].as_array().unwrap().len();
        let attrs = trial["system_attrs"].as_object().unwrap();
        let rungs = attrs.keys().filter(|key| key.starts_with("completed_rung_")).count();
        // Rungs are at the steps 1, 4 and 16, of which a training of 15 steps, counted from 0, reaches two.
        let reached = [1, 4, 16].iter().filter(|rung| **rung < n_steps).count();
        assert_eq!(rungs, reached, "{trial}");
        assert_eq!(trial["state"] == "PRUNED", n_steps < 15, "{trial}");
    }
}

#[test]
fn of_trials_side_by_side_each_line_of_the_log_says_whose_it_is() {
    let scene = Scene::new("pruning-side-by-side");
    let calls = [Call::Report(0.5, 0), Call::Report(0.5, 0)];
    let objective = objective(&scene, &calls, &Ending::Values(&[0.5]));
    let ran = scene.trialbox(&["run", &objective, "-n", "4", "--jobs", "2", "-v"]);
    let mut lines: Vec<&str> =
        ran.stderr.lines().filter(|line| line.contains("step 0 was already reported")).collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 4, "{ran:?}");
    for (number, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("  trial {number} ")), "{line}");
    }
}
