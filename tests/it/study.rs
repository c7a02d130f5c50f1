//! `trialbox study`.

use crate::scene::{Scene, guest};
use std::process::Stdio;

#[test]
fn a_study_is_made_once_and_listed() {
    let scene = Scene::new("study-create");
    let create = [
        "study",
        "create",
        "--study-name",
        "front",
        "--direction",
        "minimize",
        "maximize",
        "--metric-name",
        "loss",
        "speed",
    ];
    let ran = scene.trialbox(&create);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "front\n"), "{ran:?}");
    scene
        .trialbox(&create)
        .assert_error(2, &["there is already a study `front`", "--skip-if-exists"]);
    assert_eq!(scene.trialbox(&[&create[..], &["--skip-if-exists"]].concat()).code, Some(0));
    let listed = scene.json(&["study", "list"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["directions"], serde_json::json!(["minimize", "maximize"]));
    assert_eq!(listed[0]["metric_names"], serde_json::json!(["loss", "speed"]));
    scene.trialbox(&["study", "best"]).assert_error(2, &["study `front` has no best trial"]);
}

#[test]
fn a_study_that_is_not_there_lists_those_that_are() {
    let scene = Scene::new("study-missing");
    scene.trialbox(&["study", "show"]).assert_error(3, &["there is no database `trialbox.db`"]);
    scene.json(&["study", "create", "--study-name", "a"]);
    scene.json(&["study", "create", "--study-name", "b"]);
    scene
        .trialbox(&["study", "show", "--study-name", "c"])
        .assert_error(2, &["there is no study `c`", "a, b"]);
    scene.trialbox(&["study", "show"]).assert_error(2, &["holds 2 studies", "a, b"]);
}

#[test]
fn an_export_has_a_line_for_each_trial_and_optunas_columns() {
    let scene = Scene::new("study-export");
    scene.json(&["run", &guest("quadratic"), "-n", "3"]);
    let csv = scene.trialbox(&["study", "export"]).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[0].starts_with(
            "number,value_loss,datetime_start,datetime_complete,duration,params_x,params_y,"
        ),
        "{}",
        lines[0]
    );
    assert!(lines[0].ends_with(",state"));
    scene.trialbox(&["study", "export", "--format", "json", "--output", "trials.jsonl"]);
    let text = std::fs::read_to_string(scene.path("trials.jsonl")).unwrap();
    // The study itself, and its trials.
    assert_eq!(text.lines().count(), 1 + 3);
}

#[test]
fn a_pipe_that_is_closed_early_ends_a_command_without_a_word() {
    let scene = Scene::new("study-pipe");
    scene.json(&["run", &guest("quadratic"), "-n", "2"]);
    let mut command = scene.command(&["study", "trials"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = child.wait_with_output().unwrap();
    // As a Unix tool that SIGPIPE ends, so that `set -o pipefail` treats all the same.
    assert_eq!((ran.status.code(), ran.stderr.len()), (Some(141), 0));
}
