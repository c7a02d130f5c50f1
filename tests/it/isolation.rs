//! `--isolation thread`: the same answers without a guest process, for tests and benchmarks.

use crate::hostile::component;
use crate::scene::{Scene, guest};
use serde_json::Value;

const BOTH: [&str; 2] = ["process", "thread"];

#[test]
fn a_trial_gives_the_same_bits_in_a_process_and_on_a_thread() {
    let quadratic = guest("quadratic");
    let trials = BOTH.map(|isolation| {
        let scene = Scene::new(&format!("isolation-{isolation}"));
        let arguments = ["run", &quadratic, "-n", "5", "--seed", "7", "--isolation", isolation];
        let lines = scene.json(&[&arguments[..], &["--storage", "study.db"]].concat());
        let trials = lines.into_iter().filter(|line| line["event"] == "trial");
        let pick = |trial: Value| (trial["params"].to_string(), trial["values"].to_string());
        trials.map(pick).collect::<Vec<_>>()
    });
    assert_eq!(trials[0].len(), 5);
    assert_eq!(trials[0], trials[1]);
}

#[test]
fn a_loop_without_end_is_ended_by_the_trial_s_time_in_a_process_and_on_a_thread() {
    let scene = Scene::new("isolation-loop");
    std::fs::write(scene.path("loop.wasm"), component("(loop $l (br $l)) unreachable")).unwrap();
    for isolation in BOTH {
        let arguments = ["run", "loop.wasm", "--trial-timeout", "500ms", "-n", "2"];
        let ran = scene
            .trialbox(&[&arguments[..], &["--isolation", isolation, "--format", "json"]].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let lines = ran.json();
        let codes: Vec<_> = lines.iter().filter(|line| line["event"] == "trial").collect();
        let codes: Vec<_> = codes.iter().map(|trial| &trial["failure"]["code"]).collect();
        assert_eq!(codes, ["E-TIME", "E-TIME"], "{isolation}");
    }
}

#[test]
fn a_guest_that_waits_on_a_thread_does_not_hold_its_host() {
    let scene = Scene::new("isolation-sleep");
    let arguments = ["run", &guest("misfit"), "--env", "MISFIT=sleep", "--isolation", "thread"];
    let ran = scene
        .trialbox(&[&arguments[..], &["--trial-timeout", "500ms", "--format", "json"]].concat());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.json()[0]["failure"]["code"], "E-TIME");
}
