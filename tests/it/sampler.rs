//! What proposes parameters: chosen by flags, remembered by the study.

use crate::scene::{Scene, guest};
use std::collections::BTreeSet;

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
    scene.trialbox(&[&run[..], &["n_ei_candidates=0"]].concat()).assert_error(
        2,
        &["`n_ei_candidates`", "expected a whole number from 1 to 1000000, found 0"],
    );
    scene.trialbox(&["run", &guest("quadratic"), "--sampler", "tea"]).assert_error(
        2,
        &["unknown sampler `tea`: expected tpe, auto, random, qmc, gp, cmaes, nsga2, nsga3, grid or brute-force"],
    );
    assert!(!scene.path("trialbox.db").exists());
}

#[test]
fn a_grid_is_searched_to_its_end_and_then_there_is_nothing_to_do() {
    let scene = Scene::new("sampler-grid");
    let run = ["run", &guest("quadratic"), "--sampler", "grid"];
    scene
        .trialbox(&run)
        .assert_error(2, &["sampler `grid` needs the option `search_space`", "--sampler-opt"]);
    let space = r#"search_space={"y": [-1, 3], "x": [2, 0.5, -1.25]}"#;
    let lines = scene.json(&[&run[..], &["--sampler-opt", space, "-n", "9"]].concat());
    let (end, trials) = lines.split_last().unwrap();
    assert_eq!(end["event"], "search_exhausted");
    let points: BTreeSet<String> = trials.iter().map(|line| line["params"].to_string()).collect();
    assert_eq!((trials.len(), points.len()), (6, 6));
    let again = scene.json(&run[..2]);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["event"], "search_exhausted");
}

#[test]
fn a_search_by_brute_force_ends_when_what_is_not_fixed_is_tried() {
    let scene = Scene::new("sampler-brute-force");
    let run = ["run", &guest("quadratic"), "--sampler", "brute-force", "--fix", "x=2"];
    let lines = scene.json(&[&run[..], &["-n", "30", "--jobs", "2"]].concat());
    let trials: Vec<_> = lines.iter().filter(|line| line["params"].is_object()).collect();
    assert!(trials.iter().all(|trial| trial["params"]["x"] == 2.0));
    let tried: BTreeSet<i64> =
        trials.iter().map(|trial| trial["params"]["y"].as_i64().unwrap()).collect();
    assert_eq!(tried, (-10..=10).collect());
    let ends = lines.iter().filter(|line| line["event"] == "search_exhausted");
    assert_eq!(ends.count(), 1);
}

#[test]
fn a_parameter_is_fixed_for_the_command_that_says_so() {
    let scene = Scene::new("sampler-fix");
    let run = ["run", &guest("quadratic"), "-n", "12"];
    for line in scene.json(&[&run[..], &["--fix", "y=3"]].concat()) {
        assert_eq!(line["params"]["y"], 3);
    }
    let free: BTreeSet<String> =
        scene.json(&run).iter().map(|line| line["params"]["y"].to_string()).collect();
    assert!(free.len() > 1);
    scene
        .trialbox(&[&run[..], &["--fix", "y=3", "--fix", "y=4"]].concat())
        .assert_error(2, &["--fix y was given twice"]);
}
