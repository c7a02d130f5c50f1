//! The objectives in other languages that the documentation prints, each run as printed.
//!
//! They need a C compiler and R. A test whose language is not there says so, and counts as skipped.

use crate::scene::{Ran, Scene, root};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the only block of a language on a page.
fn block(page: &str, language: &str) -> String {
    let text = std::fs::read_to_string(root().join("docs").join(page)).unwrap();
    let start = format!("```{language}\n");
    let [block] = text.split(&start).skip(1).collect::<Vec<&str>>()[..] else {
        panic!("expected one block of {language} in {page}");
    };
    block.split("```").next().unwrap().to_owned()
}

/// Returns whether a program is there. If it is not, the output says what was skipped.
fn has(program: &str) -> bool {
    let mut command = Command::new(program);
    let is_there =
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !is_there {
        let skipped = format!("skipped 1 test: it needs `{program}`, which is not there\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    }
    is_there
}

/// Runs a trial and returns its record as the database has it.
fn trial(scene: &Scene, words: &[&str]) -> Value {
    let run = ["run", "--study-name", "s", "--format", "json"];
    let folder = Path::new(env!("CARGO_BIN_EXE_trialbox")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = scene.command(&[&run[..], words].concat());
    let ran = Ran::from(command.env("PATH", path).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    scene.json(&["trial", "show", "0", "--study-name", "s"]).remove(0)
}

fn compile(scene: &Scene, text: &str) {
    std::fs::write(scene.path("objective.c"), text).unwrap();
    let words = ["-Wall", "-Werror", "-o", "objective", "objective.c"];
    let compiled = Command::new("cc").args(words).current_dir(&scene.folder).output().unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
}

/// Checks the trial of a client: the square of `x`, reported three times.
#[track_caller]
fn check_square(trial: &Value) {
    let square = trial["params"]["x"].as_f64().unwrap().powi(2);
    assert_eq!(trial["values"], json!([square]), "{trial}");
    let steps = json!([[0, square], [1, square], [2, square]]);
    assert_eq!(trial["intermediate_values"], steps, "{trial}");
}

#[test]
fn the_client_in_c_runs_as_printed() {
    if has("cc") {
        let scene = Scene::new("language-c");
        compile(&scene, &block("clients.md", "c"));
        check_square(&trial(&scene, &["--", "./objective"]));
    }
}

#[test]
fn the_client_in_r_runs_as_printed() {
    if has("Rscript") {
        let scene = Scene::new("language-r");
        std::fs::write(scene.path("objective.R"), block("clients.md", "r")).unwrap();
        check_square(&trial(&scene, &["--", "Rscript", "objective.R"]));
    }
}

#[test]
fn the_program_in_c_runs_as_printed() {
    if has("cc") {
        let scene = Scene::new("language-short-c");
        compile(&scene, &block("programs.md", "c"));
        let trial = trial(&scene, &["--value", "last-line", "--", "./objective"]);
        let square = trial["params"]["x"].as_f64().unwrap().powi(2);
        assert_eq!(trial["values"], json!([square]), "{trial}");
    }
}

#[test]
fn the_script_in_r_runs_as_printed() {
    if has("Rscript") {
        let scene = Scene::new("language-short-r");
        std::fs::write(scene.path("objective.R"), block("programs.md", "r")).unwrap();
        let trial = trial(&scene, &["--", "Rscript", "objective.R"]);
        assert_eq!(trial["state"], json!("COMPLETE"), "{trial}");
        assert_eq!(trial["intermediate_values"].as_array().map(Vec::len), Some(1));
        assert!(trial["params"]["kernel"].is_string(), "{trial}");
    }
}
