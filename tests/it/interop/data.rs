//! Values, choices, distributions, constraints, times and names, written by each side and read by the other.

use super::both::{answer, each};
use crate::scene::Scene;
use crate::scripted::{Call, Choice, Ending, float};
use serde_json::{Value, json};

/// Case 2, there: what trialbox writes.
#[test]
fn infinities_and_nan_that_trialbox_wrote_are_read_by_optuna() {
    let scene = Scene::new("cases-values-ours");
    let reports = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, 1e308, -0.0];
    let reports: Vec<Call> =
        reports.iter().zip(0..).map(|(value, step)| Call::Report(*value, step)).collect();
    let pruned = |last: f64| [Call::Report(1.0, 0), Call::Report(last, 5)];
    let run = |calls: &[Call], ending: &Ending| {
        let (code, lines) = scene.run(&scene.script("guest", calls, ending), &[]);
        (code, lines[0]["state"].as_str().unwrap().to_owned(), lines[0]["values"].clone())
    };
    let complete = |value: Value| (Some(0), "COMPLETE".to_owned(), json!([value]));
    assert_eq!(run(&reports, &Ending::Values(&[f64::INFINITY])), complete("inf".into()));
    assert_eq!(run(&[], &Ending::Values(&[f64::NEG_INFINITY])), complete("-inf".into()));
    for value in [5e-324, 0.1 + 0.2, f64::MAX, -2.65e-205] {
        assert_eq!(run(&[], &Ending::Values(&[value])), complete(value.into()));
    }
    assert_eq!(run(&[], &Ending::Values(&[f64::NAN])), (Some(1), "FAIL".to_owned(), json!([])));
    let nothing = (Some(0), "PRUNED".to_owned(), json!([]));
    assert_eq!(run(&pruned(f64::NAN), &Ending::Pruned), nothing);
    assert_eq!(run(&[], &Ending::Pruned), nothing);
    assert_eq!(run(&pruned(f64::INFINITY), &Ending::Pruned).2, json!(["inf"]));
    scene.assert_both_read_the_same("study.db");
    assert_eq!(
        scene.rows(
            "SELECT step, intermediate_value, intermediate_value_type
            FROM trial_intermediate_values WHERE trial_id = 1 ORDER BY step"
        ),
        json!([
            [0, null, "NAN"],
            [1, null, "INF_POS"],
            [2, null, "INF_NEG"],
            [3, 5e-324, "FINITE"],
            [4, 1e308, "FINITE"],
            [5, 0.0, "FINITE"],
        ])
    );
}

/// Case 2, back: what Optuna writes.
#[test]
fn infinities_and_nan_that_optuna_wrote_are_read_by_trialbox() {
    let scene = Scene::new("cases-values-theirs");
    scene.case(&["write_hostile_values", "study.db"]);
    scene.assert_both_read_the_same("study.db");
    let trials = scene.trials("study.db", "s");
    let states = each(&trials, "state");
    assert_eq!(states[7], "FAIL");
    assert_eq!(states[8..], [json!("PRUNED"), json!("PRUNED"), json!("PRUNED")]);
    let values = each(&trials, "values");
    assert_eq!(values[..2], [json!(["inf"]), json!(["-inf"])]);
    assert_eq!(values[8..], [json!([]), json!(["inf"]), json!([])]);
    let best = scene.json(&["study", "best", "--storage", "study.db"]);
    assert_eq!(best[0]["number"], 1);
}

/// Case 6.
#[test]
fn choices_of_mixed_types_have_one_index_on_both_sides() {
    let scene = Scene::new("cases-choices");
    let long = "x".repeat(10_000);
    let mixed = [
        Choice::None,
        Choice::Bool(true),
        Choice::Int(1),
        Choice::Real(2.5),
        Choice::Text("é"),
        Choice::Text("1"),
    ];
    let equal = [
        Choice::Int(1),
        Choice::Real(1.0),
        Choice::Bool(true),
        Choice::Int(0),
        Choice::Bool(false),
    ];
    let numbers = [Choice::Real(f64::NAN), Choice::Real(f64::INFINITY), Choice::Int(i64::MAX)];
    let texts = [
        Choice::Text(""),
        Choice::Text("\0"),
        Choice::Text("\u{1f423}"),
        Choice::Text("\"quoted\\\n"),
        Choice::Text(&long),
    ];
    let sets: [(&str, &[Choice]); 4] =
        [("mixed", &mixed), ("equal", &equal), ("numbers", &numbers), ("texts", &texts)];
    let calls: Vec<Call> =
        sets.iter().map(|(name, choices)| Call::Categorical { name, choices }).collect();
    let objective = scene.script("choices", &calls, &Ending::Values(&[0.0]));
    assert_eq!(scene.run(&objective, &[]).0, Some(0));
    for (name, choices) in &sets {
        let indices = scene.case(&["enqueue_choices", "study.db", name]);
        let n = choices.len().to_string();
        let (code, lines) = scene.run(&objective, &["-n", &n]);
        assert_eq!(code, Some(0), "{name}: {lines:?}");
        let stored = scene.rows(&format!(
            "SELECT param_value FROM trial_params WHERE param_name = '{name}' ORDER BY trial_id DESC LIMIT {n}"
        ));
        let mut stored: Vec<Value> =
            stored.as_array().unwrap().iter().map(|row| row[0].clone()).collect();
        stored.reverse();
        assert_eq!(Value::from(stored), indices, "{name}");
    }
    // Optuna goes on with them, and writes the same text.
    scene.case(&["suggest_again", "study.db", "4"]);
    assert_eq!(scene.run(&objective, &["-n", "2"]).0, Some(0));
    let texts = scene
        .rows("SELECT count(DISTINCT distribution_json) FROM trial_params GROUP BY param_name");
    assert_eq!(texts, json!([[1], [1], [1], [1]]));
    scene.assert_both_read_the_same("study.db");
}

/// Case 7: `high` on a grid, and the text.
#[test]
fn both_write_a_distribution_with_the_same_text() {
    let scene = Scene::new("cases-grids");
    let grids = [
        (0.0, 1.0, 0.3),
        (0.1, 0.35, 0.1),
        (0.0, 1.05, 0.1),
        (0.0, 1e-5, 3e-6),
        (-1.0, 1.0, 0.7),
        (0.0, 0.3, 0.1),
        (0.0, 1e22, 1e21),
    ];
    // Named as Python prints the numbers.
    let names = [
        "0.0 1.0 0.3",
        "0.1 0.35 0.1",
        "0.0 1.05 0.1",
        "0.0 1e-05 3e-06",
        "-1.0 1.0 0.7",
        "0.0 0.3 0.1",
        "0.0 1e+22 1e+21",
    ];
    let mut calls: Vec<Call> = names
        .iter()
        .zip(grids)
        .map(|(name, (low, high, step))| Call::Float {
            name,
            low,
            high,
            log: false,
            step: Some(step),
        })
        .collect();
    calls.push(Call::Int { name: "int", low: 0, high: 10, log: false, step: 3 });
    let objective = scene.script("grids", &calls, &Ending::Values(&[0.0]));
    assert_eq!(scene.run(&objective, &[]).0, Some(0));
    scene.case_with_input(&["suggest_grids", "study.db"], &json!(grids));
    let counts = scene.rows(
        "SELECT param_name, count(*), count(DISTINCT distribution_json)
        FROM trial_params GROUP BY param_name ORDER BY param_name",
    );
    let mut names = names.to_vec();
    names.push("int");
    names.sort_unstable();
    let want: Vec<Value> = names.iter().map(|name| json!([name, 2, 1])).collect();
    assert_eq!(counts, Value::from(want));
}

/// Case 7: one name, two distributions.
#[test]
fn a_distribution_that_contradicts_the_study_is_refused_on_both_sides() {
    let scene = Scene::new("cases-contradict");
    let run = |call: Call| {
        let (code, lines) =
            scene.run(&scene.script("guest", &[call], &Ending::Values(&[0.0])), &[]);
        (code, lines[0]["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(run(float("x", 0.0, 1.0)).0, Some(0));
    let theirs = scene.case(&["contradict", "study.db", "x"]);
    let value_error = |message: &str| Value::from(format!("ValueError: {message}"));
    let kind = "Cannot set different distribution kind to the same parameter name.";
    assert_eq!(theirs["int"], value_error(kind));
    assert_eq!(theirs["categorical"], value_error(kind));
    assert_eq!(
        theirs["log"],
        value_error("Cannot set different log configuration to the same parameter name.")
    );
    assert_eq!(theirs["drift"], Value::Null);
    for (call, problem) in [
        (Call::Int { name: "x", low: 0, high: 1, log: false, step: 1 }, "has it as int 0 to 1"),
        (
            Call::Float { name: "x", low: 0.1, high: 1.0, log: true, step: None },
            "has it as float 0.1 to 1.0, log",
        ),
        (Call::Categorical { name: "x", choices: &[Choice::Text("a")] }, "has it as one of \"a\""),
    ] {
        // Another module that cannot join the study is refused before a trial.
        let (code, message) = run(call);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains(problem), "{message}");
    }
    assert_eq!(run(float("x", -7.0, 12.0)).0, Some(0));
    scene.assert_both_read_the_same("study.db");
}

/// Case 7: legacy names, the abbreviated form, another order of keys.
#[test]
fn a_study_with_distributions_as_optuna_once_wrote_them_goes_on() {
    let scene = Scene::new("cases-legacy");
    scene.case(&["write_odd_distributions", "study.db"]);
    let ranges = |name, low, high, log, step| Call::Float { name, low, high, log, step };
    let ints = |name, low, high, log, step| Call::Int { name, low, high, log, step };
    let calls = [
        ranges("uniform", 0.0, 1.0, false, None),
        ranges("loguniform", 0.1, 1.0, true, None),
        ranges("discrete", 0.0, 1.0, false, Some(0.3)),
        ints("int", 1, 9, false, 2),
        ints("intlog", 1, 64, true, 1),
        ranges("short", 0.0, 1.0, false, None),
        ints("short int", 1, 9, false, 2),
        Call::Categorical { name: "short choices", choices: &[Choice::Text("a"), Choice::Int(1)] },
        ranges("other order", 0.0, 1.0, false, None),
    ];
    let objective = scene.script("modern", &calls, &Ending::Values(&[0.0]));
    let (code, lines) = scene.run(&objective, &[]);
    assert_eq!(code, Some(0), "{lines:?}");
    scene.assert_both_read_the_same("study.db");
}

/// Case 8.
#[test]
fn optuna_shows_the_local_time_of_a_trial_in_any_time_zone() {
    let scene = Scene::new("cases-zones");
    let objective = scene.script("nothing", &[], &Ending::Values(&[0.0]));
    let mut offsets = Vec::new();
    for zone in ["Asia/Tokyo", "America/New_York", "UTC"] {
        let mut command = scene.python("interop_cases.py", &["run_here", "study.db", &objective]);
        command.env("TZ", zone);
        let seen = answer(command);
        assert_eq!(seen["in order"], true, "{zone}");
        assert_eq!(seen["offset"], seen["offset of this zone"], "{zone}");
        offsets.push(seen["offset"].as_f64().unwrap());
    }
    assert_eq!(offsets[0], 9.0 * 3600.0);
    assert!(offsets[1] < 0.0 && offsets[2] == 0.0);
}

/// Case 10.
#[test]
fn directions_and_pareto_fronts_are_the_same_on_both_sides() {
    for (n, directions) in [(2, "minimize maximize"), (3, "maximize minimize maximize")] {
        let scene = Scene::new(&format!("cases-front-{n}"));
        let calls = [float("x0", -9.0, 9.0), float("x1", -9.0, 9.0), float("x2", -9.0, 9.0)];
        let objective = scene.script("front", &calls, &Ending::Floats(n));
        let wanted: Vec<&str> = directions.split(' ').collect();
        scene.json(
            &[
                &["study", "create", "--storage", "study.db", "--study-name", "s", "--direction"],
                &wanted[..],
            ]
            .concat(),
        );
        let points =
            ["0,0,0", "inf,1,1", "-inf,-inf,-inf", "1,2,3", "1,2,3", "inf,inf,inf", "-1,-1,9"];
        scene.case(&[&["enqueue_floats", "study.db"], &points[..]].concat());
        let (code, lines) = scene.run(&objective, &["-n", "20", "--lenient"]);
        assert_eq!((code, lines.len()), (Some(0), 20));
        let theirs = scene.case(&["front", "study.db"]);
        assert_eq!(theirs["summary"], json!(wanted));
        assert_eq!(theirs["study"], json!(wanted));
        let ours = scene.json(&["study", "best", "--storage", "study.db"]);
        assert_eq!(theirs["best"], Value::from(each(&ours, "number")));
        scene.assert_both_read_the_same("study.db");
    }
}

/// Case 11.
#[test]
fn constraints_of_either_form_make_a_trial_feasible_or_not_on_both_sides() {
    let scene = Scene::new("cases-constraints");
    let run = |value: f64, constraints: &[(&str, f64)]| {
        let calls: Vec<Call> = constraints
            .iter()
            .map(|(name, value)| Call::Constraint { name, value: *value })
            .collect();
        let objective = scene.script("guest", &calls, &Ending::Values(&[value]));
        assert_eq!(scene.run(&objective, &[]).0, Some(0));
    };
    run(0.0, &[("size", 1.0), ("time", -1.0)]);
    run(0.5, &[("size", 0.0), ("time", -1.0)]);
    run(0.01, &[("size", f64::INFINITY)]);
    run(0.6, &[("size", f64::NEG_INFINITY)]);
    let best = || scene.json(&["study", "best", "--storage", "study.db"])[0]["number"].clone();
    let theirs = scene.case(&["constraints", "study.db"]);
    assert_eq!(
        theirs["constraints"],
        json!([
            { "size": 1.0, "time": -1.0 },
            { "size": 0.0, "time": -1.0 },
            { "size": "inf" },
            { "size": "-inf" }
        ])
    );
    assert_eq!((best(), &theirs["best"]), (json!(1), &json!(1)));
    // Two good ones of four: the feasible ones, although the others have better values.
    let split = scene.case(&["split_by_tpe", "study.db"]);
    assert_eq!(split, json!({ "below": [1, 3], "above": [0, 2] }));
    scene.case(&["add_constrained", "study.db"]);
    assert_eq!(best(), scene.case(&["constraints", "study.db"])["best"]);
    assert_eq!(best(), 7);
    scene.assert_both_read_the_same("study.db");
}

/// Case 17.
#[test]
fn names_of_512_characters_are_written_and_of_513_refused() {
    let scene = Scene::new("cases-limits");
    let (fits, long) = ("é".repeat(512), "é".repeat(513));
    let constraint = "c".repeat(512 - "constraints:".len());
    let value = format!("\"{}\"", "v".repeat(100_000));
    let calls = [
        float(&fits, 0.0, 1.0),
        Call::Attr { key: &fits, json: &value },
        Call::Constraint { name: &constraint, value: -1.0 },
    ];
    let study = "s".repeat(512);
    let run = |name: &str, objective: &str| {
        scene.trialbox(&[
            "run",
            objective,
            "--allow-module-change",
            "--storage",
            "study.db",
            "--study-name",
            name,
            "--format",
            "json",
        ])
    };
    let ran = run(&study, &scene.script("fits", &calls, &Ending::Values(&[0.0])));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        scene.case(&["long_names", "study.db"]),
        json!({ "params": [512], "user_attrs": { "512": 100_000 }, "constraints": [constraint.len()] })
    );
    scene.assert_both_read_the_same("study.db");
    for (call, code) in [
        (float(&long, 0.0, 1.0), "E-SUGGEST"),
        (Call::Attr { key: &long, json: "1" }, "E-CALL"),
        (Call::Constraint { name: &format!("{constraint}c"), value: 0.0 }, "E-CALL"),
    ] {
        let ran = run(&study, &scene.script("long", &[call], &Ending::Values(&[0.0])));
        let failure = &ran.json()[0]["failure"];
        assert_eq!((ran.code, &failure["code"]), (Some(1), &json!(code)));
        let message = failure["message"].as_str().unwrap();
        assert!(
            message.contains("513 characters, and limit `name-length` allows 512"),
            "{message}"
        );
    }
    let ran = run(&long, "fits.wasm");
    ran.assert_error(2, &["the study name is 513 characters long; at most 512 are allowed"]);
}

/// Names that a database may hold, and that a command line can.
const ODD_NAMES: [&str; 12] = [
    "",
    " ",
    "two\nlines",
    "tab\tand\rreturn",
    "quotes \"double\" 'single' `back`",
    "emoji \u{1f423}\u{200d}\u{1f3fd}",
    "e\u{301} is not é",
    "../x",
    "/etc/passwd",
    "100%s %d {} {0} ${HOME} $(id)",
    "'; DROP TABLE studies; --",
    "-n",
];

/// Case 25.
#[test]
fn a_study_may_have_any_name_on_both_sides() {
    let scene = Scene::new("cases-names-ours");
    let objective = scene.script("one", &[], &Ending::Values(&[1.0]));
    // An empty name is more often a variable without a value, and trialbox makes no name with control characters.
    let ours =
        ODD_NAMES.iter().filter(|name| !name.trim().is_empty() && !name.contains(char::is_control));
    let ours: Vec<&str> = ours.copied().collect();
    assert_eq!(ours.len(), 8);
    for name in &ours {
        let name = format!("--study-name={name}");
        scene.json(&["study", "create", "--storage", "study.db", &name, "--direction=maximize"]);
        scene.json(&["run", &objective, "--storage", "study.db", &name, "--direction=maximize"]);
    }
    scene.assert_both_read_the_same("study.db");
    let listed = scene.json(&["study", "list", "--storage", "study.db"]);
    assert_eq!(each(&listed, "study"), ours);

    let theirs = Scene::new("cases-names-theirs");
    theirs.case_with_input(&["create_studies", "study.db"], &json!(ODD_NAMES));
    let objective = theirs.script("one", &[], &Ending::Values(&[1.0]));
    for name in ODD_NAMES {
        let name = format!("--study-name={name}");
        theirs.json(&["run", &objective, "--storage", "study.db", &name, "--direction=maximize"]);
    }
    theirs.assert_both_read_the_same("study.db");
    let listed = theirs.json(&["study", "list", "--storage", "study.db"]);
    assert_eq!(each(&listed, "study"), ODD_NAMES);
}
