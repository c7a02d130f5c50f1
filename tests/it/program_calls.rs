//! Programs outside of a study's run: `eval`, `inspect` and `trial replay`, and what records say about them.

use crate::scene::{Ran, Scene, guest};
use serde_json::{Value, json};

/// The note that is never left out.
const NOT_SANDBOXED: &str = "not sandboxed: the program has all rights of the user";

const SPACE: [&str; 4] = ["--space", "x=float(0, 1)", "--space", "k=choice(a, b)"];

/// Returns a command line with the space and a program.
fn line(words: &[&str], program: &[&str]) -> Vec<String> {
    let words = [words, &SPACE, &["--"], program].concat();
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn call(scene: &Scene, words: &[&str], program: &[&str]) -> Ran {
    let words = line(words, program);
    scene.trialbox(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn eval_calls_a_program_with_the_given_parameters_and_records_nothing() {
    let scene = Scene::new("program-eval");
    let eval = ["eval", "--param", "x=0.25", "--format", "json"];
    let ran = call(&scene, &eval, &["sh", "-c", "echo $0; echo \"$1\" >&2", "{x}", "{k}"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(NOT_SANDBOXED) && ran.stderr.contains("a\n"), "{ran:?}");
    let trial = &ran.json()[0];
    assert_eq!((&trial["values"], &trial["sandboxed"]), (&json!([0.25]), &json!(false)));
    assert_eq!(trial["params"], json!({"x": 0.25, "k": "a"}), "the middle, and the first choice");
    assert!(!scene.path("trialbox.db").exists());

    let ran = call(&scene, &["eval"], &["sh", "-c", "exit 3"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("FAIL  E-EXIT: the program exited with status 3"), "{ran:?}");
}

#[test]
fn eval_refuses_parameters_that_a_program_does_not_have() {
    let scene = Scene::new("program-eval-wrong");
    for (param, problem) in [
        ("y=1", "parameter `y` was fixed, but the objective does not suggest `y`"),
        ("x=2", "parameter `x` cannot be fixed to 2: it is outside of float 0.0 to 1.0"),
        ("k=c", "parameter `k` cannot be fixed to \"c\""),
    ] {
        call(&scene, &["eval", "--param", param], &["echo", "{x}"]).assert_error(2, &[problem]);
    }
    let both = call(&scene, &["eval", "a.wasm"], &["true"]);
    both.assert_error(2, &["expected a component or a program, found both"]);
    scene.trialbox(&["eval"]).assert_error(2, &["expected an objective, found none"]);
}

#[test]
fn eval_compares_calls_of_a_program() {
    let scene = Scene::new("program-eval-check");
    let check = ["eval", "--check", "--format", "json"];
    let same = call(&scene, &check, &["echo", "{x}"]).json().remove(0);
    assert_eq!((&same["deterministic"], &same["sandboxed"]), (&json!(true), &json!(false)));
    let counts = "echo x >> count; wc -l < count";
    let other = call(&scene, &["eval", "--check"], &["sh", "-c", counts]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stdout.starts_with("not deterministic: in run 2 of 3 the value was 1.0"));
    assert!(!other.stdout.contains("--deterministic"), "a program cannot have it: {other:?}");
}

#[test]
fn inspect_describes_a_program_without_running_it() {
    let scene = Scene::new("program-inspect");
    std::fs::write(scene.path("train.py"), "").unwrap();
    let program = ["sh", "train.py", "--lr={x}", "a b"];
    let ran = call(&scene, &["inspect", "--format", "json"], &program);
    let record = &ran.json()[0];
    assert_eq!((&record["event"], &record["sandboxed"]), (&json!("program"), &json!(false)));
    assert_eq!(record["command"], json!(program));
    assert!(record["executable"].as_str().unwrap().ends_with("/sh"), "{record}");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(record["files"], json!([{"path": "train.py", "sha256": empty}]));
    assert_eq!(record["value"], json!("last-line"));
    let names: Vec<&Value> =
        record["params"].as_array().unwrap().iter().map(|param| &param["name"]).collect();
    assert_eq!(names, ["x", "k"]);

    let text = call(&scene, &["inspect"], &["touch", "ran"]).stdout;
    for piece in [NOT_SANDBOXED, "touch ran: a program", "x: float 0.0 to 1.0", "git "] {
        assert!(text.contains(piece), "`{piece}` is missing in {text}");
    }
    assert!(!scene.path("ran").exists(), "it was not run");
    let missing = call(&scene, &["inspect"], &["no-such-program"]);
    missing.assert_error(4, &["expected a program that can be executed, found `no-such-program`"]);
}

#[test]
fn a_script_that_is_run_by_its_path_is_among_the_files() {
    let scene = Scene::new("program-inspect-path");
    let script = crate::scene::root().join("examples/program/train.sh").display().to_string();
    let record = &call(&scene, &["inspect", "--format", "json"], &[&script]).json()[0];
    assert_eq!(record["files"][0]["path"], json!(script));
    assert!(record["files"][0]["sha256"].is_string(), "{record}");
}

/// Runs a trial and returns its folder.
fn one_trial(test: &str, program: &[&str]) -> Scene {
    let scene = Scene::new(test);
    let ran = call(&scene, &["run", "--study-name", "s"], program);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(NOT_SANDBOXED), "{ran:?}");
    scene
}

#[test]
fn the_recorded_command_of_a_trial_is_run_again_only_by_an_explicit_flag() {
    let scene = one_trial("program-replay", &["sh", "-c", "echo $0", "{x}"]);
    let replay = ["trial", "replay", "0"];
    let found = "which was run by the program `sh -c \"echo \\$0\" \"{x}\"`";
    scene.trialbox(&replay).assert_error(2, &[found, "--recorded-command"]);

    let ran = scene.trialbox(&[&replay[..], &["--recorded-command"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("trial 0 replayed: equal to the bit"), "{ran:?}");
    assert!(ran.stdout.contains("note: not sandboxed: random numbers, libraries"), "{ran:?}");
    let flags = ["--recorded-command", "--format", "json"];
    let record = &scene.trialbox(&[&replay[..], &flags].concat()).json()[0];
    assert_eq!((&record["equal"], &record["sandboxed"]), (&json!(true), &json!(false)));
    assert_eq!(scene.json(&["study", "trials"]).len(), 1, "nothing is recorded");
}

#[test]
fn a_replay_takes_the_command_that_ran_the_trial_and_no_other() {
    let scene = one_trial("program-replay-command", &["echo", "{x}"]);
    let replay = ["trial", "replay", "0"];
    assert_eq!(call(&scene, &replay, &["echo", "{x}"]).code, Some(0));
    let other = call(&scene, &replay, &["echo", "9"]);
    other.assert_error(2, &["was run by another command: `echo \"{x}\"`, not `echo 9`"]);
    let allowed = [&replay[..], &["--allow-module-change"]].concat();
    let differs = call(&scene, &allowed, &["echo", "9"]);
    assert_eq!(differs.code, Some(1), "{differs:?}");
    assert!(differs.stdout.contains("it differs\n  the value was"), "{differs:?}");
    let component = scene.trialbox(&[&replay[..], &[&guest("quadratic")]].concat());
    component.assert_error(2, &["was run by the program `echo \"{x}\"`", "is a component"]);

    let quadratic = guest("quadratic");
    scene.json(&["run", &quadratic, "--study-name", "q"]);
    let of_component = ["trial", "replay", "0", "--study-name", "q"];
    let recorded = scene.trialbox(&[&of_component[..], &["--recorded-command"]].concat());
    recorded.assert_error(2, &["expected a trial of a program, found trial 0 of a component"]);
    call(&scene, &of_component, &["echo", "1"])
        .assert_error(2, &["was run by another component: sha256:"]);
}

#[test]
fn what_a_program_cannot_promise_explains_a_difference() {
    let counts = "echo x >> count; wc -l < count";
    let scene = one_trial("program-replay-differs", &["sh", "-c", counts]);
    let ran = scene.trialbox(&["trial", "replay", "0", "--recorded-command"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for piece in ["it differs\n  the value was 1.0", "note: not sandboxed: random numbers"] {
        assert!(ran.stdout.contains(piece), "`{piece}` is missing in {ran:?}");
    }
}

#[test]
fn every_view_of_a_program_s_trial_says_that_it_was_not_sandboxed() {
    let scene = one_trial("program-views", &["echo", "{x}"]);
    let shown = scene.trialbox(&["trial", "show", "0"]).stdout;
    assert!(shown.contains("not sandboxed: the objective was a program"), "{shown}");
    for view in [&["trial", "show", "0"][..], &["study", "trials"], &["study", "best"]] {
        let trial = &scene.json(view)[0];
        assert_eq!(trial["sandboxed"], json!(false), "{view:?}: {trial}");
    }
    let quadratic = guest("quadratic");
    let run = scene.json(&["run", &quadratic, "--study-name", "q"]).remove(0);
    let kept = scene.json(&["trial", "show", "0", "--study-name", "q"]).remove(0);
    assert_eq!((&run["sandboxed"], &kept["sandboxed"]), (&json!(true), &json!(true)));
    scene.json(&["trial", "enqueue", "--study-name", "q"]);
    let waiting = scene.json(&["trial", "show", "1", "--study-name", "q"]).remove(0);
    assert_eq!(waiting["sandboxed"], Value::Null);
}
