//! The data of `study plot` against Optuna's figures of the same study.

use crate::scene::{Ran, Scene};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A number in [0, 1) that looks random.
fn draw(seed: usize, number: usize) -> f64 {
    let factor = [0.618_033_988_749, 0.414_213_562_373, 0.732_050_807_568][seed % 3];
    (number as f64 * factor + 0.37 * seed as f64).fract()
}

fn float(low: f64, high: f64, log: bool) -> Value {
    json!({ "name": "FloatDistribution", "attributes": { "step": null, "low": low, "high": high, "log": log } })
}

fn int(low: i64, high: i64) -> Value {
    json!({ "name": "IntDistribution", "attributes": { "log": false, "step": 1, "low": low, "high": high } })
}

/// A line of `study import`: of every ninth trial a failure, of every seventh a pruned one.
fn trial(number: usize, n_objectives: usize) -> Value {
    let (x, lr, n) = (
        draw(0, number),
        10f64.powf(-5.0 + 4.0 * draw(1, number)),
        (8.0 * draw(2, number)).floor(),
    );
    let loss = (x - 0.3).powi(2) + 0.1 * (lr.log10() + 2.0).powi(2) + 0.01 * n;
    let (state, values) = match number {
        n if n % 9 == 4 => ("FAIL", vec![]),
        n if n % 7 == 5 && n_objectives == 1 => ("PRUNED", vec![loss + 0.5]),
        _ => ("COMPLETE", [loss, 1.0 - x, n + draw(1, number)][..n_objectives].to_vec()),
    };
    let reports: Vec<Value> = match state {
        "FAIL" => vec![],
        _ if n_objectives > 1 => vec![],
        _ => (0..3).map(|step| json!([step, loss + 0.5 / f64::from(step + 1)])).collect(),
    };
    let system_attrs = match number % 5 {
        3 => json!({ "constraints:c": 0.5 }),
        _ => json!({ "constraints:c": -1.0 }),
    };
    let at = |second: usize| format!("2026-11-24T01:{:02}:{:02}.250000Z", number % 60, second);
    json!({
        "event": "trial",
        "state": state,
        "values": values,
        "datetime_start": at(1),
        "datetime_complete": at(31),
        "params_order": ["x", "lr", "n"],
        "params_internal": { "x": x, "lr": lr, "n": n },
        "distributions": { "x": float(0.0, 1.0, false), "lr": float(1e-5, 0.1, true), "n": int(0, 7) },
        "intermediate_values": reports,
        "user_attrs": {},
        "system_attrs": system_attrs,
    })
}

fn import(scene: &Scene, directions: &[&str]) {
    let head = json!({
        "event": "study", "study": "s", "directions": directions, "user_attrs": {}, "system_attrs": {},
    });
    let trials = (0..60).map(|number| trial(number, directions.len()));
    let lines = std::iter::once(head).chain(trials).map(|line| format!("{line}\n"));
    std::fs::write(scene.path("s.jsonl"), lines.collect::<String>()).unwrap();
    scene.json(&["study", "import", "s.jsonl", "--storage", "study.db"]);
}

#[track_caller]
fn theirs(scene: &Scene, pair: &[&str]) -> Value {
    let arguments = [&["study.db", "s"], pair].concat();
    let ran = Ran::from(scene.python("figures.py", &arguments).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json().remove(0)
}

/// Returns the rows of a figure, each by the names of its columns.
#[track_caller]
fn ours(scene: &Scene, figure: &str) -> Vec<Map<String, Value>> {
    let record = scene.json(&["study", "plot", figure, "--storage", "study.db"]).remove(0);
    let columns: Vec<&str> =
        record["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let rows = record["rows"].as_array().unwrap().iter();
    let row = |row: &Value| {
        let cells = columns.iter().zip(row.as_array().unwrap());
        cells.map(|(name, cell)| ((*name).to_owned(), cell.clone())).collect()
    };
    rows.map(row).collect()
}

fn column(rows: &[Map<String, Value>], name: &str) -> Vec<Value> {
    rows.iter().map(|row| row[name].clone()).collect()
}

fn is_complete(row: &&Map<String, Value>) -> bool {
    ["COMPLETE", "INFEASIBLE"].contains(&row["state"].as_str().unwrap())
}

#[test]
fn figures_of_one_objective_have_optunas_numbers() {
    let scene = Scene::new("figures-one");
    import(&scene, &["minimize"]);
    let contour = ours(&scene, "contour");
    let pair: Vec<String> = contour[0]
        .keys()
        .filter(|key| !["number", "value"].contains(&key.as_str()))
        .cloned()
        .collect();
    let theirs = theirs(&scene, &pair.iter().map(String::as_str).collect::<Vec<_>>());

    let history = ours(&scene, "history");
    assert_eq!(Value::from(column(&history, "number")), theirs["numbers"]);
    // Optuna leaves out the last report of a pruned trial, which the page draws.
    let values = history
        .iter()
        .map(|row| if is_complete(&row) { row["value"].clone() } else { Value::Null });
    assert_eq!(values.collect::<Value>(), theirs["values"]);
    assert_eq!(Value::from(column(&history, "best value")), theirs["best"]);

    let edf = ours(&scene, "edf");
    for (x, y) in
        theirs["edf"][0].as_array().unwrap().iter().zip(theirs["edf"][1].as_array().unwrap())
    {
        let reached = edf.iter().rev().find(|row| row["value"].as_f64() <= x.as_f64());
        let share = reached.map_or(0.0, |row| row["share"].as_f64().unwrap());
        assert!((share - y.as_f64().unwrap()).abs() < 1e-12, "{x}: {share}, want {y}");
    }

    let slices = ours(&scene, "slices");
    for (param, want) in theirs["slices"].as_object().unwrap() {
        let is_shown = |row: &&Map<String, Value>| {
            row["parameter"] == json!(param) && row["state"] == "COMPLETE"
        };
        let rows: Vec<Map<String, Value>> = slices.iter().filter(is_shown).cloned().collect();
        let found =
            json!([column(&rows, "number"), column(&rows, "param value"), column(&rows, "value")]);
        assert_eq!(numbers(&found), numbers(want), "{param}");
    }

    let mut surface: Vec<Vec<f64>> = contour
        .iter()
        .map(|row| {
            ["contour", "surface"]
                .iter()
                .enumerate()
                .map(|(index, _)| theirs["contour"][index].as_str().unwrap())
                .map(|name| row[name].as_f64().unwrap())
                .chain([row["value"].as_f64().unwrap()])
                .collect()
        })
        .collect();
    surface.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert_eq!(numbers(&json!(surface)), numbers(&theirs["surface"]));

    let mut curves: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in ours(&scene, "curves") {
        curves
            .entry(row["number"].to_string())
            .or_default()
            .push(json!([row["step"], row["value"]]));
    }
    assert_eq!(numbers(&json!(curves)), numbers(&theirs["curves"]));
    assert_timeline(&scene, &theirs);
}

#[test]
fn a_front_of_two_and_of_three_objectives_is_optunas() {
    for directions in [&["minimize", "maximize"][..], &["minimize", "maximize", "minimize"]] {
        let scene = Scene::new(&format!("figures-{}", directions.len()));
        import(&scene, directions);
        let theirs = theirs(&scene, &[]);
        let rows = ours(&scene, "pareto");
        let with = |is_on_front: &str, feasible: &str| -> Value {
            let is_wanted = |row: &&Map<String, Value>| {
                row["is on front"] == is_on_front && row["feasible"] == feasible
            };
            rows.iter().filter(is_wanted).map(|row| row["number"].clone()).collect()
        };
        let found = json!([with("true", "true"), with("false", "true"), with("false", "false")]);
        assert_eq!(found, theirs["front"]);
        assert_timeline(&scene, &theirs);
    }
}

#[track_caller]
fn assert_timeline(scene: &Scene, theirs: &Value) {
    let rows = ours(scene, "timeline");
    let found = rows.iter().map(|row| json!([row["number"], row["start (UTC)"], row["end (UTC)"]]));
    assert_eq!(found.collect::<Value>(), theirs["timeline"]);
}

/// Returns a value with all its numbers as floats, because an integer of Python's may be a float here.
fn numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(numbers).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(key, value)| (key.clone(), numbers(value))).collect(),
        ),
        other => other.clone(),
    }
}
