//! A study of a genetic sampler that trialbox and Python's Optuna continue in turn.

use crate::scene::{Ran, Scene};
use serde_json::Value;

const SPACE: [&str; 4] = ["--space", "x=float(0, 1)", "--space", "y=float(0, 1)"];

#[test]
fn both_sides_continue_each_others_generations() {
    for sampler in ["nsga2", "nsga3"] {
        let scene = Scene::new(&format!("interop-generations-{sampler}"));
        let directions = ["--direction", "minimize", "minimize"];
        let options = ["--sampler-opt", "population_size=4", "--sampler-opt", "mutation_prob=0"];
        let create = ["study", "create", "--storage", "study.db", "--study-name", "s"];
        scene.json(&[&create[..], &directions, &["--sampler", sampler], &options].concat());
        // Neither begins a generation each time, and each finds generations that the other has begun.
        for (ours, theirs) in [(3, 3), (7, 6), (5, 1), (4, 4)] {
            (0..ours).for_each(|_| one_trial(&scene));
            python(&scene, &["run", "study.db", "s", sampler, &theirs.to_string()]);
        }
        assert_eq!(python(&scene, &["check", "study.db", "s", sampler]), "");
        assert_eq!(scene.json(&["study", "trials", "--storage", "study.db"]).len(), 33);
    }
}

/// Runs one trial of `objective` in `interop_generations.py`.
fn one_trial(scene: &Scene) {
    let study = ["--storage", "study.db", "--study-name", "s"];
    let asked = &scene.json(&[&["trial", "ask"][..], &SPACE, &study].concat())[0];
    let value = |name: &str| asked["params"][name].as_f64().expect("a float");
    let (x, y) = (value("x"), value("y"));
    let (number, values) = (&asked["number"], [x, (1.0 + y) / (0.1 + x)]);
    let words = [number.to_string(), values[0].to_string(), values[1].to_string()];
    let [number, first, second] = &words;
    let tell = ["trial", "tell", number, "--values", first, second];
    let told: Vec<Value> = scene.json(&[&tell[..], &study].concat());
    assert_eq!(told.len(), 1);
}

fn python(scene: &Scene, arguments: &[&str]) -> String {
    let ran = Ran::from(scene.python("interop_generations.py", arguments).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}
