//! Several objectives and constraints: what we show of them, and what Optuna and its dashboard do.

use crate::scene::{Ran, Scene, digits_data, guest};
use crate::scripted::{Call, Ending, component};
use serde_json::{Value, json};

impl Scene {
    /// One case of `fronts.py`, which must end with 0.
    #[track_caller]
    fn fronts(&self, arguments: &[&str]) -> Value {
        let ran = Ran::from(self.python("fronts.py", arguments).output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json().remove(0)
    }

    /// Runs an objective that sets these constraints and returns these values, on the study `s`.
    fn run_script(&self, values: &[f64], constraints: &[(&str, f64)], more: &[&str]) -> Ran {
        let call = |(name, value): &(&'static str, f64)| Call::Constraint { name, value: *value };
        let constraints: Vec<(&'static str, f64)> = constraints
            .iter()
            .map(|(name, value)| (&*Box::leak((*name).to_owned().into_boxed_str()), *value))
            .collect();
        let calls: Vec<Call> = constraints.iter().map(call).collect();
        std::fs::write(self.path("script.wasm"), component(&calls, &Ending::Values(values)))
            .unwrap();
        let run = ["run", "script.wasm", "--study-name", "s", "--allow-module-change"];
        self.trialbox(&[&run[..], more].concat())
    }

    #[track_caller]
    fn numbers_of_best(&self, study: &str) -> Value {
        let name = format!("--study-name={study}");
        self.json(&["study", "best", &name]).iter().map(|trial| trial["number"].clone()).collect()
    }

    #[track_caller]
    fn hypervolume(&self, study: &str, reference: &str) -> Value {
        let (name, point) =
            (format!("--study-name={study}"), format!("--reference-point={reference}"));
        let last = self.json(&["study", "best", &name, &point]).pop().unwrap();
        assert_eq!(last["event"], "hypervolume");
        last["hypervolume"].clone()
    }

    /// Each trial's constraints by value, in the order of their names, and whether it is feasible.
    fn feasibility(&self, study: &str) -> (Value, Value) {
        let trials = self.json(&["study", "trials", &format!("--study-name={study}")]);
        let each = |key: &str| trials.iter().map(|trial| trial[key].clone()).collect();
        (each("constraints"), each("feasible"))
    }
}

/// Equal to a relative 1e-12: the terms of the two sums are not added in the same order.
#[track_caller]
fn assert_close(ours: &Value, theirs: &Value, what: &str) {
    match (ours.as_f64(), theirs.as_f64()) {
        (Some(ours), Some(theirs)) => {
            assert!((ours - theirs).abs() <= 1e-12 * theirs.abs(), "{what}: {ours}, {theirs}");
        }
        _ => assert_eq!(ours, theirs, "{what}"),
    }
}

fn run_digits_front(test: &str, format: &str) -> Scene {
    let scene = Scene::new(test);
    let guest = guest("digits_front");
    let run = ["run", &guest, "--dir", &digits_data(), "--study-name", "s", "--seed", "1"];
    let lines = scene.json(&[&run[..], &["-n", "14", "--constraint-format", format]].concat());
    assert_eq!(lines.len(), 14);
    scene
}

/// What Optuna reads of `digits-front` is what we show.
#[track_caller]
fn assert_optuna_agrees(scene: &Scene) -> Value {
    let theirs = scene.fronts(&["read", "trialbox.db", "s", "0.5", "4000"]);
    let front = scene.numbers_of_best("s");
    assert!(front.as_array().unwrap().len() > 1, "{front}: a front of one says little");
    assert_eq!(theirs["best"], front);
    assert_eq!(theirs["feasible"], scene.feasibility("s").1);
    assert!(theirs["feasible"].as_array().unwrap().contains(&json!(false)));
    assert_eq!(theirs["metric_names"], json!(["accuracy", "n_parameters"]));
    let by_name = scene.hypervolume("s", "n_parameters=4e3, accuracy=0.5");
    assert_close(&by_name, &theirs["hypervolume"], "hypervolume");
    assert_eq!(by_name, scene.hypervolume("s", "0.5,4000"));
    let csv = scene.trialbox(&["study", "export"]).stdout;
    let columns: Value = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(theirs["columns"], columns);
    theirs
}

#[test]
fn optuna_sees_the_front_and_the_named_constraints_that_trialbox_shows() {
    let scene = run_digits_front("fronts-named", "named");
    let theirs = assert_optuna_agrees(&scene);
    assert_eq!(theirs["constraints"], scene.feasibility("s").0);
    assert_eq!(theirs["attributes"][0], json!(["constraints:missing_accuracy"]));
    // The dashboard knows nothing of this form.
    let page = scene.fronts(&["on_dashboard", "trialbox.db"]);
    assert_eq!(page["constraints"], Value::from(vec![json!([]); 14]));
}

#[test]
fn the_dashboard_shows_the_front_and_the_constraints_of_a_list() {
    let scene = run_digits_front("fronts-legacy", "legacy");
    let theirs = assert_optuna_agrees(&scene);
    assert_eq!(theirs["attributes"][0], json!(["constraints"]));
    let ours = scene.feasibility("s").0;
    let missing = |index: usize| ours[index]["missing_accuracy"].clone();
    let page = scene.fronts(&["on_dashboard", "trialbox.db"]);
    for index in 0..14 {
        assert_eq!(theirs["constraints"][index], json!({ "0": missing(index) }));
        assert_eq!(page["constraints"][index], json!([missing(index)]));
        let trial = &scene.json(&["trial", "show", &index.to_string()])[0];
        assert_eq!(page["values"][index], trial["values"]);
        assert_eq!(trial["user_attrs"]["trialbox:constraint_names"], json!(["missing_accuracy"]));
    }
}

#[test]
fn what_optuna_wrote_has_the_same_front_feasibility_and_hypervolume_here() {
    let scene = Scene::new("fronts-theirs");
    let theirs = scene.fronts(&["write", "trialbox.db"]);
    let theirs = theirs.as_object().unwrap();
    assert_eq!(theirs.len(), 6);
    for (study, theirs) in theirs {
        assert_eq!(theirs["best"], scene.numbers_of_best(study), "{study}");
        let (constraints, feasible) = scene.feasibility(study);
        assert_eq!(theirs["constraints"], constraints, "{study}");
        assert_eq!(theirs["feasible"], feasible, "{study}");
        let name = format!("--study-name={study}");
        let csv = scene.trialbox(&["study", "export", &name]).stdout;
        let columns: Value = csv.lines().next().unwrap().split(',').collect();
        assert_eq!(theirs["columns"], columns, "{study}");
    }
    for (study, reference) in [
        ("cloud 2", "0.75,0.25"),
        ("cloud 3", "0,1,0.25"),
        ("ties 2", "9,-9"),
        ("named", "cost=20,distance=20"),
        ("list", "20,20"),
    ] {
        let theirs = &theirs[study]["hypervolume"];
        assert_close(&scene.hypervolume(study, reference), theirs, study);
    }
}

#[test]
fn a_list_holds_the_constraints_in_the_order_in_which_they_were_first_set() {
    let scene = Scene::new("fronts-order");
    let constraints = [("size", 3.0), ("age", 1.0), ("size", -1.0), ("cost", f64::INFINITY)];
    let ran = scene.run_script(&[1.0], &constraints, &["--constraint-format", "legacy"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.ends_with("; violates age = 1, cost = inf\n"), "{}", ran.stdout);
    // The study remembers the form.
    scene.run_script(&[1.0], &[("size", 0.0)], &[]);
    let ran = scene.run_script(&[1.0], &[], &["--constraint-format", "named"]);
    ran.assert_error(2, &["has --constraint-format = \"legacy\"", "--override"]);
    let trials = scene.json(&["study", "trials"]);
    assert_eq!(trials[0]["system_attrs"]["constraints"], json!([-1.0, 1.0, "inf"]));
    assert_eq!(
        trials[0]["user_attrs"]["trialbox:constraint_names"],
        json!(["size", "age", "cost"])
    );
    assert_eq!(trials[0]["constraints"], json!({ "size": -1.0, "age": 1.0, "cost": "inf" }));
    assert_eq!(trials[1]["system_attrs"]["constraints"], json!([0.0]));
    assert_eq!(scene.fronts(&["read", "trialbox.db", "s"])["best"], json!([1]));
    let shown = scene.trialbox(&["trial", "show", "0"]).stdout;
    assert!(shown.contains("constraint size = -1   (satisfied)"), "{shown}");
    assert!(shown.contains("constraint cost = inf   (violated)"), "{shown}");
}

#[test]
fn a_study_without_a_feasible_trial_names_the_one_that_comes_closest() {
    let scene = Scene::new("fronts-infeasible");
    scene.run_script(&[1.0], &[("size", 3.0)], &[]);
    scene.run_script(&[2.0], &[("size", 0.5), ("time", -9.0), ("cost", 2.0)], &[]);
    scene.trialbox(&["study", "best"]).assert_error(
        2,
        &[
            "none of its 2 COMPLETE trials satisfies",
            "trial 1 comes closest, with 2",
            "violates cost = 2, size = 0.5",
        ],
    );
    let listed = scene.trialbox(&["study", "trials"]).stdout;
    assert!(listed.contains("violates size = 3"), "{listed}");
    scene.run_script(&[3.0], &[("size", 0.0)], &[]);
    let best = scene.trialbox(&["study", "best"]).stdout;
    assert!(best.starts_with("trial 2 of") && best.contains("constraint size = 0   (satisfied)"));
}

#[test]
fn what_is_told_of_a_trial_can_have_constraints_in_the_form_of_the_study() {
    for (format, attrs) in [
        ("named", json!({ "constraints:size": -0.5, "constraints:a=b": 1e3 })),
        ("legacy", json!({ "constraints": [-0.5, 1e3] })),
    ] {
        let scene = Scene::new(&format!("fronts-tell-{format}"));
        scene.json(&["study", "create", "--study-name", "s", "--constraint-format", format]);
        scene.json(&["trial", "ask"]);
        let size = ["--values", "1", "--constraint", "size=-0.5"];
        scene.json(&[&["trial", "tell", "0"], &size[..], &["--constraint", "a=b=1e3"]].concat());
        for (constraint, problem) in [
            ("size=1", "--constraint size was given twice"),
            ("time=nan", "expected NAME=VALUE with a number"),
        ] {
            let number = scene.json(&["trial", "ask"]).remove(0)["number"].to_string();
            let tell = ["trial", "tell", &number];
            let ran = scene.trialbox(&[&tell[..], &size, &["--constraint", constraint]].concat());
            ran.assert_error(2, &[problem]);
            let told = scene.json(&["trial", "show", &number]).remove(0);
            assert_eq!(told["state"], "COMPLETE", "the result is not lost: {told}");
        }
        let told = scene.json(&["trial", "show", "0"]).remove(0);
        let is_constraint = |key: &String| key.starts_with("constraints");
        let found: serde_json::Map<String, Value> = told["system_attrs"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| is_constraint(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(Value::from(found), attrs);
        assert_eq!(told["constraints"], json!({ "size": -0.5, "a=b": 1e3 }));
        assert_eq!(told["feasible"], false);
    }
}

#[test]
fn names_given_by_hand_are_shown_wherever_values_are() {
    let scene = Scene::new("fronts-names");
    let create = ["study", "create", "--study-name", "s", "--direction", "maximize", "minimize"];
    let names = ["--metric-name", "accuracy", "--metric-name", "size"];
    scene.json(&[&create[..], &names].concat());
    let ran = scene.run_script(&[0.5, 2e6], &[], &[]);
    assert!(
        ran.stdout.starts_with("trial 0    COMPLETE accuracy=0.5, size=2000000  in "),
        "{ran:?}"
    );
    scene.run_script(&[0.25, 1e6], &[], &[]);
    scene.run_script(&[0.25, 2e6], &[], &[]);
    let page = scene.fronts(&["on_dashboard", "trialbox.db"]);
    assert_eq!(
        (&page["best"], &page["objective_names"]),
        (&json!([0, 1]), &json!(["accuracy", "size"]))
    );
    assert_eq!(page["best"], scene.numbers_of_best("s"));
    let theirs = scene.fronts(&["read", "trialbox.db", "s"]);
    assert_eq!(theirs["metric_names"], json!(["accuracy", "size"]));
    let shown = scene.trialbox(&["study", "show"]).stdout;
    assert!(shown.contains("accuracy (maximize), size (minimize)"), "{shown}");
    assert!(shown.contains("a front of 2: trials 0, 1"), "{shown}");
    let best = scene.trialbox(&["study", "best", "--reference-point", "size=3e6,accuracy=0"]);
    let lines: Vec<Vec<&str>> =
        best.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["number", "accuracy", "(maximize)", "size", "(minimize)", "parameters"]);
    assert_eq!(lines[1..3], [["0", "0.5", "2000000"], ["1", "0.25", "1000000"]]);
    // 0.5 · 1e6 and, below, 0.25 · 1e6 more.
    assert_eq!(
        best.stdout.lines().last().unwrap(),
        "hypervolume 750000 from the point accuracy=0, size=3000000"
    );
    let front = scene.json(&["study", "best"]);
    assert_eq!(front[1]["metrics"], json!({ "accuracy": 0.25, "size": 1e6 }));
    let listed = scene.trialbox(&["study", "trials"]).stdout;
    let header: Vec<&str> = listed.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header[..4], ["number", "state", "accuracy", "size"]);
}

#[test]
fn what_does_not_reach_the_reference_point_covers_nothing() {
    let scene = Scene::new("fronts-beyond");
    scene.json(&["study", "create", "--study-name", "s", "--direction", "minimize", "minimize"]);
    for point in [[0.0, 3.0], [1.0, 1.0], [3.0, 0.0]] {
        scene.run_script(&point, &[], &[]);
    }
    let line = scene.json(&["study", "best", "--reference-point", "2,2"]).pop().unwrap();
    assert_eq!((&line["hypervolume"], &line["n_beyond"]), (&json!(1.0), &json!(2)));
    for (reference, problem) in [
        ("2", "--reference-point has 1 value, and study `s` has 2 objectives"),
        ("2,x", "expected a number, found `x`"),
        ("2,nan", "expected a number, found `nan`"),
        ("loss=2,1", "study `s` has no objective `loss`"),
        ("value 1=2,3", "--reference-point names `value 1` twice"),
    ] {
        let ran = scene.trialbox(&["study", "best", "--reference-point", reference]);
        ran.assert_error(2, &[problem]);
    }
}

#[test]
fn another_number_of_objectives_is_refused_with_both_numbers() {
    let scene = Scene::new("fronts-arity");
    let create = ["study", "create", "--study-name", "s", "--direction", "maximize", "minimize"];
    let ran = scene.trialbox(&[&create[..], &["--metric-name", "a"]].concat());
    ran.assert_error(2, &["1 name is given", "the study has 2 objectives (maximize, minimize)"]);
    scene.json(&create);
    // A component that says what it returns is found out before a trial is begun.
    let ran = scene.trialbox(&["run", &guest("quadratic"), "--study-name", "s"]);
    ran.assert_error(
        2,
        &["`s` has 2 objectives (maximize, minimize), and this component has 1 objective (minimize)"],
    );
    let ran = scene.run_script(&[1.0, 2.0, 3.0], &[], &[]);
    assert_eq!(ran.code, Some(1));
    let found = "E-VALUE: the objective returned 3 values, but the study has 2 objectives";
    assert!(ran.stdout.contains(found), "{}", ran.stdout);
    assert_eq!(scene.json(&["study", "trials"]).len(), 1);
}

#[test]
fn a_study_that_has_the_components_names_in_another_order_is_refused() {
    let scene = Scene::new("fronts-names");
    let create = ["study", "create", "--study-name", "s", "--direction", "maximize", "minimize"];
    scene.json(&[&create[..], &["--metric-name", "n_parameters", "accuracy"]].concat());
    let run = ["run", &guest("digits_front"), "--dir", &digits_data(), "--study-name", "s"];
    scene.trialbox(&run).assert_error(
        2,
        &["has the objectives n_parameters, accuracy", "accuracy, n_parameters", "--metric-name"],
    );
    assert!(scene.json(&["study", "trials"]).is_empty());
}

#[test]
fn the_form_of_constraints_does_not_change_within_a_study_without_a_word() {
    let scene = Scene::new("fronts-form");
    let run = ["run", &guest("quadratic")];
    scene.json(&run);
    scene
        .trialbox(&[&run[..], &["--constraint-format", "legacy"]].concat())
        .assert_error(2, &[r#"--constraint-format = "named""#, "--override"]);
}
