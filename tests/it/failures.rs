//! What a failed trial says, in text, in JSON and in the database.

use crate::hostile;
#[cfg(feature = "failpoints")]
use crate::scene::Ran;
use crate::scene::{Scene, guest};
use crate::scripted::objective_of;
use serde_json::json;

/// An objective that logs, and then divides by zero two functions deep.
fn divides() -> Vec<u8> {
    objective_of(
        r#"(type $levels (enum "debug" "info" "warning" "error"))
  (import "trialbox:objective/trial@0.1.0" (instance $trial
    (export "log-level" (type $level (eq $levels)))
    (export "log" (func (param "level" $level) (param "message" string)))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 16) "step \1b[31m1"))
  (core instance $memory (instantiate $memory))
  (core func $log (canon lower (func $trial "log") (memory $memory "memory")))
  (core module $m
    (import "memory" "memory" (memory 1))
    (import "trial" "log" (func $log (param i32 i32 i32)))
    (export "memory" (memory 0))
    (func $weigh (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
    (func $_ZN8training4step17h0123456789abcdefE (result i32) (call $weigh (i32.const 0)))
    (func $evaluate (export "evaluate") (result i32)
      (call $log (i32.const 1) (i32.const 16) (i32.const 11))
      (call $_ZN8training4step17h0123456789abcdefE)))
  (core instance $i (instantiate $m (with "memory" (instance $memory))
    (with "trial" (instance (export "log" (func $log))))))"#,
    )
}

#[test]
fn a_failure_says_where_it_was_and_what_was_logged_last() {
    let scene = Scene::new("failures-backtrace");
    std::fs::write(scene.path("divides.wasm"), divides()).unwrap();
    let ran = scene.trialbox(&["run", "divides.wasm", "--study-name", "s", "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let failure = &ran.json()[0]["failure"];
    let message = "the guest trapped: an integer was divided by zero (divide by zero)";
    assert_eq!((&failure["code"], &failure["message"]), (&json!("E-TRAP"), &json!(message)));
    let backtrace = json!(["weigh", "training::step", "evaluate"]);
    assert_eq!(failure["backtrace"], backtrace);
    let kept = &scene.json(&["study", "trials", "--study-name", "s"])[0];
    let expected =
        json!({ "code": "E-TRAP", "message": message, "backtrace": backtrace, "log": ["step 1"] });
    assert_eq!(kept["system_attrs"]["trialbox:failure"], expected);

    let text = format!("E-TRAP: {message}\n    at weigh\n    at training::step\n    at evaluate\n");
    let ran = scene.trialbox(&["run", "divides.wasm", "--study-name", "s"]);
    assert!(ran.stdout.contains(&format!("{text}  | [info] step 1\n")), "{}", ran.stdout);
    assert!(scene.trialbox(&["eval", "divides.wasm"]).stdout.contains(&text));
    let shown = scene.trialbox(&["trial", "show", "0", "--study-name", "s"]).stdout;
    assert!(shown.contains(&format!("{text}    | step 1\n")), "{shown}");
}

#[test]
fn a_panic_s_backtrace_begins_with_the_objective_s_own_function() {
    let scene = Scene::new("failures-panic");
    let misfit = guest("misfit");
    let flags = ["--env", "MISFIT=panic", "--format", "json"];
    let ran = scene.trialbox(&[&["run", &misfit][..], &flags].concat());
    let failure = &ran.json()[0]["failure"];
    assert_eq!(failure["code"], "E-PANIC", "{ran:?}");
    let names = failure["backtrace"].as_array().unwrap();
    let machinery = ["core::", "std::", "__rust", "rust_", "abort"];
    let innermost = names.first().unwrap().as_str().unwrap();
    assert!(!machinery.iter().any(|begin| innermost.starts_with(begin)), "{failure}");
    assert_eq!(names.last().unwrap(), "trialbox:objective/objective@0.1.0#evaluate");
}

#[test]
fn a_failure_without_names_has_no_backtrace() {
    let scene = Scene::new("failures-nameless");
    let nameless = hostile::component("(i32.div_u (i32.const 1) (i32.const 0))");
    std::fs::write(scene.path("nameless.wasm"), nameless).unwrap();
    let ran = scene.trialbox(&["run", "nameless.wasm", "--format", "json"]);
    assert_eq!(ran.json()[0]["failure"]["backtrace"], json!([]));
}

#[cfg(feature = "failpoints")]
#[test]
fn a_bug_in_the_sampler_fails_one_trial_and_the_others_of_the_process_finish() {
    for point in ["sampler.before_trial", "sampler.space", "sampler.draw"] {
        let scene = Scene::new("failures-sampler");
        let run = ["run", &guest("quadratic"), "--study-name", "s", "--sampler", "random"];
        let run = [&run[..], &["--jobs", "2", "-n", "6", "--format", "json"]].concat();
        let mut command = scene.command(&run);
        let ran: Ran =
            command.env("TRIALBOX_FAILPOINTS", format!("{point}=panic@3")).output().unwrap().into();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let trials = scene.json(&["study", "trials"]);
        let (failed, finished): (Vec<_>, Vec<_>) =
            trials.iter().partition(|trial| trial["state"] == "FAIL");
        assert_eq!((failed.len(), finished.len()), (1, 5), "{point}: {trials:?}");
        assert!(finished.iter().all(|trial| trial["state"] == "COMPLETE"), "{trials:?}");
        let failure = &failed[0]["failure"];
        assert_eq!(failure["code"], "E-HOST");
        let want = format!("the sampler panicked, which is a bug of trialbox: failpoint {point}");
        assert_eq!(failure["message"], want);
    }
}

#[cfg(feature = "failpoints")]
#[test]
fn a_bug_in_the_sampler_before_a_trial_ends_the_command_and_leaves_no_trial_running() {
    let scene = Scene::new("failures-exhausted");
    let run = ["run", &guest("quadratic"), "--study-name", "s", "--sampler", "brute-force"];
    let run = [&run[..], &["--fix", "x=2", "--jobs", "2", "-n", "6"]].concat();
    let mut command = scene.command(&run);
    let ran: Ran =
        command.env("TRIALBOX_FAILPOINTS", "sampler.exhausted=panic@3").output().unwrap().into();
    ran.assert_error(70, &["error[E-HOST]: the sampler panicked", "please report this"]);
    let trials = scene.json(&["study", "trials"]);
    assert!(trials.len() >= 2, "{trials:?}");
    assert!(trials.iter().all(|trial| trial["state"] == "COMPLETE"), "{trials:?}");
}
