//! What proposes parameters: chosen by flags, remembered by the study.

use crate::scene::{Scene, guest};

#[test]
fn a_study_remembers_its_sampler_with_its_options() {
    let scene = Scene::new("sampler-remembered");
    let run = ["run", &guest("quadratic"), "--study-name", "s"];
    let options = ["--sampler", "tpe", "--sampler-opt", "n_startup_trials=3"];
    scene.json(&[&run[..], &options, &["-n", "5"]].concat());
    let shown = scene.trialbox(&["study", "show"]).stdout;
    assert!(shown.contains("sampler      tpe, n_startup_trials=3\n"), "{shown}");
    scene.json(&run);
    scene
        .trialbox(&[&run[..], &["--sampler", "random"]].concat())
        .assert_error(2, &["--sampler", r#""name": "random""#, "--override"]);
    // The first three at random; from then on what is drawn jointly is shared.
    let trials = scene.json(&["study", "trials"]);
    let n_shared = |trial: &serde_json::Value| {
        let attrs = trial["system_attrs"].as_object().unwrap();
        attrs.keys().filter(|key| key.starts_with("tpe:relative_params:")).count()
    };
    let shared: Vec<usize> = trials.iter().map(n_shared).collect();
    assert_eq!(shared, [0, 0, 0, 1, 1, 1]);
}

#[test]
fn an_unknown_option_lists_those_there_are_and_touches_no_database() {
    let scene = Scene::new("sampler-option");
    let run = ["run", &guest("quadratic"), "--sampler-opt"];
    scene.trialbox(&[&run[..], &["gamma=3"]].concat()).assert_error(
        2,
        &["sampler `tpe` has no option `gamma`", "n_startup_trials=10", "group=false"],
    );
    scene
        .trialbox(&[&run[..], &["n_ei_candidates=0"]].concat())
        .assert_error(2, &["`n_ei_candidates`", "must be a whole number, 1 or more, but it is 0"]);
    scene
        .trialbox(&["run", &guest("quadratic"), "--sampler", "tea"])
        .assert_error(2, &["there is no sampler `tea`; there are: tpe, random"]);
    assert!(!scene.path("trialbox.db").exists());
}
