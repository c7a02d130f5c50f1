//! `trialbox study importance`, against Optuna on the same database.

use crate::scene::{Ran, Scene};
use serde_json::{Map, Value, json};

/// A number in [0, 1) that looks random.
fn draw(seed: usize, number: usize) -> f64 {
    let factor = [0.618_033_988_749, 0.414_213_562_373, 0.732_050_807_568, 0.236_067_977_499];
    let factor = factor[seed % 4] + (seed / 4) as f64 * 0.097_3;
    (number as f64 * factor + 0.37 * seed as f64).fract()
}

fn float(low: f64, high: f64, log: bool, step: Option<f64>) -> Value {
    json!({ "name": "FloatDistribution", "attributes": { "step": step, "low": low, "high": high, "log": log } })
}

fn int(low: i64, high: i64, log: bool, step: i64) -> Value {
    json!({ "name": "IntDistribution", "attributes": { "log": log, "step": step, "low": low, "high": high } })
}

fn choices(choices: Value) -> Value {
    json!({ "name": "CategoricalDistribution", "attributes": { "choices": choices } })
}

/// A line of `study import`: parameters as name, distribution and internal value.
fn trial(state: &str, values: &[Value], params: &[(&str, Value, f64)]) -> Value {
    let at = "2026-11-24T01:02:03.000000Z";
    let by_name = |value: fn(&(&str, Value, f64)) -> Value| -> Map<String, Value> {
        params.iter().map(|param| (param.0.to_owned(), value(param))).collect()
    };
    json!({
        "event": "trial",
        "state": state,
        "values": values,
        "datetime_start": at,
        "datetime_complete": (!matches!(state, "WAITING" | "RUNNING")).then_some(at),
        "params_order": params.iter().map(|param| param.0).collect::<Vec<_>>(),
        "params_internal": by_name(|param| json!(param.2)),
        "distributions": by_name(|param| param.1.clone()),
        "intermediate_values": [],
        "user_attrs": {},
        "system_attrs": {},
    })
}

/// Makes study `s` in `study.db` of these trials, with `study import`.
fn import(scene: &Scene, directions: &[&str], system_attrs: Value, trials: &[Value]) {
    let head = json!({
        "event": "study",
        "study": "s",
        "directions": directions,
        "user_attrs": {},
        "system_attrs": system_attrs,
    });
    let lines = std::iter::once(&head).chain(trials).map(|line| format!("{line}\n"));
    std::fs::write(scene.path("s.jsonl"), lines.collect::<String>()).unwrap();
    scene.json(&["study", "import", "s.jsonl", "--storage", "study.db"]);
}

/// What the binary prints, as (parameter, importance).
#[track_caller]
fn ours(scene: &Scene, more: &[&str]) -> Vec<(String, f64)> {
    let fixed = ["study", "importance", "--storage", "study.db"];
    let pair = |line: Value| {
        assert_eq!((&line["event"], &line["study"]), (&json!("importance"), &json!("s")));
        (line["param"].as_str().unwrap().to_owned(), line["importance"].as_f64().unwrap())
    };
    scene.json(&[&fixed[..], more].concat()).into_iter().map(pair).collect()
}

#[track_caller]
fn assert_same(ours: &[(String, f64)], theirs: &Value) {
    let theirs = theirs.as_object().unwrap();
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.is_sorted_by(|(_, a), (_, b)| a >= b), "{ours:?}");
    for (name, value) in ours {
        let want = theirs[name].as_f64().unwrap();
        assert!((value - want).abs() <= 1e-9, "{name}: {value}, want {want}");
    }
}

/// Compares with Optuna: all objectives together, normalised and not, and each by itself.
#[track_caller]
fn assert_optuna_agrees(scene: &Scene, params: &[&str]) {
    let named = params.join(",");
    let ran =
        Ran::from(scene.python("importance.py", &["study.db", "s", &named]).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let theirs = ran.json().remove(0);
    let params: Vec<&str> = params.iter().flat_map(|name| ["--param", name]).collect();
    let ours = |more: &[&str]| ours(scene, &[&params[..], more].concat());
    assert_same(&ours(&[]), &theirs["all"]);
    assert_same(&ours(&["--no-normalize"]), &theirs["raw"]);
    for (objective, theirs) in theirs["each"].as_array().unwrap().iter().enumerate() {
        assert_same(&ours(&["--objective", &objective.to_string()]), theirs);
    }
}

/// Parameters of every kind, and a loss that they decide.
fn mixed(number: usize) -> (Vec<(&'static str, Value, f64)>, f64) {
    let d = |seed| draw(seed, number);
    let params = vec![
        ("x", float(-5.0, 10.0, false, None), -5.0 + 15.0 * d(0)),
        ("lr", float(1e-5, 0.1, true, None), 10f64.powf(-5.0 + 4.0 * d(1))),
        ("drop", float(0.0, 0.9, false, Some(0.1)), (9.9 * d(2)).floor() * 0.1),
        ("two", float(0.1, 0.3, false, Some(0.2)), if d(3) < 0.5 { 0.1 } else { 0.3 }),
        ("layers", int(1, 8, false, 1), 1.0 + (8.0 * d(4)).floor()),
        ("units", int(4, 512, true, 1), (4.0 * 128f64.powf(d(5))).round()),
        ("width", int(16, 256, false, 16), 16.0 + 16.0 * (16.0 * d(6)).floor()),
        ("act", choices(json!(["relu", "tanh", null, 2.5])), (4.0 * d(7)).floor()),
        ("one", int(3, 3, false, 1), 3.0),
    ];
    let loss = (d(0) - 0.3).powi(2) + 0.5 * (d(1) - 0.7).powi(2) + 0.2 * d(4) + 0.05 * d(8);
    (params, loss)
}

#[test]
fn parameters_of_every_kind_matter_as_much_as_optuna_says_in_trials_of_all_states() {
    let scene = Scene::new("importance-mixed");
    let trials: Vec<Value> = (0..90)
        .map(|number| {
            let (params, loss) = mixed(number);
            let mut trial = match number % 10 {
                3 => trial("PRUNED", &[], &params),
                5 => trial("FAIL", &[], &params[..2]),
                7 => trial(
                    "COMPLETE",
                    &[json!(if number % 4 == 1 { "inf" } else { "-inf" })],
                    &params,
                ),
                8 => trial(if number < 50 { "WAITING" } else { "RUNNING" }, &[], &[]),
                _ => trial("COMPLETE", &[json!(loss)], &params),
            };
            // Good trials that violate a constraint count like all others.
            trial["system_attrs"]["constraints:c"] = json!(0.2 - loss);
            trial
        })
        .collect();
    import(&scene, &["minimize"], json!({}), &trials);
    assert_optuna_agrees(&scene, &[]);
    assert_optuna_agrees(&scene, &["lr", "x"]);
    let sum: f64 = ours(&scene, &[]).iter().map(|(_, value)| value).sum();
    assert!((sum - 1.0).abs() < 1e-12);
}

#[test]
fn conditional_parameters_and_changing_ranges_matter_as_much_as_optuna_says() {
    let scene = Scene::new("importance-conditional");
    let trials: Vec<Value> = (0..80)
        .map(|number| {
            let d = |seed| draw(seed, number);
            let high = 1.0 + (number / 27) as f64;
            let mut params = vec![
                ("kind", choices(json!(["svm", "forest"])), f64::from(u8::from(d(0) < 0.5))),
                ("changes", float(0.0, high, false, None), high * d(1)),
            ];
            if d(0) < 0.5 {
                params.push(("trees", int(1, 100, false, 1), 1.0 + (100.0 * d(2)).floor()));
            } else {
                params.push(("c", float(1e-3, 1e3, true, None), 10f64.powf(6.0 * d(2) - 3.0)));
            }
            trial("COMPLETE", &[json!(d(2) + 0.3 * d(1) * high)], &params)
        })
        .collect();
    import(&scene, &["maximize"], json!({}), &trials);
    assert_optuna_agrees(&scene, &[]);
    // A forest sees only what all trials share.
    let shared = ours(&scene, &["--evaluator", "fanova"]);
    assert_eq!(shared, [("kind".to_owned(), 1.0)]);
    let apart = ["--evaluator", "mdi", "--param", "trees", "--param", "c"];
    scene
        .trialbox(&[&["study", "importance", "--storage", "study.db"], &apart[..]].concat())
        .assert_error(
            2,
            &["no COMPLETE trial has all of the parameters `trees`, `c`", "ped-anova"],
        );
}

#[test]
fn of_several_objectives_each_or_the_front_of_all_can_be_what_matters() {
    let scene = Scene::new("importance-objectives");
    let trials: Vec<Value> = (0..70)
        .map(|number| {
            let (params, loss) = mixed(number);
            let speed = draw(4, number) + 0.1 * draw(9, number);
            trial("COMPLETE", &[json!(loss), json!(speed)], &params)
        })
        .collect();
    let names = json!({ "study:metric_names": ["loss", "speed"] });
    import(&scene, &["minimize", "maximize"], names, &trials);
    assert_optuna_agrees(&scene, &[]);
    assert_eq!(ours(&scene, &["--objective", "speed"]), ours(&scene, &["--objective", "1"]));

    let fanova = ["study", "importance", "--storage", "study.db", "--evaluator", "fanova"];
    let shown = scene.trialbox(&fanova);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    let words: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(words, ["parameter", "loss", "speed"]);
    assert_eq!(lines.len(), 1 + 9);
    assert_eq!(shown.stderr, "");
    let of_speed = |more: &[&str]| ours(&scene, &[&["--evaluator", "fanova"], more].concat());
    let speed = of_speed(&["--objective", "speed", "--seed", "3"]);
    assert_eq!(speed[0].0, "layers");
    assert!(speed[0].1 > 0.8, "{speed:?}");
    assert_eq!(speed, of_speed(&["--objective", "speed", "--seed", "3"]));
    assert_ne!(speed, of_speed(&["--objective", "speed", "--seed", "4"]));
    scene
        .trialbox(&[&fanova[..], &["--objective", "cost"]].concat())
        .assert_error(2, &["study `s` has no objective `cost`", "loss, speed"]);
}

#[test]
fn what_cannot_be_assessed_is_said_and_why() {
    let scene = Scene::new("importance-errors");
    let x = |value: f64| [("x", float(0.0, 1.0, false, None), value)];
    let infinite = trial("COMPLETE", &[json!("inf")], &x(0.2));
    import(
        &scene,
        &["minimize"],
        json!({}),
        &[trial("COMPLETE", &[json!(1.0)], &x(0.5)), infinite],
    );
    let importance = ["study", "importance", "--storage", "study.db"];
    scene
        .trialbox(&importance)
        .assert_error(2, &["of 2 COMPLETE trials 1 have them", "trialbox study trials"]);
    let more = [trial("COMPLETE", &[json!(1.0)], &x(0.7)), trial("FAIL", &[], &x(0.7))];
    let lines: String = more.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(scene.path("more.jsonl"), lines).unwrap();
    scene.json(&["study", "import", "more.jsonl", "--storage", "study.db", "--study-name", "s"]);
    scene
        .trialbox(&[&importance[..], &["--param", "x", "--param", "w"]].concat())
        .assert_error(2, &["no COMPLETE trial has the parameter `w`; there are: x"]);
    scene
        .trialbox(&[&importance[..], &["--evaluator", "fanova"]].concat())
        .assert_error(2, &["the 2 COMPLETE trials all have the same value"]);
    // Two equal trials are both the best: nothing is known, and Optuna says so too.
    let quiet = scene.trialbox(&[&importance[..], &["--quiet"]].concat());
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
    assert!(quiet.stdout.contains("1.0000"), "{}", quiet.stdout);
    assert_optuna_agrees(&scene, &[]);
}
