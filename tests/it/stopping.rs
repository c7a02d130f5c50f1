//! The ends of a study: by a rule that it remembers, by the clock, or by a command.

use crate::herd::run_together;
use crate::scene::{Scene, digits_data, guest};
use crate::scripted::{Ending, component, float};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// The names of the events of a command's lines.
fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event"].as_str().unwrap()).collect()
}

fn n_trials(scene: &Scene) -> usize {
    scene.json(&["study", "trials"]).len()
}

/// An objective that always returns these values.
fn constant(scene: &Scene, values: &[f64]) -> String {
    let file = "constant.wasm";
    let wasm = component(&[float("x", 0.0, 1.0)], &Ending::Values(values));
    std::fs::write(scene.path(file), wasm).unwrap();
    file.to_owned()
}

#[test]
fn a_study_ends_with_a_value_that_is_good_enough() {
    let scene = Scene::new("stopping-value");
    let quadratic = guest("quadratic");
    let run = ["run", &quadratic];
    // No value of this objective is above 12² + 11².
    let lines = scene.json(&[&run[..], &["-n", "5", "--stop-when-value", "1000"]].concat());
    assert_eq!(events(&lines), ["trial", "value_reached"]);
    let value = &lines[0]["values"][0];
    assert_eq!(
        lines[1],
        json!({ "event": "value_reached", "study": "quadratic", "wanted": 1000.0, "number": 0, "value": value })
    );
    // The study remembers it: for enqueued trials, and for those that are asked for.
    scene.json(&["trial", "enqueue", "--param", "x=2"]);
    assert_eq!(events(&scene.json(&run)), ["value_reached"]);
    let asked = scene.trialbox(&["trial", "ask"]);
    assert_eq!((asked.code, asked.stdout.as_str()), (Some(0), ""), "{asked:?}");
    assert!(asked.stderr.contains("and the study was to stop at 1000"), "{asked:?}");
    assert_eq!(n_trials(&scene), 2);
    let lifted = [&run[..], &["--stop-when-value", "none", "--override"]].concat();
    assert_eq!(events(&scene.json(&lifted)), ["trial"]);
    assert_eq!(events(&scene.json(&run)), ["trial"]);
}

#[test]
fn a_study_ends_when_its_patience_is_exhausted() {
    let scene = Scene::new("stopping-patience");
    let objective = constant(&scene, &[0.5]);
    let run = ["run", &objective];
    let lines = scene.json(&[&run[..], &["-n", "9", "--patience", "3"]].concat());
    assert_eq!(events(&lines), ["trial", "trial", "trial", "trial", "patience_exhausted"]);
    assert_eq!(
        (&lines[4]["n_trials"], &lines[4]["best"]),
        (&json!(3), &json!({ "number": 0, "value": 0.5 }))
    );
    scene
        .trialbox(&[&run[..], &["--patience", "4"]].concat())
        .assert_error(2, &["has --patience = 3, found 4 on the command line", "--override"]);
    let more = [&run[..], &["-n", "9", "--patience", "5", "--override"]].concat();
    assert_eq!(events(&scene.json(&more)), ["trial", "trial", "patience_exhausted"]);
}

#[test]
fn a_budget_is_remembered_whenever_it_is_said() {
    let scene = Scene::new("stopping-budget");
    let quadratic = guest("quadratic");
    let run = ["run", &quadratic];
    scene.json(&run);
    let lines = scene.json(&[&run[..], &["-n", "9", "--max-trials", "3"]].concat());
    assert_eq!(events(&lines), ["trial", "trial", "budget_reached"]);
    assert_eq!(events(&scene.json(&run)), ["budget_reached"]);
    scene
        .trialbox(&[&run[..], &["--max-trials", "2"]].concat())
        .assert_error(2, &["has --max-trials = 3, found 2 on the command line", "--override"]);
    scene.json(&["study", "set-attr", "trialbox:max_trials=many"]);
    scene.trialbox(&run).assert_error(
        2,
        &[
            "the attribute `trialbox:max_trials` of study `quadratic` cannot be read",
            "--max-trials and --override",
        ],
    );
    assert_eq!(n_trials(&scene), 3);
}

#[test]
fn a_larger_budget_or_none_replaces_the_budget_in_every_command_that_takes_one() {
    let scene = Scene::new("stopping-raised");
    let quadratic = guest("quadratic");
    scene.json(&["run", &quadratic, "--max-trials", "1"]);
    for (number, command) in
        [("2", &["run", &quadratic][..]), ("3", &["trial", "ask"]), ("none", &["run", &quadratic])]
    {
        scene.json(&[command, &["--max-trials", number]].concat());
        let kept = &scene.json(&["study", "show"])[0]["user_attrs"]["trialbox:max_trials"];
        let kept = if kept.is_null() { "none".to_owned() } else { kept.to_string() };
        assert_eq!(kept, number, "{command:?}");
        scene
            .trialbox(&[command, &["--max-trials", "1"]].concat())
            .assert_error(2, &["--override"]);
    }
    assert_eq!(n_trials(&scene), 4);
}

#[test]
fn rules_about_the_best_value_are_refused_for_several_objectives_before_a_study_is_made() {
    let scene = Scene::new("stopping-front");
    let pieces = ["needs a study with one objective, and this one has 2", "trialbox study stop"];
    let create = ["study", "create", "--study-name", "s", "--direction", "minimize", "maximize"];
    let run = ["run", &constant(&scene, &[1.0, 2.0]), "--direction", "minimize,maximize"];
    for rule in [["--stop-when-value", "-1"], ["--patience", "3"]] {
        scene.trialbox(&[&create[..], &rule].concat()).assert_error(2, &pieces);
        scene.trialbox(&[&run[..], &rule].concat()).assert_error(2, &pieces);
    }
    scene.json(&[&create[..], &["--max-trials", "1"]].concat());
    scene.json(&["trial", "ask", "--study-name", "s"]);
    assert_eq!(scene.json(&["study", "list"]).len(), 1);
    let rule = [&run[..], &["--study-name", "s", "--patience", "3"]].concat();
    scene.trialbox(&rule).assert_error(2, &pieces);
    assert_eq!(
        events(&scene.json(&[&run[..], &["--study-name", "s"]].concat())),
        ["budget_reached"]
    );
}

#[test]
fn values_of_the_flags_that_make_no_sense_say_what_would() {
    let scene = Scene::new("stopping-flags");
    let run = ["run", &guest("quadratic")];
    for (flag, value, piece) in [
        ("--until", "yesterday", "expected a point in time such as 2026-11-25T18:00"),
        ("--until", "2026-11-25", "18:00 or +2h, found `2026-11-25`"),
        ("--stop-when-value", "nan", "expected a finite number such as 0.01, or none, found `nan`"),
        ("--patience", "0", "expected a number of trials of at least 1, or none, found `0`"),
        ("--max-trials", "-1", "expected a number of trials of at least 1, or none, found `-1`"),
        ("--max-trials", "0", "expected a number of trials of at least 1, or none, found `0`"),
    ] {
        let given = format!("{flag}={value}");
        scene.trialbox(&[&run[..], &[&given]].concat()).assert_error(2, &[flag, piece]);
    }
    assert!(!scene.path("trialbox.db").exists());
}

#[test]
fn no_trial_is_begun_after_a_point_in_time_or_a_timeout() {
    let scene = Scene::new("stopping-until");
    let quadratic = guest("quadratic");
    let run = |flags: &[&str]| scene.json(&[&["run", &quadratic, "-n", "2"], flags].concat());
    let lines = run(&["--until", "2020-01-01T00:00+01:00", "--jobs", "2"]);
    assert_eq!(
        lines,
        [
            json!({ "event": "until_reached", "study": "quadratic", "until": "2019-12-31T23:00:00.000000Z" })
        ]
    );
    assert_eq!(events(&run(&["--timeout", "0"])), ["timeout_reached"]);
    assert_eq!(n_trials(&scene), 0);
    assert_eq!(events(&run(&["--until", "+1d"])), ["trial", "trial"]);
}

#[test]
fn a_stop_is_exact_for_jobs_that_run_and_for_those_that_come() {
    let scene = Scene::new("stopping-study");
    let (digits, data) = (guest("digits"), digits_data());
    let arguments =
        ["run", &digits, "--dir", &data, "-n", "1000", "--pruner", "nop", "--format", "json"];
    let mut job = scene
        .command(&[&arguments[..], &["--jobs", "2"]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(job.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    assert_eq!(lines.next().unwrap()["event"], "trial");
    let stopped = scene.json(&["study", "stop", "--reason", "good enough"]).remove(0);
    assert_eq!((&stopped["event"], &stopped["reason"]), (&json!("stopped"), &json!("good enough")));
    // None is begun once the command has ended; what runs goes on to its end.
    let begun = n_trials(&scene);
    let rest: Vec<Value> = lines.collect();
    assert_eq!(job.wait().unwrap().code(), Some(0));
    // The other worker's last trial may end after one has said why it begins no more.
    let (ends, finished): (Vec<&Value>, Vec<&Value>) =
        rest.iter().partition(|line| line["event"] == "study_stopped");
    assert_eq!((ends.len(), &ends[0]["by"]), (1, &stopped["by"]));
    assert_eq!(1 + finished.len(), begun);
    let trials = scene.json(&["study", "trials", "--state", "complete"]);
    assert_eq!(trials.len(), begun);

    let herd = run_together((0..16).map(|_| scene.command(&arguments)).collect());
    for late in herd {
        assert_eq!(late.code, Some(0), "{late:?}");
        assert_eq!(events(&late.json()), ["study_stopped"]);
    }
    assert_eq!(n_trials(&scene), begun);
}

#[test]
fn a_stopped_study_says_so_and_goes_on_when_it_is_resumed() {
    let scene = Scene::new("stopping-resume");
    let quadratic = guest("quadratic");
    scene.json(&["run", &quadratic]);
    scene.json(&["trial", "enqueue", "--param", "x=2"]);
    scene.json(&["study", "stop", "--reason", "the data was wrong"]);
    for arguments in [&["study", "show"], &["study", "list"]] {
        let shown = scene.trialbox(arguments).stdout;
        assert!(shown.contains(": the data was wrong"), "{shown}");
        assert_eq!(scene.json(arguments)[0]["stopped"]["reason"], "the data was wrong");
    }
    let again = scene.trialbox(&["study", "stop"]).stdout;
    assert!(again.contains("is already stopped"), "{again}");
    let asked = scene.trialbox(&["trial", "ask"]);
    assert_eq!((asked.code, asked.stdout.as_str()), (Some(0), ""), "{asked:?}");
    assert!(
        asked.stderr.contains("the data was wrong; continue it with `trialbox study resume`"),
        "{asked:?}"
    );
    // A copy is there to go on with.
    scene.json(&["study", "copy", "quadratic", "--to-storage", "copy.db"]);
    assert_eq!(events(&scene.json(&["run", &quadratic, "--storage", "copy.db"])), ["trial"]);
    let ran = scene.trialbox(&["run", &quadratic]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{ran:?}");
    assert!(ran.stdout.starts_with("study `quadratic` was stopped at 2"), "{ran:?}");
    assert_eq!(n_trials(&scene), 2);

    assert_eq!(scene.json(&["study", "resume"])[0]["was"]["reason"], "the data was wrong");
    assert_eq!(scene.json(&["study", "resume"])[0]["was"], Value::Null);
    assert_eq!(scene.json(&["study", "show"])[0]["stopped"], Value::Null);
    let ran = scene.json(&["run", &quadratic]).remove(0);
    assert_eq!((&ran["number"], &ran["params"]["x"]), (&json!(1), &json!(2.0)));
}
