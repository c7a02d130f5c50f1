//! The same calls through several ways to run an objective leave the same digits in the study.

use super::Python;
use crate::scene::guest;
use serde_json::Value;

/// Runs an objective in a study of its own, and returns what the trials have left.
fn left(python: &Python, storage: &str, arguments: &[&str]) -> Vec<Value> {
    let (before, after) = match arguments.split_first() {
        Some((&"--", _)) => (&[][..], arguments),
        _ => (arguments, &[][..]),
    };
    let flags = ["--storage", storage, "--study-name", "s", "--seed", "11", "--sampler", "random"];
    let ran = python.run(&[&["run"][..], before, &flags, after].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let export = ["study", "export", "--storage", storage, "--format", "json"];
    let exported = python.run(&export);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let lines = exported.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let trials = lines.filter(|line: &Value| line["event"] == "trial");
    trials.map(without_times_and_places).collect()
}

/// Leaves what an objective has caused.
fn without_times_and_places(mut trial: Value) -> Value {
    let members = trial.as_object_mut().unwrap();
    members.retain(|key, _| {
        !key.starts_with("datetime") && key != "duration_seconds" && key != "system_attrs"
    });
    trial
}

#[test]
fn three_thousand_calls_leave_the_same_digits_in_the_sandbox_and_outside() {
    let python = Python::new("digits");
    let sandboxed = left(&python, "sandbox.db", &["every_kind.py"]);
    let outside = left(&python, "program.db", &["--", "python3", "every_kind.py"]);
    assert_eq!(sandboxed.len(), 1);
    assert_eq!(sandboxed[0]["params"].as_object().unwrap().len(), 1000);
    assert!(sandboxed[0]["user_attrs"].as_object().unwrap().len() > 900);
    assert_eq!(sandboxed, outside);
}

#[test]
fn an_objective_in_python_has_the_digits_of_the_component() {
    let python = Python::with(
        "digits-component",
        "def objective(trial):\n    \
             x = trial.suggest_float('x', -10, 10)\n    \
             y = trial.suggest_int('y', -10, 10)\n    \
             return (x - 2.0) ** 2 + (y + 1.0) ** 2\n",
    );
    let sandboxed = left(&python, "python.db", &["objective.py", "-n", "50"]);
    let component = left(&python, "component.db", &[&guest("quadratic"), "-n", "50"]);
    assert_eq!(sandboxed.len(), 50);
    assert_eq!(sandboxed, component);
}
