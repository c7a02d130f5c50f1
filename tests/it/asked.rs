//! Values that a user gives to parameters: what is asked for and not used is an error.

use crate::scene::{Scene, guest};
use serde_json::{Value, json};

/// A study of the example `quadratic` (x from -10 to 10, y a whole number) with two trials.
fn two_trials(test: &str) -> Scene {
    let scene = Scene::new(test);
    scene.json(&["run", &guest("quadratic"), "-n", "2", "--seed", "1"]);
    scene
}

fn n_trials(scene: &Scene) -> usize {
    scene.json(&["study", "trials"]).len()
}

#[test]
fn a_study_with_trials_takes_no_trial_with_another_name_or_outside_of_a_range() {
    let scene = two_trials("asked-enqueue");
    for (param, problem) in [
        ("X=1", "no trial of the study has suggested `X`\n  help: did you mean `x`?"),
        ("depth=1", "no trial of the study has suggested `depth`"),
        ("x=11", "--param x=11: it is outside of float -10.0 to 10.0"),
        ("y=2.5", "--param y=2.5: expected a whole number, found 2.5"),
        ("y=two", "--param y=two: expected a number"),
    ] {
        let enqueue = ["trial", "enqueue", "--param", param];
        scene.trialbox(&enqueue).assert_error(2, &[problem, "--lenient"]);
        assert_eq!(n_trials(&scene), 2, "{param}");
    }
    scene.json(&["trial", "enqueue", "--param", "x=11", "--lenient"]);
    scene.json(&["trial", "enqueue", "--param", "x=1", "--param", "y=2"]);
    assert_eq!(n_trials(&scene), 4);
}

#[test]
fn an_enqueued_trial_whose_values_are_not_used_fails() {
    for (param, problem) in [
        ("z=1", "parameter `z` was fixed, but the objective does not suggest `z`"),
        ("x=11", "parameter `x` cannot be fixed to 11: it is outside of float -10.0 to 10.0"),
        ("y=2.5", "parameter `y` cannot be fixed to 2.5: expected a whole number, found 2.5"),
        ("y=two", "parameter `y` cannot be fixed to \"two\": expected a number"),
    ] {
        let scene = Scene::new("asked-unused");
        scene.json(&["study", "create", "--study-name", "quadratic"]);
        // The study has no parameters yet, so nothing is known about them.
        scene.json(&["trial", "enqueue", "--param", param]);
        let ran = scene.trialbox(&["run", &guest("quadratic")]);
        assert_eq!(ran.code, Some(1), "{param}: {ran:?}");
        assert!(ran.stdout.contains(&format!("E-FIXED-PARAM: {problem}")), "{ran:?}");
        assert_eq!(n_trials(&scene), 1, "{param}: it is not tried again");
    }
    let scene = Scene::new("asked-lenient");
    scene.json(&["study", "create", "--study-name", "quadratic"]);
    scene.json(&["trial", "enqueue", "--param", "x=11", "--param", "z=1"]);
    let trial = scene.json(&["run", &guest("quadratic"), "--lenient"]).remove(0);
    assert_eq!((&trial["state"], &trial["params"]["x"]), (&json!("COMPLETE"), &json!(11.0)));
}

#[test]
fn a_misspelt_name_of_fix_ends_the_run() {
    let (scene, quadratic) = (Scene::new("asked-fix"), guest("quadratic"));
    let run = |more: &[&str]| scene.trialbox(&[&["run", &quadratic], more].concat());
    run(&["-n", "5", "--fix", "X=1"])
        .assert_error(2, &["--fix X was given", "did you mean `x`?", "--lenient"]);
    assert_eq!(n_trials(&scene), 1, "its first trial shows the mistake");
    run(&["-n", "5", "--fix", "X=1"]).assert_error(2, &["did you mean `x`?"]);
    assert_eq!(n_trials(&scene), 1, "the study shows the mistake");
    run(&["-n", "2", "--fix", "depth=1"])
        .assert_error(2, &["no trial of the study has suggested `depth`", "--lenient"]);
    assert_eq!(n_trials(&scene), 1);
    // In an empty study it may be a parameter of another path through the objective.
    run(&["-n", "2", "--study-name", "empty", "--fix", "depth=1"])
        .assert_error(2, &["no trial of the study has suggested `depth`"]);
    assert_eq!(scene.json(&["study", "trials", "empty"]).len(), 2);
    let lenient = ["--study-name", "quadratic", "--fix", "depth=1", "--lenient"];
    assert_eq!(run(&lenient).code, Some(0));
}

#[test]
fn a_value_of_fix_that_its_parameter_cannot_have_ends_the_run() {
    for (value, problem) in [
        ("x=11", "outside of float -10.0 to 10.0"),
        ("y=2.5", "expected a whole number, found 2.5"),
        ("y=two", "expected a number"),
    ] {
        let (scene, quadratic) = (Scene::new("asked-fix-value"), guest("quadratic"));
        let run = ["run", &quadratic, "-n", "5", "--fix", value];
        scene.trialbox(&run).assert_error(2, &[problem, "--lenient"]);
        let trials = scene.json(&["study", "trials"]);
        let states: Vec<&Value> = trials.iter().map(|trial| &trial["state"]).collect();
        assert_eq!(states, [&json!("FAIL")], "{value}");
    }
    let (scene, quadratic) = (two_trials("asked-fix-range"), guest("quadratic"));
    let run = ["run", &quadratic, "--fix", "x=11"];
    scene.trialbox(&run).assert_error(2, &["--fix x=11: it is outside of float -10.0 to 10.0"]);
    assert_eq!(n_trials(&scene), 2);
    let lenient = scene.json(&[&run[..], &["--lenient"]].concat()).remove(0);
    assert_eq!(lenient["params"]["x"], 11.0);
}

/// A program's `--space`, and the program.
const PROGRAM: [&str; 7] =
    ["--space", "x=float(0, 1)", "--space", "opt=choice(adam, sgd)", "--", "echo", "{x}"];

#[test]
fn what_is_fixed_for_a_program_and_cannot_be_ends_the_run_before_a_trial() {
    for (fix, problem) in [
        ("X=0.5", "--fix X was given, but no trial of the study has suggested `X`"),
        ("x=2", "--fix x=2: it is outside of float 0.0 to 1.0"),
        ("opt=adan", "--fix opt=adan: \"adan\" is none of the choices"),
    ] {
        let scene = Scene::new("asked-program-fix");
        let run = [&["run", "--study-name", "s", "-n", "3", "--fix", fix][..], &PROGRAM].concat();
        scene.trialbox(&run).assert_error(2, &[problem, "--lenient"]);
        assert_eq!(n_trials(&scene), 0, "{fix}");
    }
    // A program may ask for more than its space, so another name is known to be wrong after the trials.
    let scene = Scene::new("asked-program-fix-end");
    let run =
        |more: &[&str]| scene.trialbox(&[&["run", "--study-name", "s"], more, &PROGRAM].concat());
    run(&["--fix", "depth=1"])
        .assert_error(2, &["no trial of the study has suggested `depth`", "--lenient"]);
    assert_eq!(n_trials(&scene), 1);
    let lenient = run(&["--fix", "depth=1", "--lenient"]);
    assert_eq!(lenient.code, Some(0), "{lenient:?}");
    assert_eq!(run(&["--fix", "x=0.5", "--fix", "opt=sgd"]).code, Some(0));
    assert_eq!(scene.json(&["trial", "show", "2"])[0]["params"], json!({"x": 0.5, "opt": "sgd"}));
}

#[test]
fn what_is_enqueued_for_a_program_and_cannot_be_fails_its_trial() {
    for (param, problem) in [
        ("z=1", "parameter `z` was fixed, but the objective does not suggest `z`"),
        ("x=2", "parameter `x` cannot be fixed to 2: it is outside of float 0.0 to 1.0"),
        ("opt=adan", "parameter `opt` cannot be fixed to \"adan\""),
    ] {
        let scene = Scene::new("asked-program-enqueue");
        scene.json(&["study", "create", "--study-name", "s"]);
        scene.json(&["trial", "enqueue", "--param", param]);
        let ran = scene.trialbox(&[&["run", "--study-name", "s"][..], &PROGRAM].concat());
        assert_eq!(ran.code, Some(1), "{param}: {ran:?}");
        assert!(ran.stdout.contains(&format!("E-FIXED-PARAM: {problem}")), "{ran:?}");
        assert_eq!(n_trials(&scene), 1, "{param}: it is not tried again");
        let lenient = ["run", "--study-name", "s", "--lenient"];
        let ran = scene.trialbox(&[&lenient[..], &PROGRAM].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        scene.trialbox(&["trial", "enqueue", "--param", "opt=adan"]).assert_error(2, &["opt=adan"]);
    }
}

#[test]
fn eval_refuses_a_fraction_for_a_whole_number() {
    let ran = Scene::new("asked-eval").trialbox(&["eval", &guest("quadratic"), "--param", "y=3.5"]);
    ran.assert_error(2, &["parameter `y` cannot be fixed to 3.5: expected a whole number"]);
}

#[test]
fn a_flag_that_the_objective_or_the_outcome_leaves_without_effect_is_named() {
    let scene = Scene::new("asked-flags");
    let eval = ["eval", &guest("quadratic"), "--direction", "maximize"];
    scene.trialbox(&eval).assert_error(2, &["expected the directions of the objective (minimize)"]);
    scene.json(&["study", "create", "--study-name", "s"]);
    scene.json(&["trial", "ask"]);
    let told = scene.trialbox(&["trial", "tell", "0", "--values", "1", "--reason", "slow"]);
    told.assert_error(0, &["the reason is not recorded: the trial is COMPLETE"]);
}
