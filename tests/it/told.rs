//! Objectives that are programs: a program that fails is a failed trial, whatever it printed.

use crate::scene::{Ran, Scene, root};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn asked(test: &str) -> Scene {
    let scene = Scene::new(test);
    scene.json(&["study", "create", "--study-name", "s", "--direction", "maximize"]);
    scene
}

#[test]
fn what_is_told_in_place_of_a_number_is_the_reason_of_a_failure() {
    let scene = asked("told-texts");
    for (values, state, message) in [
        (&["--values", "None"][..], "FAIL", "expected a number as result, found `None`"),
        (&["--values", ""], "FAIL", "expected a number as result, found nothing"),
        (&["--values"], "FAIL", "expected a number as result, found nothing"),
        (&["--values", "0,92"], "FAIL", "expected a number as result, found `0,92`"),
        (
            &["--values", "loading\n0.5"],
            "FAIL",
            "expected a number as result, found `loading\n0.5`",
        ),
        (&["--values", "--- 50 %"], "FAIL", "expected a number as result, found `--- 50 %`"),
        (&["--values", "nope", "--state", "complete"], "FAIL", "found `nope`"),
        (&["--values", "nan"], "FAIL", "is NaN"),
        (&["--values", "0.5\r"], "COMPLETE", ""),
        (&["--values", "-inf"], "COMPLETE", ""),
        (&["--values", "", "--state", "pruned"], "PRUNED", ""),
        (&["--values", "", "--state", "fail", "--reason", "killed"], "FAIL", "killed"),
    ] {
        let number = scene.json(&["trial", "ask"]).remove(0)["number"].to_string();
        let told = scene.json(&[&["trial", "tell", &number], values].concat()).remove(0);
        assert_eq!(told["state"], state, "{values:?}: {told}");
        let shown = scene.json(&["trial", "show", &number]).remove(0);
        let failure = &shown["system_attrs"]["trialbox:failure"]["message"];
        let failure = failure.as_str().unwrap_or_default();
        assert_eq!(failure.is_empty(), message.is_empty(), "{values:?}: {shown}");
        assert!(failure.contains(message), "{values:?}: {failure}");
    }
    let trials = scene.json(&["study", "trials"]);
    assert_eq!(trials.len(), 12, "none of them is tried again");
    let finished = |trial: &Value| trial["state"] != "RUNNING" && trial["state"] != "WAITING";
    assert!(trials.iter().all(finished), "{trials:?}");
}

#[test]
fn several_values_may_stand_in_one_word() {
    let scene = Scene::new("told-words");
    let two = ["--direction", "minimize", "--direction", "maximize"];
    scene.json(&[&["study", "create", "--study-name", "s"][..], &two].concat());
    scene.json(&["trial", "ask"]);
    let told = scene.json(&["trial", "tell", "0", "--values", "0.5 0.6"]).remove(0);
    assert_eq!((&told["state"], &told["values"]), (&json!("COMPLETE"), &json!([0.5, 0.6])));
}

/// Returns the first block of bash in a page.
fn script_in(page: &Path) -> String {
    let text = std::fs::read_to_string(page).unwrap();
    let scripts = text.split("```bash\n").skip(1).filter_map(|rest| rest.split("```").next());
    let [script] = scripts.filter(|script| script.contains("trial ask")).collect::<Vec<_>>()[..]
    else {
        panic!("expected one script that asks in {}", page.display());
    };
    script.to_owned()
}

/// Returns the script in the help of `trial ask`, as a terminal of 80 columns shows it.
fn script_in_help(scene: &Scene) -> String {
    let help = scene.command(&["trial", "ask", "--help"]).env("COLUMNS", "80").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, script) = help.split_once("prints its result:\n").unwrap();
    script
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| format!("{}\n", &line[4..]))
        .collect()
}

/// Runs a script as printed, with the body of a shell script as `python`.
fn run_script(scene: &Scene, script: &str, python: &str) -> Ran {
    let bin = scene.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let python = format!("#!/bin/sh\n{python}\n");
    for (name, text) in [("python", python.as_str()), ("env/bin/activate", "")] {
        let path = if name == "python" { bin.join(name) } else { scene.path(name) };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::write(scene.path("task.sh"), script).unwrap();
    let mut command = std::process::Command::new("bash");
    command.arg("task.sh");
    scene.isolate(&mut command);
    let ours = Path::new(env!("CARGO_BIN_EXE_trialbox")).parent().unwrap();
    command.env("PATH", format!("{}:{}:/usr/bin:/bin", bin.display(), ours.display()));
    command.env("HOME", &scene.folder).output().unwrap().into()
}

/// Runs a script with a program, and checks the trial that it leaves.
#[track_caller]
fn check(test: &str, script: &str, programs: &[(&str, &str, &str)]) {
    let scene = Scene::new(test);
    let database = scene.path("study.db").display().to_string();
    scene.json(&["study", "create", "--storage", &database, "--study-name", "train"]);
    std::fs::write(scene.path("space.toml"), "lr = \"log(1e-5, 0.1)\"\n").unwrap();
    let script = format!("export TRIALBOX_STORAGE={database}\n{script}");
    for (number, (python, state, message)) in programs.iter().enumerate() {
        let ran = run_script(&scene, &script, python);
        assert_eq!(ran.code, Some(0), "{python}: {ran:?}");
        let number = number.to_string();
        let shown = scene.json(&["trial", "show", &number, "--storage", &database]).remove(0);
        assert_eq!(shown["state"], *state, "{python}: {shown}");
        let failure = &shown["system_attrs"]["trialbox:failure"]["message"];
        assert_eq!(failure.as_str().unwrap_or_default(), *message, "{python}: {shown}");
    }
    let trials = scene.json(&["study", "trials", "--storage", &database]);
    assert_eq!(trials.len(), programs.len(), "none of them is tried again");
}

/// Programs, and the state and the reason that their trials get.
const PROGRAMS: [(&str, &str, &str); 8] = [
    ("echo Traceback >&2; exit 1", "FAIL", "the program exited with status 1"),
    ("echo 0.5; exit 3", "FAIL", "the program exited with status 3"),
    ("echo None", "FAIL", "expected a number as result, found `None`"),
    ("exit 0", "FAIL", "expected a number as result, found nothing"),
    ("echo 0,92", "FAIL", "expected a number as result, found `0,92`"),
    ("printf '0.5\\r\\n'", "COMPLETE", ""),
    ("echo -inf", "COMPLETE", ""),
    ("kill -9 $$", "FAIL", "the program exited with status 137, as a shell reports SIGKILL"),
];

#[test]
fn the_script_on_the_page_records_each_way_in_which_a_program_ends() {
    let script = script_in(&root().join("docs/programs.md"));
    // It takes the last line of the output.
    let programs = [&[("echo loading; echo 0.92", "COMPLETE", "")], &PROGRAMS[..]].concat();
    check("told-page", &script, &programs);
}

#[test]
fn the_script_in_the_help_records_each_way_in_which_a_program_ends() {
    let script = script_in_help(&Scene::new("told-help-text"));
    // It takes the whole output.
    let wrong = "expected a number as result, found `loading\n0.92`";
    let programs = [&[("echo loading; echo 0.92", "FAIL", wrong)], &PROGRAMS[..]].concat();
    check("told-help", &script, &programs);
}
