//! Workers of trialbox and of Python's Optuna on one study at the same time.

use crate::herd::{assert_complete_and_gapless, run_together};
use crate::scene::{Ran, Scene, root};
use crate::scripted::objective_of;
use serde_json::{Value, json};
use std::process::Command;

const OURS: usize = 8;
const TRIALS_OF_OURS: usize = 40;
const PYTHONS: usize = 4;
const TRIALS_OF_PYTHONS: usize = 20;
const ENQUEUED: usize = 40;

#[test]
fn trialbox_and_python_workers_share_a_queue_and_run_nothing_twice_and_lose_nothing() {
    let scene = Scene::new("interop-mixed");
    std::fs::write(scene.path("objective.wasm"), reporting_objective()).unwrap();
    scene.json(&["study", "create", "--storage", "study.db", "--study-name", "s"]);
    for number in 0..ENQUEUED {
        let x = format!("x={}", enqueued_x(number));
        scene.json(&["trial", "enqueue", "--storage", "study.db", "--param", &x]);
    }
    let ours = (0..OURS).map(|_| our_worker(&scene));
    let pythons = (0..PYTHONS).map(|_| python_worker(&scene));
    let ran = run_together(ours.chain(pythons).collect());
    for ran in &ran {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    let (ours, pythons) = ran.split_at(OURS);
    let ours: Vec<u64> = ours.iter().flat_map(numbers_of_ours).collect();
    let pythons: Vec<u64> = pythons.iter().flat_map(numbers_of_pythons).collect();
    assert_eq!(ours.len(), OURS * TRIALS_OF_OURS);
    let mut all = [&ours[..], &pythons[..]].concat();
    all.sort_unstable();
    assert_eq!(all, (0..400).collect::<Vec<_>>(), "each trial was run by one worker");

    for (number, trial) in assert_complete_and_gapless(&scene, "study.db", 400).iter().enumerate() {
        let x = trial["params"]["x"].as_f64().unwrap();
        if number < ENQUEUED {
            assert_eq!(x, enqueued_x(number), "{trial}");
        }
        let value = (x - 2.0) * (x - 2.0);
        assert_eq!(trial["values"], json!([value]), "{trial}");
        let reports = json!([[0, value], [1, value + 1.0], [2, value + 2.0]]);
        assert_eq!(trial["intermediate_values"], reports, "{trial}");
        let by = if ours.contains(&(number as u64)) { "trialbox" } else { "python" };
        assert_eq!(trial["user_attrs"], json!({ "by": by }), "{trial}");
    }
}

fn enqueued_x(number: usize) -> f64 {
    number as f64 / 8.0
}

fn our_worker(scene: &Scene) -> Command {
    scene.command(&[
        "run",
        "objective.wasm",
        "--storage",
        "study.db",
        "--study-name",
        "s",
        "-n",
        &TRIALS_OF_OURS.to_string(),
        "--format",
        "json",
    ])
}

fn python_worker(scene: &Scene) -> Command {
    let interpreter = root().join("target/venv/bin/python");
    assert!(interpreter.exists(), "{} is missing: run `cargo xtask test`", interpreter.display());
    let mut command = Command::new(interpreter);
    command.arg(root().join("tests/it/interop_mixed.py"));
    command.args(["study.db", "s", &TRIALS_OF_PYTHONS.to_string()]).current_dir(&scene.folder);
    command
}

fn numbers_of_ours(ran: &Ran) -> Vec<u64> {
    let trials = ran.json().into_iter().filter(|line| line["event"] == "trial");
    trials.map(|line: Value| line["number"].as_u64().unwrap()).collect()
}

fn numbers_of_pythons(ran: &Ran) -> Vec<u64> {
    ran.stdout.lines().map(|line| line.parse().unwrap()).collect()
}

/// `(x - 2)²`, after three reports that rise from it and an attribute that tells who ran it.
fn reporting_objective() -> Vec<u8> {
    objective_of(
        r#"(import "trialbox:objective/trial@0.1.0" (instance $trial
    (export "suggest-float" (func
      (param "name" string) (param "low" f64) (param "high" f64) (param "log" bool) (param "step" (option f64))
      (result f64)))
    (export "report" (func (param "value" f64) (param "step" u32)))
    (export "set-user-attr" (func (param "key" string) (param "value" string)))))
  (core module $memory (memory (export "memory") 1)
    (data (i32.const 64) "x") (data (i32.const 80) "by") (data (i32.const 96) "\22trialbox\22"))
  (core instance $memory (instantiate $memory))
  (core func $suggest-float
    (canon lower (func $trial "suggest-float") (memory (core memory $memory "memory"))))
  (core func $report (canon lower (func $trial "report")))
  (core func $set-user-attr
    (canon lower (func $trial "set-user-attr") (memory (core memory $memory "memory"))))
  (core module $m
    (import "host" "memory" (memory 1))
    (import "host" "suggest-float" (func $suggest-float (param i32 i32 f64 f64 i32 i32 f64) (result f64)))
    (import "host" "report" (func $report (param f64 i32)))
    (import "host" "set-user-attr" (func $set-user-attr (param i32 i32 i32 i32)))
    (export "memory" (memory 0))
    (func (export "evaluate") (result i32) (local $value f64)
      (local.set $value (f64.sub
        (call $suggest-float (i32.const 64) (i32.const 1) (f64.const -10) (f64.const 10) (i32.const 0)
          (i32.const 0) (f64.const 0))
        (f64.const 2)))
      (local.set $value (f64.mul (local.get $value) (local.get $value)))
      (call $report (local.get $value) (i32.const 0))
      (call $report (f64.add (local.get $value) (f64.const 1)) (i32.const 1))
      (call $report (f64.add (local.get $value) (f64.const 2)) (i32.const 2))
      (call $set-user-attr (i32.const 80) (i32.const 2) (i32.const 96) (i32.const 10))
      (f64.store (i32.const 16) (local.get $value))
      (i32.store8 (i32.const 32) (i32.const 0))
      (i32.store (i32.const 36) (i32.const 16))
      (i32.store (i32.const 40) (i32.const 1))
      (i32.const 32)))
  (core instance $i (instantiate $m (with "host" (instance
    (export "memory" (memory $memory "memory"))
    (export "suggest-float" (func $suggest-float))
    (export "report" (func $report))
    (export "set-user-attr" (func $set-user-attr))))))"#,
    )
}
