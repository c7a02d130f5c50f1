//! What both sides read of a database, and the other side's steps: `interop_cases.py`.

use crate::scene::{Ran, Scene, root};
use crate::scripted::{Call, Ending, component};
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Stdio};

impl Scene {
    /// Writes an objective that makes these calls; gives the file's name.
    pub(super) fn script(&self, name: &str, calls: &[Call], ending: &Ending) -> String {
        let file = format!("{name}.wasm");
        std::fs::write(self.path(&file), component(calls, ending)).unwrap();
        file
    }

    /// One case of `interop_cases.py`, which must end with 0.
    #[track_caller]
    pub(super) fn case(&self, arguments: &[&str]) -> Value {
        answer(self.python("interop_cases.py", arguments))
    }

    /// The same, with something to read.
    #[track_caller]
    pub(super) fn case_with_input(&self, arguments: &[&str], input: &Value) -> Value {
        let mut command = self.python("interop_cases.py", arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
        read_answer(child.wait_with_output().unwrap().into())
    }

    /// Runs an objective on study `s` of `study.db`; the lines that it prints, and the exit code.
    pub(super) fn run(&self, objective: &str, more: &[&str]) -> (Option<i32>, Vec<Value>) {
        let study = ["--storage", "study.db", "--study-name", "s", "--allow-module-change"];
        let ran =
            self.trialbox(&[&["run", objective, "--format", "json"], &study[..], more].concat());
        (ran.code, ran.json())
    }

    /// The trials of a study as we read them, without what only we print.
    #[track_caller]
    pub(super) fn trials(&self, database: &str, study: &str) -> Vec<Value> {
        let name = format!("--study-name={study}");
        let mut trials = self.json(&["study", "trials", "--storage", database, &name]);
        for trial in &mut trials {
            trial.as_object_mut().unwrap().remove("duration_seconds");
        }
        trials
    }

    /// Reads every study with both, and compares.
    #[track_caller]
    pub(super) fn assert_both_read_the_same(&self, database: &str) {
        let theirs = self.case(&["studies", database]);
        for (name, theirs) in theirs.as_object().unwrap() {
            // No command line can hold this character.
            if !name.contains('\0') {
                assert_same(&self.trials(database, name), theirs);
            }
        }
    }

    pub(super) fn rows(&self, sql: &str) -> Value {
        self.case(&["rows", "study.db", sql])
    }
}

#[track_caller]
pub(super) fn answer(mut command: Command) -> Value {
    read_answer(command.output().unwrap().into())
}

#[track_caller]
pub(super) fn read_answer(ran: Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json().remove(0)
}

/// The keys of a trial that Optuna does not have.
const OURS_ALONE: [&str; 6] = ["event", "failure", "metrics", "sandboxed", "study", "usage"];

#[track_caller]
pub(super) fn assert_same(ours: &[Value], theirs: &Value) {
    let theirs = theirs.as_array().unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        for (key, value) in theirs.as_object().unwrap() {
            assert_eq!(&ours[key], value, "`{key}` of trial {}", ours["number"]);
        }
        let keys = ours.as_object().unwrap().keys().map(String::as_str);
        let alone: Vec<&str> = keys.filter(|key| theirs.get(key).is_none()).collect();
        assert_eq!(alone, OURS_ALONE, "trial {}", ours["number"]);
    }
}

pub(super) fn each(trials: &[Value], key: &str) -> Vec<Value> {
    trials.iter().map(|trial| trial[key].clone()).collect()
}

/// Puts the database that a release of Optuna wrote into a scene, as `study.db`.
pub(super) fn copy_golden(scene: &Scene, version: &str) {
    let golden = root().join(format!("tests/golden/optuna-{version}.db"));
    std::fs::copy(golden, scene.path("study.db")).unwrap();
}
