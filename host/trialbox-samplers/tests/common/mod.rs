//! The histories that `tests/golden/record.py` recorded.
#![allow(dead_code, unreachable_pub, reason = "each test crate uses its part")]

use std::collections::BTreeMap;
use trialbox_core::study::trial::{CONSTRAINT_PREFIX, TrialId};
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, Param, StudyDirection, TrialNumber, TrialState,
};

/// A recorded history, and what was asked for on it.
pub struct Recorded {
    pub name: String,
    /// Options of the sampler, as a study remembers them.
    pub options: Json,
    pub history: History,
    pub asked: Vec<(String, Distribution)>,
}

/// Returns all recorded histories.
pub fn histories() -> Vec<Recorded> {
    let text = include_str!("../golden/histories.json");
    items(&Json::parse(text).expect("JSON")).iter().map(read_history).collect()
}

/// Returns the items of an array.
#[track_caller]
pub fn items(json: &Json) -> &[Json] {
    let Json::Array(items) = json else { panic!("expected an array, found {json}") };
    items
}

/// Returns the numbers of an array.
#[track_caller]
pub fn floats(json: &Json) -> Vec<f64> {
    items(json).iter().map(|item| item.as_f64().expect("a number")).collect()
}

/// Returns the whole numbers of an array.
#[track_caller]
pub fn indices(json: &Json) -> Vec<usize> {
    items(json).iter().map(|item| item.as_i64().expect("a number") as usize).collect()
}

fn read_history(json: &Json) -> Recorded {
    let member = |key: &str| json.get(key).unwrap_or_else(|| panic!("no `{key}`"));
    let distributions: Vec<Distribution> = items(member("distributions"))
        .iter()
        .map(|text| Distribution::from_json_text(text.as_str().expect("a text")).expect("valid"))
        .collect();
    let directions = floats(member("directions"))
        .into_iter()
        .map(|sign| if sign > 0.0 { StudyDirection::Minimize } else { StudyDirection::Maximize })
        .collect();
    let named = |pair: &Json| {
        let [name, index, rest @ ..] = items(pair) else { panic!("a name and an index") };
        let index = index.as_i64().expect("an index") as usize;
        let value = rest.first().and_then(Json::as_f64);
        (name.as_str().expect("a name").to_owned(), distributions[index].clone(), value)
    };
    let trials = items(member("trials"))
        .iter()
        .enumerate()
        .map(|(number, trial)| read_trial(number, trial, &named));
    Recorded {
        name: member("name").as_str().expect("a name").to_owned(),
        options: member("options").clone(),
        history: History::new(directions, trials.collect()),
        asked: items(member("asked")).iter().map(named).map(|(name, it, _)| (name, it)).collect(),
    }
}

fn read_trial(
    number: usize,
    json: &Json,
    named: &impl Fn(&Json) -> (String, Distribution, Option<f64>),
) -> FrozenTrial {
    let mut trial = new_trial(number as u32);
    let member = |key: &str| json.get(key);
    let state = member("state").and_then(Json::as_str).expect("a state");
    trial.state = TrialState::parse(state).expect("a state");
    trial.values = floats(member("values").expect("values"));
    let params = items(member("params").expect("params")).iter().map(named);
    let param = |(name, distribution, value): (String, Distribution, Option<f64>)| {
        (name, Param { distribution, internal: value.expect("a value") })
    };
    trial.params = params.map(param).collect();
    if let Some(steps) = member("intermediate_values") {
        let pair = |pair: &Json| (items(pair)[0].as_i64(), items(pair)[1].as_f64());
        let steps = items(steps).iter().map(pair);
        trial.intermediate_values =
            steps.map(|(step, value)| (step.expect("a step"), value.expect("a value"))).collect();
    }
    if let Some(Json::Object(constraints)) = member("constraints") {
        let attrs = constraints
            .iter()
            .map(|(key, value)| (format!("{CONSTRAINT_PREFIX}{key}"), value.clone()));
        trial.system_attrs.extend(attrs);
    }
    if let Some(text) = member("relative_params") {
        trial.system_attrs.insert("tpe:relative_params:0".to_owned(), text.clone());
    }
    trial
}

/// Returns a COMPLETE trial without anything.
pub fn new_trial(number: u32) -> FrozenTrial {
    FrozenTrial {
        id: TrialId(i64::from(number) + 1),
        number: TrialNumber(number),
        state: TrialState::Complete,
        values: vec![],
        datetime_start: None,
        datetime_complete: None,
        params: vec![],
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        intermediate_values: BTreeMap::new(),
    }
}
