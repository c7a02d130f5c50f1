//! Trials that are run again, and whether they come out the same to the bit.

use crate::scene::{Scene, digits_data, guest};
use crate::scripted::{Call, Ending, component, float, objective_of};
use serde_json::{Value, json};
use std::process::Stdio;

/// An objective whose value is what a clock says, in nanoseconds.
fn clock_reader() -> Vec<u8> {
    objective_of(
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core module $m
    (import "clock" "now" (func $now (result i64)))
    (memory (export "memory") 1)
    (func (export "evaluate") (result i32)
      (drop (call $now))
      (f64.store (i32.const 64) (f64.convert_i64_u (call $now)))
      (i32.store8 (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 64))
      (i32.store (i32.const 40) (i32.const 1)) (i32.const 32)))
  (core instance $i (instantiate $m
    (with "clock" (instance (export "now" (func $now))))))"#,
    )
}

/// The trials of a study, by number: parameters, reports, attributes and values, as they are printed.
fn results(scene: &Scene, study: &str) -> Vec<Value> {
    let mut trials = scene.json(&["study", "trials", "--study-name", study]);
    trials.sort_by_key(|trial| trial["number"].as_u64());
    let kept = ["params", "intermediate_values", "user_attrs", "values", "state"];
    trials.iter().map(|trial| kept.iter().map(|key| trial[key].clone()).collect()).collect()
}

#[test]
fn digits_comes_out_the_same_whatever_process_cache_and_number_of_jobs() {
    let scene = Scene::new("replay-digits");
    let (digits, data) = (guest("digits"), digits_data());
    let run = |study: &str, jobs: &str, rest: &[&str]| {
        let run = ["run", &digits, "--dir", &data, "--study-name", study, "--jobs", jobs];
        // Small networks, so that 16 trainings do not take a minute.
        let all = [
            "-n",
            "16",
            "--fix",
            "width=8",
            "--seed",
            "7",
            "--sampler",
            "random",
            "--pruner",
            "nop",
        ];
        let ran = scene.trialbox(&[&run[..], &all, rest].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    run("one", "1", &["--deterministic"]);
    run("three", "3", &["--deterministic", "--no-cache"]);
    let one = results(&scene, "one");
    assert_eq!(one.len(), 16);
    assert_eq!(one, results(&scene, "three"));
    for number in 0..16 {
        let number = number.to_string();
        let replay = ["trial", "replay", &number, &digits, "--dir", &data, "--study-name", "one"];
        let replayed = &scene.json(&[&replay[..], &["--cache-dir", "rebuilt"]].concat())[0];
        assert_eq!(replayed["equal"], true, "{replayed}");
    }
    assert!(scene.path("rebuilt").is_dir(), "the replays compiled anew");
}

#[test]
fn what_a_clock_says_is_named_as_what_differs_unless_clocks_are_fixed() {
    let scene = Scene::new("replay-clock");
    std::fs::write(scene.path("clock.wasm"), clock_reader()).unwrap();
    let run = |study: &str, flags: &[&str]| {
        let run = ["run", "clock.wasm", "--study-name", study];
        assert_eq!(scene.trialbox(&[&run[..], flags].concat()).code, Some(0));
        let replay = ["trial", "replay", "0", "clock.wasm", "--study-name", study];
        scene.trialbox(&[&replay[..], &["--format", "json"]].concat())
    };
    let replayed = run("free", &[]);
    assert_eq!(replayed.code, Some(1), "{replayed:?}");
    let replayed = &replayed.json()[0];
    assert_eq!(replayed["equal"], false);
    assert_eq!(replayed["difference"]["what"], "the value");
    let note = replayed["notes"][0].as_str().unwrap();
    assert!(note.contains("not run with --deterministic"), "{note}");
    // The study remembers that its clocks are fixed: the replay is not told.
    let replayed = run("fixed", &["--deterministic"]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    // The second look at a clock that counts milliseconds from 0.
    assert_eq!(replayed.json()[0]["values"], json!([1e6]));

    let check =
        |flags: &[&str]| scene.trialbox(&[&["eval", "clock.wasm", "--check"], flags].concat());
    let checked = check(&[]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stdout.starts_with("not deterministic: in run 2 of 3 the value was "));
    assert!(checked.stdout.contains("--deterministic fixes them"), "{checked:?}");
    let checked = check(&["--deterministic"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(checked.stdout, "3 runs gave the same to the bit: COMPLETE, after 0 calls\n");
}

#[test]
fn a_pruned_trial_is_replayed_with_the_answers_that_it_got() {
    let scene = Scene::new("replay-pruned");
    let calls = [float("x", 0.0, 1.0), Call::Reports(3), Call::ObeyPruner];
    let pruned = component(&calls, &Ending::Values(&[0.5]));
    std::fs::write(scene.path("pruned.wasm"), pruned).unwrap();
    let prune = ["--pruner", "threshold", "--pruner-opt", "upper=1.5"];
    let ran = scene.json(&[&["run", "pruned.wasm"][..], &prune].concat());
    assert_eq!((&ran[0]["state"], &ran[0]["values"]), (&json!("PRUNED"), &json!([2.0])));
    let trial = &scene.json(&["trial", "show", "0"])[0];
    assert_eq!(trial["system_attrs"]["trialbox:prune_answers"], json!([0, 1]));
    let replayed = &scene.json(&["trial", "replay", "0", "pruned.wasm"])[0];
    assert_eq!((&replayed["equal"], &replayed["state"]), (&json!(true), &json!("PRUNED")));
}

#[test]
fn the_first_thing_that_differs_is_named() {
    let scene = Scene::new("replay-differs");
    let write = |name: &str, calls: &[Call], value: f64| {
        std::fs::write(scene.path(name), component(calls, &Ending::Values(&[value]))).unwrap();
    };
    write("was.wasm", &[float("x", 0.0, 1.0), Call::Report(0.25, 3)], 0.5);
    assert_eq!(scene.trialbox(&["run", "was.wasm", "--study-name", "s"]).code, Some(0));
    let cases = [
        (
            vec![float("x", 0.0, 2.0), Call::Report(0.5, 3)],
            0.5,
            "the distribution of parameter `x`",
        ),
        (
            vec![float("y", 0.0, 1.0), Call::Report(0.25, 3)],
            0.5,
            "the distribution of parameter `y`",
        ),
        (vec![Call::Report(0.25, 3)], 0.5, "the question for parameter `x`"),
        (vec![float("x", 0.0, 1.0), Call::Report(0.75, 3)], 0.75, "the report at step 3"),
        (vec![float("x", 0.0, 1.0), Call::Report(0.25, 4)], 0.5, "the report at step 4"),
        (vec![float("x", 0.0, 1.0)], 0.5, "the report at step 3"),
        (vec![float("x", 0.0, 1.0), Call::Report(0.25, 3)], 0.75, "the value"),
        (vec![float("x", 0.0, 1.0), Call::Report(0.25, 3)], f64::NAN, "how the trial ended"),
    ];
    for (calls, value, what) in cases {
        write("is.wasm", &calls, value);
        let replay = ["trial", "replay", "0", "is.wasm", "--study-name", "s"];
        scene.trialbox(&replay).assert_error(2, &["another component", "--allow-module-change"]);
        let forced = [&replay[..], &["--allow-module-change", "--format", "json"]].concat();
        let replayed = scene.trialbox(&forced);
        assert_eq!(replayed.code, Some(1), "{what}: {replayed:?}");
        assert_eq!(replayed.json()[0]["difference"]["what"], what);
    }
}

#[test]
fn attributes_and_constraints_that_have_vanished_are_a_difference() {
    let scene = Scene::new("replay-vanished");
    let write = |name: &str, calls: &[Call]| {
        std::fs::write(scene.path(name), component(calls, &Ending::Values(&[0.5]))).unwrap();
    };
    let attr = || Call::Attr { key: "n", json: "NaN" };
    let constraint = || Call::Constraint { name: "size", value: 1.0 };
    write("both.wasm", &[attr(), constraint()]);
    write("attr.wasm", &[attr()]);
    write("constraint.wasm", &[constraint()]);
    for format in ["named", "legacy"] {
        let study = ["--study-name", format];
        let run = ["run", "both.wasm", "--constraint-format", format];
        assert_eq!(scene.trialbox(&[&run[..], &study].concat()).code, Some(0));
        let replay = |file: &str| {
            let replay = ["trial", "replay", "0", file, "--allow-module-change"];
            scene.trialbox(&[&replay[..], &study, &["--format", "json"]].concat())
        };
        assert_eq!(replay("both.wasm").code, Some(0), "{:?}", replay("both.wasm"));
        for (file, what) in [
            ("attr.wasm", "constraint `size`"),
            ("constraint.wasm", "the number of user attributes"),
        ] {
            let replayed = replay(file);
            assert_eq!(replayed.code, Some(1), "{replayed:?}");
            assert_eq!(replayed.json()[0]["difference"]["what"], what);
        }
    }
}

#[test]
fn a_sleep_is_a_step_of_a_fixed_clock_and_takes_no_time() {
    let scene = Scene::new("replay-sleep");
    let misfit = guest("misfit");
    let ran = scene.trialbox(&["run", &misfit, "--env", "MISFIT=sleep", "--deterministic"]);
    // It sleeps for eleven days.
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn of_two_components_that_begin_a_study_at_once_one_is_its_component() {
    let scene = Scene::new("replay-pin-race");
    for (name, value) in [("a.wasm", 1.0), ("b.wasm", 2.0)] {
        std::fs::write(scene.path(name), component(&[], &Ending::Values(&[value]))).unwrap();
    }
    for round in 0..5 {
        let study = format!("race{round}");
        let start = |file: &str| {
            let mut command = scene.command(&["run", file, "--study-name", &study]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let racers = [start("a.wasm"), start("b.wasm")];
        let mut codes = racers.map(|racer| racer.wait_with_output().unwrap().status.code());
        codes.sort();
        assert_eq!(codes, [Some(0), Some(2)]);
        assert_eq!(scene.json(&["study", "trials", "--study-name", &study]).len(), 1);
    }
}

#[test]
fn what_trialbox_has_not_run_cannot_be_replayed() {
    let scene = Scene::new("replay-foreign");
    std::fs::write(scene.path("c.wasm"), component(&[], &Ending::Values(&[1.0]))).unwrap();
    scene.json(&["study", "create", "--study-name", "s"]);
    scene.json(&["trial", "ask", "--study-name", "s"]);
    let replay = ["trial", "replay", "0", "c.wasm", "--study-name", "s"];
    scene.trialbox(&replay).assert_error(2, &["trial 0 is RUNNING"]);
    scene.json(&["trial", "tell", "0", "--values", "1", "--study-name", "s"]);
    scene.trialbox(&replay).assert_error(2, &["trial 0", "trialbox:provenance"]);
}

#[test]
fn a_study_goes_by_the_component_that_it_was_begun_with() {
    let scene = Scene::new("replay-pin");
    for (name, value) in [("a.wasm", 1.0), ("b.wasm", 2.0)] {
        std::fs::write(scene.path(name), component(&[], &Ending::Values(&[value]))).unwrap();
    }
    let run = |file: &str, flags: &[&str]| {
        scene.trialbox(&[&["run", file, "--study-name", "s"], flags].concat())
    };
    assert_eq!(run("a.wasm", &[]).code, Some(0));
    let refusal =
        ["study `s` was created by a different module", "--study-name", "--allow-module-change"];
    run("b.wasm", &[]).assert_error(2, &refusal);
    assert_eq!(scene.json(&["study", "trials", "--study-name", "s"]).len(), 1);
    assert_eq!(run("b.wasm", &["--allow-module-change"]).code, Some(0));
    run("a.wasm", &[]).assert_error(2, &refusal);
    assert_eq!(run("b.wasm", &[]).code, Some(0));
    let trials = scene.json(&["study", "trials", "--study-name", "s"]);
    let module = |n: usize| &trials[n]["system_attrs"]["trialbox:provenance"]["module"];
    let attrs = &scene.json(&["study", "show", "--study-name", "s"])[0]["user_attrs"];
    assert_eq!(&attrs["trialbox:module"], module(2));
    let change = &attrs["trialbox:module_changes"][0];
    assert_eq!((&change["from"], &change["to"]), (module(0), module(1)));
}
