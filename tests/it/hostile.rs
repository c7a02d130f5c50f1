//! Guests that misbehave: each is a FAIL with its code, and nothing else happens.

use crate::scene::Scene;
use crate::scripted::objective_text;

/// The text of an objective whose `evaluate` has this body, and which describes nothing.
pub(crate) fn text(body: &str) -> Vec<u8> {
    objective_text(&format!(
        r#"(core module $m
    (memory (export "memory") 1)
    (func $recurse (export "recurse") (param i64) (result i64)
      (i64.add (local.get 0) (call $recurse (i64.add (local.get 0) (i64.const 1)))))
    (func (export "evaluate") (result i32) {body})
    (data (i32.const 64) "\00\00\00\00\00\00\f8\7f"))
  (core instance $i (instantiate $m))"#
    ))
    .into_bytes()
}

/// The component of [`text`].
pub(crate) fn component(body: &str) -> Vec<u8> {
    wat::parse_bytes(&text(body)).unwrap().into_owned()
}

/// `Ok` with one value at address `at`.
fn returns(count: u32, at: u32) -> String {
    format!(
        "(i32.store8 (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const {at})) (i32.store (i32.const 40) (i32.const {count})) (i32.const 32)"
    )
}

#[test]
fn a_guest_that_breaks_is_a_failed_trial_with_its_code() {
    let scene = Scene::new("hostile");
    for (name, body, code, message) in [
        ("loop", "(loop $l (br $l)) unreachable".to_owned(), "E-TIME", "--trial-timeout"),
        (
            "memory",
            "(loop $l (drop (memory.grow (i32.const 64))) (br $l)) unreachable".to_owned(),
            "E-MEM",
            "--max-memory allows 64 MiB",
        ),
        ("trap", "unreachable".to_owned(), "E-TRAP", "the guest aborted"),
        (
            "divide",
            "(i32.div_u (i32.const 1) (i32.const 0))".to_owned(),
            "E-TRAP",
            "divide by zero",
        ),
        (
            "stack",
            "(drop (call $recurse (i64.const 0))) (i32.const 0)".to_owned(),
            "E-STACK",
            "stack",
        ),
        ("nan", returns(1, 64), "E-VALUE", "the objective's value is NaN"),
        (
            "arity",
            returns(2, 0),
            "E-VALUE",
            "the objective returned 2 values, but the study has 1 objective",
        ),
        ("pointer", returns(1, 0x7fff_fff8), "E-DATA", "data that makes no sense"),
        ("huge", returns(0x1000_0000, 0), "E-DATA", "data that makes no sense"),
    ] {
        let file = format!("{name}.wasm");
        std::fs::write(scene.path(&file), component(&body)).unwrap();
        let ran = scene.trialbox(&[
            "run",
            &file,
            "--trial-timeout",
            "1s",
            "--max-memory",
            "64MiB",
            "--format",
            "json",
        ]);
        assert_eq!(ran.code, Some(1), "{name}: {ran:?}");
        let failure = &ran.json()[0]["failure"];
        assert_eq!(failure["code"], code, "{name}: {failure}");
        assert!(failure["message"].as_str().unwrap().contains(message), "{name}: {failure}");
        let trial = &scene.json(&["study", "trials", "--study-name", name])[0];
        assert_eq!(trial["state"], "FAIL");
        assert_eq!(trial["system_attrs"]["trialbox:failure"]["code"], code);
        assert_eq!(trial["values"], serde_json::json!([]));
    }
}

#[test]
fn a_process_goes_on_after_a_guest_that_had_to_be_killed() {
    let scene = Scene::new("hostile-respawn");
    std::fs::write(scene.path("loop.wasm"), component("(loop $l (br $l)) unreachable")).unwrap();
    let ran =
        scene.trialbox(&["run", "loop.wasm", "--trial-timeout", "100ms", "-n", "3", "--catch"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(scene.json(&["study", "trials", "--state", "fail"]).len(), 3);
}
