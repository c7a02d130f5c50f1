//! Search spaces in files: conditions, constraints, and one reader for `run --space` and `trial ask --search-space`.

use crate::scene::{Ran, Scene};
use serde_json::{Value, json};

const SPACE: &str = r#"
constraint = "a + b <= 10"

[parameters]
optimizer = "choice(sgd, adam)"
momentum = { range = "float(0, 0.99)", when = { optimizer = "sgd" } }
a = "int(0, 10)"
b = "int(0, 10)"
"#;

fn with_space(test: &str) -> Scene {
    let scene = Scene::new(test);
    std::fs::write(scene.path("space.toml"), SPACE).unwrap();
    scene
}

/// Runs trials of a program that prints a number, whatever its words.
fn run(scene: &Scene, flags: &[&str], program: &[&str]) -> Ran {
    let run = ["run", "--study-name", "s", "--space", "@space.toml"];
    scene.trialbox(&[&run[..], flags, &["--"], program].concat())
}

#[track_caller]
fn check_trials(trials: &[Value]) {
    for trial in trials {
        let params = &trial["params"];
        assert_eq!(params["optimizer"] == "sgd", params["momentum"].is_number(), "{trial}");
        let sum = params["a"].as_u64().unwrap() + params["b"].as_u64().unwrap();
        assert!(sum <= 10, "{trial}");
    }
    let has = |trial: &&Value| trial["params"]["momentum"].is_number();
    let n_with = trials.iter().filter(has).count();
    assert!(0 < n_with && n_with < trials.len(), "both branches: {trials:?}");
}

#[test]
fn conditions_and_constraints_hold_in_every_trial_with_every_sampler() {
    for sampler in ["tpe", "random", "qmc"] {
        let scene = with_space(&format!("program-space-{sampler}"));
        let sampling = ["-n", "15", "--seed", "3", "--sampler", sampler];
        let ran = run(&scene, &sampling, &["echo", "{a}"]);
        assert_eq!(ran.code, Some(0), "{sampler}: {ran:?}");
        let trials = scene.json(&["study", "trials", "--study-name", "s"]);
        assert_eq!(trials.len(), 15, "{sampler}: no trial is lost to a constraint");
        check_trials(&trials);
    }
}

#[test]
fn a_finite_search_prunes_the_points_that_a_constraint_excludes() {
    let scene = Scene::new("program-space-brute");
    let space =
        "a = \"int(0, 2)\"\nb = \"int(0, 2)\"\nconstraints = [\"a + b <= 2\", \"a != 1\"]\n";
    std::fs::write(scene.path("space.toml"), space).unwrap();
    let ran = run(&scene, &["-n", "20", "--sampler", "brute-force"], &["echo", "{a}"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trials = scene.json(&["study", "trials", "--study-name", "s"]);
    let count = |state: &str| trials.iter().filter(|trial| trial["state"] == state).count();
    // (0, 0), (0, 1), (0, 2) and (2, 0) are allowed.
    assert_eq!((trials.len(), count("COMPLETE"), count("PRUNED")), (9, 4, 5), "{trials:?}");

    scene.json(&["study", "create", "--study-name", "asked", "--sampler", "brute-force"]);
    let ask = ["trial", "ask", "--study-name", "asked", "--search-space", "@space.toml"];
    for _ in 0..4 {
        let asked = scene.json(&ask).remove(0);
        let number = asked["number"].to_string();
        assert_ne!(asked["params"]["a"], json!(1));
        scene.json(&["trial", "tell", &number, "--study-name", "asked", "--values", "1"]);
    }
    let none = scene.trialbox(&ask);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""), "{none:?}");
    assert_eq!(scene.json(&["study", "trials", "--study-name", "asked"]).len(), 9);
}

#[test]
fn words_and_variables_of_a_parameter_that_a_trial_lacks_are_left_out() {
    let scene = with_space("program-space-words");
    let script = "echo \"$# ${TRIALBOX_PARAM_MOMENTUM-none}\" >&2; echo 1";
    for (optimizer, want) in [("adam", "1 none"), ("sgd", "4 0.5")] {
        let optimizer = format!("optimizer={optimizer}");
        let mut flags = vec!["eval", "--space", "@space.toml", "--param", &optimizer];
        if want != "1 none" {
            flags.extend(["--param", "momentum=0.5"]);
        }
        let words = ["--", "sh", "-c", script, "sh", "--m={momentum}", "-m", "{momentum}", "end"];
        // One that is inherited is another trial's.
        let arguments = [&flags[..], &words].concat();
        let output = scene.command(&arguments).env("TRIALBOX_PARAM_MOMENTUM", "9").output();
        let ran = Ran::from(output.unwrap());
        assert!(ran.stderr.contains(want), "{want}: {ran:?}");
    }
    let in_text = run(&scene, &[], &["sh", "-c", "train --momentum {momentum}"]);
    in_text
        .assert_error(2, &["expected `{momentum}`, which not every trial has", "$TRIALBOX_PARAM"]);
}

#[test]
fn values_that_are_given_against_a_condition_or_a_constraint_fail_by_name() {
    let scene = with_space("program-space-given");
    let eval = |params: &[&str]| {
        let params: Vec<&str> = params.iter().flat_map(|param| ["--param", param]).collect();
        let eval = ["eval", "--defaults", "random", "--space", "@space.toml"];
        let eval = [&eval[..], &params, &["--", "echo", "1"]];
        scene.trialbox(&eval.concat())
    };
    eval(&["a=6", "b=5"]).assert_error(
        2,
        &["with the values that are fixed the constraint `a + b <= 10` does not hold for a = 6, b = 5"],
    );
    let problem = "parameter `momentum` was fixed, but the objective does not suggest `momentum`";
    eval(&["optimizer=adam", "momentum=0.5"]).assert_error(2, &[problem]);
    assert_eq!(eval(&["a=6"]).code, Some(0), "the other parameter is drawn until it fits");
}

#[test]
fn a_replay_has_the_space_of_the_file() {
    let scene = with_space("program-space-replay");
    let ran = run(&scene, &["-n", "3"], &["echo", "{a}"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    std::fs::remove_file(scene.path("space.toml")).unwrap();
    for number in ["0", "1", "2"] {
        let replayed = &scene.json(&["trial", "replay", number, "--recorded-command"])[0];
        assert_eq!(replayed["equal"], json!(true), "{replayed}");
    }
    let kept = &scene.json(&["trial", "show", "0"])[0];
    let space = &kept["system_attrs"]["trialbox:provenance"]["space"];
    assert_eq!(space["constraints"], json!(["a + b <= 10"]));
    assert_eq!(space["parameters"]["momentum"]["when"], json!({"optimizer": ["sgd"]}));
}

#[test]
fn ask_reads_the_same_files_and_ranges() {
    let scene = with_space("program-space-ask");
    scene.json(&["study", "create", "--study-name", "s"]);
    let trials: Vec<Value> = (0..12)
        .map(|_| scene.json(&["trial", "ask", "--search-space", "@space.toml"]).remove(0))
        .collect();
    check_trials(&trials);
    let space = [
        "--space",
        "lr=log(1e-5, 0.1)",
        "--space",
        r#"{"k": {"type": "int", "low": 1, "high": 4}}"#,
    ];
    let asked = scene.json(&[&["trial", "ask"][..], &space].concat()).remove(0);
    assert!(asked["params"]["lr"].is_f64() && asked["params"]["k"].is_u64(), "{asked}");
    let optuna = r#"{"x": {"name": "FloatDistribution", "attributes": {"low": 0, "high": 1}}}"#;
    std::fs::write(scene.path("space.json"), optuna).unwrap();
    let asked = scene.json(&["trial", "ask", "--search-space", "@space.json"]).remove(0);
    assert!(asked["params"]["x"].is_f64(), "{asked}");
}

#[test]
fn both_commands_name_the_file_the_line_and_the_fault_before_a_trial_starts() {
    let scene = Scene::new("program-space-wrong");
    scene.json(&["study", "create", "--study-name", "s"]);
    for (text, problem) in [
        ("\nlr = \"log(0, 1)\"\n", "`space.toml` line 2: parameter `lr`: "),
        ("lr = \"float(0, 1)\"\nmax_lr = 3\n", "`space.toml` line 2: parameter `max_lr`: expected"),
        (
            "a = \"int(0, 1)\"\nconstraint = \"min(a, 1) < 2\"\n",
            "`space.toml` line 2: constraint `min(a, 1) < 2`: expected a parameter, since functions",
        ),
        (
            "a = \"int(0, 1)\"\nconstraint = \"a < c\"\n",
            "`space.toml` line 2: constraint 1: `a < c`: expected a parameter of the space, found `c`",
        ),
        (
            "a = { range = \"int(0, 1)\", when = { kind = \"x\" } }\nkind = \"choice(y)\"\n",
            "`space.toml` line 1: parameter `a`: expected a value of `kind` in its condition, found \"x\"",
        ),
        ("lr = [", "`space.toml` line 1: "),
    ] {
        std::fs::write(scene.path("space.toml"), text).unwrap();
        let run = ["run", "--study-name", "s", "--space", "@space.toml", "--", "true"];
        let ask = ["trial", "ask", "--search-space", "@space.toml"];
        scene.trialbox(&run).assert_error(2, &["the file of --space", problem]);
        scene.trialbox(&ask).assert_error(2, &["the file of --search-space", problem]);
    }
    let missing = ["trial", "ask", "--space", "@nowhere.toml"];
    scene.trialbox(&missing).assert_error(2, &["nowhere.toml"]);
    let twice = ["trial", "ask", "--space", "x=int(0, 1)", "--space", "x=int(0, 2)"];
    scene.trialbox(&twice).assert_error(2, &["--search-space x was given twice"]);
    assert_eq!(scene.json(&["study", "trials"]).len(), 0);
}
