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
    scene.trialbox(&["study", "show"]).assert_error(2, &["expected one study, found 2 in", "a, b"]);
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

/// Makes four trials by hand: `x` and `act` decide, trial 2 fails.
fn four_trials(scene: &Scene) {
    scene.json(&["study", "create", "--study-name", "s", "--direction", "maximize"]);
    let act = r#"{"type": "categorical", "choices": ["relu", "tanh"]}"#;
    let space = format!(r#"{{"x": {{"type": "float", "low": 0, "high": 10}}, "act": {act}}}"#);
    for (number, (x, act, value)) in
        [("1", "relu", "5"), ("2", "tanh", "7"), ("3", "relu", ""), ("10", "relu", "6")]
            .into_iter()
            .enumerate()
    {
        let (x, act) = (format!("x={x}"), format!("act=\"{act}\""));
        scene.json(&["trial", "enqueue", "--param", &x, "--param", &act]);
        scene.json(&["trial", "ask", "--search-space", &space]);
        let number = number.to_string();
        let end = if value.is_empty() { ["--state", "fail"] } else { ["--values", value] };
        scene.json(&[&["trial", "tell", number.as_str()][..], &end].concat());
    }
}

#[test]
fn trials_are_chosen_sorted_and_cut() {
    let scene = Scene::new("study-trials");
    four_trials(&scene);
    for (flags, want) in [
        (&[][..], &[0, 1, 2, 3][..]),
        (&["--top", "2"], &[1, 3]),
        (&["--sort", "value"], &[1, 3, 0, 2]),
        (&["--sort", "x", "--reverse"], &[3, 2, 1, 0]),
        (&["--where", "x>=2"], &[1, 2, 3]),
        (&["--where", "act=relu", "--where", "value>5"], &[3]),
        (&["--where", "state!=fail", "--sort", "value", "--top", "1"], &[1]),
        (&["--where", "value<0"], &[]),
    ] {
        let trials = scene.json(&[&["study", "trials"][..], flags].concat());
        let numbers: Vec<i64> =
            trials.iter().map(|trial| trial["number"].as_i64().unwrap()).collect();
        assert_eq!(numbers, want, "{flags:?}");
    }
    let columns = ["study", "trials", "--columns", "number,value,act,x", "--top", "1"];
    let text = scene.trialbox(&columns).stdout;
    assert_eq!(text, "number  value  act   x\n1       7      tanh  2\n");
    for (flag, word) in [("--sort", "y"), ("--where", "y<1"), ("--columns", "number,y")] {
        scene.trialbox(&["study", "trials", flag, word]).assert_error(
            2,
            &["study `s` has nothing of the name `y`", "number, state, duration", "act, x"],
        );
    }
    scene.trialbox(&["study", "trials", "--where", "x"]).assert_error(2, &["such as lr<0.01"]);
}

#[test]
fn studies_are_compared_and_watched() {
    let scene = Scene::new("study-compare");
    four_trials(&scene);
    let compared = scene.json(&["study", "compare", "s", "s"]);
    assert_eq!(
        (&compared[0]["p_value"], &compared[0]["best"]),
        (&serde_json::Value::Null, &7.0.into())
    );
    assert_eq!((&compared[1]["p_value"], &compared[1]["superiority"]), (&1.0.into(), &0.5.into()));
    let watched = scene.trialbox(&["study", "watch"]);
    assert!(watched.stdout.contains("best    value 7 in trial 1"), "{watched:?}");
}

#[test]
fn a_report_replaces_no_other_file() {
    let scene = Scene::new("study-report");
    four_trials(&scene);
    std::fs::write(scene.path("thesis.html"), "<html>").unwrap();
    scene
        .trialbox(&["study", "report", "--output", "thesis.html"])
        .assert_error(2, &["found another file", "--output"]);
    for _ in 0..2 {
        let report = scene.json(&["study", "report", "--export", "figures"]);
        assert_eq!(
            (&report[0]["event"], &report[0]["file"]),
            (&"report".into(), &"s-report.html".into())
        );
        assert_eq!(report[1]["event"], "figure");
    }
    let csv = std::fs::read_to_string(scene.path("figures/history.csv")).unwrap();
    assert_eq!(csv.lines().nth(2), Some("1,COMPLETE,7.0,7.0"));
    scene.json(&["study", "plot", "history", "--output", "h.svg"]);
    assert!(std::fs::read_to_string(scene.path("h.svg")).unwrap().starts_with("<svg xmlns"));
    scene.trialbox(&["study", "plot", "history", "-o", "h.pdf"]).assert_error(2, &[".svg or .csv"]);
    scene.trialbox(&["study", "plot", "pareto"]).assert_error(2, &["has one objective"]);
}
