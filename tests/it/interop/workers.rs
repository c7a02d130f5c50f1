//! Both sides at work on one study at once: a trial ended, renamed, deleted or locked away under a worker.

use super::both::{assert_same, each};
use crate::scene::{Scene, guest};
use crate::scripted::{Call, Choice, Ending, float};
use serde_json::{Value, json};

/// A long trial ends by itself only when its worker learns that it is no longer its own.
const NEVER: [Call; 0] = [];

/// Case 9.
#[test]
fn a_trial_that_optuna_retries_runs_with_the_params_that_it_has() {
    let scene = Scene::new("cases-retry");
    let states = scene.case(&["lose_a_trial", "study.db"]);
    assert_eq!(states, json!(["FAIL", "WAITING"]));
    let (code, lines) = scene.run(&guest("quadratic"), &[]);
    assert_eq!((code, &lines[0]["number"]), (Some(0), &json!(1)));
    let trials = scene.trials("study.db", "s");
    assert_eq!(trials[1]["params"], trials[0]["params"]);
    assert_eq!(trials[1]["user_attrs"]["host"], "node7");
    assert_eq!(trials[1]["system_attrs"]["failed_trial"], 0);
    assert_eq!(trials[1]["system_attrs"]["retry_history"], json!([0]));
    assert_eq!(
        scene.rows("SELECT param_name FROM trial_params WHERE trial_id = 2 ORDER BY param_id"),
        json!([["x"], ["y"]])
    );
    scene.assert_both_read_the_same("study.db");
}

/// Case 12, reading.
#[test]
fn the_dashboard_shows_what_trialbox_wrote() {
    let scene = Scene::new("cases-dashboard");
    let calls = [
        float("x", 0.0, 1.0),
        Call::Categorical { name: "c", choices: &[Choice::Text("only")] },
        Call::Report(f64::NAN, 0),
        Call::Report(f64::INFINITY, 1),
        Call::Report(f64::NEG_INFINITY, 2),
        Call::Constraint { name: "size", value: -1.0 },
    ];
    scene.run(&scene.script("guest", &calls, &Ending::Values(&[f64::NEG_INFINITY])), &[]);
    scene.run(&scene.script("pruned", &calls, &Ending::Pruned), &[]);
    scene.run(&scene.script("nan", &[], &Ending::Values(&[f64::NAN])), &[]);
    scene.run(&scene.script("good", &calls, &Ending::Floats(1)), &["-n", "5"]);
    let served = scene.case(&["served", "study.db"]);
    assert_eq!(served["status"], json!([200, 200, 200, 204]));
    let trials = served["trials"].as_array().unwrap();
    let states: Vec<Value> = each(trials, "state");
    assert_eq!(states[..4], [json!("Complete"), json!("Pruned"), json!("Fail"), json!("Complete")]);
    assert_eq!(trials[0]["values"], json!(["-inf"]));
    assert_eq!(trials[0]["intermediate_values"], json!([[0, "nan"], [1, "inf"], [2, "-inf"]]));
    assert_eq!(trials[0]["params"]["c"], "only");
}

/// Case 12, writing.
#[test]
fn a_trial_that_the_dashboard_ends_is_lost_to_its_worker_and_stays_as_told() {
    let scene = Scene::new("cases-dashboard-tell");
    let objective = scene.script("never", &NEVER, &Ending::Never);
    let seen = scene.case(&["tell_under_a_worker", "study.db", &objective]);
    assert_eq!(seen["status"], 204);
    assert_eq!(seen["end"]["code"], 6);
    assert_eq!(seen["end"]["lines"][0]["event"], "claim_lost");
    assert_eq!(seen["end"]["lines"][0]["reason"], "another worker finished it as COMPLETE");
    assert_eq!(seen["trials"][0]["values"], json!([0.5]));
    assert_same(&scene.trials("study.db", "s"), &seen["trials"]);
}

/// Case 12, writing.
#[test]
fn a_study_that_the_dashboard_renames_is_lost_to_its_worker_and_stays_whole() {
    let scene = Scene::new("cases-dashboard-rename");
    let objective = scene.script("never", &NEVER, &Ending::Never);
    let seen = scene.case(&["rename_under_a_worker", "study.db", &objective]);
    assert_eq!(seen["status"], 201);
    assert_eq!(seen["end"]["code"], 6);
    assert_eq!(seen["end"]["lines"][0]["event"], "claim_lost");
    let names: Vec<&String> = seen["studies"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["t"]);
    assert_eq!(seen["studies"]["t"][0]["state"], "RUNNING");
    scene.assert_both_read_the_same("study.db");
}

/// Case 15.
#[test]
fn a_trial_that_another_process_ends_is_lost_to_its_worker_and_stays_as_ended() {
    for (how, state, values) in [
        ("complete", "COMPLETE", json!([0.5])),
        ("fail", "FAIL", json!([])),
        ("pruned", "PRUNED", json!([])),
        ("reap", "FAIL", json!([])),
    ] {
        let scene = Scene::new(&format!("cases-end-{how}"));
        let objective = scene.script("never", &NEVER, &Ending::Never);
        let seen = scene.case(&["end_under_a_worker", "study.db", &objective, how]);
        assert_eq!(seen["end"]["code"], 6, "{how}");
        let reason = format!("another worker finished it as {state}");
        assert_eq!(seen["end"]["lines"][0]["reason"], reason, "{how}");
        assert_eq!(seen["trials"][0]["state"], state);
        assert_eq!(seen["trials"][0]["values"], values);
        assert_same(&scene.trials("study.db", "s"), &seen["trials"]);
    }
}

/// Case 15: a trial of ours that has ended cannot be told again.
#[test]
fn optuna_does_not_tell_a_trial_that_trialbox_ended() {
    let scene = Scene::new("cases-tell-again");
    scene.run(&scene.script("one", &[], &Ending::Values(&[1.0])), &[]);
    let told = scene.case(&["tell_again", "study.db", "0"]);
    assert_eq!(told["refused"], "ValueError: Cannot tell a COMPLETE trial.");
    assert_eq!(told["values"], json!([1.0]));
}

/// Case 16.
#[test]
fn a_process_that_watches_the_study_sees_each_finished_trial_whole() {
    let scene = Scene::new("cases-watch");
    let calls = [
        float("x", 0.0, 1.0),
        Call::Report(1.0, 0),
        Call::Attr { key: "note", json: "{\"a\": [1, NaN]}" },
        Call::Constraint { name: "size", value: 0.0 },
        Call::Report(0.5, 1),
    ];
    let objective = scene.script("guest", &calls, &Ending::Floats(1));
    let seen = scene.case(&["watch", "study.db", &objective, "60"]);
    assert_eq!(seen["code"], 0);
    assert!(seen["finished while watched"].as_u64().unwrap() > 0);
    assert_eq!(seen["live is fresh"], true);
    assert_eq!(seen["first seen is fresh"], true);
    let trials = scene.trials("study.db", "s");
    assert_same(&trials, &seen["fresh"]);
    assert_eq!(trials.len(), 60);
    assert!(trials.iter().all(|trial| trial["user_attrs"]["note"]["a"] == json!([1, "nan"])));
}

/// Case 21.
#[test]
fn a_worker_waits_for_a_database_that_is_locked_for_twenty_seconds() {
    let scene = Scene::new("cases-lock");
    let objective = scene.script("one", &[], &Ending::Values(&[1.0]));
    scene.json(&["study", "create", "--storage", "study.db", "--study-name", "s"]);
    let seen = scene.case(&["lock_for", "study.db", &objective, "20"]);
    // Optuna gives up after its driver's five seconds; trial 0 was its own, and has no report.
    assert_eq!(seen["optuna"], "StorageInternalError");
    assert_eq!(seen["waited"], true);
    assert_eq!(seen["code"], 0);
    assert_eq!(seen["states"], json!(["RUNNING", "COMPLETE"]));
}

/// Case 25: SQLite gives the ids of a deleted study out again.
#[test]
fn a_worker_whose_study_was_deleted_writes_nothing_into_the_one_that_got_its_ids() {
    let scene = Scene::new("cases-ids");
    let objective = scene.script("never", &NEVER, &Ending::Never);
    let seen = scene.case(&["replace_under_a_worker", "study.db", &objective]);
    assert_eq!(seen["same id"], true);
    assert_eq!(seen["end"]["code"], 6);
    assert_eq!(seen["end"]["lines"][0]["event"], "claim_lost");
    let other = &seen["studies"]["other"];
    assert_eq!(other.as_array().unwrap().len(), 1);
    assert_eq!(other[0]["state"], "RUNNING");
    assert_eq!((&other[0]["user_attrs"], &other[0]["system_attrs"]), (&json!({}), &json!({})));
}
