//! Python's Optuna and its dashboard on databases that trialbox wrote, and the other way round.
//!
//! Here are the common ways; each module below looks at one kind of meeting closely.

mod both;
mod commands;
mod data;
mod databases;
mod kept;
mod workers;

use crate::scene::{Ran, Scene, digits_data, guest};
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn python(scene: &Scene, arguments: &[&str]) -> Ran {
    let ran = Ran::from(scene.python("interop.py", arguments).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

#[test]
fn optuna_reads_what_trialbox_wrote_and_both_continue_it() {
    let scene = Scene::new("interop-continue");
    let (digits, data) = (guest("digits"), digits_data());
    let run = |n: &str| {
        scene.json(&[
            "run",
            &digits,
            "--dir",
            &data,
            "--storage",
            "study.db",
            "--study-name",
            "s",
            "-n",
            n,
            "--jobs",
            "2",
        ])
    };
    run("12");
    let ours = scene.json(&["study", "trials", "--storage", "study.db"]);
    let theirs = python(&scene, &["read", "study.db", "s"]).json().remove(0);
    assert_eq!(theirs["directions"], serde_json::json!(["MAXIMIZE"]));
    assert_eq!(theirs["metric_names"], serde_json::json!(["accuracy"]));
    for (ours, theirs) in ours.iter().zip(theirs["trials"].as_array().unwrap()) {
        // Floats as hexadecimal, so that equal means equal to the bit.
        let value = ours["values"][0].as_f64().unwrap();
        assert_eq!(Value::from(hex(value)), theirs["values"][0]);
        for key in
            ["number", "state", "params", "distributions", "datetime_start", "datetime_complete"]
        {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
    }
    let best = &scene.json(&["study", "best", "--storage", "study.db"])[0];
    assert_eq!(best["number"], theirs["best"]);
    assert_eq!(theirs["dataframe_rows"], 12);

    let continued = python(&scene, &["continue", "study.db", "s", "6"]).json().remove(0);
    assert_eq!(continued["n_trials"], 18);
    run("3");
    let all = scene.json(&["study", "trials", "--storage", "study.db"]);
    let numbers: Vec<u64> = all.iter().map(|trial| trial["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..21).collect::<Vec<_>>());
    assert_eq!(python(&scene, &["read", "study.db", "s"]).json()[0]["dataframe_rows"], 21);
}

#[test]
fn trialbox_runs_what_optuna_enqueued_on_a_study_that_optuna_made() {
    let scene = Scene::new("interop-enqueue");
    python(&scene, &["enqueue", "study.db", "s"]);
    let lines = scene.json(&[
        "run",
        &guest("quadratic"),
        "--storage",
        "study.db",
        "--study-name",
        "s",
        "-n",
        "2",
    ]);
    assert_eq!(lines[0]["params"], serde_json::json!({ "x": 2.0, "y": -1 }));
    assert_eq!(lines[0]["values"], serde_json::json!([0.0]));
    let theirs = python(&scene, &["read", "study.db", "s"]).json().remove(0);
    assert_eq!(theirs["best"], 0);
    assert_eq!(theirs["trials"].as_array().unwrap().len(), 2);
}

#[test]
fn optuna_and_trialbox_search_one_grid_without_trying_a_cell_twice() {
    let scene = Scene::new("interop-grid");
    let python_runs = |n: &str| python(&scene, &["grid", "study.db", "s", n]).json().remove(0);
    let ours = |n: &str| {
        let run = ["run", &guest("quadratic"), "--storage", "study.db", "--study-name", "s"];
        scene.json(&[&run[..], &["-n", n]].concat())
    };
    python_runs("2");
    ours("2");
    // Python's search ends by itself when every cell is tried.
    let ended = python_runs("100");
    assert_eq!(ended["cells"], serde_json::json!([0, 1, 2, 3, 4, 5]));
    let points = ended["points"].as_array().unwrap();
    let different: BTreeSet<String> = points.iter().map(Value::to_string).collect();
    assert_eq!(different.len(), 6);
    let nothing = ours("3");
    assert_eq!(nothing.len(), 1);
    assert_eq!(nothing[0]["event"], "search_exhausted");
}

#[test]
fn the_dashboard_serves_a_study_that_trialbox_wrote() {
    let scene = Scene::new("interop-dashboard");
    scene.json(&["run", &guest("quadratic"), "--storage", "study.db", "-n", "4"]);
    let served = python(&scene, &["dashboard", "study.db"]).json().remove(0);
    assert_eq!(served["studies"], serde_json::json!(["quadratic"]));
    assert_eq!(
        served["states"],
        serde_json::json!(["Complete", "Complete", "Complete", "Complete"])
    );
    assert_eq!(
        served["status"],
        serde_json::json!({ "dashboard": 200, "importances": 200, "csv": 200 })
    );
}

/// The bits of a float as `struct.pack(">d", x).hex()` writes them.
fn hex(value: f64) -> String {
    format!("{:016x}", value.to_bits())
}
